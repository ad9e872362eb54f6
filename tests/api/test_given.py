"""Code and models of a program become modules that the command can import."""

import importlib
import os
import sys
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any

import keras
import numpy as np
import pytest
from keras import layers

from flowersweep.api.given import given
from flowersweep.config.models import OwnConfig
from flowersweep.errors import ConfigError
from flowersweep.models.own import build_own
from own_modules import NETWORKS, Modules

WIDTH = 3


@keras.saving.register_keras_serializable(package="test_given")
class Halved(layers.Layer):  # type: ignore[misc] # Keras ships no types
    """Divide by a constant."""

    def call(self, pictures: Any) -> Any:
        """Half of them."""
        return np.float32(0.5) * pictures


def block(values: Any) -> Any:
    """Another function of the program."""
    return layers.Conv2D(WIDTH, 3, strides=4)(values)


def build_model(input_shape: tuple[int, ...], num_classes: int) -> Any:
    """A network of the layer and the function above."""
    pictures = keras.Input(input_shape)
    values = layers.GlobalAveragePooling2D()(block(Halved()(pictures)))
    return keras.Model(pictures, layers.Dense(num_classes)(values), name="small")


def uses_an_array(input_shape: tuple[int, ...], num_classes: int) -> Any:
    """Uses something that no text can define."""
    return ARRAY, input_shape, num_classes


ARRAY = np.zeros(3)


class Depth:
    """Reads one name of the program, and one that it has set itself."""

    WIDTH = WIDTH
    units = (1, 2)
    total = sum(units)

    def twice(self) -> int:
        """As many again."""
        units = [self.total]
        units *= 2
        return sum(units)


def has_names_of_its_own(input_shape: tuple[int, ...], num_classes: int, first: int = Depth.WIDTH) -> Any:
    """Its parameters and variables are named as values of the program are."""
    pictures = keras.Input(input_shape)
    values = layers.GlobalAveragePooling2D()(pictures)
    for units in [units + first for units in (Depth().twice(),)]:
        values = layers.Dense(units)(values)
    return keras.Model(pictures, layers.Dense(num_classes)(values), name="own_names")


IN_MAIN = {
    **{one.__name__: one for one in (Halved, block, build_model, uses_an_array, Depth, has_names_of_its_own)},
    "WIDTH": WIDTH,
    "ARRAY": ARRAY,
    "np": np,
    "keras": keras,
    "layers": layers,
    "Any": Any,
}


