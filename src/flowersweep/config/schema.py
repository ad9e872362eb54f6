"""The schema of the configuration: one dataclass per group, registered with Hydra's ConfigStore.

Values are in `conf/`; here are only the types, the legal ranges and the required keys. An unknown key or a
wrong type is rejected by OmegaConf while composing, a value out of range by `flowersweep.config.validate`.
"""

from dataclasses import dataclass, field
from typing import Any

from hydra.core.config_store import ConfigStore
from omegaconf import MISSING

from flowersweep.augment import AUGMENTATIONS, Augmentation
from flowersweep.config.models import (
    CNNConfig,
    FineTunedConfig,
    FrozenConfig,
    ModelConfig,
)
from flowersweep.config.optimizers import (
    AdamConfig,
    AdamWConfig,
    CosineConfig,
    OptimizerConfig,
    PlateauConfig,
    RMSpropConfig,
    ScheduleConfig,
    SGDConfig,
)
from flowersweep.fields import bounded, not_empty, one_of

DATA_SOURCES = ("flower_photos", "folder", "demo")
RESIZES = ("stretch", "crop", "pad")
SPLITS = ("keras", "stratified", "folders", "csv", "groups")


@dataclass
class DataConfig:
    """The pictures, and how they are split."""

    source: str = one_of(*DATA_SOURCES)
    # The folder with one sub-folder per class; null: the source's own folder in the cache.
    dir: str | None = not_empty()
    # Which pictures train, validate and test: keras is the split of Keras, stratified has the same fraction of each class
    # in every part, folders are train/, val/ and test/, csv and groups are given in split_file.
    split: str = one_of(*SPLITS, default="keras")
    # A CSV file with the columns file,part (split=csv) or file,group (split=groups: a group is in one part only).
    split_file: str | None = not_empty(None)
    # Number of folds of equal size, each of which validates once (split=stratified or groups); null: a single split.
    folds: int | None = bounded(None, low=2)
    # The fold that validates; null: that of the same number as the repeat of hydra.sweeper.n_repeats, else the first.
    fold: int | None = bounded(None, low=0)
    # As in Keras' image_dataset_from_directory(validation_split=..., seed=...), with exactly the same files.
    validation_split: float = bounded(above=0, below=1)
    split_seed: int = bounded(low=0, high=2**32 - 1)
    # Taken from the training part; never used for selection.
    test_split: float = bounded(low=0, below=1)
    # How a picture becomes a square: stretched as in Keras, cut to its central square, or with black bars beside it.
    resize: str = one_of(*RESIZES, default="stretch")
    # What to do with files that cannot be decoded: stop and list them, or continue without them.
    unreadable: str = one_of("error", "skip")


@dataclass
class TrainerConfig:
    """Epochs, picture and batch size, early stopping and the device."""

    epochs: int = bounded(low=1, high=100_000)
    batch_size: int = bounded(low=1, high=65_536)
    # Side length in pixels to which pictures are resized (squared, as in the article).
    image_size: int = bounded(low=8, high=2048)
    # Epochs without improvement of `monitor` by min_delta before training stops; null: no early stopping.
    patience: int | None = bounded(low=1)
    min_delta: float = bounded(low=0)
    monitor: str = one_of("val_loss", "val_accuracy", "loss", "accuracy")
    # TensorFlow's option for bit-identical results on accelerators; CPU runs are identical without it.
    deterministic: bool = MISSING
    # Arithmetic of training: bfloat16 keeps weights, validation and the saved model in float32; auto: bfloat16 on
    # CPUs with instructions for it, for the CNN and for fine-tuned layers; float32 otherwise.
    precision: str = one_of("auto", "float32", "bfloat16")
    # CPU threads for the arithmetic; null: all cores.
    threads: int | None = bounded(low=1)


# What a sweep may optimize besides `objective.metric`; runs log all of these.
ALSO = (
    "best/val_accuracy",
    "best/val_loss",
    "total/seconds",
    "total/epochs",
    "model/parameters",
    "model/trained_parameters",
)


