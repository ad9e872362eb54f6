"""Where the configuration folder, the results and the cache are."""

import re
from pathlib import Path

import platformdirs

from flowersweep.config.models import FrozenConfig
from flowersweep.config.schema import Config
from flowersweep.texts import expanded

PACKAGE = Path(__file__).resolve().parents[1]
CHECKOUT = PACKAGE.parents[1]


def in_checkout() -> bool:
    """True when the package runs from a checkout of the project, False when it was installed from a wheel."""
    return (CHECKOUT / "pyproject.toml").is_file() and (CHECKOUT / "conf" / "config.yaml").is_file()


def conf_dir() -> Path:
    """The folder with config.yaml: `conf/` in a checkout, `flowersweep/conf` in an installed copy."""
    return CHECKOUT / "conf" if in_checkout() else PACKAGE / "conf"


def results_dir() -> Path:
    """The default of tracking.dir: `mlruns/` in the checkout's root, else in the current folder."""
    return (CHECKOUT if in_checkout() else Path.cwd()) / "mlruns"


def cache_dir(configured: str | None) -> Path:
    """The folder of decoded pictures and downloads, absolute.

    Args:
        configured: `paths.cache`; None for the platform's cache folder.
    """
    return expanded(configured).absolute() if configured else platformdirs.user_cache_path("flowersweep")


def locate(config: Config, base: Path) -> None:
    """Make every place of a configuration absolute: the current folder may be another one when it is needed.

    Args:
        config: Is changed.
        base: The folder in which the command was typed, which relative paths refer to.
    """
    config.data.dir = _absolute(config.data.dir, base)
    config.paths.cache = _absolute(config.paths.cache, base)
    config.tracking.dir = str(base / expanded(config.tracking.dir))
    # Of the address of a SQLite file what stands behind the third slash is a path.
    if config.tracking.uri and (
        match := re.fullmatch(r"(sqlite(?:\+\w+)?:///)([^/].*)", config.tracking.uri)
    ):
        config.tracking.uri = match.group(1) + str(_absolute(match.group(2), base))
    if isinstance(config.model, FrozenConfig) and config.model.weights != "imagenet":
        config.model.weights = _absolute(config.model.weights, base)


def _absolute(path: str | None, base: Path) -> str | None:
    return None if path is None else str(base / expanded(path))
