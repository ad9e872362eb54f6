"""Begin with the weights of another run. Weights only: no optimizer's state can come along, and none does."""

import logging
from typing import TYPE_CHECKING

from omegaconf import OmegaConf

from flowersweep.config.models import FineTunedConfig
from flowersweep.config.schema import Config
from flowersweep.errors import ConfigError
from flowersweep.fields import maximized
from flowersweep.tracking.lookup import best_run_id, run_config, run_labels, run_model
from flowersweep.tracking.store.store import Store
from flowersweep.training.dataset import Pictures

if TYPE_CHECKING:  # it imports Keras
    from flowersweep.models.network import Network

log = logging.getLogger(__name__)


def load_run(network: "Network", config: Config, pictures: Pictures, store: Store) -> str:
    """Give a network the weights of the run that `model.init_from` names.

    Args:
        network: Gets the weights.
        config: Its configuration; `best` means the best finished frozen run of the same backbone in the experiment.
        pictures: The data; the other run must tell the same classes apart.
        store: Where the other run is.

    Returns:
        Id of the other run.

    Raises:
        ConfigError: The other run has other classes, another picture size or another backbone.
        TrackingError: There is no such run, or it has saved no model.
    """
    model = config.model
    assert isinstance(model, FineTunedConfig)  # noqa: S101 (for the type checker; nothing else has init_from)
    run_id = str(model.init_from)
    if run_id == "best":
        run_id = best_start(config, pictures.fingerprint, store)
    _check(run_id, config, pictures, store)
    network.whole.set_weights(run_model(store, run_id).get_weights())
    log.info("Starting from the weights of run %s.", run_id)
    return run_id


def best_start(config: Config, fingerprint: str, store: Store) -> str:
    """Id of the run that `model.init_from=best` stands for at this moment.

    Args:
        config: Its backbone and objective count.
        fingerprint: Of the pictures; the other run must have been trained on the same.
        store: Where it is looked for.

    Raises:
        TrackingError: There is none.
    """
    model = config.model
    assert isinstance(model, FineTunedConfig)  # noqa: S101 (as above)
    metric = config.objective.metric
    wanted = (
        f"params.`model.backbone` = '{model.backbone}' and tags.frozen = 'true' "
        f"and dataset.digest = '{fingerprint}'"
    )
    return best_run_id(
        store, config.tracking.experiment, filter_string=wanted, metric=metric, maximize=maximized(metric)
    )


def _check(run_id: str, config: Config, pictures: Pictures, store: Store) -> None:
    """Refuse a run whose weights would not mean the same here."""
    model = config.model
    assert isinstance(model, FineTunedConfig)  # noqa: S101 (as above)
    theirs, ours = run_labels(store, run_id), list(pictures.catalogue.class_names)
    if theirs != ours:
        raise ConfigError(
            f"model.init_from={run_id} tells {', '.join(theirs)} apart, but the data has {', '.join(ours)}; "
            "start from a run on the same classes."
        )
    other = run_config(store, run_id)
    for key, expected in (
        ("model.backbone", model.backbone),
        ("model.alpha", model.alpha),
        ("trainer.image_size", config.trainer.image_size),
    ):
        received = OmegaConf.select(other, key)
        if received != expected:
            raise ConfigError(
                f"model.init_from={run_id} has {key}={received}, but this run has {key}={expected}; they must agree."
            )
