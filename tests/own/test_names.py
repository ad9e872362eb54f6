"""Tests of the names of programs."""

import functools
import sys
from typing import Any

import pytest

from flowersweep.own.names import program_name


def _train(_config: Any) -> float:
    return 1.0


@functools.wraps(_train)
def _timed(config: Any) -> float:
    return _train(config)


class _Program:
    def __call__(self, _config: Any) -> float:
        return 1.0


@pytest.fixture(autouse=True)
def started(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let this file be the program."""
    monkeypatch.setattr(sys.modules["__main__"], "__file__", __file__, raising=False)


def test_a_program_is_a_file_and_a_function() -> None:
    """A decorator of the user's and given arguments do not change the name of a program."""
    found = {program_name(one) for one in (_train, _timed, functools.partial(_train, 1))}
    assert found == {"test_names.py:_train"}
    assert program_name(_Program()) == "test_names.py:_Program.__call__"


def test_a_function_of_another_file(monkeypatch: pytest.MonkeyPatch) -> None:
    """Two programs that call the same function, such as that of a decorator, are two."""
    names = []
    for file in ("svm.py", "forest.py"):
        monkeypatch.setattr(sys.modules["__main__"], "__file__", f"/programs/{file}")
        names.append(program_name(_train))
    assert names == ["svm.py:test_names.py:_train", "forest.py:test_names.py:_train"]


def test_what_was_typed(monkeypatch: pytest.MonkeyPatch) -> None:
    """A function of a notebook has only its own name."""
    monkeypatch.delattr(sys.modules["__main__"], "__file__")
    typed: dict[str, Any] = {}
    exec(compile("def train(config): ...", "<ipython-input-1>", "exec"), typed)  # noqa: S102 - as a notebook does
    assert program_name(typed["train"]) == "train"
