"""Output of commands: files are written completely or not at all, and never over existing ones by accident; JSON is valid."""

import json
import math
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TextIO

from flowersweep.errors import ConfigError, FlowersweepError, disk_of, is_full


def check_free(path: Path, *, overwrite: bool) -> None:
    """Refuse a path that exists; a folder that is not a SavedModel is never overwritten.

    Raises:
        ConfigError: The path exists.
    """
    if path.is_dir() and not (path / "saved_model.pb").exists():
        raise ConfigError(f"output={path} is a folder with other files; give a name that does not exist yet.")
    if path.exists() and not overwrite:
        raise ConfigError(f"{path} already exists; choose another output=, or add overwrite=true.")


@contextmanager
def draft(target: Path) -> Iterator[Path]:
    """Yield a path with the same name in a hidden folder, which is moved to `target` if the block succeeds.

    Raises:
        ConfigError: The folder of `target` cannot be written to, or its disk is full.
    """
    with _errors_told(target):
        target.parent.mkdir(parents=True, exist_ok=True)
        beside = tempfile.TemporaryDirectory(dir=target.parent, prefix=".flowersweep-")
    with beside as folder:
        part = Path(folder, target.name)
        try:
            yield part
        except Exception as error:
            if isinstance(error, FlowersweepError) or not is_full(error):
                raise
            raise ConfigError(
                f"output={target} cannot be written: no space is left on {disk_of(target)}; free some space there, or "
                "choose another location."
            ) from error
        with _errors_told(target):
            if target.is_dir():  # no system call replaces a folder that is not empty
                target.rename(Path(folder, "replaced"))
            part.replace(target)


def as_json(content: Any, stream: TextIO, *, indent: int | None = None) -> str:
    """JSON for a stream: with the letters of any language where it takes UTF-8, otherwise in ASCII.

    Raises:
        ValueError: A number is not finite; see `number`.
    """
    is_utf = (stream.encoding or "utf-8").lower().startswith("utf")
    return json.dumps(content, indent=indent, ensure_ascii=not is_utf, allow_nan=False)


def number(value: float) -> float | None:
    """A number for JSON, which has neither NaN nor infinity."""
    return float(value) if math.isfinite(value) else None


@contextmanager
def _errors_told(target: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise ConfigError(
            f"output={target} cannot be written: {error.strerror or error}; choose another location."
        ) from error
