"""The names of a module that its code reads, and the name of a program."""

import dis
import functools
import inspect
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from types import CodeType
from typing import Any


def global_names(module: CodeType) -> Iterator[str]:
    """The names that compiled statements of a module read from the module, also in functions and classes.

    Parameters and local variables are not among them, nor what the body of a class has set before it reads it.

    Args:
        module: Compiled as a module.
    """
    codes = [module]
    for code in codes:
        codes += (one for one in code.co_consts if isinstance(one, CodeType))
        is_class = code is not module and not code.co_flags & inspect.CO_OPTIMIZED
        own: set[str] = set()
        for one in dis.get_instructions(code):
            if one.opname == "STORE_NAME" and is_class:
                own.add(one.argval)
            elif one.opname == "LOAD_GLOBAL" or (
                one.opname in {"LOAD_NAME", "LOAD_FROM_DICT_OR_GLOBALS"} and one.argval not in own
            ):
                yield one.argval


def program_name(function: Callable[..., Any]) -> str:
    """The name of a program by its file and the function that it calls for each trial, as in "train.py:main".

    The folder may move, so it is no part of the name. A function that was typed, such as in a notebook, has only its own name;
    one of another file than the program's, such as that of a decorator, has both files.
    """
    function = inspect.unwrap(function)
    while isinstance(function, functools.partial):
        function = inspect.unwrap(function.func)
    if not hasattr(function, "__code__"):
        function = type(function).__call__
    name: str = getattr(function, "__qualname__", type(function).__qualname__)
    code = getattr(function, "__code__", None)
    file = Path(code.co_filename) if code is not None else None
    started = getattr(sys.modules["__main__"], "__file__", None)
    files = [Path(started).name] if started is not None else []
    files += [file.name] if file is not None and file.is_file() else []
    return ":".join([*dict.fromkeys(files), name])
