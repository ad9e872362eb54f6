"""The tracker that writes to MLflow, only through its client: no active run, no global URI."""

import tempfile
import time
import uuid
from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from flowersweep import process
from flowersweep.errors import TrackingError, is_full
from flowersweep.interrupt import uninterrupted
from flowersweep.redaction import redacted
from flowersweep.tracking import rules
from flowersweep.tracking.closing import closed_on_failure
from flowersweep.tracking.data_set import data_set
from flowersweep.tracking.mlflow_api import TEMPORARY, client, translated
from flowersweep.tracking.new_run import create_run, source_tags
from flowersweep.tracking.outbox.delivery import END_SECONDS, Delivery, settle
from flowersweep.tracking.outbox.record import Record, batch
from flowersweep.tracking.run import RunStatus
from flowersweep.tracking.saved_model import NAME, Examples, save_model
from flowersweep.tracking.store.store import Store, experiment_id

if TYPE_CHECKING:
    import keras
    from matplotlib.figure import Figure


class MLflowTracker:
    """The log of one run in an MLflow store; created by `start` or `resume`.

    Every method raises TrackingError if the run has ended, if a name is not allowed, or if the store refuses. If the store
    cannot be used, what is logged waits on disk and is delivered later, in its order.
    """

    def __init__(self, store: Store, run_id: str) -> None:
        self._store = store
        self._run_id = run_id
        self._delivery = Delivery(store.uri, store.outboxes, run_id)
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
    ) -> "MLflowTracker":
        """Start a new run.

        Args:
            store: From `prepare_store`.
            experiment: Its name; the experiment is created if there is none. A run below another one is in the experiment
                of that one instead.
            run_name: The name that MLflow shows; need not be unique.
            parent_run_id: The run under which this one is shown.
            tags: Set in addition to those that MLflow itself would set and those that identify this process.

        Raises:
            TrackingError: The store refuses, the experiment is deleted, or there is no such parent.
        """
        known: dict[str, object] = {**source_tags(), **process.identity(), **(tags or {})}
        if parent_run_id is None:
            experiment_key = experiment_id(store, experiment)
        else:
            with translated(f"start a run under {parent_run_id}"):
                experiment_key = client(store.uri).get_run(parent_run_id).info.experiment_id
            known["mlflow.parentRunId"] = parent_run_id
        texts = _texts(known, rules.MAX_TAG_LENGTH)
        with translated(f"start run {run_name!r} in {store.uri}"):
            # The tags are set with the run, so that its process is known even if it is killed a moment later.
            run_id = create_run(
                store, experiment_key, texts, rules.shortened(run_name, rules.MAX_RUN_NAME_LENGTH)
            )
        tracker = cls(store, run_id)
        with closed_on_failure(tracker):
            tracker._keep_whole(known, rules.MAX_TAG_LENGTH)
        return tracker

    @classmethod
    def resume(cls, store: Store, run_id: str, without: Collection[str] = ()) -> "MLflowTracker":
        """Resume a run; it then belongs to this process.

        Args:
            store: The store of the run.
            run_id: Its id.
            without: Tags to remove, for example those that say why it ended.

        Raises:
            TrackingError: There is no such run, or it is deleted.
        """
        tracker = cls(store, run_id)
        with translated(f"resume run {run_id}"):
            service = client(store.uri)
            run = service.get_run(run_id)
            if run.info.lifecycle_stage == "deleted":
                raise TrackingError(
                    f"Cannot resume run {run_id}: it is deleted; restore it in the MLflow UI."
                )
            if (error := tracker._delivery.attempt()) is not None:
                raise error
        with closed_on_failure(tracker), translated(f"resume run {run_id}"):
            # First, or it would be RUNNING and of a dead process for a moment: others close such runs.
            for name, value in process.identity().items():
                service.set_tag(run_id, name, value)
            service.update_run(run_id, status="RUNNING")
            # With those that were delivered just now.
            tags = service.get_run(run_id).data.tags if without else {}
            for name in tags.keys() & set(without):
                service.delete_tag(run_id, name)
        return tracker

    @property
    def run_id(self) -> str:
        """The run's identifier."""
        return self._run_id

    @property
    def status(self) -> RunStatus | None:
        """How the run ended; None while it is running."""
        return self._status

    @property
    def is_stored(self) -> bool:
        """Whether the store has all that was logged, and nothing waits on disk."""
        return self._delivery.is_done

    def params(self, values: Mapping[str, object]) -> None:
        """Log the parameters, flat, with dotted keys; a logged value cannot be changed.

        A text of more than 6000 characters is cut, and stored completely below `long_values/`.
        """
        self._send("log the params of", batch(params=_texts(values, rules.MAX_PARAM_LENGTH)))
        self._keep_whole(values, rules.MAX_PARAM_LENGTH)

    def metrics(self, values: Mapping[str, float], step: int | None = None) -> None:
        """Log metrics in one batch; without a step they belong to the complete run.

        NaN is stored unchanged; MLflow converts an infinity to 1.8e308.
        """
        now = _now()
        rows = [(key, rules.check_metric(key, value), now, step or 0) for key, value in values.items()]
        self._send("log the metrics of", batch(metrics=rows))

    def steps(self, name: str) -> set[int]:
        """The steps of which a metric has been logged."""
        with translated(f"read the metrics of run {self._run_id}"):
            return {point.step for point in client(self._store.uri).get_metric_history(self._run_id, name)}

    def tags(self, values: Mapping[str, object]) -> None:
        """Set tags, which may be set to another value later.

        A text of more than 8000 characters is cut, and stored completely below `long_values/`.
        """
        self._send("set the tags of", batch(tags=_texts(values, rules.MAX_TAG_LENGTH)))
        self._keep_whole(values, rules.MAX_TAG_LENGTH)

    def text(self, content: str, name: str) -> None:
        """Store a text file; `name` is its path inside the run's artifacts, with `/` between folders."""
        with self._new_file(name) as path:
            path.write_text(redacted(content), encoding="utf-8", errors="backslashreplace")

    def json(self, content: object, name: str) -> None:
        """Store a JSON file; NumPy numbers and arrays and paths are converted."""
        self.text(rules.json_text(content), name)

    def image(self, picture: npt.NDArray[np.uint8], name: str) -> None:
        """Store a picture, uint8, shape (height, width, 3), as a .png file."""
        from PIL import Image

        rules.check_picture(picture)
        with self._new_file(name) as path:
            Image.fromarray(picture).save(path)

    def figure(self, figure: "Figure", name: str) -> None:
        """Store a matplotlib figure in the format of the name's extension."""
        with self._new_file(name) as path:
            figure.savefig(path)

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
        """Record which pictures the run used; MLflow can search for them by name and digest.

        Args:
            name: The name of the data set.
            digest: Fingerprint of its content; the first 36 characters are stored, which is MLflow's limit.
            source: A folder or a URL.
            context: The purpose, for example "training" or "validation".
            picture_shape: (height, width, channels) of the model's input.
            profile: Further facts, such as the number of pictures in each class.
        """
        values = data_set(
            name, digest=digest, source=source, context=context, picture_shape=picture_shape, profile=profile
        )
        self._send(f"record data set {name!r} for", Record("data set", values))

    def model(
        self,
        keras_model: "keras.Model",
        *,
        example: Examples,
        class_names: Sequence[str],
        metadata: Mapping[str, Any] | None = None,
    ) -> str:
        """Store the trained model with its signature; MLflow shows it among the run's outputs.

        Args:
            keras_model: Takes raw pictures, shape (batch, height, width, 3), values 0..255. Preferably not
                compiled: with its optimizer the file is three times as large, and the learning rate is restored, too.
            example: At least one picture, shape (n, height, width, 3); its dtype becomes the signature's.
            class_names: In the order of the model's outputs.
            metadata: Further facts to store with the model, JSON values.

        Returns:
            The address under which MLflow loads it, `runs:/RUN_ID/model`.
        """
        self._check_open()
        with translated(f"write the model of run {self._run_id}"), _temporary() as folder:
            path = folder / NAME
            save_model(keras_model, path, example=example, class_names=class_names, metadata=metadata)
            self._send("store the model of", Record("model", {"key": uuid.uuid4().hex}, path))
        return f"runs:/{self._run_id}/{NAME}"

    def file(self, path: Path, folder: str | None = None) -> None:
        """Store a copy of a local file in a folder of the run's artifacts, or at their top level."""
        rules.check_file(path)
        name = rules.check_artifact(f"{folder}/{path.name}" if folder else path.name)
        self._send(f"store {name} with", Record("file", {"folder": folder}, path))

    def end(self, status: RunStatus) -> None:
        """Close the run; nothing can be logged afterwards."""
        self._check_open()
        with translated(f"end run {self._run_id}"):
            # What its records say, it must also say itself, or it would be ended once more.
            with uninterrupted():
                self._delivery.take(Record("end", {"status": status.value, "time": _now()}))
                self._status = status
            self._delivery.catch_up()

    def settle(self, seconds: float = END_SECONDS) -> None:
        """Deliver what waits on disk for the store, of this and other runs; log where the rest waits.

        Args:
            seconds: How long to wait for a store that cannot be used; 0 for a single attempt.
        """
        settle(self._store.uri, self._store.outboxes, seconds)

    def _send(self, action: str, record: Record) -> None:
        """Deliver a record, or keep it on disk until the store can be used again."""
        self._check_open()
        with translated(f"{action} run {self._run_id}"):
            self._delivery.send(record)

    def _keep_whole(self, values: Mapping[str, object], limit: int) -> None:
        for name, text in rules.too_long(values, limit).items():
            self.text(text, name)

    @contextmanager
    def _new_file(self, name: str) -> Iterator[Path]:
        """The path of a temporary file, which is stored under a name at the end of the block."""
        self._check_open()
        place = PurePosixPath(rules.check_artifact(name))
        with translated(f"write {name} of run {self._run_id}"), _temporary() as folder:
            path = folder / place.name
            yield path
            self.file(path, None if len(place.parts) == 1 else str(place.parent))

    def _check_open(self) -> None:
        if self._status is not None:
            raise TrackingError(
                f"Run {self._run_id} has ended ({self._status.value}); nothing can be logged to it."
            )


@contextmanager
def _temporary() -> Iterator[Path]:
    """A folder for files on their way to the store, removed at the end of the block; an error of a full disk names it."""
    with tempfile.TemporaryDirectory(prefix=TEMPORARY, ignore_cleanup_errors=True) as folder:
        try:
            yield Path(folder)
        except OSError as error:
            if is_full(error) and error.filename is None:  # writing to an open file
                error.filename = folder
            raise


def _texts(values: Mapping[str, object], limit: int) -> dict[str, str]:
    """Params or tags as MLflow accepts them: allowed names, and texts of at most `limit` characters."""
    return {rules.check_key(key): rules.shortened(value, limit) for key, value in values.items()}


def _now() -> int:
    """Milliseconds since 1970, as MLflow counts time."""
    return int(time.time() * 1000)
