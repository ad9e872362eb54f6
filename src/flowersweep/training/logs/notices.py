"""Notices before the start of a run or a sweep, one line each."""

import logging
import math
from collections.abc import Iterator

from flowersweep.config import cache_dir
from flowersweep.config.optimizers import CosineConfig
from flowersweep.config.schema import Config
from flowersweep.data import Catalogue, Split, possible_copies
from flowersweep.data.notices import Notice, picture_notices
from flowersweep.training.dataset import Found, divided

TOP = 3  # of the metric val_top3
FEW_STEPS, ENOUGH_STEPS = 3, 8  # per epoch

log = logging.getLogger(__name__)


def notices(config: Config, catalogue: Catalogue, parts: Split) -> Iterator[Notice]:
    """Notices about unusual pictures and about settings with surprising effects."""
    contents = possible_copies(catalogue, cache_dir(config.paths.cache))
    yield from picture_notices(catalogue, parts, contents)
    yield from _few_steps(config.trainer.batch_size, len(parts.train))
    if "top3" in config.objective.metric and len(catalogue.class_names) <= TOP:
        yield Notice(
            f"{config.objective.metric} is 1 for every network, because there are only {len(catalogue.class_names)} classes",
            "choose another objective.metric",
        )
    schedule, trainer = config.schedule, config.trainer
    may_stop = trainer.patience is not None and trainer.patience + 1 < trainer.epochs
    if isinstance(schedule, CosineConfig) and schedule.epochs is None and may_stop:
        yield Notice(
            f"The cosine schedule reaches its low rates only at the end of trainer.epochs={trainer.epochs}, but "
            f"trainer.patience={trainer.patience} may stop the training earlier",
            "give the schedule its own length, schedule.epochs=N, or set trainer.patience=null",
        )


def _few_steps(batch_size: int, count: int) -> Iterator[Notice]:
    """An epoch of one or two steps: the optimizer hardly moves, and early stopping counts epochs."""
    steps = math.ceil(count / batch_size)
    if steps >= FEW_STEPS or count < FEW_STEPS:
        return
    fitting = 2 ** int(math.log2(max(count / ENOUGH_STEPS, 1)))
    yield Notice(
        f"The {count} training pictures are only {steps} step{'s' * (steps > 1)} per epoch with "
        f"trainer.batch_size={batch_size}",
        f"use trainer.batch_size={fitting}, which makes it {math.ceil(count / fitting)}",
    )


def tell(config: Config, catalogue: Catalogue, parts: Split) -> None:
    """Log the notices of a run."""
    for notice in notices(config, catalogue, parts):
        log.warning("%s", notice)


def tell_of_pictures_to_come(config: Config, found: Found | None = None) -> None:
    """Log the notices before the pictures are decoded, once for all trials of a sweep.

    Args:
        config: The configuration of the first trial.
        found: Its pictures, from `find_pictures`, if it was called before.

    Raises:
        DataError: The pictures are missing, unreadable or too few.
    """
    catalogue, _, parts = divided(config, found)
    tell(config, catalogue, parts)
