"""Code and models that a program gives to `train` and `sweep`: written into files, which are allowed by giving them."""

import ast
import hashlib
import importlib
import inspect
import linecache
import sys
import textwrap
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from types import ModuleType
from typing import Any

from flowersweep.errors import ConfigError
from flowersweep.own.names import global_names
from flowersweep.own.permission import VARIABLE, as_variable, given_entries

FOLDER = "own_code"

_MODEL = '''"""The Keras model {name}; its architecture and its weights are in the file next to this one."""

from pathlib import Path

import keras
{layers}

def {name}(input_shape, num_classes):
    return keras.models.load_model(Path(__file__).with_suffix(".keras"), compile=False)
'''


@dataclass
class Given:
    """What was given, as the command line takes it.

    Attributes:
        words: Arguments that name it.
        paths: The files or packages that the process may import.
    """

    words: list[str] = field(default_factory=list)
    paths: list[Path] = field(default_factory=list)

    @property
    def environment(self) -> dict[str, str]:
        """The environment variables that allow it."""
        if not self.paths:
            return {}
        return {VARIABLE: as_variable([*given_entries(), *map(str, dict.fromkeys(self.paths))])}

    def add(self, key: str, thing: Any) -> str:
        """Allow a function, a class or a Keras model, and return its name in a configuration, MODULE.NAME."""
        name = getattr(thing, "__qualname__", None)
        if name is None and (found := _as_model(thing)) is not None:
            self.paths.append(found)
            return f"{found.stem}.{_identifier(thing.name)}"
        if (
            name is None
            or not name.isidentifier()
            or not (inspect.isfunction(thing) or inspect.isclass(thing))
        ):
            raise ConfigError(
                f"{key} must be a function, a class or a Keras model that is defined at the top of a module or in a cell of a "
                f"notebook, but is {thing!r}."
            )
        if thing.__module__ == "__main__":
            path = _written(name, _Source(key, thing).text)
            self.paths.append(path)
            return f"{path.stem}.{name}"
        self.paths.append(_place(key, thing.__module__))
        return f"{thing.__module__}.{name}"


def given(model: Any = None, aug: Any = None, callbacks: Sequence[Any] = ()) -> Given:
    """The arguments for a network, an augmentation and callbacks of a program's own."""
    found = Given()
    if model is not None:
        build = found.add("model", model)
        found.words += ["model=own", f"model.build={build}", f"model.name={build.rpartition('.')[2]}"]
    if aug is not None:
        build = found.add("aug", aug)
        found.words += ["aug=own", f"aug.build={build}", f"aug.name={build.rpartition('.')[2]}"]
    if callbacks:
        found.words.append(
            f"trainer.callbacks=[{','.join(found.add('callbacks', one) for one in callbacks)}]"
        )
    return found


def _place(key: str, module: str) -> Path:
    """The file or the folder of a module's first part; of a package in several folders that with this module.

    Raises:
        ConfigError: The module is not from a file.
    """
    top, *inner = module.split(".")
    named = getattr(sys.modules.get(module), "__file__", None)
    if named is None:
        raise ConfigError(
            f"{key} is from the module {module}, which has no file; write it into a file and import it."
        )
    whole = getattr(sys.modules[top], "__file__", None)
    file = Path(whole or named).resolve()
    is_package = file.name == "__init__.py"
    if whole is None:  # a package without __init__.py
        return file.parents[len(inner) - 1 + is_package]
    return file.parent if is_package else file


def _written(name: str, text: str, suffix: str = ".py") -> Path:
    """A file in FOLDER whose name says what is in it, so that a training never finds other content."""
    digest = hashlib.blake2b(text.encode(), digest_size=4).hexdigest()
    path = Path.cwd() / FOLDER / f"{name}_{digest}{suffix}"
    path.parent.mkdir(exist_ok=True)
    path.write_text(text, encoding="utf-8")
    return path


def _identifier(name: str) -> str:
    return "".join(letter if letter.isalnum() else "_" for letter in name)


