"""Finding or starting the study's run."""

import signal
from pathlib import Path

import optuna
import pytest

from flowersweep.interrupt import Interrupted
from flowersweep.sweep.record.start import started_or_resumed
from flowersweep.sweep.storage.storage import open_storage
from flowersweep.tracking.mlflow_api import client
from flowersweep.tracking.store.store import prepare_store


def test_a_run_that_the_study_does_not_get_ends(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A signal between the start of the run and the study's note of it leaves nothing RUNNING."""
    store = prepare_store(tmp_path / "results")
    study = optuna.create_study(storage=open_storage(None, tmp_path), study_name="s")

    def interrupted(*_given: object) -> None:
        raise Interrupted(signal.SIGTERM)

    monkeypatch.setattr(optuna.Study, "set_user_attr", interrupted)
    with pytest.raises(Interrupted):
        started_or_resumed(study, store, "sweeps")
    service = client(store.uri)
    experiments = [one.experiment_id for one in service.search_experiments()]
    assert [run.info.status for run in service.search_runs(experiments)] == ["KILLED"]
