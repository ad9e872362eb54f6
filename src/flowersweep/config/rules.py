"""Rules across the groups of a configuration: values that are legal alone but not together."""

import re
from collections.abc import Iterator
from importlib.util import find_spec

from flowersweep.config.class_weight import named_weights
from flowersweep.config.models import FineTunedConfig, FrozenConfig, OwnConfig
from flowersweep.config.optimizers import CosineConfig
from flowersweep.config.own_code import own_builder, own_callbacks
from flowersweep.config.schema import ALSO, Config
from flowersweep.errors import ConfigError, WeightsError
from flowersweep.texts import expanded, nearest

# Smallest side of a picture for which Keras builds a backbone: most halve it five times.
MIN_BACKBONE_SIZE = 32
MIN_BACKBONE_SIZES = {"InceptionV3": 75, "Xception": 71}
# Where MLflow can store runs; it rejects plain folders since 3.x.
TRACKING_SCHEMES = ("sqlite", "http", "https", "postgresql", "mysql", "mssql")
# Backbones whose width can be chosen, and the widths for which Keras has ImageNet weights.
ALPHAS = {"MobileNetV2": (0.35, 0.5, 0.75, 1.0, 1.3, 1.4), "MobileNet": (0.25, 0.5, 0.75, 1.0)}
_RUN_ID = re.compile(r"[0-9a-f]{32}")
# Layers of MobileNetV2 without its top; for other backbones the number is known after they are built.
MOBILENET_V2_LAYERS = 154


def conflicts(config: Config) -> Iterator[str]:
    """Messages about values that are legal alone but not together."""
    yield from _split(config)
    scheme = (config.tracking.uri or "sqlite://").partition("://")[0].partition("+")[0]
    if scheme not in TRACKING_SCHEMES:
        yield (
            f"tracking.uri must start with one of {', '.join(f'{known}://' for known in TRACKING_SCHEMES)}, but is "
            f"{config.tracking.uri!r}; for a folder of results set tracking.dir and leave tracking.uri out."
        )
    if config.tracking.tensorboard and find_spec("tensorboard") is None:
        yield (
            "tracking.tensorboard is true, but the package tensorboard is not installed; install it with "
            "`pip install tensorboard`, or set tracking.tensorboard=false."
        )
    yield from _schedule(config)
    yield from _objectives(config)
    yield from _class_weight(config)
    if config.trainer.teacher is not None and not _RUN_ID.fullmatch(config.trainer.teacher):
        yield (
            f"trainer.teacher must be null or an MLflow run id of 32 hex digits, but is {config.trainer.teacher!r}; "
            "`flowersweep ensemble` and the MLflow UI show the ids of runs."
        )
    yield from _cnn_too_deep(config)
    yield from _backbone(config)
    yield from config.aug.problems()
    yield from _own_code(config)
    yield from _precision(config)


def _split(config: Config) -> Iterator[str]:
    """The settings of the split belong to its kind."""
    data = config.data
    if data.folds is None and data.validation_split + data.test_split >= 1:
        yield (
            f"data.validation_split + data.test_split must be less than 1, but are {data.validation_split} + "
            f"{data.test_split}; nothing would be left to train on."
        )
    if data.split in {"csv", "groups"} and data.split_file is None:
        column = "part" if data.split == "csv" else "group"
        yield f"data.split={data.split} needs a CSV file with the columns file,{column}; add data.split_file=FILE."
    if data.split not in {"csv", "groups"} and data.split_file is not None:
        yield f"data.split_file is only read with data.split=csv or groups, but data.split is {data.split}; add one of them."
    if data.split in {"folders", "csv"} and data.test_split:
        yield (
            f"data.test_split={data.test_split} has no effect with data.split={data.split}, where you name the test "
            "pictures; leave it out."
        )
    if data.folds is not None and data.split not in {"stratified", "groups"}:
        yield (
            f"data.folds={data.folds} needs data.split=stratified, or groups, but data.split is {data.split}; add "
            "data.split=stratified."
        )
    if data.folds is None and data.fold is not None:
        yield f"data.fold={data.fold} needs the number of folds; add data.folds=5, or leave it out."
    if data.folds is not None and data.fold is not None and data.fold >= data.folds:
        yield f"data.fold must be less than data.folds, but they are {data.fold} and {data.folds}; folds count from 0."


def _schedule(config: Config) -> Iterator[str]:
    """A cosine must end within the training, and its warm-up before the end of every phase that has it."""
    schedule, epochs = config.schedule, config.trainer.epochs
    if not isinstance(schedule, CosineConfig):
        return
    if schedule.epochs is not None and schedule.epochs > epochs:
        yield (
            f"schedule.epochs must be at most trainer.epochs, but they are {schedule.epochs} and {epochs}; the rate "
            "would not reach its final value; shorten the schedule or train longer."
        )
    limits = {"trainer.epochs": epochs, "schedule.epochs": schedule.epochs}
    if isinstance(config.model, FineTunedConfig) and config.model.trains_head:
        limits["model.head.epochs"] = config.model.head.epochs
    for key, limit in limits.items():
        if limit is not None and schedule.warmup_epochs >= limit:
            yield (
                f"schedule.warmup_epochs must be less than {key}, but they are {schedule.warmup_epochs} and {limit}; "
                "shorten the warm-up or train longer."
            )


