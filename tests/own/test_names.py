"""Tests of the names of programs."""

import functools
from typing import Any

from flowersweep.own.names import program_name


def _train(_config: Any) -> float:
    return 1.0


@functools.wraps(_train)
def _timed(config: Any) -> float:
    return _train(config)


class _Program:
    def __call__(self, _config: Any) -> float:
        return 1.0


def test_a_program_is_a_file_and_a_function() -> None:
    """A decorator of the user's does not change the name of a program."""
    assert program_name(_train) == program_name(_timed) == "test_names.py:_train"


def test_what_has_no_file() -> None:
    """A function that was typed and an object that is called have only their own names."""
    typed: dict[str, Any] = {}
    exec(compile("def train(config): ...", "<ipython-input-1>", "exec"), typed)  # noqa: S102 - as a notebook does
    assert program_name(typed["train"]) == "train"
    assert program_name(_Program()) == "_Program"
