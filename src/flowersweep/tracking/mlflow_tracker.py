"""The tracker that writes to MLflow, through its client alone: no active run, no global address."""

import getpass
import json
import sys
import time
from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from flowersweep import process
from flowersweep.errors import TrackingError
from flowersweep.redaction import redacted
from flowersweep.tracking import rules
from flowersweep.tracking.mlflow_api import bare_client, client, translated
from flowersweep.tracking.patience import patiently
from flowersweep.tracking.protocol import NOTE, Pictures, RunStatus
from flowersweep.tracking.provenance import git_state
from flowersweep.tracking.saved_model import log_model
from flowersweep.tracking.store.store import Store, experiment_id

if TYPE_CHECKING:
    import keras
    from matplotlib.figure import Figure

# What SQLite, PostgreSQL and MySQL say of a row that another process has just inserted.
DUPLICATE = ("unique constraint", "duplicate key", "duplicate entry")


class MLflowTracker:
    """The log of one run in an MLflow store; made by `start` or `resume`. See Tracker for what its methods do."""

    def __init__(self, store: Store, run_id: str) -> None:
        self._uri = store.uri
        self._client = client(store.uri)
        self._run_id = run_id
        self._status: RunStatus | None = None

    @classmethod
    def start(
        cls,
        store: Store,
        experiment: str,
        run_name: str,
        *,
        parent_run_id: str | None = None,
        tags: Mapping[str, object] | None = None,
        description: str | None = None,
    ) -> "MLflowTracker":
        """Start a new run.

        Args:
            store: From `prepare_store`.
            experiment: Its name; the experiment is created if there is none.
            run_name: What MLflow shows; need not be unique.
            parent_run_id: The run under which this one is shown.
            tags: Set beside those MLflow itself would set and those that name this process.
            description: Markdown, shown at the top of the run's page.

        Raises:
            TrackingError: If the store refuses, the experiment is deleted, or there is no such parent.
        """
        service, experiment_key = client(store.uri), experiment_id(store, experiment)
        known: dict[str, object] = {**_source_tags(), **process.identity(), **(tags or {})}
        if parent_run_id is not None:
            with translated(f"start a run under {parent_run_id}"):
                service.get_run(parent_run_id)
            known["mlflow.parentRunId"] = parent_run_id
        if description is not None:
            known[NOTE] = description
        texts = {
            rules.check_key(key): rules.shortened(value, rules.MAX_TAG_LENGTH) for key, value in known.items()
        }
        with translated(f"start run {run_name!r} in {store.uri}"):
            # The tags come with the run: killed a moment later, it can still be told whose it was.
            run_id = _create_run(store, experiment_key, texts, redacted(run_name))
        tracker = cls(store, run_id)
        tracker._keep_whole(known, rules.MAX_TAG_LENGTH)
        return tracker

    @classmethod
    def resume(cls, store: Store, run_id: str) -> "MLflowTracker":
        """Open a run again, which from now on belongs to this process.

        Raises:
            TrackingError: If there is no such run, or it is deleted.
        """
        tracker = cls(store, run_id)
        with translated(f"resume run {run_id}"):
            if tracker._client.get_run(run_id).info.lifecycle_stage == "deleted":
                raise TrackingError(
                    f"Cannot resume run {run_id}: it is deleted; restore it in the MLflow UI."
                )
            tracker._client.update_run(run_id, status="RUNNING")
        tracker.tags(process.identity())
        return tracker

    @property
    def run_id(self) -> str:
        """The run's identifier."""
        return self._run_id

    @property
    def status(self) -> RunStatus | None:
        """How the run ended, None while it goes on."""
        return self._status

    def params(self, values: Mapping[str, object]) -> None:
        """Log params; a text over 6000 characters is cut and stored whole below `long_values/`."""
        from mlflow.entities import Param

        self._check_open()
        items = [
            Param(rules.check_key(key), rules.shortened(value, rules.MAX_PARAM_LENGTH))
            for key, value in values.items()
        ]
        with translated(f"log the params of run {self._run_id}"):
            for some in rules.chunks(items):
                self._client.log_batch(self._run_id, params=some, synchronous=True)
        self._keep_whole(values, rules.MAX_PARAM_LENGTH)

    def metrics(self, values: Mapping[str, float], step: int | None = None) -> None:
        """Log measurements; NaN is kept, MLflow turns an infinity into 1.8e308."""
        from mlflow.entities import Metric

        self._check_open()
        now = int(time.time() * 1000)
        items = [Metric(key, rules.check_metric(key, value), now, step or 0) for key, value in values.items()]
        with translated(f"log the metrics of run {self._run_id}"):
            for some in rules.chunks(items, 1000):
                self._client.log_batch(self._run_id, metrics=some, synchronous=True)

    def tags(self, values: Mapping[str, object]) -> None:
        """Set tags; a text over 8000 characters is cut and stored whole below `long_values/`."""
        from mlflow.entities import RunTag

        self._check_open()
        items = [
            RunTag(rules.check_key(key), rules.shortened(value, rules.MAX_TAG_LENGTH))
            for key, value in values.items()
        ]
        with translated(f"set the tags of run {self._run_id}"):
            for some in rules.chunks(items):
                self._client.log_batch(self._run_id, tags=some, synchronous=True)
        self._keep_whole(values, rules.MAX_TAG_LENGTH)

    def text(self, content: str, name: str) -> None:
        """Store a text file."""
        with self._storing(name):
            self._client.log_text(self._run_id, redacted(content), name)

    def json(self, content: object, name: str) -> None:
        """Store a JSON file."""
        self.text(rules.json_text(content), name)

    def image(self, picture: npt.NDArray[np.uint8], name: str) -> None:
        """Store a picture."""
        rules.check_picture(picture)
        with self._storing(name):
            self._client.log_image(self._run_id, picture, name)

    def figure(self, figure: "Figure", name: str) -> None:
        """Store a figure."""
        with self._storing(name):
            self._client.log_figure(self._run_id, figure, name)

    def dataset(
        self,
        name: str,
        *,
        digest: str,
        source: str,
        context: str,
        picture_shape: tuple[int, int, int] | None = None,
        profile: Mapping[str, object] | None = None,
    ) -> None:
        """Record a data set, which MLflow can search for by name and digest."""
        from mlflow.entities import Dataset, DatasetInput, InputTag

        self._check_open()
        is_url = source.startswith(("http://", "https://"))
        entity = Dataset(
            name=name,
            digest=digest[: rules.MAX_DIGEST_LENGTH],
            source_type="http" if is_url else "local",
            source=json.dumps({"url" if is_url else "uri": redacted(source)}),
            schema=None if picture_shape is None else _schema(picture_shape),
            profile=rules.json_text(dict(profile)) if profile else None,
        )
        with translated(f"record data set {name!r} for run {self._run_id}"):
            used = DatasetInput(entity, tags=[InputTag("mlflow.data.context", context)])
            self._log_input(used)

    def model(
        self,
        keras_model: "keras.Model",
        *,
        example: Pictures,
        class_names: Sequence[str],
        metadata: Mapping[str, Any] | None = None,
    ) -> str:
        """Store the trained model; MLflow shows it among the run's outputs."""
        self._check_open()
        with translated(f"store the model of run {self._run_id}"):
            return log_model(
                self._uri,
                self._run_id,
                keras_model,
                example=example,
                class_names=class_names,
                metadata=metadata,
            )

    def file(self, path: Path, folder: str | None = None) -> None:
        """Store a copy of a file."""
        rules.check_file(path)
        with self._storing(f"{folder}/{path.name}" if folder else path.name):
            self._client.log_artifact(self._run_id, str(path), folder)

    def end(self, status: RunStatus) -> None:
        """Close the run."""
        self._check_open()
        with translated(f"end run {self._run_id}"):
            self._client.set_terminated(self._run_id, status.value)
        self._status = status

    def _log_input(self, used: Any) -> None:
        """Workers that record the same data set first, at once, collide in MLflow; the second time it is there."""
        from mlflow.exceptions import MlflowException

        try:
            self._client.log_inputs(self._run_id, datasets=[used])
        except MlflowException as error:
            if not any(words in str(error).lower() for words in DUPLICATE):
                raise
            self._client.log_inputs(self._run_id, datasets=[used])

    def _keep_whole(self, values: Mapping[str, object], limit: int) -> None:
        for name, text in rules.too_long(values, limit).items():
            self.text(text, name)

    def _storing(self, name: str) -> AbstractContextManager[None]:
        self._check_open()
        return translated(f"store {rules.check_artifact(name)} with run {self._run_id}")

    def _check_open(self) -> None:
        if self._status is not None:
            raise TrackingError(
                f"Run {self._run_id} has ended ({self._status.value}); nothing can be logged to it."
            )


