"""Every format says what its source says; what cannot be exported is refused in one sentence."""

from importlib.util import find_spec
from pathlib import Path

import numpy as np
import pytest

from flowersweep.commands.parsing.common import chosen
from flowersweep.deploy.choose import Choice
from flowersweep.deploy.equality import compare, shown_pictures
from flowersweep.deploy.exporter import check_format, open_export, write_export
from flowersweep.deploy.predictor import LocalPredictor
from flowersweep.errors import ConfigError
from flowersweep.tracking.mlflow_tracker import MLflowTracker
from winners import Winners

NAMES = {"keras": "a.keras", "saved_model": "a", "tflite": "a.tflite"}
ONNX = pytest.param(
    "onnx",
    marks=[
        pytest.mark.skipif(
            find_spec("tf2onnx") is None, reason="pip install '.[onnx]' to test what format=onnx writes"
        ),
        # Keras 3.15 on looking whether NumPy is older than 2.
        pytest.mark.filterwarnings("ignore:In the future `np.object` will be defined:FutureWarning"),
    ],
)


@pytest.fixture(scope="module")
def choice(results: Winners) -> Choice:
    """The winner of study petals."""
    return chosen({"study": "petals", "tracking.dir": str(results.directory)})


@pytest.mark.slow
@pytest.mark.parametrize("kind", NAMES)
def test_an_export_is_equal_to_its_source(choice: Choice, tmp_path: Path, kind: str) -> None:
    """Written, read back, and shown 18 pictures."""
    predictor, target = LocalPredictor(choice, 16), tmp_path / NAMES[kind]
    write_export(kind, choice, predictor.model, target)
    equality = compare(predictor, open_export(kind, target), shown_pictures(None, 16))

    assert equality.pictures == 18
    assert equality.difference < 1e-5


def test_a_saved_model_takes_any_number_of_float_pictures(choice: Choice, tmp_path: Path) -> None:
    """Its signature is what TensorFlow Serving reads."""
    import tensorflow as tf

    predictor = LocalPredictor(choice, 16)
    write_export("saved_model", choice, predictor.model, tmp_path / "saved")
    opened = tf.saved_model.load(str(tmp_path / "saved"))
    (given,) = opened.signatures["serving_default"].structured_input_signature[1].values()

    assert (given.shape.as_list(), given.dtype) == ([None, 16, 16, 3], tf.float32)


@pytest.mark.parametrize(("kind", "name"), [("tflite", "a.lite"), ("keras", "a"), ("keras", "a.h5")])
def test_the_extension_has_to_fit(kind: str, name: str) -> None:
    """Programs go by it."""
    with pytest.raises(ConfigError, match=f"must have the extension .{kind}"):
        check_format(kind, Path(name))


@pytest.mark.skipif(find_spec("tf2onnx") is not None, reason="tf2onnx is installed")
def test_a_missing_package_is_named() -> None:
    """The sentence says what to install."""
    with pytest.raises(ConfigError, match=r"not installed; pip install tf2onnx"):
        check_format("onnx", Path("a.onnx"))


@pytest.mark.slow
@pytest.mark.parametrize("kind", [ONNX])
def test_an_onnx_export_takes_any_number_of_float_pictures(choice: Choice, tmp_path: Path, kind: str) -> None:
    """Any program with ONNX Runtime can show it seven at once; it says what its source says."""
    import onnxruntime

    predictor, target = LocalPredictor(choice, 16), tmp_path / "a.onnx"
    write_export(kind, choice, predictor.model, target)
    session = onnxruntime.InferenceSession(str(target), providers=["CPUExecutionProvider"])
    (given,) = session.get_inputs()
    assert (given.type, given.shape[1:]) == ("tensor(float)", [16, 16, 3])

    pictures = np.random.default_rng(1).integers(0, 256, (7, 16, 16, 3), dtype=np.uint8)
    (probabilities,) = session.run(None, {given.name: pictures.astype(np.float32)})
    np.testing.assert_allclose(probabilities, predictor(pictures), atol=1e-5)


@pytest.mark.slow
@pytest.mark.photos
@pytest.mark.parametrize("kind", [*NAMES, ONNX])
def test_exports_of_mobilenet_are_equal_on_a_hundred_photographs(
    photos_dir: Path, mobilenet: Choice, tmp_path: Path, kind: str
) -> None:
    """ImageNet's features under a random head: probabilities agree to 1e-4 on 20 real photographs of each class."""
    paths = [path for folder in sorted(photos_dir.iterdir()) for path in sorted(folder.glob("*.jpg"))[:20]]
    assert len(paths) == 100
    predictor, target = LocalPredictor(mobilenet, 16), tmp_path / NAMES.get(kind, "a.onnx")
    write_export(kind, mobilenet, predictor.model, target)
    equality = compare(predictor, open_export(kind, target), shown_pictures(paths, 180))

    assert equality.pictures == 100
    assert equality.difference < 1e-4


@pytest.fixture(scope="module")
def mobilenet(tmp_path_factory: pytest.TempPathFactory, mobilenet_weights: Path) -> Choice:
    """A run with a MobileNetV2 that was never trained on flowers."""
    import keras

    from flowersweep.tracking.run import RunStatus
    from flowersweep.tracking.store.store import prepare_store

    keras.utils.set_random_seed(1)
    pictures = keras.Input((180, 180, 3))
    base = keras.applications.MobileNetV2((180, 180, 3), include_top=False, weights=str(mobilenet_weights))
    features = keras.layers.GlobalAveragePooling2D()(base(keras.layers.Rescaling(1 / 127.5, -1)(pictures)))
    model = keras.Model(pictures, keras.layers.Dense(5, activation="softmax")(features))
    folder = tmp_path_factory.mktemp("mobilenet")
    run = MLflowTracker.start(prepare_store(folder / "results"), "mobilenet", "run")
    run.params({"objective.metric": "best/val_accuracy"})
    run.metrics({"best/val_accuracy": 0.2})
    run.model(model, example=np.zeros((1, 180, 180, 3), np.float32), class_names=list("abcde"))
    run.end(RunStatus.FINISHED)
    return chosen({"run": run.run_id, "tracking.dir": str(folder / "results")})
