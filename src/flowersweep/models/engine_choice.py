"""The choice of the engine for a network's prefix: LiteRT on a CPU, TensorFlow on a GPU.

LiteRT (XNNPACK) needs less than half of TensorFlow's processor time for the same features, up to about 1e-5 of
their spread. This is checked on real pictures whenever an engine is created.

Importing this module imports neither Keras nor TensorFlow.
"""

import logging
from importlib.metadata import version
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING

from flowersweep.errors import ConfigError
from flowersweep.hardware import available_processors, has_gpu
from flowersweep.models.engine import Engine, EngineName, Floats, TensorFlowEngine
from flowersweep.models.litert import UnusableError, litert_engine

if TYPE_CHECKING:
    import keras

log = logging.getLogger(__name__)

ENGINES = ("auto", "tensorflow", "litert")

# Pictures per call, measured with MobileNetV2 at 180 pixels. Pictures come in chunks of 32: half of a batch of 64 would
# be padding, and it took more than twice as long on a GPU.
_CPU_BATCH = 16
_GPU_BATCH = 32


def resolve_engine(engine: str) -> EngineName:
    """The engine that a configured one refers to on this machine; imports TensorFlow for `auto`.

    Args:
        engine: One of `ENGINES`. `auto` is LiteRT if it is installed and there is no GPU.

    Raises:
        ConfigError: There is no such engine, or LiteRT is requested and not installed.
    """
    installed = find_spec("ai_edge_litert") is not None
    if engine == "auto":
        return "litert" if installed and not has_gpu() else "tensorflow"
    if engine == "litert" and not installed:
        raise ConfigError(
            "The engine litert needs the package ai-edge-litert, which is not installed; install it with "
            "`pip install ai-edge-litert`, or choose auto or tensorflow."
        )
    if engine not in ENGINES:
        raise ConfigError(f"The engine must be one of {', '.join(ENGINES)}, but is {engine!r}.")
    return "litert" if engine == "litert" else "tensorflow"


def engine_version(name: EngineName) -> str:
    """Name and version of an engine's library, as in "litert 2.3.0" or, with a GPU, "tensorflow 2.21.0 GPU"."""
    if name == "litert":
        return f"litert {version('ai-edge-litert')}"
    return f"tensorflow {version('tensorflow')}{' GPU' if has_gpu() else ''}"


def choose_engine(
    prefix: "keras.Model", *, engine: str, threads: int | None, cache: Path, key: str, sample: Floats
) -> Engine:
    """Create the engine for a prefix on this machine, and compare it with TensorFlow.

    Args:
        prefix: The model.
        engine: One of `ENGINES`. If LiteRT's features differ from TensorFlow's, `auto` logs this and uses TensorFlow.
        threads: CPU threads; None for all processors this process may use. TensorFlow has its own setting.
        cache: The cache folder; converted prefixes are stored in `prefixes/` below it.
        key: Identifies the prefix, including its weights.
        sample: A few real pictures, float32, shape (k, size, size, 3), 0..255, on which the two are compared.

    Raises:
        ConfigError: `engine` is not usable on this machine, or is litert and differs from TensorFlow.
        DataError: The cache cannot be written to.
    """
    if resolve_engine(engine) == "litert":
        try:
            return litert_engine(
                prefix, cache=cache, key=key, threads=threads or available_processors(), sample=sample
            )
        except UnusableError as error:
            if engine == "litert":
                raise ConfigError(f"{error}; choose the engine auto or tensorflow.") from error
            log.warning("%s; the features are computed by TensorFlow.", error)
    return TensorFlowEngine(prefix, _GPU_BATCH if has_gpu() else _CPU_BATCH)
