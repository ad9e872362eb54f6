"""Passwords on their way to a worker: launchers write what they hand over to files that others may read, and to logs."""

import io
import json
import os
import pickle
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
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
    plain = OmegaConf.to_container(config, resolve=False)
    with ExitStack() as stack:
        for node in filter(None, (config, config.get("hydra"))):  # Hydra makes its own one read-only
            stack.enter_context(flag_override(node, ["readonly", "struct"], [False, False]))
        for path, text in _texts(plain):
            key = ".".join(path)
            if f"{key}.".startswith(tuple(f"{one}." for one in keys) or "") and redacted(text) != text:
                OmegaConf.update(config, key, redacted(text), force_add=True)


def _texts(plain: Any, path: Sequence[str] = ()) -> Iterator[tuple[Sequence[str], str]]:
    """The texts in nested mappings and lists, with their keys."""
    if isinstance(plain, str):
        yield path, plain
    elif isinstance(plain, dict):
        for key, inner in plain.items():
            yield from _texts(inner, (*path, str(key)))
    elif isinstance(plain, list):
        for index, inner in enumerate(plain):
            yield from _texts(inner, (*path, str(index)))


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
