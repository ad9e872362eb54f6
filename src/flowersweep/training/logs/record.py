"""What a run logs in addition to the metrics of each epoch."""

import dataclasses
import math
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

import keras
import numpy as np
from omegaconf import OmegaConf

from flowersweep.augment.preview import preview
from flowersweep.config.models import OwnConfig
from flowersweep.config.own_code import own_code
from flowersweep.config.schema import Config, DataConfig
from flowersweep.data.resizing import input_words
from flowersweep.data.split_file import split_table
from flowersweep.figures.confusion import confusion_matrix
from flowersweep.figures.curves import learning_curves
from flowersweep.figures.mistakes import confident_mistakes
from flowersweep.figures.predictions import predictions_table
from flowersweep.models.cuts import layers_csv
from flowersweep.models.network import Network
from flowersweep.redaction import redacted_tree
from flowersweep.tracking.mlflow_tracker import MLflowTracker
from flowersweep.tracking.provenance import provenance
from flowersweep.tracking.rules import key_of
from flowersweep.tracking.run import BUILDER, OWN_CODE, PICTURES, SPLIT_FILE, VALIDATION_TABLE
from flowersweep.training.dataset import Pictures
from flowersweep.training.history import History
from flowersweep.training.probabilities import Predictions

PREVIEW_PICTURES = 6
# Locations on this machine are not hyperparameters. The others would be uninformative columns: they cannot change a
# result, or, like the model's learning rate, are already contained in that of the optimizer.
LOCATIONS = ("paths", "tracking", "data.dir", "data.split_file")
SILENT = (
    "bank.enabled",
    "bank.engine",
    "bank.max_gigabytes",
    "objective",
    "trainer.threads",
    "model.learning_rate",
)


def parameters(config: Config, overrides: Sequence[str] = ()) -> dict[str, object]:
    """The configuration as dotted keys: everything that can change a result or was set by the user.

    Args:
        config: The configuration of the run.
        overrides: The overrides as they were typed, or as a sweep selected them.
    """
    typed = {override.lstrip("+~").partition("=")[0] for override in overrides}
    return {
        key_of(key): value  # the arguments of a network of the user's own may have any name
        for key, value in _flat(config)
        if not key.startswith(LOCATIONS)
        and (key in typed or not (value is None or key.startswith((*SILENT, *_unused(config.data)))))
    }


def _unused(data: DataConfig) -> Iterator[str]:
    """The settings of the split that its kind does not use."""
    if data.split in {"folders", "csv"}:
        yield from ("data.split_seed", "data.test_split")
    if data.split in {"folders", "csv"} or data.folds is not None:
        yield "data.validation_split"


def _flat(node: Any, prefix: str = "") -> Iterator[tuple[str, object]]:
    for field in dataclasses.fields(node):
        name, value = f"{prefix}{field.name}", getattr(node, field.name)
        if dataclasses.is_dataclass(value):
            yield from _flat(value, f"{name}.")
        elif field.name == "arguments":
            yield from ((f"{name}.{key}", argument) for key, argument in value.items())
        else:
            yield name, value


def record_start(
    tracker: MLflowTracker,
    config: Config,
    pictures: Pictures,
    overrides: Sequence[str],
    command: str | None = None,
) -> None:
    """Log the settings of a run before it trains, so that they are known even if the run fails.

    Args:
        tracker: The tracker of the run.
        config: The configuration of the run.
        pictures: The pictures of the run.
        overrides: The overrides as they were typed, or as a sweep selected them.
        command: The command as it was typed; None for the command line of this process.
    """
    tracker.params(parameters(config, overrides))
    # Not everyone who can read a store may know the password of its database.
    plain = redacted_tree(dataclasses.asdict(config))
    tracker.text(config_text(plain), "config/config.yaml")
    tracker.text("".join(f"{override}\n" for override in overrides), "config/overrides.txt")
    tracker.json(provenance(command=command), "config/provenance.json")
    for code in own_code(config):
        tracker.tags({f"code.{code.module}.{code.name}": code.described})
        tracker.text(code.file.read_text(encoding="utf-8"), f"{OWN_CODE}/{code.module}.py")
    if config.data.split_file is not None:
        tracker.text(split_table(config.data.split_file), SPLIT_FILE)
    catalogue = pictures.catalogue
    tracker.json(list(catalogue.class_names), "labels.json")
    counts = np.bincount(catalogue.labels, minlength=len(catalogue.class_names))
    parts = {
        "training": len(pictures.train),
        "validation": len(pictures.validation),
        "test": 0 if pictures.test is None else len(pictures.test),
    }
    # For all runs of an experiment MLflow stores the first profile of a data set, even if they split it differently.
    tracker.tags({f"{PICTURES}{part}": number for part, number in parts.items()})
    # One record: MLflow stores a data set of the same name and digest once per run, whatever its context.
    tracker.dataset(
        config.data.source,
        digest=pictures.fingerprint,
        source=str(catalogue.root),
        context="training, validation" if pictures.test is None else "training, validation, test",
        picture_shape=(config.trainer.image_size, config.trainer.image_size, 3),
        profile={
            "pictures": len(catalogue.paths),
            **parts,
            # A class may be called `validation`.
            **{
                f"class {name}": count
                for name, count in zip(catalogue.class_names, counts.tolist(), strict=True)
            },
        },
    )


