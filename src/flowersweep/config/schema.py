"""The schema of the configuration: one dataclass per group, registered with Hydra's ConfigStore.

Values are in `conf/`; here are only the types, the legal ranges and the required keys. An unknown key or a
wrong type is rejected by OmegaConf while composing, a value out of range by `flowersweep.config.validate`.
"""

from dataclasses import MISSING as NO_DEFAULT
from dataclasses import dataclass, field, fields
from typing import Any

from hydra.core.config_store import ConfigStore
from omegaconf import MISSING, OmegaConf

from flowersweep.augment import AUGMENTATIONS, Augmentation, Own, Stack
from flowersweep.config.models import (
    CNNConfig,
    FineTunedConfig,
    FrozenConfig,
    ModelConfig,
    OwnConfig,
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
from flowersweep.fields import VALIDATED, WATCHED, bounded, not_empty, one_of

DATA_SOURCES = ("flower_photos", "folder", "demo")
RESIZES = ("stretch", "crop", "pad")
SPLITS = ("keras", "stratified", "folders", "csv", "groups")


@dataclass
class DataConfig:
    """The pictures, and how they are split.

    Attributes:
        source: Where the pictures come from.
        dir: The folder with one sub-folder per class; null: the source's own folder in the cache.
        split: Which pictures train, validate and test: keras is the split of Keras; stratified has the same
            fraction of each class in every part; folders are train/, val/ and test/; csv and groups are given in
            split_file.
        split_file: A CSV file with the columns file,part (split=csv) or file,group (split=groups: a group is in
            one part only).
        folds: Number of folds of equal size, each of which validates once (split=stratified or groups); null: a
            single split.
        fold: The fold that validates; null: that of the same number as the repeat of hydra.sweeper.n_repeats,
            else the first.
        validation_split: Fraction of the pictures for validation. With split=keras, the files are
            those of Keras' image_dataset_from_directory(validation_split=..., seed=...).
        split_seed: Seed of the split.
        test_split: Fraction of all pictures that is held out as a test set, taken from the training part; never used
            for selection.
        resize: How a picture becomes a square: stretched as in Keras, cut to its central square (crop), or in the
            middle of a black square (pad).
        unreadable: What to do with files that cannot be decoded: stop and list them, or continue without
            them.
    """

    source: str = one_of(*DATA_SOURCES)
    dir: str | None = not_empty()
    split: str = one_of(*SPLITS, default="keras")
    split_file: str | None = not_empty(None)
    folds: int | None = bounded(None, low=2)
    fold: int | None = bounded(None, low=0)
    validation_split: float = bounded(above=0, below=1)
    split_seed: int = bounded(low=0, high=2**32 - 1)
    test_split: float = bounded(low=0, below=1)
    resize: str = one_of(*RESIZES, default="stretch")
    unreadable: str = one_of("error", "skip")


@dataclass
class TrainerConfig:
    """Epochs, picture and batch size, early stopping and the device.

    Attributes:
        epochs: Maximum number of epochs; when fine-tuning, also of the head, unless model.head.epochs is set.
        batch_size: Pictures per step.
        image_size: Side length in pixels of the square to which pictures are resized, see data.resize.
        patience: Epochs without improvement of `monitor` by min_delta before training stops; null: no early
            stopping.
        min_delta: The smallest change of `monitor` that counts as an improvement.
        monitor: The value that early stopping watches.
        label_smoothing: This fraction of each label is spread over all classes in the loss of the training.
        teacher: The id of a run, for example of an ensemble, whose model's probabilities become a part of the training
            labels (distillation); null: no teacher.
        teacher_share: The teacher's share of each training label.
        class_weight: Weights of the classes in the loss of the training: none; balanced: every class has the same
            influence; or a mapping of names to weights, where classes without one have 1.
        deterministic: TensorFlow's option for bit-identical results on accelerators; CPU runs are identical
            without it.
        precision: Arithmetic of training: bfloat16 keeps weights, validation and the saved model in float32;
            auto: bfloat16 on CPUs with instructions for it, for the CNN and for fine-tuned layers; float32
            otherwise.
        threads: CPU threads for the arithmetic; null: all cores.
        callbacks: Keras callbacks of your own: MODULE.NAME, or {build: MODULE.NAME, arguments: {name: value}}.
    """

    epochs: int = bounded(low=1, high=100_000)
    batch_size: int = bounded(low=1, high=65_536)
    image_size: int = bounded(low=8, high=2048)
    patience: int | None = bounded(low=1)
    min_delta: float = bounded(low=0)
    monitor: str = one_of(*WATCHED)
    label_smoothing: float = bounded(0.0, low=0, below=1)
    teacher: str | None = not_empty(None)
    teacher_share: float = bounded(0.5, above=0, high=1)
    class_weight: Any = "none"
    deterministic: bool = MISSING
    precision: str = one_of("auto", "float32", "bfloat16")
    threads: int | None = bounded(low=1)
    callbacks: list[Any] = field(default_factory=list)


# What a run may return: of the best epoch, chosen by the same value.
OBJECTIVES = ("best/val_accuracy", *(f"best/{name}" for name in VALIDATED if name != "val_accuracy"))
# What a sweep may optimize besides `objective.metric`; runs log all of these.
ALSO = (
    *OBJECTIVES,
    "total/seconds",
    "total/epochs",
    "model/parameters",
    "model/trained_parameters",
)


@dataclass
class BankConfig:
    """The feature bank: the output of a frozen prefix for the pictures, stored for other trials.

    Attributes:
        enabled: Whether features are computed once and shared; otherwise, every trial runs the complete
            network in every epoch.
        dtype: Type of stored training features: float16 halves the size; the relative error is at most
            2**-11.
        engine: What computes the output of frozen layers: litert (XNNPACK), tensorflow, or auto: LiteRT if it is
            installed and there is no GPU, otherwise TensorFlow.
        max_gigabytes: Size limit of all features together; the least recently used ones are removed first.
    """

    enabled: bool = MISSING
    dtype: str = one_of("float16", "float32")
    engine: str = one_of("auto", "tensorflow", "litert")
    max_gigabytes: float = bounded(above=0)


@dataclass
class ObjectiveConfig:
    """What a run returns and a sweep optimizes: one number, or several with `also`.

    Attributes:
        metric: The value to optimize. Its epoch value also decides which epoch is the best, so that the saved
            model has the reported value.
        also: Further objectives: the sweep then searches for the best trade-offs.
    """

    metric: str = one_of(*OBJECTIVES)
    also: list[str] = field(default_factory=list)


@dataclass
class TrackingConfig:
    """Where results are stored, and which.

    Attributes:
        dir: Folder of mlflow.db, artifacts/ and optuna.db.
        uri: MLflow tracking URI; null: the SQLite file in `dir`. May be a server.
        experiment: The MLflow experiment of the runs; by default flowersweep/ and the name of the data set.
        run_name: Name of the run in MLflow; null: model, augmentation and seed.
        log_model: Store the trained model as an artifact; false saves space if only the metrics matter.
        log_figures: Store curves, confusion matrix, mistakes and the augmentation preview; of a sweep also the
            plots of its study.
        artifacts_of: In a sweep: leaders stores figures and model of trials that were the best so far, all
            those of every trial.
        tensorboard: Store TensorBoard event files as an artifact (needs no TensorBoard to write them).
        resume: auto: a run that was interrupted goes on after its last checkpoint if the same command is given again,
            and trials of a sweep do the same; never: every run starts at its first epoch.
    """

    dir: str = not_empty()
    uri: str | None = not_empty(None)
    experiment: str = not_empty()
    run_name: str | None = not_empty(None)
    log_model: bool = MISSING
    log_figures: bool = MISSING
    artifacts_of: str = one_of("leaders", "all")
    tensorboard: bool = MISSING
    resume: str = one_of("auto", "never", default="auto")


@dataclass
class PathsConfig:
    """Folders other than that of the results.

    Attributes:
        cache: Decoded pictures, features, checkpoints and downloads; null: the platform's cache folder for
            flowersweep. Safe to delete, except for outbox/, which has the only copy of records that wait for an
            MLflow server; without its checkpoint, an interrupted training starts at its first epoch.
        checkpoints: Where the states of interrupted trainings are; null: in the cache. A folder that several machines
            share lets one of them go on with what another one has begun.
    """

    cache: str | None = not_empty(None)
    checkpoints: str | None = not_empty(None)


@dataclass
class Config:
    """A complete run.

    Attributes:
        seed: One integer drives the initial weights, dropout and the order of the pictures.
    """

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
    seed: int = bounded(low=0, high=2**31 - 1)


NODES: dict[str, dict[str, type[Any]]] = {
    "model": {
        "cnn": CNNConfig,
        "mobilenet_frozen": FrozenConfig,
        "mobilenet_ft": FineTunedConfig,
        "backbone": FineTunedConfig,
        "own": OwnConfig,
    },
    "optimizer": {"adam": AdamConfig, "adamw": AdamWConfig, "sgd": SGDConfig, "rmsprop": RMSpropConfig},
    "schedule": {"plateau": PlateauConfig, "constant": ScheduleConfig, "cosine": CosineConfig},
    "aug": {**AUGMENTATIONS, "strong": Stack, "own": Own},
}


def added_keys() -> dict[str, Any]:
    """The keys of `data`, `trainer` and every optimizer that did not exist in the first version, with the values by which it trained.

    A key that is added has such a default in the schema, so that files and studies from before are still valid.
    """
    return {
        f"{group}.{one.name}": one.default if one.default_factory is NO_DEFAULT else one.default_factory()
        for group, node in (("data", DataConfig), ("trainer", TrainerConfig), ("optimizer", OptimizerConfig))
        for one in fields(node)
        if one.default is not MISSING
    }


def register() -> None:
    """Register the dataclasses with Hydra as `schema` and `schema/<group>/<choice>`."""
    store = ConfigStore.instance()
    store.store(name="schema", node=Config, provider="flowersweep", replace=True)
    for group, nodes in NODES.items():
        for choice, node in nodes.items():
            store.store(
                group=f"schema/{group}", name=choice, node=_open(node), provider="flowersweep", replace=True
            )


def _open(node: type[Any]) -> Any:
    """A schema to which arguments of the user's own code can be added as other keys are set, without Hydra's `+`."""
    if "arguments" not in {one.name for one in fields(node)}:
        return node
    schema = OmegaConf.structured(node)
    OmegaConf.set_struct(schema.arguments, False)  # noqa: FBT003 (has no name)
    return schema
