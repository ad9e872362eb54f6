"""Results that a command was asked to put somewhere: whole or absent, and never over something else by accident."""

import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from flowersweep.errors import ConfigError


def check_free(path: Path, *, overwrite: bool) -> None:
    """Refuse a path at which there is something; a folder that is no SavedModel is never overwritten.

    Raises:
        ConfigError: There is something.
    """
    if path.is_dir() and not (path / "saved_model.pb").exists():
        raise ConfigError(
            f"output={path} is a folder with other things; give a name that does not exist yet."
        )
    if path.exists() and not overwrite:
        raise ConfigError(f"{path} exists already; choose another output=, or add overwrite=true.")


@contextmanager
def draft(target: Path) -> Iterator[Path]:
    """Yield another path, with the same name in a hidden folder, that becomes `target` if the block ends well.

    Raises:
        ConfigError: The folder of `target` cannot be written to.
    """
    with _errors_told(target):
        target.parent.mkdir(parents=True, exist_ok=True)
        beside = tempfile.TemporaryDirectory(dir=target.parent, prefix=".flowersweep-")
    with beside as folder:
        part = Path(folder, target.name)
        yield part
        with _errors_told(target):
            if target.is_dir():  # no system call replaces a folder that is not empty
                target.rename(Path(folder, "replaced"))
            part.replace(target)


@contextmanager
def _errors_told(target: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise ConfigError(
            f"output={target} cannot be written: {error.strerror or error}; choose another place."
        ) from error