def config_text(settings: Mapping[str, Any]) -> str:
    """Settings as YAML from which OmegaConf reads the same values: `${` in a value is literal."""
    # A backslash escapes ${, and backslashes before it are doubled.
    plain = _each_text(settings, lambda text: re.sub(r"(\\*)\$\{", r"\1\1\\${", text))
    return OmegaConf.to_yaml(OmegaConf.create(plain))


def _each_text(node: Any, change: Callable[[str], str]) -> Any:
    if isinstance(node, Mapping):
        return {key: _each_text(value, change) for key, value in node.items()}
    if isinstance(node, list | tuple):
        return [_each_text(value, change) for value in node]
    return change(node) if isinstance(node, str) else node


def network_sizes(network: Network) -> dict[str, float]:
    """The size of a network, as metrics."""
    trained = sum(math.prod(v.shape) for v in network.suffix.trainable_variables)
    return {
        "model/parameters": float(network.whole.count_params()),
        "model/trained_parameters": float(trained),
    }


def record_layers(tracker: MLflowTracker, network: Network) -> None:
    """Log the table of a backbone's layers, if the network has one."""
    if network.base is not None:
        tracker.text(layers_csv(network.base), "layers.csv")


def record_preview(tracker: MLflowTracker, config: Config, pictures: Pictures) -> None:
    """Log what the augmentation does to the first training pictures in the first epochs."""
    rows = pictures.train.indices[:PREVIEW_PICTURES]
    grid = preview(config.aug, pictures.train.images[rows], config.trainer.image_size, indices=rows)
    tracker.image(np.asarray(grid), "augmentation_preview.png")


def record_figures(
    tracker: MLflowTracker, pictures: Pictures, history: History, validation: Predictions
) -> None:
    """Log the figures: curves, confusion matrix and the most confident mistakes."""
    names = pictures.catalogue.class_names
    part = pictures.validation
    curves = learning_curves(history.columns(), best_epoch=history.best_epoch, phases=history.phases)
    tracker.figure(curves, "curves.png")
    tracker.figure(confusion_matrix(validation.labels, validation.predicted, names), "confusion_matrix.png")
    mistakes = confident_mistakes(
        part.images,
        validation.labels,
        validation.probabilities,
        names,
        _paths(pictures),
        rows=part.indices,
    )
    tracker.figure(mistakes, "confident_mistakes.png")


def record_tables(
    tracker: MLflowTracker, pictures: Pictures, history: History, validation: Predictions
) -> None:
    """Log the epochs and the predicted probabilities of each validation picture."""
    tracker.text(history.csv(), "history.csv")
    table = predictions_table(
        _paths(pictures), validation.labels, validation.probabilities, pictures.catalogue.class_names
    )
    tracker.text(table, VALIDATION_TABLE)


def _paths(pictures: Pictures) -> list[str]:
    """File names of the validation pictures, in the part's order."""
    return [pictures.catalogue.paths[index] for index in pictures.validation.indices]


def record_model(tracker: MLflowTracker, served: keras.Model, config: Config, pictures: Pictures) -> None:
    """Log the model that turns raw pictures into probabilities."""
    example = np.asarray(pictures.validation.images[pictures.validation.indices[:1]])
    tracker.model(
        served,
        example=example.astype(np.float32),
        class_names=pictures.catalogue.class_names,
        metadata={
            "image_size": config.trainer.image_size,
            "data_fingerprint": pictures.fingerprint,
            "resize": config.data.resize,
            "input": input_words(config.trainer.image_size, config.data.resize),
            **({BUILDER: config.model.build} if isinstance(config.model, OwnConfig) else {}),
        },
    )
