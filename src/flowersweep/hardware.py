"""What this machine computes with: its processors and GPUs."""

import os


def available_processors() -> int:
    """How many processors this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def has_gpu() -> bool:
    """Whether TensorFlow sees a GPU; imports TensorFlow."""
    import tensorflow as tf

    return bool(tf.config.list_physical_devices("GPU"))
