"""Tests of the map from what happened to COMPLETE, PRUNED and FAIL."""

import errno
import math
import os
import re
import signal
from pathlib import Path
from typing import Any

import numpy as np
import optuna
import pytest
from hypothesis import given
from hypothesis import strategies as st

from flowersweep.errors import (
    ConfigError,
    DataError,
    DownloadError,
    TrackingError,
    TrainingError,
    WeightsError,
)
from flowersweep.sweep.study.attributes import FAIL_REASON, INFRASTRUCTURE_FAILURE, TRACEBACK
from flowersweep.sweep.study.outcome import Outcome, State, of_death, of_exception, of_value, tell
from flowersweep.sweep.workers.trial import Pruned


def _caught(error: BaseException) -> BaseException:
    try:
        raise error  # noqa: TRY301 - this is all it does
    except BaseException as caught:  # noqa: BLE001 - the test wants whatever it is
        return caught


@given(st.floats(allow_nan=False, allow_infinity=False))
def test_finite_number_is_complete(value: float) -> None:
    """Every finite number completes a trial, as it is."""
    assert of_value(value) == Outcome(State.COMPLETE, (value,))


@pytest.mark.parametrize("value", [1, np.float64(1), np.float32(1), np.int64(1), np.array(1.0)])
def test_other_numbers(value: Any) -> None:
    """Integers and NumPy's numbers are numbers too."""
    assert of_value(value) == Outcome(State.COMPLETE, (1.0,))


@pytest.mark.parametrize(
    ("names", "values"), [(("a",), (0.5,)), (("b", "a"), (2.0, 0.5)), (("c", "b", "a"), (-1.0, 2.0, 0.5))]
)
def test_named_values(names: tuple[str, ...], values: tuple[float, ...]) -> None:
    """Of a dict the objectives are used, in their order and not in the dict's; a list stands for them as well."""
    assert of_value({"a": 0.5, "b": 2, "c": -1}, len(names), names) == Outcome(State.COMPLETE, values)
    whole = list(values) if len(values) > 1 else values[0]
    assert of_value(whole, len(names), names) == Outcome(State.COMPLETE, values)


@pytest.mark.parametrize(
    ("value", "names", "reason"),
    [
        (
            {"a": 1},
            (),
            (
                "It returned {'a': 1}, a dict; return a number, or give the names of the objectives with their directions, "
                "hydra.sweeper.direction={NAME: maximize}."
            ),
        ),
        ({"a": 1}, ("b", "a", "c"), "It returned {'a': 1}, a dict, without b, c."),
        ({"a": None}, ("a",), "It returned None; the objective must be a number."),
        ({"a": math.nan, "b": 1}, ("b", "a"), "It returned nan; the objective must be a finite number."),
        ({"a": -(10**400)}, ("a",), "It returned -inf; the objective must be a finite number."),
    ],
)
def test_named_values_that_fail(value: Any, names: tuple[str, ...], reason: str) -> None:
    """A dict without names to look for, without one of the names, or with something else than numbers is a failure."""
    assert of_value(value, len(names) or 1, names) == Outcome(State.FAIL, reason=reason)


@pytest.mark.parametrize(
    ("value", "reason"),
    [
        (None, "It returned None; the objective must be a number."),
        ("0.5", "It returned '0.5', a str; the objective must be a number."),
        (True, "It returned True, a bool; the objective must be a number."),
        ([0.5], "It returned [0.5], a list; the objective must be a number."),
        (np.zeros(2), "It returned array([0., 0.]), a ndarray; the objective must be a number."),
        (float("nan"), "It returned nan; the objective must be a finite number."),
        (float("-inf"), "It returned -inf; the objective must be a finite number."),
    ],
)
def test_no_number_fails(value: Any, reason: str) -> None:
    """Anything else fails the trial, and the reason shows it."""
    assert of_value(value) == Outcome(State.FAIL, reason=reason)


