"""A `.tflite` file is complete: its tensors have names, its labels are inside, and each precision is what it says."""

import json
import zipfile
from pathlib import Path

import keras
import numpy as np
import pytest
from ai_edge_litert.interpreter import Interpreter

from flowersweep.data import decode, read_folder
from flowersweep.data.decode import Pixels
from flowersweep.deploy import tflite
from flowersweep.deploy.evaluation import EvaluationSet
from flowersweep.deploy.model_info import ModelInfo
from flowersweep.deploy.tflite import PRECISIONS, calibration_pictures, open_tflite, write_tflite
from winners import SIZE, small_model

INFO = ModelInfo(("daisy", "Löwenzahn", "two\nlines"), SIZE, None)


@pytest.fixture(scope="module")
def model() -> keras.Model:
    """A classifier of three classes."""
    return small_model(3, 1)


@pytest.fixture(scope="module")
def pictures(drawn: Path) -> Pixels:
    """Sixty drawn flowers."""
    return np.stack([decode(path, SIZE) for path in sorted(drawn.rglob("*.jpg"))])


@pytest.mark.parametrize("precision", PRECISIONS)
def test_a_file_needs_no_other(model: keras.Model, pictures: Pixels, tmp_path: Path, precision: str) -> None:
    """Its signature names input and output, and zipfile reads the labels, also those that contain a line break."""
    write_tflite(model, INFO, tmp_path / "a.tflite", precision, pictures[:20])

    opened = Interpreter(str(tmp_path / "a.tflite"))
    assert opened.get_signature_list() == {
        "serving_default": {"inputs": ["pictures"], "outputs": ["probabilities"]}
    }
    serve = opened.get_signature_runner("serving_default")
    given, returned = serve.get_input_details()["pictures"], serve.get_output_details()["probabilities"]
    assert given["dtype"] == (np.uint8 if precision == "int8" else np.float32)
    assert given["quantization"] == ((1.0, 0) if precision == "int8" else (0.0, 0))
    assert (returned["dtype"], returned["shape"].tolist()) == (np.float32, [1, 3])
    with zipfile.ZipFile(tmp_path / "a.tflite") as archive:
        assert archive.testzip() is None
        assert archive.read("labels.txt").decode() == "daisy\nLöwenzahn\ntwo\nlines\n"
        assert json.loads(archive.read("labels.json")) == list(INFO.class_names)


@pytest.mark.parametrize("precision", PRECISIONS)
def test_a_precision_is_what_it_says(
    model: keras.Model, pictures: Pixels, tmp_path: Path, precision: str
) -> None:
    """Probabilities of drawn flowers differ from the source's by what the precision explains, and weights are stored so."""
    smallest, largest, dtype = {
        "float32": (0, 1e-5, np.float32),
        "float16": (1e-6, 0.01, np.float16),
        "int8": (1e-3, 0.1, np.int8),
    }[precision]
    write_tflite(model, INFO, tmp_path / "a.tflite", precision, pictures[:20])
    found = open_tflite(tmp_path / "a.tflite")(pictures.astype(np.float32))

    assert found.shape == (60, 3)
    assert smallest <= np.abs(found - np.asarray(model(pictures.astype(np.float32)))).max() <= largest
    opened = Interpreter(str(tmp_path / "a.tflite"))
    types = {one["dtype"] for one in opened.get_tensor_details() if np.prod(one["shape"]) > 500}
    assert dtype in types


def test_equal_exports_are_equal_files(model: keras.Model, tmp_path: Path) -> None:
    """Nothing in them depends on the time."""
    for name in ("a", "b"):
        write_tflite(model, INFO, tmp_path / name)
    assert (tmp_path / "a").read_bytes() == (tmp_path / "b").read_bytes()


def test_dark_pictures_do_not_narrow_the_input(model: keras.Model, pictures: Pixels, tmp_path: Path) -> None:
    """Values of pixels stay values of pixels when no calibration picture has a white one."""
    write_tflite(model, INFO, tmp_path / "a.tflite", "int8", pictures[:20] // 4 + 10)

    serve = Interpreter(str(tmp_path / "a.tflite")).get_signature_runner()
    assert serve.get_input_details()["pictures"]["quantization"] == (1.0, 0)


def test_calibration_pictures_are_of_all_classes(drawn: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Three of class 0, which has no more, and of the others 4, 4, 4 and 5; the same ones each time."""
    monkeypatch.setattr(tflite, "CALIBRATION_PICTURES", 20)
    catalogue = read_folder(drawn)
    kept = [*np.flatnonzero(catalogue.labels == 0)[:3], *np.flatnonzero(catalogue.labels > 0)]
    paths = [catalogue.root / catalogue.paths[place] for place in kept]
    data = EvaluationSet(paths, catalogue.labels[kept].astype(np.int64), [], [])
    first, second = calibration_pictures(data, INFO), calibration_pictures(data, INFO)

    np.testing.assert_array_equal(first, second)
    everything = [decode(path, SIZE) for path in paths]
    positions = [next(i for i, one in enumerate(everything) if (one == found).all()) for found in first]
    assert len(set(positions)) == 20
    assert sorted(np.bincount(data.labels[positions])) == [3, 4, 4, 4, 5]
