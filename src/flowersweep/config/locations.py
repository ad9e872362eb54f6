"""Where the configuration folder, the results and the cache are."""

from pathlib import Path

import platformdirs

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
    return (
        Path(configured).expanduser().absolute()
        if configured
        else platformdirs.user_cache_path("flowersweep")
    )
