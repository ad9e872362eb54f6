"""The phases of a run: the head first if the model requires it, then the suffix. Importing this imports Keras."""

import logging
from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial

from flowersweep.cache.heads import Head
from flowersweep.config.models import FineTunedConfig, FrozenConfig, ModelConfig
from flowersweep.config.optimizers import AdamConfig
from flowersweep.config.schema import Config
from flowersweep.models import build_network
from flowersweep.models.network import Network
from flowersweep.texts import counted
from flowersweep.tracking.store.store import Store
from flowersweep.training.callbacks import EpochCallback, build_own_callbacks
from flowersweep.training.checkpoint.run_checkpoint import NO_CHECKPOINT, RunCheckpoint
from flowersweep.training.dataset import Pictures
from flowersweep.training.environment import memory_exhaustion_reported
from flowersweep.training.fit import Phase, fit
from flowersweep.training.history import History
from flowersweep.training.loader import open_loader
from flowersweep.training.logs.display import ONLY_PHASE
from flowersweep.training.probabilities import Predictions, predict, traced
from flowersweep.training.reuse.heads import reuse_or_train
from flowersweep.training.reuse.warm_start import load_run

log = logging.getLogger(__name__)

HEAD = "head"
FINE_TUNING = "fine-tuning"


def is_frozen(config: Config) -> bool:
    """Whether a configuration has a backbone of which no layer is trained."""
    return isinstance(config.model, FrozenConfig) and getattr(config.model, "fine_tune_at", None) is None


@memory_exhaustion_reported()
def build(config: Config, pictures: Pictures, store: Store) -> tuple[Network, dict[str, str]]:
    """The network of a configuration with its initial weights, and tags that record their origin.

    Raises:
        ConfigError: The network cannot be built, or the run to start from does not fit it.
        TrackingError: There is no run to start from.
        TrainingError: There is not enough memory for the network.
    """
    network = _built(config.model, config, pictures)
    build_own_callbacks(config)  # before a run is created, in case that is not possible
    if not isinstance(config.model, FrozenConfig):
        return network, {}
    lineage = {"frozen": str(is_frozen(config)).lower(), "weights": str(config.model.weights)}
    if isinstance(config.model, FineTunedConfig) and config.model.init_from not in {None, HEAD}:
        lineage["init_from.run_id"] = load_run(network, config, pictures, store)
    return network, lineage


@dataclass(frozen=True)
class Evaluated:
    """Predictions of a trained network for the pictures it was not trained on.

    Attributes:
        validation: Predictions for the validation part.
        test: Predictions for the test part; None if there is none.
    """

    validation: Predictions
    test: Predictions | None


def train_phases(
    network: Network,
    config: Config,
    pictures: Pictures,
    history: History,
    *,
    on_epoch: EpochCallback,
    on_last_phase: EpochCallback = lambda _number, _values: None,
    checkpoint: RunCheckpoint = NO_CHECKPOINT,
) -> Evaluated:
    """Train a network in all its phases, with one count of epochs, and evaluate it.

    Args:
        network: From `build`; afterwards it has the weights of the last phase's best epoch.
        config: The complete configuration.
        pictures: The data.
        history: The epochs are appended to it.
        on_epoch: Called after each epoch, including those of a head that was trained for an earlier run.
        on_last_phase: Also called after each epoch of the last phase, with its number in that phase, counted from 1.
        checkpoint: Of the run; says where it goes on after an interruption.
    """
    model = config.model
    trains_head = isinstance(model, FineTunedConfig) and model.trains_head
    name = FINE_TUNING if trains_head else ONLY_PHASE
    if isinstance(model, FineTunedConfig) and model.trains_head and checkpoint.of_phase(name) is None:
        head = reuse_or_train(
            config, pictures, lambda: _train_head(config, model, pictures, on_epoch, checkpoint)
        )
        history.begin(HEAD)
        history.epochs.extend(head.epochs)
        if head.reused:
            log.info(
                "The head was trained before (%s); it is taken from the cache.",
                counted(len(head.epochs), "epoch"),
            )
            for number, values in enumerate(head.epochs, start=1):
                on_epoch(number, values)
        network.whole.get_layer("logits").set_weights(head.weights)

    def last_phase_epoch(number: int, values: Mapping[str, float]) -> None:
        on_epoch(number, values)
        on_last_phase(number - history.phases[-1][1] + 1, values)

    phase = Phase(
        name, network, lambda: _built(config.model, config, pictures), config.optimizer, config.trainer.epochs
    )
    with open_loader(network, config, pictures) as loader:
        validation = fit(phase, config, loader, history, last_phase_epoch, checkpoint=checkpoint)
        test = (
            None
            if pictures.test is None
            else predict(traced(loader.model(network)), loader.evaluation(pictures.test), pictures.test)
        )
    return Evaluated(validation, test)


def _built(model: ModelConfig, config: Config, pictures: Pictures) -> Network:
    return build_network(
        model, num_classes=len(pictures.catalogue.class_names), image_size=config.trainer.image_size
    )


def _train_head(
    config: Config,
    model: FineTunedConfig,
    pictures: Pictures,
    on_epoch: EpochCallback,
    checkpoint: RunCheckpoint,
) -> Head:
    """Train the new layer on the frozen backbone, with Adam at the learning rate of the head.

    The head is a separate network: only the two arrays of the layer are passed on, and no optimizer state.
    """
    frozen = FrozenConfig(
        name=HEAD,
        learning_rate=model.head.learning_rate,
        backbone=model.backbone,
        weights=model.weights,
        alpha=model.alpha,
        dropout=model.dropout,
    )
    network = _built(frozen, config, pictures)
    optimizer = AdamConfig(
        name="adam",
        learning_rate=model.head.learning_rate,
        clipnorm=None,
        beta_1=0.9,
        beta_2=0.999,
        epsilon=1e-7,
    )
    history = History.of(config.objective.metric)
    rebuild = partial(_built, frozen, config, pictures)
    phase = Phase(HEAD, network, rebuild, optimizer, model.head.epochs, then=FINE_TUNING)
    with open_loader(network, config, pictures) as loader:
        fit(phase, config, loader, history, on_epoch, checkpoint=checkpoint)
    return Head(network.whole.get_layer("logits").get_weights(), history.epochs, reused=False)
