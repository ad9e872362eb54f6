"""The program's main module in a training process: run there, too, so that what it defines has its name, as in `python train.py`."""

import ast
import inspect
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from importlib.machinery import ModuleSpec
from typing import Any

MAIN = "__main__"


@dataclass(frozen=True)
class MainModule:
    """The module that Python was started with.

    Without it, nothing that it defines could be pickled or found by its name in a trial: classes of structured configurations,
    functions for a pool of processes, `_target_: __main__.Net`. What it sets when it is imported would not hold either.

    Attributes:
        file: Its path.
        source: Its text, without what starts the program.
        arguments: `sys.argv`.
        package: Its package, if it was started as `python -m`.
        name: Its name, if it was started as `python -m`.
        classes: The names of its classes, by which they are the same in other processes.
    """

    file: str
    source: str
    arguments: tuple[str, ...]
    package: str | None
    name: str | None
    classes: frozenset[str]

    @classmethod
    def of(cls, function: Callable[..., Any]) -> "MainModule | None":
        """The main module, if it defines a function and can be run again without starting the program.

        It cannot in a notebook, and if it calls the function in a way that is not recognized.
        """
        main = sys.modules[MAIN]
        if function.__module__ != MAIN or not hasattr(main, "__file__"):
            return None
        try:
            source = inspect.getsource(main)
            tree = ast.parse(source)
        except (OSError, TypeError, SyntaxError):
            return None
        starts = [one for one in tree.body if _starts(one, getattr(function, "__name__", ""))]
        if not starts:
            return None
        hidden = {one.name for start in starts for one in ast.walk(start) if isinstance(one, _DEFINITIONS)}
        spec = main.__spec__
        return cls(
            str(main.__file__),
            _without(source, starts),
            tuple(sys.argv),
            main.__package__,
            spec.name if spec else None,
            frozenset(name for name in _classes(vars(main)) if name not in hidden),
        )

    def run(self) -> None:
        """Make it the main module of this process."""
        sys.argv[:] = self.arguments
        names = vars(sys.modules[MAIN])
        spec = ModuleSpec(self.name, None, origin=self.file) if self.name else None
        names.update(__file__=self.file, __package__=self.package, __spec__=spec)
        exec(compile(self.source, self.file, "exec", dont_inherit=True), names)  # noqa: S102 - the program itself

    def has(self, kind: type) -> bool:
        """Whether it defines a class."""
        return kind.__module__ == MAIN and kind.__qualname__.partition(".")[0] in self.classes


@dataclass(frozen=True)
class InMain:
    """A function of the main module, by its name.

    Attributes:
        name: Its name.
        depth: How many decorators have to be taken off: `@hydra.main` is one.
    """

    name: str
    depth: int

    @classmethod
    def of(cls, function: Callable[..., Any]) -> "InMain | None":
        """A function as one of these; None if it is not found by its name."""
        name = getattr(function, "__name__", "")
        found = getattr(sys.modules[MAIN], name, None)
        depth = 0
        while found is not None:
            if found is function:
                return cls(name, depth)
            found, depth = getattr(found, "__wrapped__", None), depth + 1
        return None

    def __call__(self, *arguments: Any) -> Any:
        """Call the function."""
        function = in_main(self.name)
        for _ in range(self.depth):
            function = function.__wrapped__
        return function(*arguments)


def in_main(name: str) -> Any:
    """What the main module of this process defines under a name, which may have dots."""
    found: Any = sys.modules[MAIN]
    for part in name.split("."):
        found = getattr(found, part)
    return found


_DEFINITIONS = (ast.ClassDef, ast.FunctionDef, ast.AsyncFunctionDef)


def _starts(statement: ast.stmt, function: str) -> bool:
    """Whether a statement of a module starts the program: it asks for `__name__`, or calls the function."""
    if isinstance(statement, _DEFINITIONS):
        return False
    if isinstance(statement, ast.If) and "__name__" in _names(statement.test):
        return True
    calls = (one.func for one in ast.walk(statement) if isinstance(one, ast.Call))
    return any(function in _names(one) for one in calls if isinstance(one, ast.Name))


def _names(expression: ast.expr) -> set[str]:
    return {one.id for one in ast.walk(expression) if isinstance(one, ast.Name)}


def _without(source: str, statements: list[ast.stmt]) -> str:
    """A text without some of its statements; the others keep their lines."""
    lines = source.splitlines(keepends=True)
    for one in statements:
        first, last = one.lineno - 1, one.end_lineno or one.lineno
        lines[first:last] = ["\n"] * (last - first)
    return "".join(lines)


def _classes(names: dict[str, Any]) -> Iterator[str]:
    for name, value in names.items():
        if isinstance(value, type) and (value.__module__, value.__qualname__) == (MAIN, name):
            yield name
