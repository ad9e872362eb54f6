"""Tests of flowersweep.tracking.saved_model: what is stored predicts what the model in memory predicts."""

import os
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt
import pytest

from flowersweep.errors import TrackingError
from flowersweep.tracking.lookup import run_model
from flowersweep.tracking.mlflow_api import client
from flowersweep.tracking.mlflow_tracker import MLflowTracker
from flowersweep.tracking.provenance import package_versions
from flowersweep.tracking.saved_model import save_model, upload_model
from flowersweep.tracking.store.store import Store, prepare_store

if TYPE_CHECKING:
    import keras

ENV = {**os.environ, "PYTHONPATH": os.pathsep.join(path for path in sys.path if path)}
NAMES = ["daisy", "roses", "tulips"]


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Store:
    """A SQLite store shared by the tests of this file."""
    return prepare_store(tmp_path_factory.mktemp("results"))


@pytest.fixture(scope="module")
def model() -> "keras.Model":
    """A small classifier of raw pictures."""
    import keras

    keras.utils.set_random_seed(7)
    return keras.Sequential(
        [
            keras.Input((16, 20, 3)),
            keras.layers.Rescaling(1 / 255),
            keras.layers.Conv2D(4, 3, activation="relu"),
            keras.layers.GlobalAveragePooling2D(),
            keras.layers.Dense(3),
        ]
    )


@pytest.fixture(scope="module")
def pictures() -> npt.NDArray[np.uint8]:
    """Five raw pictures."""
    return np.random.default_rng(1).integers(0, 256, (5, 16, 20, 3), dtype=np.uint8)


def folder_of(logged: Any) -> str:
    """Return the folder in which a stored model lies."""
    return str(logged.artifact_location).removeprefix("file://")


