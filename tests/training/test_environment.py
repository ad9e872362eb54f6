"""What a run leaves behind in its process: nothing that the next one would have to carry."""

import gc
import weakref
from collections.abc import Callable

import keras
import numpy as np

from flowersweep.augment import build
from flowersweep.config import Config
from flowersweep.data.stream import training_stream
from flowersweep.training import train
from flowersweep.training.environment import forget_streams
from flowersweep.training.pictures import PictureSet

MakeConfig = Callable[..., Config]


def networks() -> int:
    """How many Keras models live in this process."""
    gc.collect()
    return sum(isinstance(one, keras.Model) for one in gc.get_objects())


def test_the_pictures_of_a_stream_are_let_go() -> None:
    """A stream's pictures stay in memory until the streams are forgotten, and not longer."""
    images = np.zeros((4, 8, 8, 3), np.uint8)
    pictures = weakref.ref(images)
    part = PictureSet(images, np.arange(4), np.zeros(4, np.int32))
    stream = training_stream(part, build("RandomFlip"), image_size=8, batch_size=2, seed=0, epochs=1)
    assert len(list(stream)) == 2
    del images, part, stream
    gc.collect()
    held = pictures() is not None

    forget_streams()
    gc.collect()

    assert held
    assert pictures() is None


def test_a_run_leaves_no_network(make_config: MakeConfig) -> None:
    """After two frozen runs and one of the CNN no more Keras models live than before."""
    frozen = ("model=mobilenet_frozen", "model.weights=null", "model.alpha=0.35", "trainer.image_size=32")
    train(make_config(*frozen))  # what is made once for all is made here
    before = networks()

    for overrides in (frozen, frozen, ()):
        train(make_config(*overrides))

    assert networks() == before