def _create_run(store: Store, experiment_key: str, tags: Mapping[str, str], run_name: str) -> str:
    """Create a run, once even if the store fails after it has done so."""
    service, began = bare_client(store.uri), int(time.time() * 1000)

    def create() -> str:
        run = service.create_run(experiment_key, start_time=began, tags=tags, run_name=run_name)
        return str(run.info.run_id)

    def find_or_create() -> str:
        for run in service.search_runs([experiment_key], f"attributes.start_time = {began}"):
            if all(run.data.tags.get(key) == tags[key] for key in tags) and run.info.run_name == run_name:
                return str(run.info.run_id)
        return create()

    return patiently(create, again=find_or_create)


def _source_tags() -> dict[str, str]:
    """Return the tags that MLflow's own start_run would set; its client sets none."""
    try:
        user = getpass.getuser()
    except (OSError, KeyError, ImportError):  # a container whose user has no name
        user = "unknown"
    tags = {
        "mlflow.user": user,
        "mlflow.source.name": "flowersweep" if sys.argv[0] in {"", "-c"} else sys.argv[0],
        "mlflow.source.type": "LOCAL",
    }
    commit = git_state().get("commit")
    return tags if commit is None else tags | {"mlflow.source.git.commit": commit}


def _schema(picture_shape: tuple[int, int, int]) -> str:
    from mlflow.data.schema import TensorDatasetSchema
    from mlflow.types import Schema, TensorSpec

    pictures = Schema([TensorSpec(np.dtype(np.uint8), (-1, *picture_shape))])
    labels = Schema([TensorSpec(np.dtype(np.int64), (-1,))])
    return json.dumps(TensorDatasetSchema(features=pictures, targets=labels).to_dict())
