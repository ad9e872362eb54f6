"""Wrapper module for Keras' private API: the graph of a functional model, the averages of an optimizer.

Importing this module imports Keras.
"""

from collections.abc import Iterator
from typing import Any

import keras


def calls(model: keras.Model) -> Iterator[tuple[Any, list[Any]]]:
    """Each call of an operation in a model's graph, with the operations whose outputs are its inputs.

    Private: `Functional._nodes_by_depth`. `model.operations` lists the operations but not their connections,
    and `get_config()` only by name.

    Args:
        model: A functional model. Its layers are operations; there may be others between them.
    """
    for nodes in model._nodes_by_depth.values():
        for node in nodes:
            yield node.operation, [parent.operation for parent in node.parent_nodes]


def averages(optimizer: keras.optimizers.Optimizer) -> list[Any]:
    """The moving averages of the weights for which an optimizer was built, in the order of the weights.

    Private: `Optimizer._model_variables_moving_average`. `keras.callbacks.SwapEMAWeights` is public, but exchanges weights
    and averages by adding and subtracting, which changes both by a rounding error.

    Args:
        optimizer: It was created with `use_ema=True`.
    """
    return list(optimizer._model_variables_moving_average)
