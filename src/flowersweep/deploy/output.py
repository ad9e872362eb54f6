"""Output of commands: files are written completely or not at all, and never over existing ones by accident; JSON is valid."""

import json
import math
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TextIO

from flowersweep.errors import ConfigError, FlowersweepError, disk_of, is_full

_HIDDEN = ".flowersweep-"


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
def draft(target: Path, *, overwrite: bool) -> Iterator[Path]:
    """Yield a path with the same name in a hidden folder, which is moved to `target` if the block succeeds.

    Args:
        target: The path of the result.
        overwrite: As for `check_free`, which is asked again at the end, because the block may take long.

    Raises:
        ConfigError: The folder of `target` cannot be written to, its disk is full, or `target` is there and must not be
            replaced.
    """
    with _errors_told(target):
        target.parent.mkdir(parents=True, exist_ok=True)
        beside = tempfile.TemporaryDirectory(dir=target.parent, prefix=_HIDDEN, ignore_cleanup_errors=True)
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
        check_free(target, overwrite=overwrite)
        with _errors_told(target):
            if part.is_dir() and target.is_dir():
                _replace_folder(part, target)
            else:
                part.replace(target)


def _replace_folder(part: Path, target: Path) -> None:
    """Replace a folder, which no system call does in one step; the old one is deleted only when the new one is there."""
    old = Path(tempfile.mkdtemp(dir=target.parent, prefix=_HIDDEN), target.name)
    try:
        target.rename(old)
        part.rename(target)
    except BaseException:
        if old.exists() and not target.exists():
            old.rename(target)
        raise
    finally:
        if target.exists():
            shutil.rmtree(old.parent, ignore_errors=True)


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
