"""What flowersweep uses of Keras without its promise is there, and does what it is used for."""

import keras
import pytest
from keras import layers

from flowersweep.doors.keras_api import calls
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
