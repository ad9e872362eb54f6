"""A saved model sees a file as its training did."""

import csv
import io
from pathlib import Path

import numpy as np
import pytest

from conftest import MakeConfig
from flowersweep.config.schema import RESIZES
from flowersweep.deploy.choose import choose
from flowersweep.deploy.evaluation import evaluation_set
from flowersweep.deploy.images import batches
from flowersweep.deploy.predictor import LocalPredictor
from flowersweep.tracking.lookup import Files, model_metadata
from flowersweep.training import train


@pytest.mark.slow
@pytest.mark.parametrize("resizing", RESIZES)
def test_files_get_the_probabilities_of_the_validation(
    make_config: MakeConfig, resizing: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """For each way to a square, on pictures that are none, which the model's metadata describe."""
    config = make_config(
        f"data.resize={resizing}", "data.split=stratified", "model.filters=[4]", "trainer.epochs=1",
        "tracking.log_figures=false",
    )  # fmt: skip
    monkeypatch.setenv("FLOWERSWEEP_CACHE", str(config.paths.cache))
    run_id = train(config).run_id
    choice = choose(run_id, directory=config.tracking.dir)
    assert choice.info.resizing == resizing
    assert str(model_metadata(choice.store, choice.location)["input"]).endswith(f"(data.resize={resizing})")

    rows = csv.DictReader(io.StringIO(str(Files(choice.store, run_id).text("validation_predictions.csv"))))
    expected = {row["path"]: [float(row[f"p_{name}"]) for name in choice.info.class_names] for row in rows}
    folder = Path(str(config.data.dir))
    data = evaluation_set(choice, folder, "validation")
    assert {path.relative_to(folder).as_posix() for path in data.paths} == set(expected)
    predictor = LocalPredictor(choice, 32)
    (batch,) = batches(data.paths, choice.info.size, 32, choice.info.resizing)
    for path, row in zip(data.paths, predictor(batch.images), strict=True):
        np.testing.assert_allclose(row, expected[path.relative_to(folder).as_posix()], atol=2e-6)
    other = next(one for one in RESIZES if one != resizing)
    (wrong,) = batches(data.paths, choice.info.size, 32, other)
    assert np.abs(predictor(wrong.images) - predictor(batch.images)).max() > 1e-4