@pytest.fixture(autouse=True)
def _in_main(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The program is the main module, and its folder the current one."""
    monkeypatch.setenv("FLOWERSWEEP_ALLOW", "")
    monkeypatch.setenv("XDG_CONFIG_HOME", str(folder / "settings"))
    for name, value in IN_MAIN.items():
        monkeypatch.setattr(sys.modules["__main__"], name, value, raising=False)
        if getattr(value, "__module__", None) == __name__:
            monkeypatch.setattr(value, "__module__", "__main__")


def built(words: list[str], environment: dict[str, str], monkeypatch: pytest.MonkeyPatch) -> Any:
    """The network that the command builds from these arguments."""
    monkeypatch.setenv("FLOWERSWEEP_ALLOW", environment["FLOWERSWEEP_ALLOW"])
    assert words[0] == "model=own"
    config = OwnConfig("own", 0.001, words[1].removeprefix("model.build="))
    monkeypatch.delitem(sys.modules, config.build.partition(".")[0], raising=False)
    return build_own(config, num_classes=5, image_size=16).whole


def test_a_function_of_the_program(monkeypatch: pytest.MonkeyPatch) -> None:
    """With all that it uses: layers, functions, constants and imports; the same each time."""
    found = given(build_model)
    (path,) = found.paths
    text = path.read_text(encoding="utf-8")
    assert text.startswith(
        "from typing import Any\nimport keras\nimport keras.layers as layers\nimport numpy as np\n"
    )
    assert text.count("WIDTH = 3\n") == text.count("class Halved") == text.count("def block") == 1
    assert "ARRAY" not in text
    assert found.words[2] == "model.name=build_model"
    network = built(found.words, found.environment, monkeypatch)
    assert (network.name, network.output.shape) == ("small", (None, 5))
    assert given(build_model) == found
    assert list(path.parent.glob("*.py")) == [path]


@pytest.mark.parametrize(("pictures", "num_classes"), [(ARRAY, np.int64(5)), (1, 2), (2, 3)])
def test_names_of_its_own_are_not_the_programs(
    monkeypatch: pytest.MonkeyPatch, pictures: Any, num_classes: Any
) -> None:
    """What the program has under the names of parameters and local variables neither hinders nor changes anything."""
    main = sys.modules["__main__"]
    before = given(has_names_of_its_own)
    for name, value in {"pictures": pictures, "units": pictures, "num_classes": num_classes}.items():
        monkeypatch.setattr(main, name, value, raising=False)
    assert given(has_names_of_its_own) == before
    text = before.paths[0].read_text(encoding="utf-8")
    assert (text.count("class Depth"), text.count("WIDTH = 3\n")) == (1, 1)
    network = built(before.words, before.environment, monkeypatch)
    assert [layer.units for layer in network.layers[2:]] == [9, 5]


def test_a_keras_model(monkeypatch: pytest.MonkeyPatch) -> None:
    """Its weights come along, and its own layers; other weights are another module."""
    model = build_model((16, 16, 3), 5)
    found = given(model)
    assert found.words[2] == "model.name=small"
    network = built(found.words, found.environment, monkeypatch)
    pictures = np.random.default_rng(0).uniform(0, 255, (2, 16, 16, 3)).astype(np.float32)
    np.testing.assert_allclose(network(pictures), model(pictures), atol=1e-5)
    assert given(model).words == found.words
    model.layers[-1].bias.assign(np.ones(5))
    assert given(model).words != found.words


def test_a_function_of_a_module(modules: Modules, monkeypatch: pytest.MonkeyPatch) -> None:
    """The module itself is allowed, next to what was allowed before; nothing is written."""
    path = modules.add("given_networks", NETWORKS, allow=False)
    monkeypatch.syspath_prepend(path.parent)
    monkeypatch.setenv("FLOWERSWEEP_ALLOW", "other")
    network = __import__("given_networks")
    found = given(network.build_model, callbacks=[network.Count])
    assert found.words == [
        "model=own",
        "model.build=given_networks.build_model",
        "model.name=build_model",
        "trainer.callbacks=[given_networks.Count]",
    ]
    assert found.environment == {"FLOWERSWEEP_ALLOW": f"other,{path}"}
    assert not Path("own_code").exists()


@pytest.mark.parametrize("inside", ["networks.py", "networks/__init__.py", "deep/networks.py"])
def test_a_function_of_a_package_without_init(
    modules: Modules, monkeypatch: pytest.MonkeyPatch, inside: str
) -> None:
    """The folder with the module is allowed, also if Python has the package in several folders."""
    package = f"given_{inside.partition('.')[0].replace('/', '_')}"
    whole = f"{package}.{inside.removesuffix('/__init__.py').removesuffix('.py').replace('/', '.')}"
    other = modules.folder / "other" / package
    other.mkdir(parents=True)
    path = modules.folder / package / inside
    path.parent.mkdir(parents=True)
    path.write_text(NETWORKS.replace("{name}", package), encoding="utf-8")
    monkeypatch.syspath_prepend(modules.folder)
    monkeypatch.syspath_prepend(other.parent)
    network = importlib.import_module(whole)
    for name in [name for name in sys.modules if name.startswith(package)]:
        monkeypatch.setitem(sys.modules, name, sys.modules[name])  # removed after the test
    found = given(network.build_model)
    assert found.words[1] == f"model.build={whole}.build_model"
    assert found.paths == [modules.folder / package]
    for name in [name for name in sys.modules if name.startswith(package)]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setattr(sys, "path", [one for one in sys.path if not one.startswith(str(modules.folder))])
    built(found.words, found.environment, monkeypatch)
    assert sys.modules[whole].__file__ == str(path)
    built(found.words, found.environment, monkeypatch)


def test_a_function_of_a_module_without_a_file(monkeypatch: pytest.MonkeyPatch) -> None:
    """One sentence."""
    monkeypatch.setitem(sys.modules, "given_made", ModuleType("given_made"))
    monkeypatch.setattr(block, "__module__", "given_made")
    with pytest.raises(ConfigError, match="aug is from the module given_made, which has no file; write it"):
        given(aug=block)


def test_a_program_in_a_folder_with_a_comma(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Its path is one entry."""
    here = folder / "roses, tulips"
    here.mkdir()
    monkeypatch.chdir(here)
    found = given(build_model)
    assert built(found.words, found.environment, monkeypatch).name == "small"


def test_nothing_given() -> None:
    """Nothing is allowed either."""
    found = given()
    assert (found.words, found.environment) == ([], {})


def _inner() -> Callable[..., Any]:
    def build(input_shape: tuple[int, ...], num_classes: int) -> Any:
        return input_shape, num_classes

    return build


@pytest.mark.parametrize(
    ("model", "said"),
    [
        (
            uses_an_array,
            "model=uses_an_array uses ARRAY, which is a ndarray and cannot be written into a module",
        ),
        (
            _inner(),
            "model must be a function, a class or a Keras model that is defined at the top of a module",
        ),
        (lambda: None, "model must be a function"),
        ("networks.build_model", "but is 'networks.build_model'"),
    ],
)
def test_other_things_are_refused(model: Any, said: str) -> None:
    """With a sentence that says what to do."""
    with pytest.raises(ConfigError, match=said):
        given(model)
    assert not os.path.exists("own_code")  # noqa: PTH110


def test_code_without_a_source(monkeypatch: pytest.MonkeyPatch) -> None:
    """Such as that of a command on the command line."""
    scope: dict[str, Any] = {"__name__": "__main__"}
    exec("def build(input_shape, num_classes): ...", scope)  # noqa: S102 - it must not come from a file
    monkeypatch.setattr(sys.modules["__main__"], "build", scope["build"], raising=False)
    with pytest.raises(ConfigError, match="model=build: the source of build is not known"):
        given(scope["build"])
