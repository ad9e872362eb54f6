"""The trial that a run belongs to: its values, and its methods to report and be pruned. Has no slow imports."""

import functools
import json
import logging
import operator
import os
import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, SupportsFloat, SupportsIndex

from flowersweep.errors import Pruned
from flowersweep.sweep.storage.limits import MAX_VALUE, NAMES, STEPS, is_name, is_step
from flowersweep.sweep.study.attributes import OF_TRIALS
from flowersweep.sweep.study.outcome import number_of, shortly
from flowersweep.texts import number_text

if TYPE_CHECKING:
    from flowersweep.sweep.study.content import Content

log = logging.getLogger(__name__)

__all__ = ["Pruned", "RunningTrial", "Trial", "current_trial", "running", "running_trial"]


class Trial:
    """The trial that this process is running. This class is that of a run outside a sweep, and its methods do nothing.

    They check their arguments, so that a mistake is found before the sweep.

    Attributes:
        number: The trial's number in its study, from 0; None outside a sweep.
        params: The searched values by parameter name; empty outside a sweep.
        should_prune: Whether the sweep has answered a report with "stop"; False outside a sweep.
    """

    def __init__(self) -> None:
        self.number: int | None = None
        self.params: Mapping[str, Any] = {}
        self.should_prune = False

    @property
    def folder(self) -> Path:
        """The folder that Hydra gives to this run, in a sweep one for each trial; without Hydra, the current one."""
        module = sys.modules.get("hydra.core.hydra_config")
        if module is None or not module.HydraConfig.initialized():
            return Path.cwd()
        folder = Path(module.HydraConfig.get().runtime.output_dir)
        folder.mkdir(parents=True, exist_ok=True)
        return folder

    def report(self, step: SupportsIndex, value: SupportsFloat) -> None:
        """Report the objective after a step to the sweep, and wait for its decision.

        Args:
            step: How much the trial has trained, from 1, for example the number of finished epochs. Pruners compare
                trials at equal steps, and use the step as the resource spent; a program that counts differently is
                compared by its own numbers.
            value: The objective so far; a NaN is stored, and pruners treat it as the worst.

        Raises:
            Pruned: The trial must stop.
            TypeError: The step is not an integer, or the value is not a number.
            ValueError: The step is below 0, or larger than 2,147,483,647.

        Example:
            >>> for epoch, accuracy in enumerate([0.61, 0.68], start=1):
            ...     current_trial().report(epoch, accuracy)
        """
        self._reported(_step(step), _value(value))

    def set_user_attr(self, name: str, value: Any) -> None:
        """Store something with the trial in the study, for example the path of a file.

        Args:
            name: A text of at most 512 characters that flowersweep does not use itself.
            value: Anything that JSON supports, with at most 4,000,000 characters in it.

        Raises:
            ValueError: The name is one that flowersweep uses itself, or no such text, or the value is too long.
            TypeError: The value is not one of JSON.
        """
        if name in OF_TRIALS:
            raise ValueError(
                f"set_user_attr({name!r}, ...): flowersweep uses this name itself; choose another one."
            )
        name = str(name)
        if not is_name(name):
            raise ValueError(
                f"set_user_attr(name, value) needs a name {NAMES}, but got {name[:60]!r}; choose another one."
            )
        try:
            length = len(json.dumps(value))
        except (TypeError, ValueError) as error:
            raise TypeError(
                f"set_user_attr({name!r}, ...) stores numbers, texts, lists and dicts, but got {shortly(value)}."
            ) from error
        if length > MAX_VALUE:
            raise ValueError(
                f"set_user_attr({name!r}, ...) stores at most {MAX_VALUE:,} characters, but this value has {length:,}; "
                "write it to a file in current_trial().folder, and store the path."
            )
        self.user_attrs({name: value})

    def user_attrs(self, attrs: Mapping[str, Any]) -> None:
        """Store attributes under names of flowersweep's own, without checking them."""

    def _reported(self, step: int, value: float) -> None:
        pass


@dataclass
class RunningTrial(Trial):
    """The trial that this process is running, in a sweep.

    Attributes:
        number: The trial's number in its study, from 0.
        study_name: The study's name.
        params: The searched values by parameter name.
        attempt: The number of earlier attempts, in which the trial's process died or was interrupted.
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
    should_prune: bool = field(default=False, init=False)

    def leads(self, value: float) -> bool:
        """Tell whether no finished trial of the study has a better objective; True with several objectives.

        Args:
            value: This trial's objective.
        """
        return self._leads(float(value))

    def user_attrs(self, attrs: Mapping[str, Any]) -> None:
        """Store attributes with the trial in the study."""
        self._keep(dict(attrs))

    def _reported(self, step: int, value: float) -> None:
        if self._report(step, value):
            self.should_prune = True
            raise Pruned(f"It was pruned after step {step} at {number_text(value)}.")


class _StartedByTrial(Trial):
    """The trial of a program that a trial has started: its methods do nothing, which a warning says once.

    Args:
        number: The number of the trial that runs in another process.
    """

    def __init__(self, number: str) -> None:
        super().__init__()
        self._trial = number

    def user_attrs(self, attrs: Mapping[str, Any]) -> None:  # noqa: ARG002 - it cannot be stored
        """Warn that attributes are not stored."""
        _warn_once(self._trial)

    def _reported(self, step: int, value: float) -> None:  # noqa: ARG002 - it cannot be reported
        _warn_once(self._trial)


@functools.cache
def _warn_once(number: str) -> None:
    log.warning(
        "Trial %s gets no reports and attributes from here: this is a program that it has started. Report in the process in "
        "which Hydra runs the trial.",
        number,
    )


# The environment variable with the number of the running trial, which is inherited by the processes that it starts.
TRIAL = "FLOWERSWEEP_TRIAL"
_NONE = Trial()
_current: RunningTrial | None = None


def current_trial() -> Trial:
    """The trial that this process is running; outside a sweep, one whose methods do nothing.

    In a program that a trial has started, its methods warn once and do nothing: only the process of the trial can report.
    """
    if _current is None and (number := os.environ.get(TRIAL)) is not None:
        return _StartedByTrial(number)
    return _current or _NONE


def running_trial() -> RunningTrial | None:
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


def _step(step: Any) -> int:
    try:
        number = operator.index(step)
    except TypeError:
        raise TypeError(f"report(step, value) needs an integer as step, but got {shortly(step)}.") from None
    if not is_step(number):
        raise ValueError(f"report(step, value) needs a step {STEPS}, but got {number}.")
    return number


def _value(value: Any) -> float:
    number = number_of(value)
    if number is None:
        raise TypeError(f"report(step, value) needs a number as value, but got {shortly(value)}.")
    return number
