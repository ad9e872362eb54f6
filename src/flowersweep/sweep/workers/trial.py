"""What a run knows of the trial it is: its values, and the way to report and to be pruned. Imports nothing heavy."""

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from flowersweep.errors import Pruned

if TYPE_CHECKING:
    from flowersweep.sweep.study.content import Content

__all__ = ["Pruned", "RunningTrial", "current_trial", "running"]


@dataclass(frozen=True)
class RunningTrial:
    """The trial that this process is running.

    Attributes:
        number: Of the trial in its study, from 0.
        study_name: Of the study.
        params: The searched values by parameter name.
        attempt: 0 at first, one more for each time that the trial was begun and its process died.
        parent_run_id: The MLflow run of the whole study; None if there is none.
        command: What was typed to begin the sweep.
        content: What the trials of the sweep read; None where that is not known.
    """

    number: int
    study_name: str
    params: Mapping[str, Any]
    attempt: int = 0
    parent_run_id: str | None = None
    command: str | None = None
    content: "Content | None" = None
    _report: Callable[[int, float], bool] = field(default=lambda _step, _value: False, repr=False)
    _keep: Callable[[dict[str, Any]], None] = field(default=lambda _attrs: None, repr=False)
    _leads: Callable[[float], bool] = field(default=lambda _value: True, repr=False)

    def report(self, step: int, value: float) -> None:
        """Tell the sweep the objective after a step, and wait for its verdict.

        Args:
            step: How much the trial has trained, from 1, for instance the epochs that are behind it. Pruners compare
                trials at equal steps, and take a step for what was spent; a program that counts otherwise is judged
                by its own numbers.
            value: The objective so far; a NaN is kept, and pruners treat it as the worst.

        Raises:
            Pruned: The trial shall not go on.

        Example:
            >>> trial = current_trial() or RunningTrial(0, "no sweep", {})
            >>> for epoch, accuracy in enumerate([0.61, 0.68], start=1):
            ...     trial.report(epoch, accuracy)
        """
        if self._report(int(step), float(value)):
            raise Pruned(f"It was pruned after step {step} at {float(value):.4g}.")

    def leads(self, value: float) -> bool:
        """Tell whether no finished trial of the study has a better objective; True with several objectives.

        Args:
            value: This trial's objective.
        """
        return self._leads(float(value))

    def user_attrs(self, attrs: Mapping[str, Any]) -> None:
        """Store something with the trial in the study, for instance the id of its MLflow run.

        Args:
            attrs: Anything that JSON has, by name.
        """
        self._keep(dict(attrs))


_current: RunningTrial | None = None


def current_trial() -> RunningTrial | None:
    """The trial that this process is running; None if the run is no part of a sweep."""
    return _current


@contextmanager
def running(trial: RunningTrial) -> Iterator[None]:
    """Make a trial the current one of this process for the time of the block."""
    global _current  # noqa: PLW0603 - a process runs one trial at a time, whichever threads it uses for it
    _current = trial
    try:
        yield
    finally:
        _current = None
