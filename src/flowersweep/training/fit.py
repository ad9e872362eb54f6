"""One training phase: compile, stream, fit. Importing this module imports Keras."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import keras

from flowersweep.config.schema import Config, OptimizerConfig, PlateauConfig, ScheduleConfig
from flowersweep.data.stream import evaluation_stream, steps_per_epoch, training_stream
from flowersweep.models.network import Network
from flowersweep.training.callbacks import BestWeights, EpochListener, EpochLog, LearningRateGuard
from flowersweep.training.display import TrainingDisplay
from flowersweep.training.history import History, maximized
from flowersweep.training.optimizer import build_optimizer, first_learning_rate
from flowersweep.training.pictures import Pictures


@dataclass(frozen=True)
class Phase:
    """What is trained for how long and how fast.

    Attributes:
        name: As the history and the curves call it.
        network: Whose suffix is trained.
        optimizer: The phase's own; its state never comes from another phase.
        epochs: At the most.
    """

    name: str
    network: Network
    optimizer: OptimizerConfig
    epochs: int


def fit(phase: Phase, config: Config, pictures: Pictures, history: History, on_epoch: EpochListener) -> None:
    """Train a network's suffix on the pictures and leave it with the weights of the phase's best epoch.

    Args:
        phase: What to train.
        config: The whole configuration.
        pictures: The data.
        history: Gets the phase's epochs, behind those it has.
        on_epoch: Called after each epoch with its number in the history, counted from 1, and its values.

    Raises:
        TrainingError: The loss is not a number, or the learning rate is not the configured one.
    """
    steps = steps_per_epoch(len(pictures.train), config.trainer.batch_size)
    model = phase.network.trained()
    model.compile(
        optimizer=build_optimizer(
            phase.optimizer, config.schedule, steps_per_epoch=steps, epochs=phase.epochs
        ),
        loss=keras.losses.SparseCategoricalCrossentropy(from_logits=True),
        metrics=[keras.metrics.SparseCategoricalAccuracy(name="accuracy")],
    )
    earlier = len(history.epochs)
    history.begin(phase.name)
    with TrainingDisplay(phase.name, phase.epochs, steps, first_epoch=earlier) as display:

        def epoch_done(number: int, values: Mapping[str, float]) -> None:
            history.append(values)
            display.epoch(number, values)
            on_epoch(number, values)

        model.fit(
            training_stream(
                pictures.train,
                config.aug,
                image_size=config.trainer.image_size,
                batch_size=config.trainer.batch_size,
                seed=config.seed,
                epochs=phase.epochs,
            ),
            steps_per_epoch=steps,
            epochs=phase.epochs,
            validation_data=evaluation_stream(pictures.validation),
            shuffle=False,  # the stream has its own order in every epoch
            verbose=0,
            callbacks=[
                LearningRateGuard(first_learning_rate(phase.optimizer, config.schedule)),
                EpochLog(len(pictures.train), epoch_done, first_epoch=earlier),
                keras.callbacks.LambdaCallback(on_train_batch_end=lambda batch, logs: display.batch()),  # noqa: ARG005 (Keras names them)
                *_schedule_callbacks(config.schedule),
                *_stopping_callbacks(config),
                BestWeights(phase.network.suffix, history.monitor, maximize=maximized(history.monitor)),
            ],
        )


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
