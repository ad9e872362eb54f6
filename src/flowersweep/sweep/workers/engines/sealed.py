"""Passwords on their way to a worker: launchers write what they hand over to files that others may read, and to logs."""

import io
import json
import os
import pickle
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import cloudpickle  # type: ignore[import-untyped] # it has no types
from omegaconf import DictConfig, OmegaConf, flag_override

from flowersweep.errors import SweepError
from flowersweep.redaction import redacted

VARIABLE = "FLOWERSWEEP_SEALED"


@dataclass(frozen=True)
class Sealed:
    """An object as bytes, without the texts in it that contain a password: these are in the environment.

    Attributes:
        content: The object, pickled.
    """

    content: bytes

    def opened(self) -> Any:
        """The object; its texts are removed from the environment.

        Raises:
            SweepError: They are not in the environment.
        """
        texts = os.environ.pop(VARIABLE, None)
        return _Unpickler(self.content, None if texts is None else json.loads(texts)).load()


@contextmanager
def sealed(thing: Any) -> Iterator[Sealed]:
    """An object for a process that is started in this block and inherits its environment."""
    file = io.BytesIO()
    pickler = _Pickler(file)
    pickler.dump(thing)
    if pickler.texts:
        os.environ[VARIABLE] = json.dumps(pickler.texts)
    try:
        yield Sealed(file.getvalue())
    finally:
        os.environ.pop(VARIABLE, None)


def hide_passwords(config: DictConfig, *keys: str) -> None:
    """Replace passwords in a configuration by stars.

    Args:
        config: Is changed.
        keys: The dotted keys of the nodes to look at; by default, all.
    """
    _hide(config, OmegaConf.to_container(config, resolve=False), tuple(f"{one}." for one in keys) or "")


def _hide(node: Any, plain: Any, places: str | tuple[str, ...], place: str = "") -> None:
    """Replace the passwords of a node, which is also given without interpolations, at some places."""
    for key, inner in plain.items() if isinstance(plain, dict) else enumerate(plain):
        here = f"{place}{key}."
        if isinstance(inner, dict | list):
            _hide(node[key], inner, places, here)
        elif here.startswith(places) and (hidden := _hidden(inner)) != inner:
            # Hydra makes its own node read-only.
            with flag_override(node, ["readonly", "struct"], [False, False]):
                node[key] = hidden


def _hidden(plain: Any) -> Any:
    """A text without passwords, or a tuple, which can only be replaced as a whole."""
    if isinstance(plain, dict):
        return {key: _hidden(inner) for key, inner in plain.items()}
    if isinstance(plain, list | tuple):
        return type(plain)(map(_hidden, plain))
    return redacted(plain) if isinstance(plain, str) else plain


class _Pickler(cloudpickle.Pickler):  # type: ignore[misc] # it has no types
    """Puts texts with a password aside, and their place into the pickle."""

    def __init__(self, file: io.BytesIO) -> None:
        super().__init__(file)
        self.texts: list[str] = []

    def persistent_id(self, part: Any) -> int | None:
        if not isinstance(part, str) or redacted(part) == part:
            return None
        self.texts.append(part)
        return len(self.texts) - 1


class _Unpickler(pickle.Unpickler):
    def __init__(self, content: bytes, texts: Sequence[str] | None) -> None:
        super().__init__(io.BytesIO(content))
        self._texts = texts

    def persistent_load(self, place: int) -> str:
        if self._texts is None:
            raise SweepError(
                f"The passwords of the sweep are not in the environment of this job, in {VARIABLE}; let jobs inherit it, "
                "which is Slurm's default (SBATCH_EXPORT=ALL)."
            )
        return self._texts[place]