@pytest.mark.parametrize("value", [np.True_, np.array([1]) == 1, np.complex64(1 + 2j), np.array(1 + 0j)])
def test_what_numpy_converts_to_a_number_is_not_one(value: object) -> None:
    """A boolean is no 1, and a complex number is not its real part."""
    assert of_value(value).state is State.FAIL


def test_several_objectives() -> None:
    """For several objectives a list or tuple of so many numbers is expected."""
    assert of_value((1, 2.5), 2) == Outcome(State.COMPLETE, (1.0, 2.5))
    assert of_value(np.array([1, 2.5]), 2) == Outcome(State.COMPLETE, (1.0, 2.5))
    assert of_value(np.array(1.0), 2).reason == "It returned array(1.); the objective must be 2 numbers."
    assert of_value("12", 2).reason == "It returned '12'; the objective must be 2 numbers."
    assert of_value({1, 2}, 2).reason == "It returned {1, 2}; the objective must be 2 numbers."
    assert of_value([1.0], 2).reason == "It returned [1.0]; the objective must be 2 numbers."
    assert of_value(1.0, 2).reason == "It returned 1.0; the objective must be 2 numbers."
    assert of_value([1.0, None], 2).state is State.FAIL


def test_exception_fails_with_its_first_line_and_traceback() -> None:
    """The reason is one line; the traceback has it all."""
    outcome = of_exception(_caught(TrainingError("the loss is nan\nsecond line")))

    assert (outcome.state, outcome.reason) == (State.FAIL, "TrainingError: the loss is nan")
    assert "in _caught" in outcome.traceback
    assert "second line" in outcome.traceback
    assert of_exception(_caught(KeyError())).reason == "KeyError"


def _from(cause: Exception) -> Exception:
    error = RuntimeError("the optimizer stopped")
    error.__cause__ = cause
    return error


@pytest.mark.parametrize(
    ("error", "reason"),
    [
        (DataError("The picture folder /x does not exist."), "The picture folder /x does not exist."),
        (DownloadError("It was cut short."), "It was cut short."),
        (TrackingError("Cannot start a run: no answer."), "Cannot start a run: no answer."),
        (WeightsError("There is no file w.h5."), "There is no file w.h5."),
        *(
            (OSError(number, "gone"), f"[Errno {number}] gone.")
            for number in (errno.EROFS, errno.EIO, errno.ESTALE, errno.ENOTCONN)
        ),
    ],
)
def test_failed_infrastructure_makes_it_wait(error: Exception, reason: str) -> None:
    """No room, no pictures, no store and a lost mount are no end of a trial; the cause is one sentence."""
    assert of_exception(_caught(error)) == Outcome(State.WAITING, reason=reason)


@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EDQUOT])
def test_a_full_disk_makes_it_wait(number: int) -> None:
    """The reason names the disk, also if the error was only the cause of another one."""
    full = OSError(number, os.strerror(number), "/proc/x")
    for error in (full, _from(full)):
        outcome = of_exception(_caught(error))
        assert outcome.state is State.WAITING
        assert outcome.reason.startswith("/proc/x cannot be written: no space is left on the disk at /proc (")
        assert outcome.reason.count(".") == 1


@pytest.mark.parametrize(
    "error",
    [
        FileNotFoundError(errno.ENOENT, "No such file or directory"),
        PermissionError(errno.EACCES, "Permission denied"),
        ConnectionRefusedError(errno.ECONNREFUSED, "Connection refused"),
        OSError("without a number"),
        MemoryError(),
        ConfigError("trainer.epochs must be at least 1."),
        TrainingError("The loss is not a number."),
    ],
)
def test_everything_else_is_the_trials_own_failure(error: Exception) -> None:
    """A missing file, a refused connection, too little memory and a bad value fail a trial."""
    assert of_exception(_caught(error)).state is State.FAIL


