"""What `doctor --fix` repairs, in real stores, studies and caches; what was not broken stays as it is."""

import errno
import sqlite3
from contextlib import closing
from pathlib import Path

import optuna
import pytest
from optuna.trial import TrialState

from conftest import MakeConfig
from flowersweep import process
from flowersweep.cache.checkpoints import Checkpoint, checkpoint_path, write_checkpoint
from flowersweep.doctor.configured import Setup
from flowersweep.doctor.finding import Finding, Verdict, run_check
from flowersweep.doctor.repair import all_repairs, fix_cache
from flowersweep.doctor.results import check_store, check_studies
from flowersweep.sweep.storage.storage import open_storage
from flowersweep.sweep.study.attributes import OWNER
from flowersweep.sweep.study.claim import claim
from flowersweep.tracking import mlflow_api
from flowersweep.tracking.mlflow_api import client
from flowersweep.tracking.mlflow_tracker import MLflowTracker
from flowersweep.tracking.outbox import delivery
from flowersweep.tracking.run import RunStatus
from flowersweep.tracking.store.store import Store, prepare_store

DEAD = process.identity() | {
    process.START_TAG: process.identity()[process.START_TAG].rsplit(" ", 1)[0] + " 1"
}


@pytest.fixture
def store(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Store:
    """A store in which SQLite hardly waits for a lock."""
    monkeypatch.setattr(mlflow_api, "BUSY_MILLISECONDS", 10)
    return prepare_store(tmp_path / "results")


def repaired(make_config: MakeConfig, *overrides: str) -> list[Finding]:
    """What `doctor --fix` says."""
    setup = Setup(make_config(*overrides), (), None, 1, None)
    return [found for name, repair in all_repairs(setup).items() for found in run_check(name, repair)]


def said(findings: list[Finding], check: str) -> list[str]:
    """The sentences about one check."""
    return [one.found for one in findings if one.check == check]


@pytest.mark.slow
def test_nothing_is_made_or_changed_where_nothing_is_broken(
    make_config: MakeConfig, store: Store, tmp_path: Path
) -> None:
    """Neither in good results nor without any; a store that does not answer is told."""
    MLflowTracker.start(store, "flowers", "run").end(RunStatus.FINISHED)
    before = sorted(path.name for path in (tmp_path / "results").iterdir())
    for where in (f"tracking.dir={tmp_path}/results", f"tracking.dir={tmp_path}/nowhere"):
        findings = repaired(make_config, where)
        assert [(one.check, one.found) for one in findings] == [
            (check, "nothing to fix") for check in ("results", "studies", "cache")
        ]
    assert sorted(path.name for path in (tmp_path / "results").iterdir()) == before
    assert not (tmp_path / "nowhere").exists()
    away = repaired(make_config, f"tracking.dir={tmp_path}/nowhere", "tracking.uri=http://127.0.0.1:1")
    assert (away[0].check, away[0].verdict) == ("results", Verdict.FIX)


@pytest.mark.slow
def test_addresses_of_a_moved_folder_are_corrected(
    make_config: MakeConfig, store: Store, tmp_path: Path
) -> None:
    """After which the check finds nothing."""
    MLflowTracker.start(store, "flowers", "run").end(RunStatus.FINISHED)
    moved = (tmp_path / "results").rename(tmp_path / "moved")
    (first,) = said(repaired(make_config, f"tracking.dir={moved}"), "results")
    assert first == (
        f"3 addresses of files changed from {tmp_path}/results to {moved}; the backup of the database is "
        f"{moved}/mlflow-before-fix.db"
    )
    assert {one.verdict for one in check_store(make_config(f"tracking.dir={moved}"))} == {Verdict.FINE}


def test_waiting_records_are_stored_and_dead_runs_closed(
    make_config: MakeConfig, store: Store, tmp_path: Path
) -> None:
    """With a backup from before; runs of living processes are left alone, and a second time nothing is done."""
    where = f"tracking.dir={tmp_path}/results"
    waiting, living = (MLflowTracker.start(store, "flowers", name) for name in ("waiting", "living"))
    dead = MLflowTracker.start(store, "flowers", "dead", tags=DEAD)
    with closing(sqlite3.connect(tmp_path / "results/mlflow.db", isolation_level=None)) as other:
        other.execute("BEGIN EXCLUSIVE")
        waiting.metrics({"loss": 0.5}, step=1)
        waiting.end(RunStatus.FINISHED)
    delivery._absences.clear()
    notes = [one for one in check_store(make_config(where)) if one.verdict is Verdict.NOTE]
    command = f"python -m flowersweep doctor --fix {where}"
    assert [one.fix.rpartition(": ")[2] for one in notes] == [command, command]
    assert notes[1].found == "2 records of 1 run could not be stored and wait on disk"

    assert said(repaired(make_config, where), "results") == [
        f"the backup of the database is {tmp_path}/results/mlflow-before-fix.db",
        "2 records that waited on disk stored",
        "1 run of dead processes closed as KILLED",
    ]
    found = {run.run_id: client(store.uri).get_run(run.run_id) for run in (waiting, living, dead)}
    assert [one.info.status for one in found.values()] == ["FINISHED", "RUNNING", "KILLED"]
    assert found[waiting.run_id].data.metrics == {"loss": 0.5}
    with closing(sqlite3.connect(tmp_path / "results/mlflow-before-fix.db")) as backup:
        assert backup.execute("SELECT count(*) FROM runs WHERE status = 'RUNNING'").fetchone() == (3,)
    assert said(repaired(make_config, where), "results") == ["nothing to fix"]


def test_records_that_are_refused_are_named(make_config: MakeConfig, store: Store, tmp_path: Path) -> None:
    """With the reason, and the folder to delete."""
    run = MLflowTracker.start(store, "flowers", "run")
    with closing(sqlite3.connect(tmp_path / "results/mlflow.db", isolation_level=None)) as other:
        other.execute("BEGIN EXCLUSIVE")
        run.metrics({"loss": 0.5}, step=1)
    delivery._absences.clear()
    client(store.uri).delete_run(run.run_id)
    findings = repaired(make_config, f"tracking.dir={tmp_path}/results")
    (refused,) = [one for one in findings if one.verdict is Verdict.FIX]
    assert refused.found.startswith(f"records of run {run.run_id} cannot be stored (")
    assert f"delete {tmp_path}/results/outbox/{run.run_id} if" in refused.fix


def test_trials_of_dead_processes_wait_again(make_config: MakeConfig, tmp_path: Path) -> None:
    """Those of living ones go on."""
    storage = open_storage(None, tmp_path / "results")
    study = optuna.create_study(storage=storage, study_name="s")
    for identity in (DEAD, process.identity()):
        trial = study.ask()
        claim(trial)
        trial.set_user_attr(OWNER, {**trial.user_attrs[OWNER], **identity})
    (backup, trials) = said(repaired(make_config, f"tracking.dir={tmp_path}/results"), "studies")
    assert backup == f"the backup of the database is {tmp_path}/results/optuna-before-fix.db"
    assert trials == "1 trial of s left by dead processes; the command that started the study resumes it"
    assert [trial.state for trial in study.trials] == [TrialState.WAITING, TrialState.RUNNING]
    assert all(
        one.verdict is not Verdict.FIX
        for one in check_studies(make_config(f"tracking.dir={tmp_path}/results"), None)
    )


def test_incomplete_files_leave_the_cache(make_config: MakeConfig, tmp_path: Path) -> None:
    """And nothing else does."""
    cache = tmp_path / "cache"
    (cache / "demo-1-140.part").mkdir(parents=True)
    (cache / "own.txt").write_text("x", encoding="utf-8")
    (found,) = said(
        repaired(make_config, f"tracking.dir={tmp_path}/results", f"paths.cache={cache}"), "cache"
    )
    assert found == f"1 damaged or incomplete file removed from {cache}; what is needed is made again"
    assert [path.name for path in cache.iterdir()] == ["own.txt"]


def test_a_checkpoint_that_cannot_be_read_stays(
    make_config: MakeConfig, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is named, with what to do, and not removed as damaged."""
    path = checkpoint_path(tmp_path / "cache", "c" * 32)
    write_checkpoint(path, Checkpoint({"epochs": []}, {}))

    def failing(_: Path) -> bool:
        raise OSError(errno.EIO, "Input/output error")

    monkeypatch.setattr("flowersweep.cache.verification.is_whole_archive", failing)
    (finding,) = fix_cache(make_config(f"paths.cache={tmp_path}/cache"))

    assert finding.found == f"{path} cannot be read (Input/output error)"
    assert finding.verdict is Verdict.FIX
    assert path.exists()