@dataclass
class BankConfig:
    """The feature bank: the output of a frozen prefix for the pictures, stored for other trials."""

    enabled: bool = MISSING
    # float16 halves the size; the relative error is at most 2**-11.
    dtype: str = one_of("float16", "float32")
    # The engine of the prefix: litert (XNNPACK), tensorflow, or whichever is faster on this machine.
    engine: str = one_of("auto", "tensorflow", "litert")
    max_gigabytes: float = bounded(above=0)


@dataclass
class ObjectiveConfig:
    """What a run returns and a sweep optimizes: one number, or several with `also`."""

    # Its epoch value also decides which epoch is the best, so that the saved model has the reported value.
    metric: str = one_of("best/val_accuracy", "best/val_loss")
    # Further objectives from ALSO: the sweep then searches for the best trade-offs.
    also: list[str] = field(default_factory=list)


@dataclass
class TrackingConfig:
    """Where results are stored, and which."""

    # Folder of mlflow.db, artifacts/ and optuna.db.
    dir: str = not_empty()
    # MLflow tracking URI; null: the SQLite file in `dir`. May be a server.
    uri: str | None = not_empty(None)
    experiment: str = not_empty()
    # null: model, augmentation and a time stamp.
    run_name: str | None = not_empty(None)
    # Store the trained model as an artifact; false saves space if only the metrics matter.
    log_model: bool = MISSING
    # Curves, confusion matrix, mistakes and the augmentation preview.
    log_figures: bool = MISSING
    # In a sweep: leaders stores figures and model of trials that were the best so far, all those of every trial.
    artifacts_of: str = one_of("leaders", "all")
    # TensorBoard event files as an artifact (needs no TensorBoard to write them).
    tensorboard: bool = MISSING


@dataclass
class PathsConfig:
    """Folders other than that of the results."""

    # Decoded pictures and downloads; null: the platform's cache folder for flowersweep. Safe to delete.
    cache: str | None = not_empty(None)


@dataclass
class Config:
    """A complete run."""

    data: DataConfig = field(default_factory=DataConfig)
    model: ModelConfig = field(default_factory=ModelConfig)
    aug: Augmentation = field(default_factory=Augmentation)
    optimizer: OptimizerConfig = field(default_factory=OptimizerConfig)
    schedule: ScheduleConfig = field(default_factory=ScheduleConfig)
    trainer: TrainerConfig = field(default_factory=TrainerConfig)
    bank: BankConfig = field(default_factory=BankConfig)
    objective: ObjectiveConfig = field(default_factory=ObjectiveConfig)
    tracking: TrackingConfig = field(default_factory=TrackingConfig)
    paths: PathsConfig = field(default_factory=PathsConfig)
    # One integer drives the initial weights, dropout and the order of the pictures.
    seed: int = bounded(low=0, high=2**31 - 1)


NODES: dict[str, dict[str, type[Any]]] = {
    "model": {
        "cnn": CNNConfig,
        "mobilenet_frozen": FrozenConfig,
        "mobilenet_ft": FineTunedConfig,
        "backbone": FineTunedConfig,
    },
    "optimizer": {"adam": AdamConfig, "adamw": AdamWConfig, "sgd": SGDConfig, "rmsprop": RMSpropConfig},
    "schedule": {"plateau": PlateauConfig, "constant": ScheduleConfig, "cosine": CosineConfig},
    "aug": dict(AUGMENTATIONS),
}


def register() -> None:
    """Register the dataclasses with Hydra as `schema` and `schema/<group>/<choice>`."""
    store = ConfigStore.instance()
    store.store(name="schema", node=Config, provider="flowersweep", replace=True)
    for group, nodes in NODES.items():
        for choice, node in nodes.items():
            store.store(group=f"schema/{group}", name=choice, node=node, provider="flowersweep", replace=True)
