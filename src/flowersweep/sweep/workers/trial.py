"""The trial that a run belongs to: its values, and its methods to report and be pruned. Has no slow imports."""

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
        number: The trial's number in its study, from 0.
        study_name: The study's name.
        params: The searched values by parameter name.
        attempt: The number of earlier attempts, in which the trial's process died.
        parent_run_id: The MLflow run of the whole study; None if there is none.
        command: The command that started the sweep.
        content: What the trials of the sweep read; None if unknown.
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
        """Report the objective after a step to the sweep, and wait for its decision.

        Args:
            step: How much the trial has trained, from 1, for example the number of finished epochs. Pruners compare
                trials at equal steps, and use the step as the resource spent; a program that counts differently is
                compared by its own numbers.
            value: The objective so far; a NaN is stored, and pruners treat it as the worst.

        Raises:
            Pruned: The trial must stop.

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
        """Store something with the trial in the study, for example the id of its MLflow run.

        Args:
            attrs: Any values that JSON supports, by name.
        """
        self._keep(dict(attrs))


_current: RunningTrial | None = None


def current_trial() -> RunningTrial | None:
    """The trial that this process is running; None if the run is not part of a sweep."""
    return _current


@contextmanager
def running(trial: RunningTrial) -> Iterator[None]:
    """Make a trial the current one of this process during the block."""
    global _current  # noqa: PLW0603 - a process runs one trial at a time, whichever threads it uses
    _current = trial
    try:
        yield
    finally:
        _current = None
