"""The script that throws faults at sweeps: what it finds in results, and a short round of it."""

from pathlib import Path

import optuna
import pytest

from benchmarks import chaos, chaos_checks
from benchmarks.chaos_checks import Findings, check
from flowersweep.sweep.storage.storage import open_storage
from flowersweep.tracking.mlflow_api import client
from flowersweep.tracking.store.store import prepare_store


@pytest.fixture
def uri(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """A store with the runs of a study of two trials, as a sweep leaves them but for their models."""
    monkeypatch.setattr(chaos_checks, "_best_model", lambda *_: None)
    uri = prepare_store(tmp_path).uri
    study = optuna.create_study(storage=open_storage(None, tmp_path), study_name="s", direction="maximize")
    for number in range(2):
        trial = study.ask()
        rate = trial.suggest_float("rate", 0, 1)
        trial.set_user_attr("mlflow_run_id", _run(uri, number, rate))
        study.tell(trial, 0.5)
    return uri


def _run(uri: str, number: int, rate: float) -> str:
    store = client(uri)
    run_id: str = store.create_run("0", tags={"kind": "trial", "trial": str(number)}).info.run_id
    store.log_param(run_id, "rate", rate)
    for step in (1, 2):
        store.log_metric(run_id, "val_accuracy", 0.25 * step, step=step)
    store.log_metric(run_id, "best/val_accuracy", 0.5)
    store.log_metric(run_id, "total/epochs", 2)
    store.set_terminated(run_id)
    return run_id


def test_good_results_have_no_findings(uri: str, tmp_path: Path) -> None:
    """Two trials with their runs are two trials and two attempts, and nothing else."""
    assert check(tmp_path, uri, 2, tmp_path) == Findings(trials=2, attempts=2)


def test_every_kind_of_damage_is_found(uri: str, tmp_path: Path) -> None:
    """A missing trial, a second training, an open run, another value, and epochs that are missing or logged twice."""
    store = client(uri)
    study = optuna.load_study(study_name="s", storage=open_storage(None, tmp_path))
    first, second = (trial.user_attrs["mlflow_run_id"] for trial in study.trials)
    study.ask()
    _run(uri, 0, 0.5)
    store.create_run("0", tags={"kind": "study"})
    store.log_metric(first, "best/val_accuracy", 0.75)
    store.log_metric(first, "val_accuracy", 0.5, step=2)
    store.log_metric(second, "total/epochs", 4)

    found = check(tmp_path, uri, 4, tmp_path)
    counts = {name: value for name, value in vars(found).items() if name != "problems"}

    assert counts == {
        "trials": 2, "attempts": 3, "failed": 0, "lost": 2, "doubled": 1, "running": 2,
        "epochs_doubled": 1, "epochs_missing": 2, "different": 1, "models": 0,
    }  # fmt: skip
    assert (found.is_bad(), len(found.problems)) == (True, 6)
    assert (found + found).lost == 4


@pytest.mark.slow
def test_a_round_of_faults(
    drawn: Path,
    cache: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """A sweep whose sweeper is killed and whose storage is locked then has all its trials, and each once."""
    monkeypatch.setenv("FLOWERSWEEP_CACHE", str(cache))
    monkeypatch.setattr(chaos, "KILLS", ("training", "sweeper"))
    small = ["--trials", "2", "--epochs", "2", "--jobs", "1", "--gap", "0.5", "--pause", "3"]
    code = chaos.main(["--faults", "2", "--seed", "21", "--folder", str(tmp_path), f"--data={drawn}", *small])
    said = capsys.readouterr().out

    assert code == 0, said
    assert "'sweeper': 1, 'optuna.db': 1" in said
    assert (
        "failed 0, lost 0, doubled 0, running 0, epochs doubled 0, epochs missing 0, different 0, models 0"
        in said
    )