def test_signature_classes_and_requirements_are_stored(
    store: Store, model: "keras.Model", pictures: npt.NDArray[np.uint8], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The stored model takes raw pictures of any number, names its classes, and pins what it needs.

    The requirements are known, so the files of all installed packages, thousands, are not listed to find them.
    """
    from mlflow.utils import environment, requirements_utils

    compare = environment.warn_dependency_requirement_mismatches
    listed = "_init_packages_to_modules_map"
    monkeypatch.setattr(requirements_utils, listed, lambda: pytest.fail("lists the installed packages"))
    run = MLflowTracker.start(store, "models", "run")
    run.params({"seed": 7})
    address = run.model(model, example=pictures, class_names=NAMES, metadata={"best_epoch": 3})
    assert address == f"runs:/{run.run_id}/model"
    assert environment.warn_dependency_requirement_mismatches is compare
    service = client(store.uri)
    (output,) = service.get_run(run.run_id).outputs.model_outputs
    logged = service.get_logged_model(output.model_id)
    assert (logged.name, str(logged.status), logged.source_run_id) == ("model", "READY", run.run_id)
    assert logged.params == {"seed": "7"}

    from mlflow.models import Model

    info = Model.load(folder_of(logged))
    assert info.run_id == run.run_id
    assert info.metadata == {"class_names": NAMES, "picture_shape": [16, 20, 3], "best_epoch": 3}
    (given,), (returned,) = info.signature.inputs.inputs, info.signature.outputs.inputs
    assert (given.type, given.shape) == (np.dtype(np.uint8), (-1, 16, 20, 3))
    assert (returned.type, returned.shape) == (np.dtype(np.float32), (-1, 3))
    needed = Path(folder_of(logged), "requirements.txt").read_text(encoding="utf-8")
    versions = package_versions(("tensorflow", "keras", "mlflow", "numpy"))
    assert sorted(needed.split()) == sorted(f"{name}=={version}" for name, version in versions.items())


def test_float_pictures_give_a_float_signature(store: Store, model: "keras.Model") -> None:
    """The dtype of the example is the dtype of the signature."""
    run = MLflowTracker.start(store, "models", "float")
    run.model(model, example=np.zeros((1, 16, 20, 3), np.float32), class_names=NAMES)
    (output,) = client(store.uri).get_run(run.run_id).outputs.model_outputs

    from mlflow.models import Model

    logged = client(store.uri).get_logged_model(output.model_id)
    (given,) = Model.load(folder_of(logged)).signature.inputs.inputs
    assert given.type == np.dtype(np.float32)


def test_class_names_must_fit_the_outputs(
    store: Store, model: "keras.Model", pictures: npt.NDArray[np.uint8]
) -> None:
    """Two names for three outputs are refused before anything is stored."""
    run = MLflowTracker.start(store, "models", "misfit")
    with pytest.raises(
        TrackingError, match=r"returns \(3,\) values per picture, but there are 2 class names"
    ):
        run.model(model, example=pictures, class_names=NAMES[:2])
    assert client(store.uri).get_run(run.run_id).outputs.model_outputs == []


def test_a_model_waits_for_the_folder_of_artifacts(
    store: Store, model: "keras.Model", pictures: npt.NDArray[np.uint8]
) -> None:
    """If the files cannot be stored now, the model is PENDING in MLflow, then stored once, and whole."""
    assert store.artifact_root is not None
    run = MLflowTracker.start(store, "blocked", "run")
    blocked = store.artifact_root / "blocked"
    blocked.parent.mkdir(exist_ok=True)
    blocked.write_text("a file where a folder is needed", encoding="utf-8")
    run.model(model, example=pictures, class_names=NAMES)
    service = client(store.uri)
    (output,) = service.get_run(run.run_id).outputs.model_outputs
    assert str(service.get_logged_model(output.model_id).status) == "PENDING"
    blocked.unlink()
    run.settle(0)
    assert [one.model_id for one in service.get_run(run.run_id).outputs.model_outputs] == [output.model_id]
    logged = service.get_logged_model(output.model_id)
    assert str(logged.status) == "READY"

    from mlflow.models import Model

    info = Model.load(folder_of(logged))
    assert (info.run_id, info.model_id) == (run.run_id, output.model_id)
    loaded = run_model(store, run.run_id)
    assert np.array_equal(loaded.predict(pictures, verbose=0), model.predict(pictures, verbose=0))


def test_a_model_is_stored_once_however_often_it_is_delivered(
    store: Store, model: "keras.Model", pictures: npt.NDArray[np.uint8], tmp_path: Path
) -> None:
    """Its key recognizes it; another model of the same run is another one."""
    run = MLflowTracker.start(store, "models", "twice")
    save_model(model, tmp_path / "model", example=pictures, class_names=NAMES)
    for key in ("first", "first", "second"):
        upload_model(client(store.uri), run.run_id, tmp_path / "model", key)
    assert len(client(store.uri).get_run(run.run_id).outputs.model_outputs) == 2


@pytest.mark.slow
@pytest.mark.usefixtures("warm")
def test_another_process_predicts_the_same(
    store: Store, model: "keras.Model", pictures: npt.NDArray[np.uint8], tmp_path: Path
) -> None:
    """Loaded from `runs:/ID/model` in a fresh process, both flavors predict what the model in memory does."""
    run = MLflowTracker.start(store, "models", "elsewhere")
    address = run.model(model, example=pictures, class_names=NAMES)
    np.save(tmp_path / "pictures.npy", pictures)
    code = (
        "import sys, numpy as np, mlflow, mlflow.keras; mlflow.set_tracking_uri(sys.argv[1]);"
        "models = [flavor.load_model(sys.argv[2]) for flavor in (mlflow.pyfunc, mlflow.keras)];"
        "np.save('predicted.npy', [model.predict(np.load('pictures.npy')) for model in models])"
    )
    subprocess.run([sys.executable, "-c", code, store.uri, address], check=True, cwd=tmp_path, env=ENV)
    for predicted in np.load(tmp_path / "predicted.npy"):
        assert np.array_equal(predicted, model.predict(pictures, verbose=0))
