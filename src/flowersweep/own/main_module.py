"""The program's main module in a training process: run there, too, so that what it defines has its name, as in `python train.py`."""

import ast
import dis
import inspect
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from importlib import import_module
from importlib.machinery import ModuleSpec
from itertools import islice
from threading import Event
from types import CodeType, FrameType, FunctionType, ModuleType
from typing import Any

from flowersweep.errors import SweepError
from flowersweep.own.names import global_names

MAIN = "__main__"
_runs_again = Event()


@dataclass(frozen=True)
class MainModule:
    """The module that Python was started with.

    Without it, nothing that it defines could be pickled or found by its name in a trial: classes of structured configurations,
    functions for a pool of processes, `_target_: __main__.Net`. What it sets when it is imported would not hold either.

    Attributes:
        file: Its path.
        source: Its text.
        kept: The places of its statements that are run: not those that start the program, nor those after them.
        arguments: `sys.argv`.
        package: Its package, if it was started as `python -m`.
        name: Its name, if it was started as `python -m`.
        classes: The names of its classes, by which they are the same in other processes.
        set_by_start: The names that only its start sets.
    """

    file: str
    source: str
    kept: tuple[int, ...]
    arguments: tuple[str, ...]
    package: str | None
    name: str | None
    classes: frozenset[str]
    set_by_start: frozenset[str]

    @classmethod
    def of(cls, function: Callable[..., Any]) -> "MainModule | None":
        """The main module, if it defines a function and can be run again without starting the program.

        It cannot in a notebook, if it calls the function in a way that is not recognized, and if the rest of it uses what
        only its start sets.
        """
        main = sys.modules[MAIN]
        if function.__module__ != MAIN or not hasattr(main, "__file__"):
            return None
        try:
            source = inspect.getsource(main)
            body = ast.parse(source).body
        except (OSError, TypeError, SyntaxError):
            return None
        name = getattr(function, "__name__", "")
        until = _executed(main, body)
        kept = [place for place, one in enumerate(body[:until]) if not _starts(one, name)]
        if len(kept) == len(body):
            return None
        set_by_start = _bound([one for place, one in enumerate(body[: until + 1]) if place not in kept])
        if set_by_start & {name, *global_names(_compiled([body[place] for place in kept]))}:
            return None
        spec = main.__spec__
        return cls(
            str(main.__file__),
            source,
            tuple(kept),
            tuple(sys.argv),
            main.__package__,
            spec.name if spec else None,
            frozenset(_classes(vars(main))) - set_by_start,
            frozenset(set_by_start),
        )

    def run(self) -> None:
        """Make it the main module of this process.

        Raises:
            SweepError: It ends the process.
        """
        sys.argv[:] = self.arguments
        names = vars(sys.modules[MAIN])
        spec = ModuleSpec(self.name, None, origin=self.file) if self.name else None
        names.update(__file__=self.file, __package__=self.package, __spec__=spec)
        body = ast.parse(self.source).body
        _runs_again.set()
        try:
            exec(_compiled([body[place] for place in self.kept], self.file), names)  # noqa: S102 - the program itself
        except SystemExit:
            raise SweepError(_STARTED_AGAIN) from None
        finally:
            _runs_again.clear()

    def has(self, kind: type) -> bool:
        """Whether it defines a class."""
        return kind.__module__ == MAIN and kind.__qualname__.partition(".")[0] in self.classes


def in_its_module(function: Any, main: MainModule | None) -> tuple[Any, ...] | None:
    """How `pickle` makes a function, which has no name in its module, such as a lambda, in the module of another process.

    It then reads the names of the module as they are set there. Sent by value, it has copies of them as they are set here, which
    is not always possible.

    Args:
        function: Or any other object.
        main: The main module of the other process.

    Returns:
        As from `__reduce__`; None for what has such a name, for what has more state, and if the module is not there.
    """
    if not isinstance(function, FunctionType) or function.__closure__ or vars(function):
        return None
    module = sys.modules.get(function.__module__)
    if module is None or function.__globals__ is not vars(module):
        return None
    if function.__module__ == MAIN:
        if main is None or main.set_by_start & {*global_names(function.__code__)}:
            return None
    elif module.__spec__ is None or _has(module, function):
        return None
    given = {name: getattr(function, name) for name in _GIVEN}
    return _made_in_its_module, (function.__module__, function.__code__, function.__name__, given)


def _has(module: ModuleType, function: FunctionType) -> bool:
    return getattr(module, function.__qualname__, None) is function


def _made_in_its_module(module: str, code: CodeType, name: str, given: Mapping[str, Any]) -> FunctionType:
    function = FunctionType(code, vars(import_module(module)), name)
    for attribute, value in given.items():
        setattr(function, attribute, value)
    return function


# What a function has besides its code and its module.
_GIVEN = ("__defaults__", "__kwdefaults__", "__annotations__", "__qualname__", "__doc__")


def refuse_in_training_process() -> None:
    """Refuse a sweep that the main module starts while it is run again for the trials of this sweep.

    Raises:
        SweepError: It is.
    """
    if _runs_again.is_set():
        raise SweepError(_STARTED_AGAIN)


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


_STARTED_AGAIN = (
    "The file of the program starts the sweep again, or ends, when it is run in a training process to define what the trials use; "
    "start the program under `if __name__ == '__main__':`, at the end of the file."
)
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


def _executed(main: ModuleType, body: Sequence[ast.stmt]) -> int:
    """The place of the statement that the main module executes now; after the last one if this thread does not execute it."""
    frame: FrameType | None = inspect.currentframe()
    while frame is not None:
        code = frame.f_code
        # The name of the file tells it from what is typed with `python -i`.
        if frame.f_globals is vars(main) and (code.co_name, code.co_filename) == ("<module>", main.__file__):
            _, _, column, _ = next(islice(code.co_positions(), frame.f_lasti // 2, None))
            now = (frame.f_lineno, column or 0)
            return sum((one.end_lineno or 0, one.end_col_offset or 0) <= now for one in body)
        frame = frame.f_back
    return len(body)


def _compiled(statements: Sequence[ast.stmt], file: str = MAIN) -> CodeType:
    return compile(ast.Module(list(statements), []), file, "exec", dont_inherit=True)


def _bound(statements: Sequence[ast.stmt]) -> set[str]:
    """The names of the module that its statements set."""
    return {
        one.argval
        for one in dis.get_instructions(_compiled(statements))
        if one.opname in {"STORE_NAME", "STORE_GLOBAL"}
    }


def _classes(names: dict[str, Any]) -> Iterator[str]:
    for name, value in names.items():
        if isinstance(value, type) and (value.__module__, value.__qualname__) == (MAIN, name):
            yield name
