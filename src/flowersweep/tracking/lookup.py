"""Reading runs from a store: the best run, its configuration, its files and its model."""

import json
import shlex
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING, Any

from omegaconf import DictConfig, OmegaConf

from flowersweep.config.own_code import find_builder
from flowersweep.errors import TrackingError
from flowersweep.redaction import redacted
from flowersweep.tracking.mlflow_api import client, translated
from flowersweep.tracking.patience import patiently
from flowersweep.tracking.run import BUILDER, OWN_CODE
from flowersweep.tracking.store.store import Store, known_experiment

if TYPE_CHECKING:
    import keras
    from mlflow.entities import LoggedModel, Run


def best_run_id(
    store: Store, experiments: Sequence[str], *, filter_string: str, metric: str, maximize: bool
) -> str:
    """The id of the finished run with the best value of a metric.

    Args:
        store: The store to search.
        experiments: Names of experiments; all but the first one may be missing or deleted.
        filter_string: A filter of MLflow for the finished runs.
        metric: The metric to compare, for example best/val_accuracy.
        maximize: Whether larger is better.

    Raises:
        TrackingError: There is no such run.
    """
    order = f"metrics.`{metric}` {'DESC' if maximize else 'ASC'}"
    known_experiment(store, experiments[0])  # a deleted one is refused
    finished = f"attributes.status = 'FINISHED' and {filter_string}"
    runs: list[Run] = []
    service, wanted = client(store.uri), " or ".join(map(repr, experiments))
    with translated(f"look for the best run of {wanted}"):
        known = [one.experiment_id for one in service.search_experiments() if one.name in experiments]
        if known:
            runs = service.search_runs(known, finished, order_by=[order], max_results=1)
    if not runs or metric not in runs[0].data.metrics:
        raise TrackingError(
            f"There is no finished run in experiment {wanted} with {filter_string} and a value of {metric}; "
            "train one first, or name a run by its id."
        )
    return str(runs[0].info.run_id)


def run_config(store: Store, run_id: str) -> DictConfig:
    """The configuration with which a run was trained."""
    config = OmegaConf.create(_artifact(store, run_id, "config/config.yaml"))
    if not isinstance(config, DictConfig):
        raise TrackingError(
            f"The configuration of run {run_id} is not a mapping; it was not written by flowersweep."
        )
    return config


def run_labels(store: Store, run_id: str) -> list[str]:
    """Names of the classes of a run's model, in the order of its outputs."""
    return [str(name) for name in json.loads(_artifact(store, run_id, "labels.json"))]


def run_fingerprint(store: Store, run_id: str) -> str | None:
    """The fingerprint of the pictures that a run was trained on; None if it has recorded none."""
    with translated(f"read the data set of run {run_id}"):
        run = client(store.uri).get_run(run_id)
    used = run.inputs.dataset_inputs if run.inputs else []
    return next((str(one.dataset.digest) for one in used), None)


def run_overrides(store: Store, run_id: str) -> list[str]:
    """The overrides of a run, for example `model.dropout=0.2`; they include the searched values of a trial."""
    return [line for line in _artifact(store, run_id, "config/overrides.txt").split("\n") if line]


def with_seed(overrides: Sequence[str], seed: object) -> list[str]:
    """The overrides of a trial for one of its repeats: with the seed of the repeat."""
    return [*(one for one in overrides if not one.lstrip("+").startswith("seed=")), f"seed={seed}"]


def training_command(overrides: Sequence[str], program: str | None = None) -> str:
    """The command that trains with these overrides, on one line and without passwords.

    Args:
        overrides: The overrides.
        program: The command of another program; None for flowersweep's own.
    """
    return redacted(shlex.join([*shlex.split(program or "python -m flowersweep"), *overrides]))


def run_model(store: Store, run_id: str) -> "keras.Model":
    """The Keras model of a run, which maps raw pictures to probabilities. Imports Keras.

    Raises:
        TrackingError: There is no such run, or it has no model.
    """
    with translated(f"load the model of run {run_id}"):
        logged = logged_model(store, client(store.uri).get_run(run_id))
    if logged is None:
        raise TrackingError(f"Run {run_id} has saved no model; train it again with tracking.log_model=true.")
    return load_model(store, logged.artifact_location)


