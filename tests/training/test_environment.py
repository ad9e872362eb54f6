"""What a run leaves behind in its process: nothing that the next one would have to carry."""

import gc
import os
import subprocess
import sys
import weakref
from collections.abc import Callable

import keras
import numpy as np
import numpy.typing as npt
import pytest
import tensorflow as tf

from flowersweep.augment import build
from flowersweep.config import Config
from flowersweep.data.stream import training_stream
from flowersweep.errors import TrainingError
from flowersweep.training import train
from flowersweep.training.dataset import PictureSet
from flowersweep.training.environment import memory_exhaustion_reported, start_tensorflow, streams_released

MakeConfig = Callable[..., Config]


def networks() -> int:
    """How many Keras models live in this process."""
    gc.collect()
    return sum(isinstance(one, keras.Model) for one in gc.get_objects())


def stream_over(images: npt.NDArray[np.uint8]) -> tf.data.Dataset:
    """One epoch of some pictures, flipped, in batches of two."""
    part = PictureSet(images, np.arange(len(images)), np.zeros(len(images), np.int32))
    return training_stream(part, build("RandomFlip"), image_size=8, batch_size=2, seed=0, epochs=1)


@pytest.mark.slow
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


@pytest.mark.slow
def test_a_run_leaves_no_network(make_config: MakeConfig) -> None:
    """After two frozen runs and one of the CNN no more Keras models live than before."""
    frozen = ("model=mobilenet_frozen", "model.weights=null", "model.alpha=0.35", "trainer.image_size=32")
    train(make_config(*frozen))  # what is made once for all is made here
    before = networks()

    for overrides in (frozen, frozen, ()):
        train(make_config(*overrides))

    assert networks() == before


def test_float32_products_are_float32() -> None:
    """TensorFlow's own default would round their factors to 10 bits on a GPU."""
    start_tensorflow(seed=0, threads=None, deterministic=False)
    assert not tf.config.experimental.tensor_float_32_execution_enabled()


@pytest.mark.slow
def test_a_process_takes_only_the_gpu_memory_it_needs() -> None:
    """Two training processes may share a GPU; TensorFlow's own default is all memory for the first one.

    Nor does it take more threads than a container has processors, or the time to import scikit-learn, which can be imported
    later all the same.
    """
    code = (
        "import os, sys; from importlib.util import find_spec; from flowersweep.training import environment\n"
        "environment.available_processors = lambda: 3\n"
        "environment.start_tensorflow(seed=0, threads=None, deterministic=False)\n"
        "print(os.environ['TF_FORCE_GPU_ALLOW_GROWTH'], 'sklearn' in sys.modules, find_spec('sklearn') is not None)\n"
        "print(os.environ['TF_NUM_INTRAOP_THREADS'], os.environ['TF_NUM_INTEROP_THREADS'])"
    )
    environment = {name: value for name, value in os.environ.items() if not name.startswith("TF_")}
    done = subprocess.run(
        [sys.executable, "-c", code], env=environment, capture_output=True, text=True, check=True
    )
    assert done.stdout == "true False True\n3 3\n"


def test_exhausted_memory_is_one_message() -> None:
    """TensorFlow's own says which node of its graph it was, and not what to do."""
    with (
        pytest.raises(TrainingError, match=r"lower trainer\.batch_size") as raised,
        memory_exhaustion_reported(),
    ):
        raise tf.errors.ResourceExhaustedError(None, None, "Graph execution error:")
    assert len(str(raised.value).splitlines()) == 1
