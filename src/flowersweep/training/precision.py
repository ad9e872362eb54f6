"""The precision of training. Weights, validation and the saved model are always float32."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from flowersweep.config.models import CNNConfig
from flowersweep.config.schema import Config

# Instructions that multiply bfloat16 numbers; without them a CPU converts every number and is far slower.
BFLOAT16_FLAGS = frozenset({"avx512_bf16", "amx_bf16"})


def resolve_precision(config: Config) -> str:
    """float32 or bfloat16: what `trainer.precision` means for this network on this machine.

    `auto` is bfloat16 where measurements showed a benefit: for the CNN and for fine-tuned convolutions on a CPU that
    has instructions for it. A network of which only the last layer is trained has float32 only, as has the head before
    fine-tuning.
    """
    chosen = config.trainer.precision
    if chosen != "auto":
        return chosen
    model = config.model
    trains_convolutions = isinstance(model, CNNConfig) or getattr(model, "fine_tune_at", None) is not None
    return "bfloat16" if trains_convolutions and cpu_has_bfloat16() else "float32"


def cpu_has_bfloat16(cpuinfo: Path = Path("/proc/cpuinfo")) -> bool:
    """Whether the CPU has bfloat16 instructions, as reported by Linux; False on other systems."""
    if not cpuinfo.exists():
        return False
    for line in cpuinfo.read_text(encoding="utf-8", errors="replace").splitlines():
        if line.startswith("flags"):
            return bool(BFLOAT16_FLAGS & set(line.split()))
    return False


@contextmanager
def policy(precision: str) -> Iterator[None]:
    """Build layers for a precision: mixed_bfloat16 computes in bfloat16 and keeps float32 weights."""
    import keras

    before = keras.config.dtype_policy()
    keras.config.set_dtype_policy("mixed_bfloat16" if precision == "bfloat16" else "float32")
    try:
        yield
    finally:
        keras.config.set_dtype_policy(before)
