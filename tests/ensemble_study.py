"""A study of small real models with what they predicted for their validation pictures."""

from dataclasses import dataclass, field
from pathlib import Path

import keras
import numpy as np

from flowersweep.data import Catalogue, decode, fingerprint, read_folder, split
from flowersweep.figures.predictions import predictions_table
from flowersweep.tracking.mlflow_tracker import MLflowTracker
from flowersweep.tracking.run import RunStatus
from flowersweep.tracking.store.store import Store, experiment_id, prepare_store
from winners import SIZE, small_model

VALIDATION, TEST = 0.25, 0.2


@dataclass
class SmallStudy:
    """Study `small`; every trial that was added has a model of its own, unless it was added without one.

    Attributes:
        directory: The folder of results.
        drawn: The pictures.
        cache: For their fingerprint.
        models: The model of each trial.
    """

    directory: Path
    drawn: Path
    cache: Path
    models: dict[int, keras.Model] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.store: Store = prepare_store(self.directory)
        self.catalogue: Catalogue = read_folder(self.drawn)
        self.parts = split(len(self.catalogue), seed=5, validation=VALIDATION, test=TEST)
        self.study = MLflowTracker.start(self.store, "e", "small", tags={"kind": "study", "study": "small"})

    def pictures(self, positions: np.ndarray) -> np.ndarray:
        """Decoded pictures of the data set, float32."""
        paths = [self.catalogue.root / self.catalogue.paths[position] for position in positions]
        return np.stack([decode(path, SIZE) for path in paths]).astype(np.float32)

    @property
    def experiment(self) -> str:
        """The id of the experiment."""
        return experiment_id(self.store, "e")

    def add(
        self,
        trial: int,
        *,
        seed: int,
        saved: bool = True,
        positions: np.ndarray | None = None,
        recorded: int | None = None,
        value: float | None = None,
    ) -> str:
        """Add a finished trial with a model, and return the id of its run.

        Args:
            trial: Its number.
            seed: The seed of its model.
            saved: Whether it has saved the model.
            positions: Other validation pictures than those of the split.
            recorded: The seed of another model, whose predictions are recorded.
            value: Its objective, if not its accuracy.
        """
        positions = self.parts.validation if positions is None else positions
        labels, names = self.catalogue.labels[positions], self.catalogue.class_names
        self.models[trial] = small_model(len(names), seed)
        predicting = self.models[trial] if recorded is None else small_model(len(names), recorded)
        probabilities = np.asarray(predicting(self.pictures(positions), training=False))
        run = MLflowTracker.start(
            self.store,
            "e",
            f"trial-{trial}",
            parent_run_id=self.study.run_id,
            tags={
                "kind": "trial",
                "study": "small",
                "trial": trial,
                "objective": "best/val_accuracy",
                "pictures.test": len(self.parts.test),
            },
        )
        run.text(
            f"data: {{split_seed: 5, validation_split: {VALIDATION}, test_split: {TEST}, unreadable: error}}\n",
            "config/config.yaml",
        )
        run.text("model=cnn\n", "config/overrides.txt")
        run.json(list(names), "labels.json")
        run.dataset("drawn", digest=self.digest, source=str(self.drawn), context="validation")
        paths = [self.catalogue.paths[position] for position in positions]
        run.text(predictions_table(paths, labels, probabilities, names), "validation_predictions.csv")
        accuracy = float(np.mean(probabilities.argmax(axis=1) == labels))
        run.metrics({"best/val_accuracy": accuracy if value is None else value})
        if saved:
            run.model(
                self.models[trial],
                example=np.zeros((1, SIZE, SIZE, 3), np.float32),
                class_names=names,
                metadata={"data_fingerprint": self.digest, "image_size": SIZE},
            )
        run.end(RunStatus.FINISHED)
        return run.run_id

    @property
    def digest(self) -> str:
        """The fingerprint of the pictures."""
        return fingerprint(self.catalogue, self.cache)
