"""The exceptions that flowersweep raises, and what exceptions mean: failed infrastructure, full disks.

A separate module, so that no module imports another one for them.
"""

import errno
import os
import shutil
from importlib.util import find_spec
from pathlib import Path

from flowersweep.redaction import redacted
from flowersweep.texts import expanded, in_one_line, printable

# No space left, a read-only file system, or a device or mount that has disappeared.
_LOST = frozenset(
    {errno.ENOSPC, errno.EDQUOT, errno.EROFS, errno.EIO, errno.ENXIO, errno.ESTALE, errno.ENOTCONN}
)

# No space, no quota, or a file that is larger than the file system or the shell (`ulimit -f`) allows.
_FULL = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EFBIG})
# TensorFlow passes on only the text, and SQLite has one of its own.
_TEXTS = (os.strerror(errno.ENOSPC), "database or disk is full")

_LONGEST_NAME = 255  # bytes, on every usual file system

_KERAS = ("tensorflow", "keras", "mlflow")

# Exit codes of all commands: a failure at run time, or unusable input.
EXIT_FAILED = 1
EXIT_BAD_INPUT = 2


class FlowersweepError(Exception):
    """A problem the user can fix; its message is one sentence saying what, why and how to fix it, without passwords.

    Attributes:
        ended_a_run: Whether it occurred after a run had started, which has failed because of it.
    """

    ended_a_run = False

    def __str__(self) -> str:
        return printable(redacted(super().__str__()))


class ConfigError(FlowersweepError):
    """A configuration that cannot be run: an unknown key, a wrong type, a value out of range."""


class InfrastructureError(FlowersweepError):
    """The infrastructure of a run failed: pictures, files, the disk or a store. The same run may work later."""


class DataError(InfrastructureError):
    """Pictures that are missing, unreadable, or not laid out as one folder per class."""


class NoSpaceError(DataError):
    """No space is left on the disk of the cache."""


class WeightsError(ConfigError, InfrastructureError):
    """The weights of a backbone are missing, or cannot be downloaded."""


class CodeError(InfrastructureError):
    """Code of the user's own is not the one that a sweep started with."""


class DownloadError(DataError):
    """A download that failed, or whose size or SHA-256 is not the expected one."""


class TrackingError(InfrastructureError):
    """A tracking store that cannot be reached, or a run that is not in it."""


class TrainingError(FlowersweepError):
    """A training that cannot continue: the loss is not a number, or the learning rate is not the configured one."""


class SweepError(FlowersweepError):
    """A sweep that cannot start or continue: its search space, sampler, storage or study is not usable as given."""


class SweepStoppedError(SweepError):
    """A running sweep that had to stop early: too many trials failed, or its infrastructure did."""


class Pruned(Exception):  # noqa: N818 (Optuna's name; it is not an error)
    """The sweep stops a run early; the run must let this exception propagate."""


def missing_packages() -> str:
    """What to do where packages of the extra `keras` are missing; a sweep of another Hydra program works without them."""
    missing = [name for name in _KERAS if find_spec(name) is None]
    if not missing:
        return ""
    return (
        f"this needs packages that are not installed ({', '.join(missing)}); install them with "
        "pip install 'flowersweep[keras]'."
    )


def missing_home() -> str:
    """What to do where a user has no home folder, without which MLflow cannot be imported."""
    if expanded("~") != Path("~"):
        return ""
    return "this user has no home folder, in which MLflow, Keras and the cache store files; set HOME to a folder."


def infrastructure_failure(error: BaseException) -> BaseException | None:
    """The infrastructure failure that ended a run; None if the run itself failed.

    The complete definition: an InfrastructureError, or an OSError which says that no space is left, that a file system
    has become read-only, or that a device or mount has disappeared; the error itself, or one that it was raised from. A
    missing file, for example, is a failure of the program that looked for it.
    """
    culprit: BaseException | None = error
    while culprit is not None:
        if isinstance(culprit, InfrastructureError):
            return culprit
        if isinstance(culprit, OSError) and culprit.errno in _LOST:
            return culprit
        culprit = culprit.__cause__
    return None


def is_full(error: BaseException) -> bool:
    """Whether an error says that a file cannot be written because there is no space for it."""
    if isinstance(error, OSError) and error.errno is not None:
        return error.errno in _FULL
    return any(text in str(error) for text in _TEXTS)


def disk_of(path: Path) -> str:
    """The disk of a path that need not exist, by the folder where it is mounted, with its free space."""
    place = Path(os.path.realpath(path))
    while not place.exists():
        place = place.parent
    usage = shutil.disk_usage(place)
    while not place.is_mount():
        place = place.parent
    return f"the disk at {place} ({usage.free / 1e6:,.0f} of {usage.total / 1e6:,.0f} MB free)"


def with_disk(reason: str, error: BaseException, path: Path | None) -> str:
    """The reason of a failed write to `path`; it names the disk if that is full."""
    return f"{reason}, {disk_of(path)}" if path is not None and is_full(error) else reason


def refused_path(error: BaseException) -> str | None:
    """The message about a path that this user may not read or write, or that no file can have; None for any other error."""
    if not isinstance(error, OSError) or not isinstance(error.filename, str | bytes | os.PathLike):
        return None
    path = os.fsdecode(error.filename)
    if error.errno == errno.ENAMETOOLONG:
        return _too_long(path)
    if not isinstance(error, PermissionError):
        return None
    return f"{path} cannot be used ({error.strerror}); change the permissions of it or of the folders above it, or name another path."


def _too_long(path: str) -> str:
    name = max(Path(path).parts, key=lambda part: len(os.fsencode(part)))
    is_name = len(os.fsencode(name)) > _LONGEST_NAME
    what, text = ("the name of a group, a choice, a file or a folder", name) if is_name else ("a path", path)
    return (
        f"{in_one_line(text)[:40]}... is too long for {what} ({len(os.fsencode(text)):,} bytes); shorten it."
    )


def full_disk(error: BaseException) -> str:
    """The message about an error for which `is_full` is true and that no part of the program has put into words."""
    path = getattr(error, "filename", None)
    if isinstance(path, str | os.PathLike):
        return f"{path} cannot be written: no space is left on {disk_of(Path(path))}; free some space there and repeat the command."
    why = getattr(error, "strerror", None) or error
    places = (Path.cwd(), Path(os.environ.get("TMPDIR") or "/tmp"))  # noqa: S108 (only looked at)
    disks = " or ".join(dict.fromkeys(map(disk_of, places)))
    return f"{why}: a file cannot be written, perhaps on {disks}; free some space and repeat the command."
