"""What flowersweep uses of Keras without its promise is there, and does what it is used for."""

import keras
import pytest
from keras import layers

from flowersweep.doors.keras_api import averages, calls
from private_parts import Part, require


@pytest.fixture(scope="module")
def branched() -> keras.Model:
    """A network with a branch that is added to its input."""
    inputs = keras.Input((4,), name="in")
    branch = layers.Dense(4, name="branch")(inputs)
    return keras.Model(inputs, layers.Add(name="sum")([inputs, branch]))


def test_keras_still_has_it(branched: keras.Model) -> None:
    """The private part is there; the failure says what is gone, and what needs it."""
    purpose = "find where a network can be cut, and which BatchNorm follows a convolution"
    look = lambda: branched._nodes_by_depth  # noqa: E731 (looked at when it is asked for)
    require("keras", Part("Functional._nodes_by_depth", look, "doors.keras_api.calls", purpose))


def test_each_call_names_what_it_needs(branched: keras.Model) -> None:
    """Every operation once, with the operations whose outputs it takes, in their order."""
    found = {operation.name: [one.name for one in producers] for operation, producers in calls(branched)}
    assert found == {"in": [], "branch": ["in"], "sum": ["in", "branch"]}


def test_a_layer_that_is_used_twice_is_called_twice() -> None:
    """Its two calls are told apart by what they take."""
    inputs, shared = keras.Input((4,), name="in"), layers.Dense(4, name="shared")
    model = keras.Model(inputs, shared(shared(inputs)))
    found = [[one.name for one in producers] for operation, producers in calls(model) if operation is shared]
    assert sorted(found) == [["in"], ["shared"]]


def test_an_optimizer_has_an_average_of_each_weight() -> None:
    """They are the optimizer's own variables, in the order of the weights; the failure says what is gone."""
    model = keras.Sequential([keras.Input((3,)), layers.Dense(2)])
    optimizer = keras.optimizers.SGD(use_ema=True)
    optimizer.build(model.trainable_variables)
    name, purpose = "Optimizer._model_variables_moving_average", "validate and save averages of the weights"
    require("keras", Part(name, lambda: averages(optimizer), "doors.keras_api.averages", purpose))
    assert [one.shape for one in averages(optimizer)] == [(3, 2), (2,)]
    optimizer.apply([keras.ops.ones((3, 2)), keras.ops.ones((2,))])
    for average, weight in zip(averages(optimizer), model.trainable_variables, strict=True):
        assert keras.ops.convert_to_numpy(average) == pytest.approx(keras.ops.convert_to_numpy(weight))