def _objectives(config: Config) -> Iterator[str]:
    """Objectives must be unique, and logged by runs."""
    seen = [config.objective.metric]
    for name in config.objective.also:
        if name not in ALSO:
            yield f"objective.also must be one of {', '.join(ALSO)}, but is {name!r}.{nearest(name, ALSO)}"
        elif name in seen:
            yield f"objective.also contains {name}, which is already an objective; remove it."
        seen.append(name)


def _class_weight(config: Config) -> Iterator[str]:
    """Weights must be numbers by names; whether the names are those of classes is known with the pictures."""
    try:
        named_weights(config.trainer.class_weight)
    except ConfigError as error:
        yield str(error)


def _own_code(config: Config) -> Iterator[str]:
    """Networks and callbacks of the user's own must be allowed and exist; they are imported when TensorFlow runs."""
    for code_of in (own_builder, own_callbacks):
        try:
            code_of(config)
        except ConfigError as error:
            yield str(error)


def _precision(config: Config) -> Iterator[str]:
    """A run must not claim a precision in which nothing was computed."""
    if config.trainer.precision != "bfloat16":
        return
    model = config.model
    if isinstance(model, FrozenConfig) and getattr(model, "fine_tune_at", None) is None:
        yield (
            "trainer.precision=bfloat16 has no effect on a frozen backbone, whose new layer is always trained in float32; "
            "leave it out, or train layers of the backbone, as with model=mobilenet_ft."
        )
    if isinstance(model, OwnConfig):
        yield (
            "trainer.precision=bfloat16 is not available with model=own; leave it out, and give layers of your own network a "
            'dtype="mixed_bfloat16" where you want it.'
        )


def _cnn_too_deep(config: Config) -> Iterator[str]:
    """Each block of the CNN needs at least one pixel after its convolution and pooling."""
    filters = getattr(config.model, "filters", None)
    if filters is None:
        return
    kernel = config.model.kernel_size  # type: ignore[attr-defined]  # only the CNN's config has filters
    side = config.trainer.image_size
    for block in range(len(filters)):
        side = (side - kernel + 1) // 2
        if side < 1:
            yield (
                f"model.filters has {len(filters)} blocks, but pictures of {config.trainer.image_size} pixels have "
                f"room for {block}; use fewer blocks, or a larger trainer.image_size."
            )
            return


def _backbone(config: Config) -> Iterator[str]:
    """Rules of a pretrained backbone that can be checked without building it."""
    model = config.model
    if not isinstance(model, FrozenConfig):
        return
    smallest = MIN_BACKBONE_SIZES.get(model.backbone, MIN_BACKBONE_SIZE)
    if config.trainer.image_size < smallest:
        yield (
            f"trainer.image_size must be at least {smallest} for {model.backbone}, but is {config.trainer.image_size}; "
            "smaller pictures leave no pixel after its strides."
        )
    if model.alpha is not None and model.backbone not in ALPHAS:
        yield f"model.alpha is {model.alpha}, but {model.backbone} exists in one width only; set model.alpha=null."
    elif (
        model.alpha is not None and model.weights == "imagenet" and model.alpha not in ALPHAS[model.backbone]
    ):
        widths = ", ".join(str(alpha) for alpha in ALPHAS[model.backbone])
        yield f"model.alpha must be one of {widths}, for which ImageNet weights exist, but is {model.alpha}."
    if isinstance(model, FineTunedConfig):
        yield from _fine_tuned(model)


def _fine_tuned(model: FineTunedConfig) -> Iterator[str]:
    if model.backbone == "MobileNetV2" and (model.fine_tune_at or 0) > MOBILENET_V2_LAYERS:
        yield (
            f"model.fine_tune_at must be at most {MOBILENET_V2_LAYERS}, the number of MobileNetV2's layers, but is "
            f"{model.fine_tune_at}; use model=mobilenet_frozen to train none of them."
        )
    if model.init_from not in {None, "head", "best"} and not _RUN_ID.fullmatch(str(model.init_from)):
        yield (
            f"model.init_from must be head, best, null or an MLflow run id of 32 hex digits, but is "
            f"{model.init_from!r}.{nearest(model.init_from, ('head', 'best'))}"
        )


def require_weights(config: Config) -> None:
    """The one rule whose result may change later: the file may be on a mounted folder."""
    weights = getattr(config.model, "weights", None)
    if weights not in {None, "imagenet"} and not expanded(str(weights)).is_file():
        raise WeightsError(
            f"model.weights must be imagenet, null or an existing .weights.h5 file, but there is no file {weights!r}."
        )
