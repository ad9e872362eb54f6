"""The configuration that a run with the same overrides would have, and what of Hydra's own node matters."""

from collections.abc import Sequence
from dataclasses import dataclass

from hydra import compose, initialize_config_dir
from omegaconf import OmegaConf, open_dict

from flowersweep import config
from flowersweep.config import Config


@dataclass(frozen=True)
class Sweeping:
    """What of the sweeper's settings the doctor looks at.

    Attributes:
        storage: hydra.sweeper.storage; None for the file in tracking.dir.
        workers: hydra.sweeper.n_jobs.
    """

    storage: str | None
    workers: int


def composed(overrides: Sequence[str]) -> tuple[Config, Sweeping]:
    """Compose and check a configuration as a run does.

    Raises:
        HydraException: It cannot be composed.
        OmegaConfBaseException: A value has the wrong type.
        ConfigError: A value is missing or out of range.
    """
    config.prepare()
    with initialize_config_dir(str(config.conf_dir())):
        cfg = compose("config", overrides=list(overrides), return_hydra_config=True)
    # Hydra's own sweeper has neither.
    sweeping = Sweeping(
        storage=OmegaConf.select(cfg, "hydra.sweeper.storage"),
        workers=OmegaConf.select(cfg, "hydra.sweeper.n_jobs") or 1,
    )
    with open_dict(cfg):
        del cfg["hydra"]
    return config.settings(cfg), sweeping
