"""A program as it is written for hydra-optuna-sweeper, with every key that its configuration can have."""

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import hydra
from hydra.core.config_store import ConfigStore
from omegaconf import DictConfig

# A training process imports this file too, and has no need of these.
if TYPE_CHECKING:
    import optuna
    import pytest

NODE = {
    "defaults": [
        "_self_",
        {"override hydra/sweeper": "optuna"},
        {"override hydra/sweeper/sampler": "tpe"},
        {"override hydra/job_logging": "none"},
        {"override hydra/hydra_logging": "none"},
    ],
    "hydra": {
        "sweep": {"dir": "sweep"},
        "output_subdir": None,
        "sweeper": {
            "sampler": {"seed": 123},
            "direction": "minimize",
            "study_name": "sphere",
            "storage": None,
            "n_trials": 4,
            "n_jobs": 1,
            "max_failure_rate": 0.0,
            "custom_search_space": None,
            "params": {"x": "range(-1.0, 1.0, step=0.5)", "y": "choice(-5 ,0)"},
        },
    },
    "x": 1,
    "y": 1,
    "z": 1,
    "fails": False,
    "objectives": 1,
}


def register(sweeper: str) -> None:
    """Make the configuration known to Hydra, with the sweeper as its only difference."""
    node = {**NODE, "defaults": ["_self_", {"override hydra/sweeper": sweeper}, *NODE["defaults"][2:]]}  # type: ignore[index]
    ConfigStore.instance().store(name="official_app", node=node, replace=True)


register("study")


@hydra.main(
    config_path=str(Path(__file__).parent),
    config_name="official_app",
    execution_whitelist=("hydra.*", "hydra_plugins.*", "optuna.*", "logging.*", "official_app.*"),
)
def main(cfg: DictConfig) -> Any:
    """The sum of squares; a second objective goes the other way."""
    if cfg.fails:
        raise RuntimeError("cfg.fails is True")
    value = sum(float(cfg.get(key, 0)) ** 2 for key in ("w", "x", "y", "z"))
    return value if cfg.objectives == 1 else (value, (float(cfg.x) - 5) ** 2)


def configure(cfg: DictConfig, trial: "optuna.Trial") -> None:
    """Suggest z near x, and a new key."""
    if "y" in trial.user_attrs:
        assert trial.user_attrs["y"] == "0"
    near = trial.params["x"]
    trial.suggest_float("z", near - 0.3, near + 0.3)
    trial.suggest_float("+w", 0.0, float(cfg.hydra.sweeper.n_trials))


def sweep(monkeypatch: "pytest.MonkeyPatch", sweeper: str, *arguments: str) -> None:
    """Run a sweep in this process, as the command line would; errors come through."""
    register(sweeper)
    monkeypatch.setattr(sys, "argv", ["official_app.py", "--multirun", *arguments])
    monkeypatch.setenv("HYDRA_FULL_ERROR", "1")
    main()


if __name__ == "__main__":
    main()
