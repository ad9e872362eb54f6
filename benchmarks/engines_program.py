"""A program that trains nothing, for `engines.py`: each trial sleeps, and writes down when it begins and ends."""

import os
import sys
import time
from pathlib import Path

import hydra
from hydra.core.config_store import ConfigStore
from omegaconf import DictConfig

from flowersweep import current_trial

NODE = {
    "defaults": ["_self_", {"override hydra/sweeper": "study"}],
    "x": 0.5,
    "seconds": 3.0,
    "folder": ".",
    "tracking": {"dir": "${folder}/results"},
    "hydra": {
        "output_subdir": None,
        "sweep": {"dir": "${folder}/results/sweeps"},
        "sweeper": {"direction": "maximize"},
    },
}
ConfigStore.instance().store(name="engines", node=NODE)


def mark(folder: str, what: str) -> None:
    """Add a line to a file: what happens, the trial, its process, and that of its worker."""
    with Path(folder, "marks").open("a", encoding="utf-8") as file:
        file.write(f"{what} {current_trial().number} {os.getpid()} {os.getppid()}\n")


@hydra.main(config_path=None, config_name="engines")
def main(cfg: DictConfig) -> float:
    """Sleep; the value is x."""
    mark(cfg.folder, "begin")
    time.sleep(cfg.seconds)
    mark(cfg.folder, "end")
    return float(cfg.x)


if __name__ == "__main__":
    sys.exit(main())
