"""A small store of finished runs with real models, for the tests of what is done with a winner."""

import functools
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

import keras
import numpy as np

from flowersweep.data import decode, fingerprint, read_folder
from flowersweep.figures.predictions import predictions_table
from flowersweep.tracking.mlflow_api import client
from flowersweep.tracking.mlflow_tracker import MLflowTracker
from flowersweep.tracking.run import RunStatus
from flowersweep.tracking.store.store import Store, prepare_store

SIZE = 16
SPLIT_SEED = 5


@dataclass
class Winners:
    """The store: study `petals` (the winner is trial 1) and `repeated` (the winner is seed 1 of trial 1).

    Attributes:
        directory: To be given as tracking.dir.
        store: The same.
        class_names: What the models tell apart.
        digest: Fingerprint of the drawn flowers.
        runs: Id of each run by a name.
        models: The model of each run that has one, by the same name.
    """

    directory: Path
    store: Store
    class_names: list[str]
    digest: str
    runs: dict[str, str] = field(default_factory=dict)
    models: dict[str, keras.Model] = field(default_factory=dict)

    @property
    def where(self) -> str:
        """The argument that leads to the store."""
        return f"tracking.dir={self.directory}"

    def add(
        self,
        name: str,
        value: float | None,
        *,
        experiment: str = "sweep",
        parent: str | None = None,
        tags: Mapping[str, object] | None = None,
        model: bool = True,
        seed: int = 0,
        status: RunStatus = RunStatus.FINISHED,
        digest: str | None = None,
    ) -> None:
        """Log one run."""
        own = {"kind": "run"} if parent is None else {"study": parent.split("/")[0], "kind": "trial"}
        run = MLflowTracker.start(
            self.store,
            experiment,
            name.rpartition("/")[2],
            parent_run_id=self.runs[parent] if parent else None,
            tags={**own, **(tags or {})},
        )
        self.runs[name] = run.run_id
        run.params({"objective.metric": "best/val_accuracy", "seed": seed})
        run.dataset("demo", digest=digest or self.digest, source="drawn", context="training, validation")
        run.text(f"model=cnn\nmodel.dropout=0.{len(self.runs)}\n", "config/overrides.txt")
        run.text(
            "data: {split_seed: 5, validation_split: 0.25, test_split: 0.0, unreadable: error}\n",
            "config/config.yaml",
        )
        if value is not None:
            run.metrics({"best/val_accuracy": value})
        if model:
            self.models[name] = small_model(len(self.class_names), len(self.runs))
            run.model(
                self.models[name],
                example=np.zeros((1, SIZE, SIZE, 3), np.float32),
                class_names=self.class_names,
                metadata={"data_fingerprint": digest or self.digest},
            )
        run.end(status)


def small_model(n_classes: int, seed: int) -> keras.Model:
    """A random classifier of raw pictures whose answers differ from picture to picture."""
    keras.utils.set_random_seed(seed)
    pictures = keras.Input((SIZE, SIZE, 3))
    values = keras.layers.Rescaling(1 / 127.5, offset=-1)(pictures)
    values = keras.layers.Flatten()(keras.layers.Conv2D(8, 5, strides=2, activation="relu")(values))
    logits = keras.layers.Dense(n_classes, kernel_initializer=keras.initializers.RandomNormal(stddev=0.3))(
        values
    )
    return keras.Model(pictures, keras.layers.Softmax()(logits))


def predict(made: Winners, name: str, drawn: Path) -> None:
    """Store the predictions of a run's model for all pictures, as those of its validation pictures."""
    paths = sorted(drawn.rglob("*.jpg"))
    pictures = np.stack([decode(path, SIZE) for path in paths]).astype(np.float32)
    labels = [made.class_names.index(path.parent.name) for path in paths]
    table = predictions_table(paths, labels, np.asarray(made.models[name](pictures)), made.class_names)
    client(made.store.uri).log_text(made.runs[name], table, "validation_predictions.csv")


@functools.cache
def winners(base: Path, drawn: Path, cache: Path) -> Winners:
    """The store, made once in a session.

    Args:
        base: pytest's folder of temporary files.
        drawn: Drawn flowers.
        cache: For their fingerprint.
    """
    catalogue = read_folder(drawn)
    directory = base / "winners"
    made = Winners(
        directory, prepare_store(directory), list(catalogue.class_names), fingerprint(catalogue, cache)
    )
    made.add("alone/demo", 0.99, experiment="alone", model=False, digest="other")
    made.add("alone/good", 0.7, experiment="alone")
    made.add("alone/worse", 0.6, experiment="alone", model=False)
    made.add("bare", None, tags={"kind": "study", "study": "bare"}, model=False)
    made.add("bare/0", 0.5, parent="bare", tags={"trial": 0}, model=False)
    made.add("open", None, tags={"kind": "study", "study": "open"}, model=False)
    made.add("open/0", None, parent="open", tags={"trial": 0}, model=False, status=RunStatus.FAILED)
    made.add("repeated", None, tags={"kind": "study", "study": "repeated"}, model=False)
    for trial, (first, second) in enumerate([(0.3, 0.9), (0.6, 0.7)]):
        name = f"repeated/{trial}"
        tags = {"trial": trial, "n_repeats": 2}
        made.add(name, (first + second) / 2, parent="repeated", tags=tags, model=False)
        for seed, value in enumerate([first, second]):
            repeat = {"trial": trial, "kind": "repeat", "repeat": seed}
            is_best = (trial, seed) == (1, 1)
            made.add(f"{name}/{seed}", value, parent=name, tags=repeat, seed=seed, model=is_best)
    made.add("petals", None, tags={"kind": "study", "study": "petals"}, model=False)
    made.add("petals/0", 0.5, parent="petals", tags={"trial": 0}, model=False)
    made.add("petals/1", 0.8, parent="petals", tags={"trial": 1})
    predict(made, "petals/1", drawn)
    made.add("petals/2", 0.95, parent="petals", tags={"trial": 2, "trial.state": "PRUNED"}, model=False)
    made.add("petals/3", 0.9, parent="petals", tags={"trial": 3}, model=False, status=RunStatus.FAILED)
    made.add("petals/4", 0.8, parent="petals", tags={"trial": 4}, model=False)
    return made