def test_an_error_while_another_is_handled_counts_for_itself() -> None:
    """Only what an error was raised from counts, not what happened to be handled at the time."""
    try:
        Path("/dev/full").write_text("x", encoding="utf-8")
    except OSError:
        outcome = of_exception(_caught(ValueError("own")))

    assert outcome.state is State.FAIL


def test_control_characters_are_escaped() -> None:
    """The text of an exception is shown on terminals and stored in databases, which it must not control."""
    outcome = of_exception(_caught(ValueError("\x1b[2Jgone\rover\0 \ud800")))

    assert outcome.reason == r"ValueError: \x1b[2Jgone\rover\x00 \ud800"
    assert not re.search("[\x00\x1b\r\ud800]", outcome.traceback)
    assert of_exception(_caught(DataError("\x1b[2Jgone"))).reason == r"\x1b[2Jgone."
    assert of_exception(_caught(Pruned("\x1b[2Jgone"))).reason == r"\x1b[2Jgone"


def test_a_text_that_fails_is_no_other_failure() -> None:
    """An exception whose text cannot be made is still the reason, with its name."""

    class BadTextError(Exception):
        def __str__(self) -> str:
            raise RuntimeError

    assert of_exception(_caught(BadTextError())).reason == "BadTextError: <its text cannot be read>"


def test_long_texts_are_cut() -> None:
    """A huge message still fits into a database's column, and the traceback's end is what is kept."""
    outcome = of_exception(_caught(ValueError("x" * 100_000)))

    assert (len(outcome.reason), len(outcome.traceback)) == (1_000, 15_000)
    assert outcome.traceback.endswith("xxx\n")


@pytest.mark.parametrize("error", [Pruned("enough"), optuna.TrialPruned("enough")])
def test_pruned(error: Exception) -> None:
    """Both our exception and Optuna's prune a trial."""
    assert of_exception(_caught(error)) == Outcome(State.PRUNED, reason="enough")


@pytest.mark.parametrize(
    ("exit_code", "reason"),
    [
        (-signal.SIGKILL, "Its process was killed by SIGKILL (the machine may be out of memory)."),
        (-signal.SIGSEGV, "Its process was killed by SIGSEGV."),
        (-250, "Its process was killed by signal 250."),
        (9, "Its process ended with exit code 9."),
        (0, "Its process ended with exit code 0."),
    ],
)
def test_death_names_the_signal(exit_code: int, reason: str) -> None:
    """A dead process fails the trial with the signal's name or the exit code, and may be tried again."""
    assert of_death(exit_code) == Outcome(State.FAIL, reason=reason, died=True)


def test_tell_writes_all_three() -> None:
    """Optuna gets the state, the value and, for failures, reason and traceback."""
    study = optuna.create_study()
    first, second, third = study.ask(), study.ask(), study.ask()
    second.report(0.5, 0)
    second.report(0.75, 1)
    tell(study, first, Outcome(State.COMPLETE, (0.25,)))
    tell(study, second, Outcome(State.PRUNED, reason="enough"))
    tell(study, third, Outcome(State.FAIL, reason="bad", traceback="Traceback"))

    assert [(trial.state.name, trial.value) for trial in study.trials] == [
        ("COMPLETE", 0.25),
        ("PRUNED", 0.75),
        ("FAIL", None),
    ]
    assert study.trials[2].user_attrs == {FAIL_REASON: "bad", TRACEBACK: "Traceback"}


def test_tell_puts_a_waiting_one_back() -> None:
    """A trial that its infrastructure failed waits under its number, with its values, and says what it lacked."""
    study = optuna.create_study()
    trial = study.ask()
    value = trial.suggest_float("x", 0, 1)
    tell(study, trial, Outcome(State.WAITING, reason="No disk."), sweep="this one")

    assert study.trials[0].state.name == "WAITING"
    assert study.trials[0].user_attrs[INFRASTRUCTURE_FAILURE] == {"sweep": "this one", "reason": "No disk."}
    assert study.ask().suggest_float("x", 0, 1) == value
