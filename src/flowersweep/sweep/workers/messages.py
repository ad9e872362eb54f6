"""The messages between a worker and its training process, through a socket."""

import pickle
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

import cloudpickle  # type: ignore[import-untyped] # it has no types
from hydra.types import HydraContext, TaskFunction
from omegaconf import DictConfig

from flowersweep.doors import hydra_api

if TYPE_CHECKING:
    from flowersweep.sweep.study.content import Content

# Kinds of messages from the training process.
READY, BROKEN, REPORT, ATTRS, LEADS, OUTCOME = "ready", "broken", "report", "attrs", "leads", "outcome"


@dataclass(frozen=True)
class Application:
    """What a training process runs its trials with.

    Attributes:
        task_function: The function under `@hydra.main`; returns the objective.
        hydra_context: As the sweeper got it from Hydra.
        hydra_state: `hydra_api.state()` of the worker.
        n_objectives: Number of values that the function returns.
        command: The command that started the sweep.
        content: What its trials read; None if unknown.
        names: The names of the objectives; empty if they have none.
    """

    task_function: TaskFunction
    hydra_context: HydraContext
    hydra_state: Any
    n_objectives: int = 1
    command: str | None = None
    content: "Content | None" = None
    names: tuple[str, ...] = ()

    @classmethod
    def here(
        cls,
        task_function: TaskFunction,
        hydra_context: HydraContext,
        n_objectives: int = 1,
        *,
        command: str | None = None,
        content: "Content | None" = None,
        names: tuple[str, ...] = (),
    ) -> "Application":
        """The application with this process's state of Hydra."""
        return cls(task_function, hydra_context, hydra_api.state(), n_objectives, command, content, names)


@dataclass(frozen=True)
class Job:
    """A trial, as a worker sends it to its training process.

    Attributes:
        config: Composed for this trial, with its `hydra` node.
        number: The trial's number.
        study_name: The study's name.
        params: The searched values by parameter name.
        attempt: How often this trial was started before.
        parent_run_id: The MLflow run of the study, or None.
        environment: Environment variables of the trial, in addition to those of its process.
    """

    config: DictConfig
    number: int
    study_name: str
    params: dict[str, Any]
    attempt: int = 0
    parent_run_id: str | None = None
    environment: Mapping[str, str] = field(default_factory=dict)

    def again(self) -> "Job":
        """The same job for another attempt."""
        return replace(self, attempt=self.attempt + 1)


@dataclass(frozen=True)
class Message:
    """What a training process says to its worker.

    Attributes:
        kind: One of those above.
        content: Depends on the kind.
        pid: The process.
        trial: The number of the trial that says it, and its attempt; None for the process itself.
    """

    kind: str
    content: tuple[Any, ...]
    pid: int
    trial: tuple[int, int] | None = None

    def is_of(self, pid: int, job: Job) -> bool:
        """Whether the process itself says it, or this attempt of a trial in it."""
        return self.pid == pid and self.trial in {None, (job.number, job.attempt)}


def packed(application: Application) -> bytes:
    """An application as bytes; functions that cannot be imported by name are pickled by value.

    Raises:
        pickle.PicklingError: It contains an object that is bound to this process.
    """
    try:
        return cloudpickle.dumps(application)  # type: ignore[no-any-return] # it has no types
    except (TypeError, AttributeError) as error:
        raise pickle.PicklingError(str(error)) from error
