"""Tests of networks and callbacks of the user's own: what is accepted, and a run with all of it."""

import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import keras
import pytest

from conftest import MakeConfig
from flowersweep.config.models import OwnConfig
from flowersweep.errors import ConfigError, TrackingError
from flowersweep.models import build_network
from flowersweep.tracking.lookup import Files, run_model
from flowersweep.tracking.mlflow_api import client
from flowersweep.tracking.store.store import prepare_store
from flowersweep.training import train
from flowersweep.training.callbacks import build_own_callbacks
from own_modules import NETWORKS, WARMTH, Modules

WRONG = """
from keras import Input, Model, Sequential, layers

def nothing(input_shape, num_classes): return None
def unbuilt(input_shape, num_classes): return Sequential([layers.Flatten(), layers.Dense(num_classes)])
def smaller(input_shape, num_classes): return dense(Input((8, 8, 3)), num_classes)
def fewer(input_shape, num_classes): return dense(Input(input_shape), 1)
def soft(input_shape, num_classes): return dense(Input(input_shape), num_classes, activation="softmax")
def half(input_shape, num_classes): return dense(Input(input_shape), num_classes, dtype="float16")
def fails(input_shape, num_classes): raise KeyError("oh")

def dense(pictures, units, **more):
    return Model(pictures, layers.Dense(units, **more)(layers.Flatten()(pictures)))
"""


def build(name: str, **arguments: Any) -> Any:
    """Build a network for 3 classes of pictures of 16 pixels."""
    config = OwnConfig(name="own", learning_rate=1e-3, build=name, arguments=arguments)
    return build_network(config, num_classes=3, image_size=16)


@pytest.mark.parametrize(
    ("name", "told"),
    [
        ("nothing", "must return a keras.Model, but returns None."),
        ("unbuilt", r"starts with one keras.Input\(\(16, 16, 3\)\), but this one takes something else."),
        ("smaller", r"starts with one keras.Input\(\(16, 16, 3\)\), but this one takes \(None, 8, 8, 3\)."),
        ("fewer", r"with 3 logits for each picture, but the output of this one is \(None, 1\)."),
        ("soft", "logits, but its output is that of softmax; leave that out, softmax is added"),
        ("half", 'logits in float32, but these are float16; give the last layer dtype="float32".'),
        ("fails", r"cannot be built with .*num_classes=3 and model.arguments=\{\} \(KeyError: 'oh'\)."),
    ],
)
def test_what_a_builder_must_return(modules: Modules, name: str, told: str) -> None:
    """Anything else is one sentence."""
    modules.add("own_wrong", WRONG)
    with pytest.raises(ConfigError, match=f"^model.build=own_wrong.{name} .*{told}"):
        build(f"own_wrong.{name}")


PROBABILITIES = """
import keras
from keras import Input, Model, Sequential, layers, ops

def logits(input_shape, num_classes, end):
    pictures = Input(input_shape)
    if end == "nested":
        inner = keras.applications.MobileNetV2(weights=None, alpha=0.35, classes=num_classes, input_shape=(32, 32, 3))
        return Model(pictures, inner(layers.UpSampling2D(2)(pictures)))
    if end in ("softmax_head", "linear_head"):
        dense = layers.Dense(num_classes, activation=end.removesuffix("_head"))
        return Sequential([Input(input_shape), Sequential([Sequential([layers.Flatten(), dense])])])
    numbers = layers.Dense(num_classes)(layers.Flatten()(pictures))
    if end == "branches":
        return Model(pictures, numbers * ops.softmax(numbers))
    if end == "reshaped":
        softmax = layers.Softmax(dtype="float16")(numbers)
        return Model(pictures, layers.Reshape((num_classes,))(ops.cast(softmax, "float32")))
    return Model(pictures, getattr(ops, end)(numbers))
"""


@pytest.mark.parametrize(
    ("end", "function"),
    [
        ("nested", "softmax"),
        ("softmax_head", "softmax"),
        ("reshaped", "softmax"),
        ("softmax", "softmax"),
        ("sigmoid", "sigmoid"),
    ],
)
def test_probabilities_are_refused(modules: Modules, end: str, function: str) -> None:
    """Also at the end of a model within the model, as an operation, and before layers that only move numbers."""
    modules.add("own_ends", PROBABILITIES)
    with pytest.raises(ConfigError, match=f"must return logits, but its output is that of {function}; leave"):
        build("own_ends.logits", end=end)


