"""What flowersweep uses of TensorFlow without its promise is there, and does what it is used for."""

import numpy as np
import tensorflow as tf

from flowersweep.doors.tensorflow_api import functions_of_streams
from private_parts import Part, require


def stream_once() -> None:
    """Let a stream call a Python function."""
    called = tf.data.Dataset.range(1).map(lambda n: tf.numpy_function(np.negative, [n], tf.int64))
    assert list(called.as_numpy_iterator()) == [0]


def test_tensorflow_still_has_it() -> None:
    """The private part is there; the failure says what is gone, and what needs it."""
    stream_once()
    part = Part(
        "Graph._py_funcs_used_in_graph",
        lambda: tf.compat.v1.get_default_graph()._py_funcs_used_in_graph,
        "doors.tensorflow_api.functions_of_streams",
        "let go of the pictures and features that a stream has read",
    )
    require("tensorflow", part)


def test_what_a_stream_calls_is_in_the_list_and_can_be_taken_out() -> None:
    """One function more for a stream, and none once it was forgotten."""
    stream_once()
    known = len(functions_of_streams())
    stream_once()
    assert len(functions_of_streams()) == known + 1
    del functions_of_streams()[known:]
    assert len(functions_of_streams()) == known
