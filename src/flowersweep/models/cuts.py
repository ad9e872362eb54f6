"""The possible cut points of a network, found from its graph, for any functional Keras model.

Importing this module imports Keras.
"""

import math
from dataclasses import dataclass

import keras

from flowersweep.doors.keras_api import calls
from flowersweep.tables import Listing

# Features with more than this multiple of the smallest number of values are too wide for a cut.
WIDE = 2.5


@dataclass(frozen=True)
class LayerRow:
    """A row of the layer table.

    Attributes:
        index: Index in `model.layers`, as in `fine_tune_at`.
        name: The layer's name.
        kind: Its class.
        shape: Output shape without the batch axis.
        trained: Whether it has weights and they are trained.
        cut: Whether the network can be cut after it.
    """

    index: int
    name: str
    kind: str
    shape: tuple[int | None, ...]
    trained: bool
    cut: bool


def cut_points(model: keras.Model) -> list[int]:
    """Indices of the layers whose output is the only input of all later layers.

    After such a layer, no layer needs the output of an earlier one, so the layers up to it are a prefix and the
    rest is a suffix.
    """
    steps = model.operations  # the layers in order, and between them operations that are not layers
    index_of = {id(step): index for index, step in enumerate(steps)}
    reach = [0] * len(steps)  # the last step that needs the output of step i
    for operation, producers in calls(model):
        for producer in (index_of[id(one)] for one in producers):
            reach[producer] = max(reach[producer], index_of[id(operation)])
    cuts = set()
    furthest = 0  # the last step that needs the output of any step before this one
    for index, step in enumerate(steps):
        if furthest <= index:
            cuts.add(id(step))
        furthest = max(furthest, reach[index])
    return [index for index, layer in enumerate(model.layers) if id(layer) in cuts]


def cut_before(model: keras.Model, fine_tune_at: int) -> int:
    """Where to cut a network whose layers from `fine_tune_at` on are trained.

    It is the last cut before `fine_tune_at` with small features: the expanded layers inside an inverted residual
    block have six times as many values as its ends, which would cost more to store and read than computing the few
    layers after the last narrow cut.

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


def table(model: keras.Model, cut: int | None) -> Listing:
    """The layer table for display; `cut` is the last layer of the prefix and is marked."""
    layers = layer_table(model)
    rows = [
        (
            str(row.index),
            row.name,
            row.kind,
            "x".join(map(str, row.shape)),
            "yes" if row.trained else "",
            "<- here" if row.index == cut else "possible" if row.cut else "",
        )
        for row in layers
    ]
    return Listing(
        ("index", "layer", "kind", "output", "trained", "cut"),
        rows,
        title=f"{model.name}, {len(model.layers)} layers",
        optional=("kind",),
        styles=["bold green" if row.trained else None for row in layers],
    )


def layers_csv(model: keras.Model) -> str:
    """The layer table as CSV text."""
    rows = (
        f"{row.index},{row.name},{row.kind},{'x'.join(map(str, row.shape))},{row.trained},{row.cut}"
        for row in layer_table(model)
    )
    return "\n".join(["index,name,kind,output_shape,trained,cut", *rows, ""])
