"""The messages between a worker and its training process, through a socket."""

import io
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

import cloudpickle  # type: ignore[import-untyped] # it has no types
from hydra.types import HydraContext, TaskFunction
from omegaconf import DictConfig

from flowersweep.doors import hydra_api
from flowersweep.errors import SweepError
from flowersweep.own.main_module import MainModule, in_its_module, in_main

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
        main: The module that defines the function, if it is the main one.
        resolvers: `hydra_api.resolvers()` of the program, packed; None for those of the worker.
    """

    task_function: TaskFunction
    hydra_context: HydraContext
    hydra_state: Any
    n_objectives: int = 1
    command: str | None = None
    content: "Content | None" = None
    names: tuple[str, ...] = ()
    main: MainModule | None = None
    resolvers: bytes | None = None

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
        main: MainModule | None = None,
        resolvers: bytes | None = None,
    ) -> "Application":
        """The application with this process's state of Hydra."""
        state = hydra_api.state(with_resolvers=resolvers is None)
        return cls(
            task_function, hydra_context, state, n_objectives, command, content, names, main, resolvers
        )


@dataclass(frozen=True)
class Job:
    """A trial, as a worker sends it to its training process.

    Attributes:
        config: Composed for this trial, with its `hydra` node.
        number: The trial's number.
        study_name: The study's name.
        params: The searched values by parameter name, as in the study.
        attempt: How often this trial was started before, as `earlier_attempts` counts.
        parent_run_id: The MLflow run of the study, or None.
        environment: Environment variables of the trial, in addition to those of its process.
        values: The searched values as in the configuration, where they differ from those in the study.
    """

    config: DictConfig
    number: int
    study_name: str
    params: dict[str, Any]
    attempt: int = 0
    parent_run_id: str | None = None
    environment: Mapping[str, str] = field(default_factory=dict)
    values: Mapping[str, Any] = field(default_factory=dict)

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


def packed(content: Any, main: MainModule | None) -> bytes:
    """What a training process gets, as bytes; what cannot be imported by name is pickled by value, except what the main module defines.

    Args:
        content: An application, its function, its resolvers or a job.
        main: The main module of the process that gets it.

    Raises:
        SweepError: It contains an object that is bound to this process.
    """
    try:
        return _pickled(content, main)
    except Exception:  # noqa: BLE001 - objects that cannot be pickled raise errors of any type
        # By value a function has copies of what its module has set, of which some, such as a lock, cannot be made.
        try:
            return _pickled(content, main, by_module=True)
        except Exception as error:
            raise SweepError(
                f"The trials run in other processes, to which the program cannot be sent ({error}). Import the function under "
                "@hydra.main from a module, or call it under `if __name__ == '__main__':` of the file that defines it."
            ) from error


def _pickled(content: Any, main: MainModule | None, *, by_module: bool = False) -> bytes:
    file = io.BytesIO()
    _Pickler(file, main, by_module=by_module).dump(content)
    return file.getvalue()


class _Pickler(cloudpickle.Pickler):  # type: ignore[misc] # it has no types
    def __init__(self, file: io.BytesIO, main: MainModule | None, *, by_module: bool) -> None:
        super().__init__(file)
        self._main = main
        self._by_module = by_module

    def reducer_override(self, obj: Any) -> Any:
        if self._main is not None and isinstance(obj, type) and self._main.has(obj):
            return in_main, (obj.__qualname__,)
        if self._by_module and (made := in_its_module(obj, self._main)) is not None:
            return made
        return super().reducer_override(obj)
