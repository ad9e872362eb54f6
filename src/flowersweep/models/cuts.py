"""Where a network can be cut in two: found from its graph, for any functional Keras model.

Importing this module imports Keras.
"""

import math
from dataclasses import dataclass

import keras

# Features with more than this many times the values of the smallest ones are too wide to cut at.
WIDE = 2.5


@dataclass(frozen=True)
class LayerRow:
    """One line of the layer table.

    Attributes:
        index: Position in `model.layers`, as `fine_tune_at` counts.
        name: The layer's name.
        kind: Its class.
        shape: Output shape without the batch axis.
        trained: Whether it has weights and they are trained.
        cut: Whether the network can be cut behind it.
    """

    index: int
    name: str
    kind: str
    shape: tuple[int | None, ...]
    trained: bool
    cut: bool


def cut_points(model: keras.Model) -> list[int]:
    """Indices of the layers whose one output carries everything onward.

    Behind such a layer no later layer needs the output of an earlier one, so that the layers up to it are a
    prefix and the rest a suffix.
    """
    index_of = {id(layer): index for index, layer in enumerate(model.layers)}
    reach = [0] * len(model.layers)  # the last layer that needs the output of layer i
    for nodes in model._nodes_by_depth.values():  # noqa: SLF001 (Keras has no public view of a model's graph)
        for node in nodes:
            for parent in node.parent_nodes:
                producer = index_of[id(parent.operation)]
                reach[producer] = max(reach[producer], index_of[id(node.operation)])
    cuts = []
    furthest = 0  # the last layer that needs the output of any layer before this one
    for index in range(len(model.layers)):
        if furthest <= index and len(model.layers[index].output.shape) > 1:
            cuts.append(index)
        furthest = max(furthest, reach[index])
    return cuts


def cut_before(model: keras.Model, fine_tune_at: int) -> int:
    """Where to cut a network whose layers from `fine_tune_at` on are trained.

    Of the cuts whose layers all lie before `fine_tune_at` it is the last one with small features: the widened
    layers inside an inverted residual block hold six times as many numbers as its ends, which would cost more to
    store and read than the few layers behind the last narrow cut cost to compute.

    Returns:
        Index of the last layer of the prefix; 0, the input itself, if there is no other.
    """
    cuts = [index for index in cut_points(model) if index < max(fine_tune_at, 1)]
    smallest = min(_values_per_picture(model, index) for index in cuts)
    return max(index for index in cuts if _values_per_picture(model, index) <= WIDE * smallest)


def _values_per_picture(model: keras.Model, index: int) -> int:
    return math.prod(model.layers[index].output.shape[1:])


def layer_table(model: keras.Model) -> list[LayerRow]:
    """One row for each layer of a model."""
    cuts = set(cut_points(model))
    return [
        LayerRow(
            index=index,
            name=layer.name,
            kind=type(layer).__name__,
            shape=tuple(layer.output.shape[1:]),
            trained=bool(layer.trainable_weights),
            cut=index in cuts,
        )
        for index, layer in enumerate(model.layers)
    ]


def layers_csv(model: keras.Model) -> str:
    """The layer table as CSV text."""
    rows = (
        f"{row.index},{row.name},{row.kind},{'x'.join(map(str, row.shape))},{row.trained},{row.cut}"
        for row in layer_table(model)
    )
    return "\n".join(["index,name,kind,output_shape,trained,cut", *rows, ""])
