"""The one door to what TensorFlow keeps private: the Python functions that its graphs hold."""

from typing import Any


def functions_of_streams() -> list[Any]:
    """Return the list, to be changed, of Python functions that streams of data have called since the process began.

    Private: `Graph._py_funcs_used_in_graph` of the outermost graph, made when the first function is called; before that
    the list is empty. TensorFlow has no public way to let go of them.
    """
    import tensorflow as tf

    return getattr(tf.compat.v1.get_default_graph(), "_py_funcs_used_in_graph", [])
