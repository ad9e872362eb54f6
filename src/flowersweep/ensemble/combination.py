"""Models that combine several models. Importing this module imports Keras."""

from collections.abc import Sequence

import keras
import numpy as np

from flowersweep.errors import ConfigError


def mean_of_probabilities(weighted: Sequence[tuple[keras.Model, int]], *, flip: bool = False) -> keras.Model:
    """A model that returns the weighted mean of the probabilities of several models.

    Args:
        weighted: Models with the same inputs and outputs, and how often each counts.
        flip: Apply each model to the picture and to its horizontal mirror image, and return the mean.

    Returns:
        A model of Keras' own operations, which is saved, exported and loaded like any other.
    """
    pictures = keras.Input(weighted[0][0].input_shape[1:], name="pictures")
    views = [pictures, keras.ops.flip(pictures, axis=2)] if flip else [pictures]
    total = sum(count for _, count in weighted) * len(views)
    terms = []
    for position, (model, count) in enumerate(weighted):
        model.name = f"member_{position}"  # names of layers are unique in a model
        terms += [model(view) * (count / total) for view in views]
    probabilities = terms[0] if len(terms) == 1 else keras.layers.Add(name="probabilities")(terms)
    return keras.Model(pictures, probabilities, name="ensemble")


class Soup:
    """The mean of the weights of several models of one architecture.

    Args:
        models: The models; the first one is cloned.

    Raises:
        ConfigError: Their architectures differ.

    Attributes:
        model: The model; its weights are those of the last mix.
    """

    def __init__(self, models: Sequence[keras.Model]) -> None:
        self._arrays = [model.get_weights() for model in models]
        shapes = [[array.shape for array in some] for some in self._arrays]
        if any(some != shapes[0] for some in shapes):
            raise ConfigError(
                "combine=weights needs models of one architecture, but these differ in the shapes of their weights; "
                "use combine=probabilities."
            )
        self.model = keras.models.clone_model(models[0])

    def mix(self, some: Sequence[int]) -> None:
        """Set the weights to the mean of the models at these positions."""
        arrays = [self._arrays[position] for position in some]
        self.model.set_weights([np.mean(same, axis=0) for same in zip(*arrays, strict=True)])
