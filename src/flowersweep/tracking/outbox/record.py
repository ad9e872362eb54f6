"""One thing that a run records, and its delivery to MLflow, which may be repeated without storing anything twice."""

import json
from collections.abc import Callable, Mapping
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from flowersweep.interrupt import uninterrupted
from flowersweep.tracking import rules
from flowersweep.tracking.data_set import log_data_set
from flowersweep.tracking.mlflow_api import QUICK, environment
from flowersweep.tracking.run import SUPERSEDED_TAG, RunStatus
from flowersweep.tracking.saved_model import upload_model

if TYPE_CHECKING:
    from mlflow import MlflowClient


@dataclass(frozen=True)
class Record:
    """A thing to store with a run.

    Attributes:
        kind: A key of `_DELIVERIES`.
        values: JSON values; which ones depends on the kind.
        content: A file or folder that belongs to it; None if there is none.
    """

    kind: str
    values: Mapping[str, Any]
    content: Path | None = None

    def is_short(self, service: "MlflowClient") -> bool:
        """Whether the delivery takes so little time that a signal waits for its end."""
        return self.content is None or not service.tracking_uri.startswith("http")

    def deliver(self, service: "MlflowClient", run_id: str) -> None:
        """Store the record with a run, in a single attempt; a signal waits for the end of what is short.

        A record that was already stored, completely or partly, is recognized: metrics by their time, params, tags and
        files by their names, and a model by its key.
        """
        with ExitStack() as stack:
            if self.content is None:
                stack.enter_context(environment(QUICK))
            if self.is_short(service):
                stack.enter_context(uninterrupted())
            _DELIVERIES[self.kind](service, run_id, self)

    def to_line(self, content: str | None) -> str:
        """The record as a line of JSON; `content` is the path of its file or folder, relative to the line's own file."""
        return json.dumps({"kind": self.kind, "values": self.values, "content": content}) + "\n"

    @classmethod
    def from_line(cls, line: str, folder: Path) -> "Record":
        """The record of a line; its file or folder is below `folder`."""
        read = json.loads(line)
        content = None if read["content"] is None else folder / read["content"]
        return cls(read["kind"], read["values"], content)


def batch(
    *,
    params: Mapping[str, str] | None = None,
    metrics: list[tuple[str, float, int, int]] | None = None,
    tags: Mapping[str, str] | None = None,
) -> Record:
    """A record of params, metrics (name, value, time in milliseconds, step) and tags."""
    return Record("batch", {"params": params or {}, "metrics": metrics or [], "tags": tags or {}})


def _batch(service: "MlflowClient", run_id: str, record: Record) -> None:
    from mlflow.entities import Metric, Param, RunTag

    values = record.values
    for params in rules.chunks([Param(*pair) for pair in values["params"].items()]):
        service.log_batch(run_id, params=params, synchronous=True)
    for metrics in rules.chunks([Metric(*row) for row in values["metrics"]], 1000):
        service.log_batch(run_id, metrics=metrics, synchronous=True)
    for tags in rules.chunks([RunTag(*pair) for pair in values["tags"].items()]):
        service.log_batch(run_id, tags=tags, synchronous=True)


def _file(service: "MlflowClient", run_id: str, record: Record) -> None:
    service.log_artifact(run_id, str(record.content), record.values["folder"])


def _data_set(service: "MlflowClient", run_id: str, record: Record) -> None:
    log_data_set(service, run_id, record.values)


def _model(service: "MlflowClient", run_id: str, record: Record) -> None:
    assert record.content is not None  # noqa: S101 (for the type checker; a model is a folder)
    upload_model(service, run_id, record.content, record.values["key"])


def _end(service: "MlflowClient", run_id: str, record: Record) -> None:
    status = record.values["status"]
    if SUPERSEDED_TAG in service.get_run(run_id).data.tags:  # another machine has gone on with its trial
        status = RunStatus.KILLED.value
    service.set_terminated(run_id, status, record.values["time"])


_DELIVERIES: dict[str, Callable[["MlflowClient", str, Record], None]] = {
    "batch": _batch,
    "file": _file,
    "data set": _data_set,
    "model": _model,
    "end": _end,
}
