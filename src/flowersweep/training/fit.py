"""One training phase: compile, load, fit. Importing this module imports Keras."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any

import keras

from flowersweep.config.optimizers import OptimizerConfig, PlateauConfig, ScheduleConfig
from flowersweep.config.schema import Config
from flowersweep.data.stream import has_soft_labels, steps_per_epoch
from flowersweep.fields import maximized
from flowersweep.models.folded import fold
from flowersweep.models.loss import training_loss
from flowersweep.models.network import Network
from flowersweep.training.callbacks import (
    BestWeights,
    EpochCallback,
    EpochLog,
    LearningRateGuard,
    Validation,
    averaging_callbacks,
    build_own_callbacks,
)
from flowersweep.training.checkpoint.callback import Checkpointing
from flowersweep.training.checkpoint.run_checkpoint import NO_CHECKPOINT, RunCheckpoint
from flowersweep.training.checkpoint.state import PhaseState
from flowersweep.training.history import History
from flowersweep.training.loader import Loader
from flowersweep.training.logs.display import TrainingDisplay
from flowersweep.training.optimizer import build_optimizer, first_learning_rate
from flowersweep.training.precision import policy, resolve_precision
from flowersweep.training.probabilities import Predictions


@dataclass(frozen=True)
class Phase:
    """What is trained, for how long and with which optimizer.

    Attributes:
        name: As used in the history and the curves.
        network: The network whose suffix is trained.
        rebuild: Builds the same network again, for another precision.
        optimizer: The optimizer of this phase; its state never comes from another phase.
        epochs: The maximum number of epochs.
        then: The name of the phase that follows; None for the last one.
    """

    name: str
    network: Network
    rebuild: Callable[[], Network]
    optimizer: OptimizerConfig
    epochs: int
    then: str | None = None


def fit(
    phase: Phase,
    config: Config,
    loader: Loader,
    history: History,
    on_epoch: EpochCallback,
    *,
    checkpoint: RunCheckpoint = NO_CHECKPOINT,
) -> Predictions:
    """Train a network's suffix; afterwards it has the weights of the phase's best epoch.

    Args:
        phase: What to train.
        config: The complete configuration.
        loader: The source of the batches.
        history: The phase's epochs are appended to it; if the phase goes on, it gets those before the interruption, too.
        on_epoch: Called after each epoch with its number in the history, counted from 1, and its values; if the phase goes
            on, first with its epochs before the interruption, as not all who are told may remember them.
        checkpoint: Of the run; says whether this phase goes on after an interruption.

    Returns:
        The predictions of the best epoch for the validation pictures.

    Raises:
        TrainingError: The loss is not a number, or the learning rate is not the configured one.
    """
    count = len(loader.pictures.train)
    steps = steps_per_epoch(count, config.trainer.batch_size)
    optimizer = build_optimizer(phase.optimizer, config.schedule, steps_per_epoch=steps, epochs=phase.epochs)
    trainee = _trainee(phase, config)
    names = loader.pictures.catalogue.class_names
    soft = has_soft_labels(loader.pictures.train, config.aug)
    loss = training_loss(config.trainer, loader.pictures.train.labels, names, soft=soft)
    # Of a soft label the class with the largest share counts as right: of a mixed one, the picture's own.
    accuracy = keras.metrics.CategoricalAccuracy if soft else keras.metrics.SparseCategoricalAccuracy
    model = _compiled(loader.model(trainee), optimizer, loss, accuracy(name="accuracy"))
    validation = _validation(trainee, phase.network, loader)
    best = BestWeights(phase.network.suffix, validation, history.monitor, maximize=maximized(history.monitor))
    averaging = averaging_callbacks(model)
    changing = [*_schedule_callbacks(config.schedule), *_stopping_callbacks(config)]
    # Last, so that they cannot change what is logged and which weights are the best.
    own = build_own_callbacks(config)
    variables = (
        *model.variables,
        *trainee.suffix.variables,
        *phase.network.suffix.variables,
        *optimizer.variables,
    )
    state = PhaseState(variables, best, [*changing, *own])
    before = checkpoint.of_phase(phase.name)
    if before is None:
        history.begin(phase.name)
    else:
        history.go_on(before.about["epochs"], before.about["phases"])
    earlier = history.phases[-1][1] - 1
    done = len(history.epochs) - earlier
    for number, values in enumerate(history.epochs[earlier:], start=earlier + 1):
        on_epoch(number, values)
    if before is not None and (before.about["stopped"] or done == phase.epochs):
        state.restore(before)
        return best.restore()
    with TrainingDisplay(phase.name, phase.epochs, steps, first_epoch=earlier, then=phase.then) as display:

        def epoch_done(number: int, values: Mapping[str, float]) -> None:
            history.append(values)
            display.epoch(number, values)
            on_epoch(number, values)

        model.fit(
            loader.training(phase.epochs, first=done),
            steps_per_epoch=steps,
            epochs=phase.epochs,
            initial_epoch=done,
            shuffle=False,  # the stream has its own order in every epoch
            verbose=0,
            callbacks=[
                *averaging,
                validation,
                LearningRateGuard(first_learning_rate(phase.optimizer, config.schedule)),
                EpochLog(count, epoch_done, first_epoch=earlier),
                keras.callbacks.LambdaCallback(on_train_batch_end=lambda batch, logs: display.batch()),  # noqa: ARG005 (Keras names them)
                *changing,
                best,
                *averaging,
                *own,
                Checkpointing(checkpoint, phase.name, history, state),
            ],
        )
    return best.restore()


def _trainee(phase: Phase, config: Config) -> Network:
    """The network to train: that of the phase, or one that computes the same faster or in another precision."""
    precision = resolve_precision(config)
    if phase.network.base is not None:  # shares its weights
        return replace(phase.network, suffix=fold(phase.network.suffix, precision))
    if precision == "float32":
        return phase.network
    with policy(precision):
        trainee = phase.rebuild()
    trainee.whole.set_weights(phase.network.whole.get_weights())
    return trainee


def _validation(trainee: Network, network: Network, loader: Loader) -> Validation:
    """The callback that validates a network, also while another one is trained instead."""

    def copy_weights() -> None:
        if (
            trainee.suffix is not network.suffix and network.base is None
        ):  # a folded suffix shares the weights
            network.suffix.set_weights(trainee.suffix.get_weights())

    part = loader.pictures.validation
    names = loader.pictures.catalogue.class_names
    return Validation(loader.model(network), loader.evaluation(part), part, names, copy_weights)


def _compiled(
    model: keras.Model,
    optimizer: keras.optimizers.Optimizer,
    loss: keras.losses.Loss,
    accuracy: keras.metrics.Metric,
) -> keras.Model:
    # Variables created inside the traced step would cause a second tracing and would never be freed.
    optimizer.build(model.trainable_variables)
    model.compile(
        optimizer=optimizer,
        loss=loss,
        metrics=[accuracy],
        jit_compile=False,  # on a GPU XLA takes 20 to 60 s to compile each training, and saves 0.1 to 0.3 s per epoch
    )
    return model


def _schedule_callbacks(schedule: ScheduleConfig) -> list[Any]:
    if not isinstance(schedule, PlateauConfig):
        return []
    return [
        keras.callbacks.ReduceLROnPlateau(
            monitor=schedule.monitor,
            mode="max" if maximized(schedule.monitor) else "min",
            factor=schedule.factor,
            patience=schedule.patience,
            min_delta=schedule.min_delta,
            min_lr=schedule.min_lr,
        )
    ]


def _stopping_callbacks(config: Config) -> list[Any]:
    trainer = config.trainer
    if trainer.patience is None:
        return []
    return [
        keras.callbacks.EarlyStopping(
            monitor=trainer.monitor,
            mode="max" if maximized(trainer.monitor) else "min",
            min_delta=trainer.min_delta,
            patience=trainer.patience,
        )
    ]
