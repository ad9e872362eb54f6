"""Start of TensorFlow with the settings of a run. Must happen before TensorFlow is first imported in the process."""

import gc
import logging
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager

from flowersweep.doors.tensorflow_api import functions_of_streams
from flowersweep.errors import TrainingError
from flowersweep.hardware import available_processors
from flowersweep.streams import standard_error_held

log = logging.getLogger(__name__)


def start_tensorflow(*, seed: int, threads: int | None, deterministic: bool) -> None:
    """Set what TensorFlow reads at import, import it, and set all seeds.

    oneDNN's kernels are off by default on CPUs without AVX-512, where they more than double the speed of
    convolutions; TensorFlow reads the setting once, at import.

    Args:
        seed: Seeds Python, NumPy, TensorFlow and Keras.
        threads: Number of CPU threads for computations; None for all cores. Can be set once per process.
        deterministic: Turn on TensorFlow's op determinism.
    """
    if "tensorflow" not in sys.modules:
        os.environ.setdefault("TF_ENABLE_ONEDNN_OPTS", "1")
        os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")
        os.environ.setdefault("KERAS_BACKEND", "tensorflow")
        # Otherwise the first process takes all memory of a GPU, and the next training process cannot start.
        os.environ.setdefault("TF_FORCE_GPU_ALLOW_GROWTH", "true")
        # It does not know the limit of a container.
        os.environ.setdefault("TF_NUM_INTRAOP_THREADS", str(available_processors()))
        os.environ.setdefault("TF_NUM_INTEROP_THREADS", str(available_processors()))
    elif os.environ.get("TF_ENABLE_ONEDNN_OPTS") != "1":
        log.warning(
            "TensorFlow was imported before the run started; set TF_ENABLE_ONEDNN_OPTS=1 before importing it."
        )
    first = "tensorflow" not in sys.modules
    with standard_error_held(), _not_imported("sklearn"):
        import keras
        import tensorflow as tf

        # TensorFlow also reports an error if it looks for a GPU and there is none.
        tf.config.list_physical_devices()
    if first:
        # Half a million objects that are never freed: without this, each collection takes 0.2 s to check them.
        gc.freeze()
    if threads is not None:
        _set_threads(threads)
    # A GPU would round the factors of float32 products to 10 bits: features 5 % off, exports unequal to their source.
    tf.config.experimental.enable_tensor_float_32_execution(enabled=False)
    keras.utils.set_random_seed(seed)
    if deterministic:
        tf.config.experimental.enable_op_determinism()


@contextmanager
def _not_imported(package: str) -> Iterator[None]:
    """Within the block a package that has not been imported yet appears not to be installed.

    Keras imports scikit-learn if it is installed, for wrappers that a run does not use; with SciPy, which comes along, this
    is more than a tenth of the time that it takes to start TensorFlow.
    """
    if package in sys.modules:
        yield
        return
    sys.modules[package] = None  # type: ignore[assignment] # as Python documents it
    try:
        yield
    finally:
        del sys.modules[package]


@contextmanager
def memory_exhaustion_reported() -> Iterator[None]:
    """Report in one message that a training needs more memory than there is.

    Raises:
        TrainingError: TensorFlow could not allocate a tensor.
    """
    import tensorflow as tf

    try:
        yield
    except tf.errors.ResourceExhaustedError as error:
        raise TrainingError(
            "The memory of the GPU or of the machine is exhausted; lower trainer.batch_size or trainer.image_size, or "
            "run fewer workers with hydra.sweeper.n_jobs."
        ) from error


@contextmanager
def streams_released() -> Iterator[None]:
    """Release what the data streams created in the block have read; afterwards they cannot be used any more.

    TensorFlow stores each Python function that a stream calls on its outermost graph until the process ends,
    and with it the pictures and features that the function reads.
    """
    known = len(functions_of_streams())
    try:
        yield
    finally:
        del functions_of_streams()[known:]


def _set_threads(threads: int) -> None:
    import tensorflow as tf

    if tf.config.threading.get_intra_op_parallelism_threads() == threads:
        return
    try:
        tf.config.threading.set_intra_op_parallelism_threads(threads)
        tf.config.threading.set_inter_op_parallelism_threads(threads)
    except RuntimeError:
        log.warning("trainer.threads=%d comes too late: TensorFlow has already started its threads.", threads)
