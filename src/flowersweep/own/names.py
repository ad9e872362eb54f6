"""The names of a module that its code reads."""

import dis
import inspect
from collections.abc import Iterator
from types import CodeType


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
