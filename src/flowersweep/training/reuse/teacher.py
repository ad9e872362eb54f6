"""Distillation: a part of each training label comes from a model that was trained before, often an ensemble.

The teacher sees every picture once, without augmentation, so that its answer belongs to the picture and costs one pass
(Hinton et al. 2015, arXiv 1503.02531, at temperature 1). Importing this module imports Keras.
"""

import logging
from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt
from omegaconf import OmegaConf

from flowersweep.cache.rows import own_errors
from flowersweep.config import cache_dir
from flowersweep.config.schema import Config
from flowersweep.data import open_pixel_store
from flowersweep.data.stream import Part, evaluation_stream
from flowersweep.progress import progress
from flowersweep.tracking.lookup import run_model
from flowersweep.tracking.store.store import Store
from flowersweep.training.dataset import Pictures, PictureSet
from flowersweep.training.environment import memory_exhaustion_reported, streams_released
from flowersweep.training.probabilities import traced
from flowersweep.training.reuse.warm_start import MISSING_IN_OLD, check_other_run

if TYPE_CHECKING:
    import keras

log = logging.getLogger(__name__)


@memory_exhaustion_reported()
@streams_released()
def with_teacher(config: Config, pictures: Pictures, store: Store) -> Pictures:
    """The pictures of a run, with the labels that `trainer.teacher` and `trainer.teacher_share` ask for.

    Args:
        config: The complete configuration.
        pictures: The data; returned as they are without a teacher.
        store: The store of the teacher's run.

    Raises:
        ConfigError: The teacher has other classes, or its run other pictures or another split.
        TrackingError: There is no such run, or it has saved no model.
        TrainingError: There is not enough memory for the teacher.
    """
    run_id, share = config.trainer.teacher, np.float32(config.trainer.teacher_share)
    if run_id is None:
        return pictures
    theirs = check_other_run("trainer.teacher", run_id, config, pictures, store)
    model = run_model(store, run_id)
    log.info("The teacher, run %s, looks at the training pictures.", run_id)
    images = open_pixel_store(
        pictures.catalogue,
        fingerprint=pictures.fingerprint,
        size=model.input_shape[1],
        cache=cache_dir(config.paths.cache),
        resizing=OmegaConf.select(theirs, "data.resize", default=MISSING_IN_OLD["data.resize"]),
    ).images
    with own_errors(images):
        answers = _probabilities(model, PictureSet(images, pictures.train.indices, pictures.train.labels))
    targets = answers * share
    targets[np.arange(len(targets)), pictures.train.labels] += 1 - share
    return replace(pictures, train=replace(pictures.train, targets=targets))


def _probabilities(model: "keras.Model", part: Part) -> npt.NDArray[np.float32]:
    """What a saved model says about each picture of a part, shape (m, n_classes)."""
    forward, rows = traced(model), []
    with progress("Teacher", len(part.indices)) as advance:
        for images, _ in evaluation_stream(part):
            rows.append(np.asarray(forward(images)))
            advance(len(rows[-1]))
    return np.concatenate(rows)
