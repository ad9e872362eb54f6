"""Warm start from the weights of another run. Only weights are loaded, no optimizer state."""

import logging
from collections.abc import Mapping
from types import MappingProxyType
from typing import TYPE_CHECKING

from omegaconf import DictConfig, OmegaConf

from flowersweep.config.locations import EXPERIMENT
from flowersweep.config.models import FineTunedConfig
from flowersweep.config.schema import Config
from flowersweep.data.split_file import split_table
from flowersweep.errors import ConfigError
from flowersweep.fields import maximized
from flowersweep.redaction import redacted
from flowersweep.tracking.lookup import (
    Files,
    best_run_id,
    run_config,
    run_fingerprint,
    run_labels,
    run_model,
)
from flowersweep.tracking.run import SPLIT_FILE
from flowersweep.tracking.store.store import Store
from flowersweep.training.dataset import Pictures

if TYPE_CHECKING:  # it imports Keras
    from flowersweep.models.network import Network

log = logging.getLogger(__name__)

# Of data.split_file the content counts, wherever the file is.
SPLIT_KEYS = ("split", "folds", "fold", "split_seed", "validation_split", "test_split")
# What holds for runs of versions that had no such key.
MISSING_IN_OLD = {"data.split": "keras", "data.resize": "stretch"}


def load_run(network: "Network", config: Config, pictures: Pictures, store: Store) -> str:
    """Load the weights of the run that `model.init_from` names into a network.

    Args:
        network: The network whose weights are set.
        config: Its configuration; `best` means the best finished frozen run of the same backbone in the experiment.
        pictures: The data; the other run must have the same classes.
        store: The store of the other run.

    Returns:
        The id of the other run.

    Raises:
        ConfigError: The other run has other classes, other pictures, another picture size, backbone or split.
        TrackingError: There is no such run, or it has saved no model.
    """
    model = config.model
    assert isinstance(model, FineTunedConfig)  # noqa: S101 (for the type checker; nothing else has init_from)
    run_id = str(model.init_from)
    if run_id == "best":
        run_id = best_start(config, pictures.fingerprint, store)
    network_keys = {
        "model.backbone": model.backbone,
        "model.alpha": model.alpha,
        "trainer.image_size": config.trainer.image_size,
        "data.resize": config.data.resize,
    }
    check_other_run("model.init_from", run_id, config, pictures, store, also=network_keys)
    network.whole.set_weights(run_model(store, run_id).get_weights())
    log.info("Starting from the weights of run %s.", run_id)
    return run_id


def best_start(config: Config, fingerprint: str, store: Store) -> str:
    """The id of the run that `model.init_from=best` currently refers to.

    Args:
        config: Its backbone and objective are used.
        fingerprint: The fingerprint of the pictures; the other run must have been trained on the same ones.
        store: The store to search.

    Raises:
        TrackingError: There is no such run.
    """
    model = config.model
    assert isinstance(model, FineTunedConfig)  # noqa: S101 (as above)
    metric = config.objective.metric
    wanted = (
        f"params.`model.backbone` = '{model.backbone}' and tags.frozen = 'true' "
        f"and dataset.digest = '{fingerprint}'"
    )
    experiments = [config.tracking.experiment]
    if experiments[0].startswith(
        f"{EXPERIMENT}/"
    ):  # of a data set, whose earlier runs may be in the other one
        experiments.append(EXPERIMENT)
    return best_run_id(store, experiments, filter_string=wanted, metric=metric, maximize=maximized(metric))


def check_other_run(
    setting: str,
    run_id: str,
    config: Config,
    pictures: Pictures,
    store: Store,
    *,
    also: Mapping[str, object] = MappingProxyType({}),
) -> DictConfig:
    """Refuse a run with other classes, other pictures or another split.

    It may have been trained on pictures that validate or test this run: with one picture more, the same settings give
    another split.

    Args:
        setting: The key that names the run.
        run_id: The id of the run.
        config: The configuration of this run.
        pictures: The pictures of this run.
        store: The store of the other run.
        also: Further keys and the values that the other run must have.

    Returns:
        The configuration of the other run.

    Raises:
        ConfigError: They do not agree.
        TrackingError: There is no such run.
    """
    theirs, ours = run_labels(store, run_id), list(pictures.catalogue.class_names)
    if theirs != ours:
        raise ConfigError(
            f"{setting}={run_id} distinguishes {', '.join(theirs)}, but the data has {', '.join(ours)}; "
            "name a run on the same classes."
        )
    other = run_config(store, run_id)
    for key, expected in {**{f"data.{key}": getattr(config.data, key) for key in SPLIT_KEYS}, **also}.items():
        received = OmegaConf.select(other, key, default=MISSING_IN_OLD.get(key))
        if received != expected:
            raise ConfigError(
                f"{setting}={run_id} has {key}={received}, but this run has {key}={expected}; they must agree."
            )
    file = config.data.split_file
    # What a run stores is without passwords.
    if file is not None and Files(store, run_id).text(SPLIT_FILE) != redacted(split_table(file)):
        raise ConfigError(
            f"{setting}={run_id} has another data.split_file than {file}, so it may have been trained on pictures that "
            "validate this run; restore that file, or name a run with this one."
        )
    if (trained_on := run_fingerprint(store, run_id)) != pictures.fingerprint:
        raise ConfigError(
            f"{setting}={run_id} was trained on other pictures (fingerprint {trained_on}, but those of this run have "
            f"{pictures.fingerprint}), perhaps on some that validate this run; restore those pictures, or name a run on these."
        )
    return other
