"""What is noted with a saved model: texts stay texts from the folder of a class to the answer."""

import csv
import io
import json
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from mlflow.models import Model
from PIL import Image

from flowersweep.commands.evaluate import main as evaluate
from flowersweep.commands.parsing.common import chosen
from flowersweep.commands.predict import main as predict
from flowersweep.data import read_folder
from flowersweep.deploy.evaluation import evaluation_set
from flowersweep.deploy.model_info import model_info
from flowersweep.errors import TrackingError
from flowersweep.texts import in_one_line
from flowersweep.tracking.mlflow_tracker import MLflowTracker
from flowersweep.tracking.run import RunStatus
from flowersweep.tracking.store.store import Store, prepare_store
from texts import ODD_NAMES
from winners import SIZE, small_model


@pytest.fixture(scope="module")
def odd(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path, Store]:
    """A folder with one picture for each oddly named class, and a store with a model that knows them."""
    base = tmp_path_factory.mktemp("odd")
    for shade, name in enumerate(ODD_NAMES):
        (base / "pictures" / name).mkdir(parents=True)
        Image.new("RGB", (SIZE, SIZE), (shade, 0, 255 - shade)).save(base / "pictures" / name / "one.png")
    store = prepare_store(base / "results")
    names = read_folder(base / "pictures").class_names
    run = MLflowTracker.start(store, "odd", "alone", tags={"kind": "run"})
    run.model(
        small_model(len(names), 1),
        example=np.zeros((1, SIZE, SIZE, 3), np.float32),
        class_names=names,
        metadata={"data_fingerprint": "1e5"},
    )
    run.metrics({"best/val_accuracy": 0.5})
    run.params({"objective.metric": "best/val_accuracy"})
    run.end(RunStatus.FINISHED)
    return base / "pictures", base / "results", store


def test_every_class_name_comes_back_as_it_was_written(odd: tuple[Path, Path, Store]) -> None:
    """Each of the names is that of its folder, and each picture can be evaluated."""
    folder, results, _store = odd
    choice = chosen({"tracking.dir": str(results)})
    data = evaluation_set(choice, folder, "all")

    assert sorted(choice.info.class_names) == sorted(ODD_NAMES)
    assert choice.info.fingerprint == "1e5"
    assert (data.unknown, data.missing) == ([], [])
    assert [choice.info.class_names[label] for label in data.labels] == [
        path.parent.name for path in data.paths
    ]
    assert len(data.paths) == len(ODD_NAMES)


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore:Glyph")  # matplotlib's font has no Chinese
def test_answers_name_the_classes_as_they_are_called(
    odd: tuple[Path, Path, Store], capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """In CSV and JSON, by predict and by evaluate; evaluate's tables and figure show them too."""
    folder, results, _store = odd
    arguments = [str(folder), f"tracking.dir={results}"]
    assert predict([*arguments, "format=csv", f"top={len(ODD_NAMES)}"]) == 0
    rows = list(csv.reader(io.StringIO(capsys.readouterr().out)))[1:]
    assert [sorted(row[1::2]) for row in rows] == [sorted(ODD_NAMES)] * len(ODD_NAMES)

    output = results.with_name("matrix.png")
    assert evaluate([*arguments, "format=json", f"output={output}"]) == 0
    assert json.loads(capsys.readouterr().out)["classes"].keys() == set(ODD_NAMES)
    assert output.stat().st_size > 10_000

    monkeypatch.setenv("COLUMNS", "9999")
    assert evaluate(arguments) == 0
    shown = capsys.readouterr().out
    assert [name for name in ODD_NAMES if in_one_line(name) not in shown] == []


@settings(max_examples=40, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(names=st.lists(st.text(min_size=1), min_size=2))
def test_any_text_may_be_noted(names: list[str], tmp_path: Path) -> None:
    """MLflow's file gives back what it was given."""
    store = Store(f"sqlite:///{tmp_path}/mlflow.db", tmp_path)
    noted = {"class_names": names, "picture_shape": [8, 8, 3]}
    Model(metadata=noted).save(str(tmp_path / "MLmodel"))

    assert model_info(store, str(tmp_path)).class_names == tuple(names)


def test_how_pictures_become_squares_is_noted(tmp_path: Path) -> None:
    """A model of earlier versions, which note nothing, takes stretched ones; a way of later versions is refused."""
    store = Store(f"sqlite:///{tmp_path}/mlflow.db", tmp_path)
    noted = {"class_names": ["a", "b"], "picture_shape": [8, 8, 3]}
    for more, expected in (({}, "stretch"), ({"resize": "pad"}, "pad")):
        Model(metadata={**noted, **more}).save(str(tmp_path / "MLmodel"))
        assert model_info(store, str(tmp_path)).resizing == expected
    Model(metadata={**noted, "resize": "tile"}).save(str(tmp_path / "MLmodel"))
    with pytest.raises(
        TrackingError, match=r"data\.resize=tile, which this version does not know; use a newer"
    ):
        model_info(store, str(tmp_path))
