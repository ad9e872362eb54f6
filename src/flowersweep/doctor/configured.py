"""The configuration that the doctor checks: that of a run or, with --multirun, of a sweep and its first trial."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

from hydra import compose, initialize_config_dir
from hydra.core.config_loader import ConfigLoader
from hydra.core.global_hydra import GlobalHydra
from hydra.types import RunMode
from hydra.utils import execution_whitelist
from omegaconf import DictConfig, OmegaConf, open_dict

from flowersweep import config
from flowersweep.config import Config
from flowersweep.errors import ConfigError
from flowersweep.own.permission import refuse_environment
from flowersweep.own.targets import OF_THE_COMMAND

_SWEEPER = "StudySweeper"


@dataclass(frozen=True)
class Setup:
    """A composed configuration to check, with the settings of the sweep.

    Attributes:
        config: The configuration of the run, or of the first trial of a sweep.
        overrides: The overrides of this configuration.
        storage: hydra.sweeper.storage; None for the file in tracking.dir.
        workers: hydra.sweeper.n_jobs for a sweep; 1 for a run.
        search: A description of the sweep; None for a run.
    """

    config: Config
    overrides: tuple[str, ...]
    storage: str | None
    workers: int
    search: str | None


def composed(overrides: Sequence[str], *, multirun: bool = False) -> Setup:
    """Compose and check a configuration as a run or a sweep does.

    Args:
        overrides: The overrides as on the command line.
        multirun: Whether they belong to a sweep.

    Raises:
        HydraException: The overrides cannot be composed.
        OmegaConfBaseException: A value has the wrong type.
        ConfigError: A value is missing or out of range.
        SweepError: The sweep could not start.
    """
    config.prepare()
    overrides = [config.as_meant(one) for one in overrides]
    with initialize_config_dir(str(config.conf_dir())), execution_whitelist(OF_THE_COMMAND):
        if multirun:
            return _sweep(overrides, GlobalHydra.instance().config_loader())
        cfg = compose("config", overrides=overrides, return_hydra_config=True)
    # Hydra's own sweepers have no storage.
    storage = OmegaConf.select(cfg, "hydra.sweeper.storage")
    return Setup(_settings(cfg), tuple(overrides), storage, workers=1, search=None)


def _sweep(overrides: Sequence[str], loader: ConfigLoader) -> Setup:
    """Check a sweep as it does itself before it starts."""
    from flowersweep.sweep.search.explicit import explicit_options
    from flowersweep.sweep.settings import make_plan, searched_space, sweep_settings
    from flowersweep.sweep.space.check import check_choices, probes
    from flowersweep.sweep.space.overrides import left_to_trials, read_arguments

    _, *typed_in = left_to_trials(["--multirun", *overrides])
    cfg = loader.load_configuration("config", typed_in, run_mode=RunMode.MULTIRUN)
    sweeper = cfg.hydra.sweeper
    if not str(sweeper.get("_target_")).endswith(_SWEEPER):
        raise ConfigError(
            "Only sweeps with hydra/sweeper=study can be checked, but another sweeper is selected; leave out --multirun and "
            "give every key one value."
        )
    given = [one for one in read_arguments(overrides, loader) if not one.is_hydra_override()]
    settings = replace(sweep_settings(cfg), explicit=explicit_options(cfg, loader))
    space = searched_space([one.input_line or "" for one in given], settings, cfg, loader)
    plan = make_plan(settings, space)
    check_choices(space, cfg, loader, settings.n_repeats)
    first = space.overrides(next(probes(space)))
    trials = f"{plan.n_trials} trial{'s' * (plan.n_trials != 1)}{' as a grid' * plan.is_grid}"
    return Setup(
        config=_settings(loader.load_sweep_config(cfg, first)),
        overrides=tuple(first),
        storage=settings.storage,
        workers=settings.n_jobs,
        search=f"{trials} over {', '.join(space.searched) or 'nothing'}; every option can be composed",
    )


def _settings(cfg: DictConfig) -> Config:
    refuse_environment(cfg.hydra.job)
    with open_dict(cfg):
        del cfg["hydra"]
    return config.settings(cfg)
