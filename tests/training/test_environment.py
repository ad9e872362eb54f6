"""What a run leaves behind in its process: nothing that the next one would have to carry."""

import gc
import weakref
from collections.abc import Callable

import keras
import numpy as np
import numpy.typing as npt
import tensorflow as tf

from flowersweep.augment import build
from flowersweep.config import Config
from flowersweep.data.stream import training_stream
from flowersweep.training import train
from flowersweep.training.dataset import PictureSet
from flowersweep.training.environment import streams_released

MakeConfig = Callable[..., Config]


def networks() -> int:
    """How many Keras models live in this process."""
    gc.collect()
    return sum(isinstance(one, keras.Model) for one in gc.get_objects())


def stream_over(images: npt.NDArray[np.uint8]) -> tf.data.Dataset:
    """One epoch of some pictures, flipped, in batches of two."""
    part = PictureSet(images, np.arange(len(images)), np.zeros(len(images), np.int32))
    return training_stream(part, build("RandomFlip"), image_size=8, batch_size=2, seed=0, epochs=1)


def test_the_pictures_of_a_stream_are_let_go() -> None:
    """A stream's pictures stay in memory until its block ends, and not longer; other streams go on."""
    earlier = stream_over(np.ones((4, 8, 8, 3), np.uint8))
    with streams_released():
        images = np.zeros((4, 8, 8, 3), np.uint8)
        pictures = weakref.ref(images)
        assert len(list(stream_over(images))) == 2
        del images
        gc.collect()
        held = pictures() is not None
    gc.collect()

    assert held
    assert pictures() is None
    assert len(list(earlier)) == 2


def test_a_run_leaves_no_network(make_config: MakeConfig) -> None:
    """After two frozen runs and one of the CNN no more Keras models live than before."""
    frozen = ("model=mobilenet_frozen", "model.weights=null", "model.alpha=0.35", "trainer.image_size=32")
    train(make_config(*frozen))  # what is made once for all is made here
    before = networks()

    for overrides in (frozen, frozen, ()):
        train(make_config(*overrides))

    assert networks() == before
