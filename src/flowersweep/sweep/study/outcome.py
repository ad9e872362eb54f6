"""The outcome of a trial: the only mapping from values, exceptions and dead processes to COMPLETE, PRUNED and FAIL.

A trial that ended because of its infrastructure is WAITING again, and its sweep ends.
"""

import math
import signal
import traceback
from collections.abc import Mapping, Sequence, Set  # noqa: PYI025 - the name is not taken
from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING, Any

from flowersweep.errors import InfrastructureError, Pruned, full_disk, infrastructure_failure, is_full
from flowersweep.redaction import redacted
from flowersweep.sweep.study.attributes import FAIL_REASON, INFRASTRUCTURE_FAILURE, TRACEBACK
from flowersweep.texts import printable

# A training process uses this module too, and does not need Optuna.
if TYPE_CHECKING:
    from optuna import Study
    from optuna.trial import Trial


# A column of MySQL holds 65,535 bytes; the end of a traceback is more informative than its start.
_MAX_TRACEBACK = 15_000
_MAX_REASON = 1_000


class State(StrEnum):
    """The states of a trial after its run, with the names of Optuna's `TrialState`."""

    COMPLETE = "COMPLETE"
    PRUNED = "PRUNED"
    FAIL = "FAIL"
    WAITING = "WAITING"


@dataclass(frozen=True)
class Outcome:
    """How a trial ended, as plain values that can be sent between processes.

    Attributes:
        state: One of the three final states, or WAITING.
        values: The objectives if it is COMPLETE, all finite; otherwise empty.
        reason: Why it is not COMPLETE, in one line; if it is WAITING, in one sentence; otherwise empty.
        traceback: Of the exception, if there was one; otherwise empty.
        died: Whether its process died, so that running it again may help.
    """

    state: State
    values: tuple[float, ...] = ()
    reason: str = ""
    traceback: str = ""
    died: bool = False


def of_value(value: Any, n_objectives: int = 1, names: Sequence[str] = ()) -> Outcome:
    """The outcome of a run that returned.

    Args:
        value: What it returned; for more than one objective a list, a tuple or an array; or a dict, of which the objectives are used.
        n_objectives: How many numbers are expected.
        names: The names of the objectives; without them, a dict is not possible.
    """
    if isinstance(value, Mapping):
        if not names:
            return _fail(
                f"It returned {shortly(value)}; return a number, or give the names of the objectives with their directions, "
                "hydra.sweeper.direction={NAME: maximize}."
            )
        if missing := [name for name in names if name not in value]:
            return _fail(f"It returned {shortly(value)}, without {', '.join(missing)}.")
        value = [value[name] for name in names] if n_objectives > 1 else value[names[0]]
    values = _listed(value) if n_objectives > 1 else [value]
    if len(values) != n_objectives:
        return _fail(f"It returned {value!r}; the objective must be {n_objectives} numbers.")
    numbers = []
    for item in values:
        number = number_of(item)
        if number is None:
            return _fail(f"It returned {shortly(item)}; the objective must be a number.")
        if not math.isfinite(number):
            return _fail(f"It returned {number}; the objective must be a finite number.")
        numbers.append(number)
    return Outcome(State.COMPLETE, tuple(numbers))


def of_exception(error: BaseException) -> Outcome:
    """The outcome of a run that raised."""
    if isinstance(error, Pruned) or _is_optunas(error):
        return Outcome(State.PRUNED, reason=_text(error) or "It was pruned.")
    if (culprit := infrastructure_failure(error)) is not None:
        is_disk = not isinstance(culprit, InfrastructureError) and is_full(culprit)
        text = printable(redacted(full_disk(culprit))) if is_disk else _text(culprit)
        reason = text.strip().rstrip(".") or type(culprit).__name__
        return Outcome(State.WAITING, reason=f"{reason[:_MAX_REASON]}.")
    text = printable(redacted("".join(traceback.format_exception(error))))
    message = _text(error).strip().splitlines()
    name = type(error).__name__
    reason = f"{name}: {message[0]}" if message else name
    return Outcome(State.FAIL, reason=reason[:_MAX_REASON], traceback=text[-_MAX_TRACEBACK:])


def _text(error: BaseException) -> str:
    """The text of an exception, which is written by others and may itself fail."""
    try:
        text = str(error)
    except Exception:  # noqa: BLE001 - as the interpreter does it
        text = "<its text cannot be read>"
    return printable(redacted(text))


def of_death(exit_code: int) -> Outcome:
    """The outcome of a run whose process died.

    Args:
        exit_code: Of the process; the negative number of the signal if a signal ended it.
    """
    if exit_code >= 0:
        return Outcome(State.FAIL, reason=f"Its process ended with exit code {exit_code}.", died=True)
    try:
        name = signal.Signals(-exit_code).name
    except ValueError:
        name = f"signal {-exit_code}"
    hint = " (the machine may be out of memory)" if name == "SIGKILL" else ""
    return Outcome(State.FAIL, reason=f"Its process was killed by {name}{hint}.", died=True)


def tell(study: "Study", trial: "Trial", outcome: Outcome, sweep: str = "") -> None:
    """Write an outcome to the study; a pruned trial keeps the last value it reported.

    Args:
        study: The trial's.
        trial: A running one.
        outcome: Of it.
        sweep: `Budget.sweep`: the sweep that ends if the trial is WAITING.
    """
    from optuna.trial import TrialState

    from flowersweep.doors.optuna_api import trial_id
    from flowersweep.sweep.study.claim import release

    if outcome.state is State.WAITING:
        trial.set_user_attr(INFRASTRUCTURE_FAILURE, {"sweep": sweep, "reason": outcome.reason})
        release(study, trial_id(study, trial.number))
        return
    if outcome.state is State.COMPLETE:
        study.tell(trial, list(outcome.values))
        return
    if outcome.state is State.FAIL:
        trial.set_user_attr(FAIL_REASON, outcome.reason)
        if outcome.traceback:
            trial.set_user_attr(TRACEBACK, outcome.traceback)
    study.tell(trial, state=TrialState[outcome.state.value])


def _listed(value: Any) -> list[Any]:
    """The elements of a list, tuple, array or tensor, in their order; anything else alone."""
    if isinstance(value, (str, bytes, Set)):
        return [value]
    try:
        return list(value)
    except TypeError:  # a number, also one in an array without dimensions
        return [value]


def _fail(reason: str) -> Outcome:
    return Outcome(State.FAIL, reason=printable(reason))


def number_of(value: Any) -> float | None:
    """A real number of Python, NumPy or TensorFlow as a float; None for anything else, including texts and booleans."""
    # NumPy's booleans and complex numbers are converted, too: True to 1, and 1 + 2j to 1.
    kind = getattr(getattr(value, "dtype", None), "kind", "")
    if isinstance(value, (bool, str, bytes)) or kind in {"b", "c"} or not hasattr(value, "__float__"):
        return None
    try:
        return float(value)
    except (TypeError, ValueError, RuntimeError):  # the last one is PyTorch's for a tensor of several numbers
        return None
    except OverflowError:  # an integer of more than 308 digits
        return math.inf if value > 0 else -math.inf


def shortly(value: Any) -> str:
    """A value in a message, with its type; not too long."""
    text = repr(value)
    shown = text if len(text) <= 60 else f"{text[:57]}..."
    return shown if value is None else f"{shown}, a {type(value).__name__}"


def _is_optunas(error: BaseException) -> bool:
    """Recognize an optuna.TrialPruned without importing Optuna if the run did not."""
    return any(
        base.__name__ == "TrialPruned" and base.__module__.startswith("optuna.")
        for base in type(error).__mro__
    )