def logged_model(store: Store, run: "Run") -> "LoggedModel | None":
    """The last model that a run has saved; None if it has saved none."""
    service = client(store.uri)
    for output in reversed(run.outputs.model_outputs if run.outputs else []):
        logged: LoggedModel = service.get_logged_model(output.model_id)
        if str(logged.status) == "READY":
            return logged
    return None


def load_model(store: Store, location: str) -> "keras.Model":
    """The Keras model at the address of a saved model's files. Imports Keras.

    Raises:
        TrackingError: The files cannot be read, or it has layers that Keras does not know.
        ConfigError: It has layers of the user's own, whose module is not allowed.
    """
    import keras

    with keras_file(store, location) as path:
        try:
            return keras.models.load_model(path, compile=False)
        except (TypeError, ValueError):
            builder = model_metadata(store, location).get(BUILDER)
        try:
            if (
                builder is not None
            ):  # Keras knows layers of the user's own when their module has been imported
                find_builder(builder).load()
            return keras.models.load_model(path, compile=False)
        except (TypeError, ValueError) as error:
            missing = f"model.build={builder} does not register" if builder else "Keras does not know"
            raise TrackingError(
                f"The model at {location} has layers that {missing}; restore the code that is stored below {OWN_CODE}/ in its run."
            ) from error


@contextmanager
def keras_file(store: Store, location: str) -> Iterator[Path]:
    """A copy of a saved model's `.keras` file, which exists for the duration of a block."""
    with _folder_to(f"load the model at {location}") as folder:
        found = next(_download(store, location, folder).rglob("*.keras"), None)
        if found is None:
            raise TrackingError(
                f"Cannot load the model at {location}: there is no .keras file; it was not saved by flowersweep."
            )
        yield found


def model_metadata(store: Store, location: str) -> dict[str, Any]:
    """The metadata of a saved model: class_names, picture_shape and others. Does not import Keras."""
    from mlflow.models import Model

    with _folder_to(f"read the metadata of the model at {location}") as folder:
        # MLflow's reader: OmegaConf would read the class 1e5 as a number and resolve ${seed}.
        metadata = Model.load(str(_download(store, f"{location}/MLmodel", folder))).metadata
    return {str(name): value for name, value in (metadata or {}).items()}


def _artifact(store: Store, run_id: str, name: str) -> str:
    """The text of one of a run's files."""
    with _folder_to(f"read {name} of run {run_id}") as folder:
        return Path(client(store.uri).download_artifacts(run_id, name, folder)).read_text(encoding="utf-8")


@contextmanager
def _folder_to(action: str) -> Iterator[str]:
    """A folder for what is downloaded in order to do something, for the duration of a block."""
    with translated(action), tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as folder:
        yield folder


def _download(store: Store, location: str, folder: str) -> Path:
    import mlflow.artifacts

    def download() -> str:
        return str(
            mlflow.artifacts.download_artifacts(
                artifact_uri=location, dst_path=folder, tracking_uri=store.uri
            )
        )

    return Path(patiently(download, whole=False))


@dataclass(frozen=True)
class Files:
    """The artifacts of one run.

    Attributes:
        store: The store of the run.
        run_id: The id of the run.
    """

    store: Store
    run_id: str

    def data(self, name: str) -> bytes | None:
        """The content of a file; None if the run has no file of that name.

        Raises:
            TrackingError: The file exists but cannot be read.
        """
        folder = str(PurePosixPath(name).parent)
        service = client(self.store.uri)
        with _folder_to(f"read {name} of run {self.run_id}") as place:
            listed = service.list_artifacts(self.run_id, None if folder == "." else folder)
            if name not in {item.path for item in listed}:
                return None
            return Path(service.download_artifacts(self.run_id, name, place)).read_bytes()

    def text(self, name: str) -> str | None:
        """The content of a text file; None if the run has no file of that name."""
        data = self.data(name)
        return None if data is None else data.decode("utf-8", errors="replace")
