"""The locations of the configuration folder, the results and the cache."""

import os
import re
from collections.abc import Collection
from pathlib import Path

import platformdirs

from flowersweep.config.models import FrozenConfig
from flowersweep.config.schema import Config, PathsConfig
from flowersweep.errors import ConfigError, missing_home
from flowersweep.texts import expanded

PACKAGE = Path(__file__).resolve().parents[1]
CHECKOUT = PACKAGE.parents[1]
# The experiment of sweeps over several data sets, and of all runs before each data set had its own.
EXPERIMENT = "flowersweep"
# The file of the studies in a folder of results.
STUDIES_NAME = "optuna.db"


def in_checkout() -> bool:
    """True if the package runs from a checkout of the project, False if it was installed from a wheel."""
    return (CHECKOUT / "pyproject.toml").is_file() and (CHECKOUT / "conf" / "config.yaml").is_file()


def conf_dir() -> Path:
    """The folder with config.yaml: `conf/` in a checkout, `flowersweep/conf` in an installed copy."""
    return CHECKOUT / "conf" if in_checkout() else PACKAGE / "conf"


def results_dir() -> Path:
    """The default of tracking.dir: `mlruns/` in the checkout's root, or else in the current directory."""
    return (CHECKOUT if in_checkout() else Path.cwd()) / "mlruns"


def cache_dir(configured: str | None) -> Path:
    """The folder of decoded pictures and downloads, absolute.

    Args:
        configured: `paths.cache`; None for the platform's cache folder.

    Raises:
        ConfigError: The platform's cache folder is in the user's home folder, and there is none.
    """
    if configured:
        return expanded(configured).absolute()
    try:
        return platformdirs.user_cache_path("flowersweep")
    except RuntimeError as error:
        raise ConfigError(missing_home()) from error


def checkpoints_dir(paths: PathsConfig) -> Path:
    """The folder below which checkpoints are, as in a cache folder; absolute."""
    return cache_dir(paths.checkpoints or paths.cache)


def data_set_name(source: str, directory: str | None, base: Path) -> str:
    """The name of a data set: that of its source, or of the folder of the user's own pictures.

    Args:
        source: `data.source`.
        directory: `data.dir`.
        base: The directory that a relative path refers to.
    """
    folder = os.path.normpath(base / expanded(directory)) if source == "folder" and directory else source
    return Path(folder).name or source


def experiment_name(source: str, directory: str | None, base: Path) -> str:
    """The experiment of a data set; see `data_set_name` for the arguments.

    Two folders of the same name share an experiment, so that it stays the same after the folder was moved or on another
    machine. Runs on other pictures are still told apart there, by the fingerprint of their data set.
    """
    return f"{EXPERIMENT}/{data_set_name(source, directory, base)}"


def shared_experiment(names: Collection[str]) -> str:
    """The experiment of a sweep whose configurations have these experiments."""
    return next(iter(names)) if len(set(names)) == 1 else EXPERIMENT


def locate(config: Config, base: Path) -> None:
    """Make every path of a configuration absolute, because the current directory may change before it is used.

    Args:
        config: Is modified.
        base: The directory in which the command was typed; relative paths refer to it.
    """
    config.data.dir = _absolute(config.data.dir, base)
    config.data.split_file = _absolute(config.data.split_file, base)
    config.paths.cache = _absolute(config.paths.cache, base)
    config.paths.checkpoints = _absolute(config.paths.checkpoints, base)
    config.tracking.dir = str(base / expanded(config.tracking.dir))
    # In the address of a SQLite file, the part after the third slash is a path.
    if config.tracking.uri and (
        match := re.fullmatch(r"(sqlite(?:\+\w+)?:///)([^/].*)", config.tracking.uri)
    ):
        config.tracking.uri = match.group(1) + str(_absolute(match.group(2), base))
    if isinstance(config.model, FrozenConfig) and config.model.weights != "imagenet":
        config.model.weights = _absolute(config.model.weights, base)


def _absolute(path: str | None, base: Path) -> str | None:
    return None if path is None else str(base / expanded(path))