@pytest.mark.parametrize("end", ["log_softmax", "branches", "relu", "linear_head"])
def test_other_ends_are_logits(modules: Modules, end: str) -> None:
    """Numbers without a bound, of which softmax makes the probabilities, may end with any operation."""
    modules.add("own_ends", PROBABILITIES)
    assert build("own_ends.logits", end=end).whole.output.shape == (None, 3)


def test_layers_that_could_not_be_loaded(modules: Modules) -> None:
    """A layer of one's own must be registered; its arguments reach the builder."""
    text = (
        f"{NETWORKS}\ndef forgets(**given): return build_model(layer=Forgotten, **given)\n"
        "def any_code(**given): return build_model(layer=lambda: keras.layers.Lambda(lambda x: x), **given)\n"
    )
    modules.add("own_layers", text)
    assert build("own_layers.build_model", width=3).whole.layers[2].filters == 3
    for name, found in (("forgets", "its Forgotten"), ("any_code", "a Lambda layer")):
        with pytest.raises(
            ConfigError, match=f"could not load again because of {found}; decorate .*own_layers"
        ):
            build(f"own_layers.{name}")


@pytest.mark.parametrize(
    ("callbacks", "told"),
    [
        (["own_calls.Count", {"build": "own_calls.Half"}], "must be a subclass of keras.callbacks.Callback"),
        (
            [{"build": "own_calls.Count", "arguments": {"x": 1}}],
            "cannot be built with the arguments {'x': 1}",
        ),
    ],
)
def test_bad_callbacks(
    modules: Modules, make_config: MakeConfig, callbacks: Sequence[object], told: str
) -> None:
    """They are refused before a run is created, when the network is built."""
    modules.add("own_calls", NETWORKS)
    config = make_config()
    config.trainer.callbacks = list(callbacks)
    with pytest.raises(ConfigError) as caught:
        build_own_callbacks(config)
    assert told in str(caught.value)


@pytest.mark.slow
def test_a_run_with_code_of_ones_own(
    modules: Modules, make_config: MakeConfig, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It trains, stores the code with its digest, and its model is loaded in safe mode where the module is allowed."""
    modules.add("own_aug", WARMTH)
    modules.add("own_net", NETWORKS)
    stopping = "\nclass Stop(Count):\n    def on_epoch_end(self, epoch, logs=None): self.model.stop_training = True\n"
    modules.add("own_stop", NETWORKS + stopping)
    config = make_config(
        "aug=own",
        "aug.build=own_aug.RandomWarmth",
        "aug.arguments.factor=0.1",
        "model=own",
        "model.build=own_net.build_model",
        "model.arguments.width=3",
        "trainer.callbacks=[own_stop.Stop,{build: own_stop.Count, arguments: {first: 5}}]",
        "tracking.log_figures=false",
    )
    result = train(config)
    assert result.metrics["total/epochs"] == 1  # of 2
    store = prepare_store(tmp_path / "results")
    run = client(store.uri).get_run(result.run_id)
    params, tags = run.data.params, run.data.tags
    assert (params["model.arguments.width"], params["aug.arguments.factor"]) == ("3", "0.1")
    assert params["model.name"] == "own_net.build_model"
    assert tags["mlflow.runName"] == "own_net.build_model-own_aug.RandomWarmth-seed0"
    assert {name for name in tags if name.startswith("code.")} == {
        "code.own_aug.RandomWarmth",
        "code.own_net.build_model",
        "code.own_stop.Stop",
        "code.own_stop.Count",
    }
    assert tags["code.own_aug.RandomWarmth"].startswith("own_aug.RandomWarmth ")
    assert Files(store, result.run_id).text("code/own_aug.py") == WARMTH

    keras.saving.get_custom_objects().pop("own_net>Half")
    with monkeypatch.context() as elsewhere:
        elsewhere.setenv("FLOWERSWEEP_ALLOW", "")
        with pytest.raises(
            ConfigError, match=r"model\.build=own_net\.build_model names Python code that this machine"
        ):
            run_model(store, result.run_id)
    file = modules.folder / "own_net.py"
    monkeypatch.delitem(sys.modules, "own_net")
    file.write_text("build_model = None", encoding="utf-8")
    with pytest.raises(
        TrackingError, match=r"has layers that model\.build=own_net\.build_model does not register"
    ):
        run_model(store, result.run_id)
    file.write_text(NETWORKS.replace("{name}", "own_net"), encoding="utf-8")
    monkeypatch.delitem(sys.modules, "own_net")
    model = run_model(store, result.run_id)
    assert "own_net" in type(model.layers[1]).__module__