def _as_model(thing: Any) -> Path | None:
    """The module that loads a Keras model, which is stored next to it; None for anything else."""
    keras = sys.modules.get("keras")
    if keras is None or not isinstance(thing, keras.Model):
        return None
    name = _identifier(thing.name)
    weights = hashlib.blake2b(thing.to_json().encode(), digest_size=16)
    for variable in thing.variables:
        weights.update(variable.numpy().tobytes())
    own = {type(layer) for layer in _layers(thing) if type(layer).__module__ == "__main__"}
    layers = "".join(f"\n\n{_Source('model', one).text}" for one in sorted(own, key=lambda one: one.__name__))
    path = _written(name, f"{_MODEL.format(name=name, layers=layers)}\n# {weights.hexdigest()}\n")
    thing.save(path.with_suffix(".keras"))
    return path


def _layers(model: Any) -> Iterator[Any]:
    for layer in getattr(model, "layers", ()):
        yield layer
        yield from _layers(layer)


class _Source:
    """The source of a function or class of `__main__` as a module, with everything of `__main__` that it uses.

    Args:
        key: What it was given as, for messages.
        thing: The function or class.
    """

    def __init__(self, key: str, thing: Any) -> None:
        self._shown = f"{key}={thing.__name__}"
        self._main = vars(sys.modules["__main__"])
        self._lines: dict[str, str] = {}  # by the name that each of them defines, in the order of use
        self._imports: dict[str, str] = {}
        self._define(thing.__name__, thing)

    @property
    def text(self) -> str:
        """The text of the module."""
        imports = "".join(f"{line}\n" for line in sorted(self._imports.values()))
        return f"{imports}\n\n" + "\n\n".join(self._lines.values())

    def _define(self, name: str, thing: Any) -> None:
        text = _text_of(thing)
        if text is None:
            raise ConfigError(
                f"{self._shown}: the source of {name} is not known; write it into a file and import it."
            )
        self._lines[name] = ""  # it may use itself
        for used in global_names(compile(text, name, "exec", dont_inherit=True)):
            if used in self._main and used not in self._lines and used not in self._imports:
                self._take(used, self._main[used])
        del self._lines[name]
        self._lines[name] = text

    def _take(self, name: str, value: Any) -> None:
        """Make a name of `__main__` known to the module."""
        whole = getattr(value, "__qualname__", "")
        if isinstance(value, ModuleType):
            self._imports[name] = f"import {value.__name__}" + _renamed(value.__name__, name)
        elif getattr(value, "__module__", None) == "__main__" and whole.isidentifier():
            self._define(name, value)
        elif (
            whole.isidentifier() and getattr(importlib.import_module(value.__module__), whole, None) is value
        ):
            self._imports[name] = f"from {value.__module__} import {whole}" + _renamed(whole, name)
        elif _is_literal(value):
            self._lines[name] = f"{name} = {value!r}\n"
        else:
            raise ConfigError(
                f"{self._shown} uses {name}, which is a {type(value).__name__} and cannot be written into a module; make it an argument "
                "or a constant, or write the code into a file and import it."
            )


def _renamed(whole: str, name: str) -> str:
    return "" if whole == name else f" as {name}"


def _text_of(thing: Any) -> str | None:
    """The source of a function or a class; None if it is not known.

    In a notebook `inspect` finds functions only; a class is found where the code of its methods comes from.
    """
    for method in vars(thing).values() if inspect.isclass(thing) else ():
        lines = linecache.getlines(method.__code__.co_filename) if inspect.isfunction(method) else []
        for node in ast.walk(ast.parse("".join(lines))):
            if isinstance(node, ast.ClassDef) and node.name == thing.__name__:
                first = min([node.lineno, *(one.lineno for one in node.decorator_list)])
                return textwrap.dedent("".join(lines[first - 1 : node.end_lineno]))
    try:
        return textwrap.dedent(inspect.getsource(thing))
    except (OSError, TypeError):
        return None


def _is_literal(value: Any) -> bool:
    try:
        return bool(ast.literal_eval(repr(value)) == value)
    except (ValueError, SyntaxError):
        return False
