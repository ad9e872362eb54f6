"""Limits of MLflow for names and values, checked before the store is used, and redaction of passwords."""

import hashlib
import json
import numbers
import posixpath
import re
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path, PurePath, PurePosixPath
from typing import Any, TypeVar

import numpy as np
import numpy.typing as npt

from flowersweep.errors import TrackingError
from flowersweep.redaction import redacted, redacted_tree

MAX_KEY_LENGTH = 250
MAX_RUN_NAME_LENGTH = 250
MAX_PARAM_LENGTH = 6000
MAX_TAG_LENGTH = 8000
MAX_DIGEST_LENGTH = 36
# Prefix of the metrics with the searched numbers of a trial.
SEARCHED = "searched/"
MAX_PER_BATCH = 100  # params or tags in one request; the limit for metrics is 1000

_NOT_IN_KEYS = re.compile(r"[^\w.\- :/]")
_NOT_IN_FILES = re.compile(r"[^-.A-Za-z0-9_]")

Item = TypeVar("Item")


def is_key(name: str) -> bool:
    """Whether MLflow accepts a name for a param, a metric or a tag."""
    # It refuses every name that starts with two dots, even if it is not a parent folder, such as "..9".
    normal = posixpath.normpath(name) == name and name != "." and not name.startswith(("..", "/"))
    return normal and len(name) <= MAX_KEY_LENGTH and _NOT_IN_KEYS.search(name) is None


def key_of(name: str) -> str:
    """Return the name under which MLflow stores what has a name of the user's, which is the same one if it is allowed.

    In any other name, each character that is not allowed becomes `_`, and a digest of the name follows, so that two names
    are never stored as one.

    Example:
        >>> key_of("db.size"), key_of("db@source")
        ('db.size', 'db_source-2845c4b4')
    """
    if is_key(name):
        return name
    key = _replaced(_NOT_IN_KEYS, name, MAX_KEY_LENGTH)
    return key if is_key(key) else re.sub(r"[./]", "_", key)


def searched_key(name: str) -> str:
    """Return the name of the metric with a searched number, from the name of its param."""
    return key_of(f"{SEARCHED}{key_of(name)}")


def _replaced(pattern: re.Pattern[str], name: str, limit: int) -> str:
    end = f"-{hashlib.sha256(name.encode(errors='surrogatepass')).hexdigest()[:8]}"
    return pattern.sub("_", name)[: limit - len(end)] + end


def check_key(key: str) -> str:
    """Return the name of a param, metric or tag, or raise TrackingError if MLflow would refuse it."""
    if not is_key(key):
        raise TrackingError(
            f"Cannot log under the name {key!r}: a name has 1 to {MAX_KEY_LENGTH} letters, digits or "
            "any of `_-./: `, and the form of a relative path; rename it."
        )
    return key


def check_metric(key: str, value: object) -> float:
    """Return the metric's value as a float, or raise TrackingError if it is not a number."""
    check_key(key)
    if isinstance(value, bool | np.bool_) or not isinstance(value, numbers.Real):
        raise TrackingError(
            f"Cannot log metric {key!r}: {value!r} is not a number; log it as a tag or a param."
        )
    return float(value)


def check_artifact(name: str) -> str:
    """Return the path of an artifact inside its run, or raise TrackingError if it is outside of it."""
    path = PurePosixPath(name)
    if name in {"", "."} or str(path) != name or path.is_absolute() or ".." in path.parts or "\\" in name:
        raise TrackingError(
            f"Cannot store an artifact as {name!r}: the name must be a relative path inside the run, "
            "such as 'plots/curves.png'."
        )
    return name


def check_picture(picture: npt.NDArray[np.uint8]) -> npt.NDArray[np.uint8]:
    """Return the picture, or raise TrackingError if it is not uint8 of shape (height, width, 3)."""
    if picture.dtype != np.uint8 or picture.ndim != 3 or picture.shape[2] != 3:
        raise TrackingError(
            f"Cannot store a picture of dtype {picture.dtype} and shape {picture.shape}: "
            "it must be uint8 of shape (height, width, 3)."
        )
    return picture


def check_file(path: Path) -> Path:
    """Return the path, or raise TrackingError if there is no such file."""
    if not path.is_file():
        raise TrackingError(f"Cannot store {path}: there is no such file.")
    return path


def shortened(value: object, limit: int) -> str:
    """Return the value as text of at most `limit` characters, without passwords; a text that was cut ends with a notice."""
    text = storable(value)
    if len(text) <= limit:
        return text
    notice = f"... [cut from {len(text)} characters]"
    return text[: limit - len(notice)] + notice


def too_long(values: Mapping[str, object], limit: int) -> dict[str, str]:
    """Return the complete texts of values that are longer than `limit`, by the name of the file to store them in."""
    texts = {key: storable(value) for key, value in values.items()}
    long = {key: text for key, text in texts.items() if len(text) > limit}
    return {f"long_values/{_file_name(key)}.txt": text for key, text in long.items()}


def _file_name(key: str) -> str:
    return key if _NOT_IN_FILES.search(key) is None else _replaced(_NOT_IN_FILES, key, MAX_KEY_LENGTH)


def storable(value: object) -> str:
    """Return the value as text that every store accepts, without passwords: halves of characters and NUL are escaped."""
    return redacted(str(value)).encode(errors="backslashreplace").decode().replace("\0", "\\x00")


def chunks(items: Sequence[Item], size: int = MAX_PER_BATCH) -> Iterator[Sequence[Item]]:
    """Yield the items in their order, at most `size` at a time."""
    for start in range(0, len(items), size):
        yield items[start : start + size]


def json_text(content: object) -> str:
    """Return the content as indented JSON, or raise TrackingError if it contains something else."""
    try:
        return json.dumps(redacted_tree(content), indent=2, ensure_ascii=False, default=_plain) + "\n"
    except (TypeError, ValueError) as error:
        raise TrackingError(
            f"Cannot write this as JSON ({error}); turn it into numbers, texts and lists."
        ) from error


def _plain(value: Any) -> Any:
    if isinstance(value, np.ndarray | np.generic):
        return value.tolist()
    if isinstance(value, PurePath):
        return str(value)
    raise TypeError(f"a {type(value).__name__} has no JSON form")
