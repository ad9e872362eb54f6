"""Wrapper module for TensorFlow's private API: the Python functions that its graphs hold."""

from typing import Any


def functions_of_streams() -> list[Any]:
    """Return the mutable list of Python functions that data streams have called since the process started.

    Private: `Graph._py_funcs_used_in_graph` of the outermost graph, created when the first function is called; before that
    the list is empty. TensorFlow has no public way to release them.
    """
    import tensorflow as tf

    return getattr(tf.compat.v1.get_default_graph(), "_py_funcs_used_in_graph", [])
