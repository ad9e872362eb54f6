"""One training phase: compile, stream, fit. Importing this module imports Keras."""

from collections.abc import Mapping
from typing import Any

import keras

from flowersweep.config.schema import Config, PlateauConfig
from flowersweep.data.stream import evaluation_stream, steps_per_epoch, training_stream
from flowersweep.training.callbacks import BestWeights, EpochListener, EpochLog, LearningRateGuard
from flowersweep.training.display import TrainingDisplay
from flowersweep.training.history import History, maximized
from flowersweep.training.optimizer import build_optimizer, first_learning_rate
from flowersweep.training.pictures import Pictures


def fit(model: keras.Model, config: Config, pictures: Pictures, on_epoch: EpochListener) -> History:
    """Train a model on the pictures and leave it with the weights of its best epoch.

    Args:
        model: From raw pictures to logits; compiled here.
        config: The whole configuration.
        pictures: The data.
        on_epoch: Called after each epoch with its number, counted from 1, and its values.

    Returns:
        What happened in each epoch.

    Raises:
        TrainingError: The loss is not a number, or the learning rate is not the configured one.
    """
    steps = steps_per_epoch(len(pictures.train), config.trainer.batch_size)
    optimizer = build_optimizer(config.optimizer, config.schedule, steps_per_epoch=steps, epochs=config.trainer.epochs)
    model.compile(
        optimizer=optimizer,
        loss=keras.losses.SparseCategoricalCrossentropy(from_logits=True),
        metrics=[keras.metrics.SparseCategoricalAccuracy(name="accuracy")],
    )
    history = History(monitor=config.objective.metric.rpartition("/")[2])
    with TrainingDisplay(config.trainer.epochs, steps) as display:

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
                epochs=config.trainer.epochs,
            ),
            steps_per_epoch=steps,
            epochs=config.trainer.epochs,
            validation_data=evaluation_stream(pictures.validation),
            shuffle=False,  # the stream has its own order in every epoch
            verbose=0,
            callbacks=[
                LearningRateGuard(first_learning_rate(config.optimizer, config.schedule)),
                EpochLog(len(pictures.train), epoch_done),
                keras.callbacks.LambdaCallback(on_train_batch_end=lambda batch, logs: display.batch()),  # noqa: ARG005 (Keras names them)
                *_schedule_callbacks(config),
                *_stopping_callbacks(config),
                BestWeights(history.monitor, maximize=maximized(history.monitor)),
            ],
        )
    return history


def _schedule_callbacks(config: Config) -> list[Any]:
    schedule = config.schedule
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
