"""Check of the results: MLflow's store and Optuna's studies. Checks do not create anything."""

import shlex
import sqlite3
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

from optuna import get_all_study_names
from optuna.storages import BaseStorage
from optuna.trial import TrialState
from sqlalchemy import create_engine, inspect, make_url

from flowersweep.config.schema import Config
from flowersweep.doctor.finding import Finding, Verdict
from flowersweep.doctor.folders import LITTLE_ROOM, free_bytes, gigabytes, try_to_write
from flowersweep.errors import TrackingError
from flowersweep.hardware import network_file_system
from flowersweep.redaction import redacted
from flowersweep.sweep.storage.storage import closing_storage, open_storage, shown, storage_url
from flowersweep.sweep.study.claim import is_abandoned
from flowersweep.texts import counted, expanded
from flowersweep.tracking.failure import reason
from flowersweep.tracking.mlflow_api import client, translated
from flowersweep.tracking.orphaned_runs import orphaned_runs
from flowersweep.tracking.outbox.delivery import fix_command, waiting_runs
from flowersweep.tracking.outbox.outbox import Outbox
from flowersweep.tracking.store.moved import ARTIFACTS, command, old_folders
from flowersweep.tracking.store.reachable import check_database, check_server, check_sqlite
from flowersweep.tracking.store.store import DATABASE_NAME, Store, known_experiment, sqlite_uri

_NAMED = 3  # maximum number of studies in a finding


def check_store(config: Config) -> Iterator[Finding]:
    """Check whether runs can be recorded: the folder, the free space, the tables, and runs that were not closed.

    Raises:
        TrackingError: Runs cannot be recorded.
    """
    store = store_of(config)
    if (path := database_file(config)) is not None:
        yield from _check_place(path)
        if not path.exists() or not path.stat().st_size:
            yield Finding("results", f"{path} is created by the first run")
            return
        _check_damage(path)
        check_sqlite(path)
        if config.tracking.uri is None and (old := old_folders(path)):
            found = f"moved or copied from {' and '.join(old)}, where MLflow still searches for files"
            yield Finding("results", found, Verdict.FIX, command(path.parent))
    elif not store.uri.startswith("http"):
        check_database(store.uri, store.uri.split(":", 1)[0].split("+", 1)[0])
        if "experiments" not in _tables(store.uri):
            yield Finding("results", f"{redacted(store.uri)} is empty; the first run creates its tables")
            return
    check_server(store.uri)
    yield from _what_is_there(store, redacted(store.uri) if path is None else str(path))
    if runs := waiting_runs(store.outboxes):
        number = counted(sum(len(Outbox(store.outboxes, run)) for run in runs), "record")
        found = f"{number} of {counted(len(runs), 'run')} could not be stored and wait on disk"
        yield Finding(
            "results",
            found,
            Verdict.NOTE,
            f"the next run stores them, or: {fix_command(store.uri, store.outboxes)}",
        )
    known_experiment(store, config.tracking.experiment)


def database_file(config: Config) -> Path | None:
    """The SQLite file of the results; None if they are on a server."""
    uri = config.tracking.uri
    if uri is None:
        return expanded(config.tracking.dir).resolve() / DATABASE_NAME
    return Path(str(make_url(uri).database)).resolve() if uri.startswith("sqlite") else None


def store_of(config: Config) -> Store:
    """The store of the results, as a run opens it, but unchecked."""
    uri, path = config.tracking.uri, database_file(config)
    if uri is not None and uri.startswith("http"):
        return Store(uri, None)
    root = expanded(config.tracking.dir).resolve() / ARTIFACTS
    return Store(str(uri) if path is None else sqlite_uri(path), root)


@contextmanager
def studies_of(config: Config, url: str) -> Iterator[BaseStorage | None]:
    """The storage of the studies, closed at the end of the block; None if there are no studies.

    Args:
        config: The configuration with `tracking.dir`.
        url: From `storage_url`.

    Raises:
        FlowersweepError: The storage cannot be used.
    """
    if not has_studies(url):
        yield None
        return
    with closing_storage(open_storage(url, Path(config.tracking.dir))) as storage:
        yield storage


def check_studies(config: Config, configured: str | None) -> Iterator[Finding]:
    """Check whether studies can be stored, and which of them have unfinished trials.

    Args:
        config: The configuration with `tracking.dir`.
        configured: The value of `hydra.sweeper.storage`.

    Raises:
        FlowersweepError: The storage cannot be used.
    """
    url = storage_url(configured, Path(config.tracking.dir))
    with studies_of(config, url) as storage:
        if storage is None:
            yield Finding("studies", f"none yet; the first sweep creates {shown(url)}")
            return
        names = get_all_study_names(storage)
        left = [text for name in names if (text := _left_over(storage, name))]
        number = len(names)
    found = f"{number} in {shown(url)}"
    if left:
        more = f" and {len(left) - _NAMED} more" if len(left) > _NAMED else ""
        text = f"{found}; unfinished: {', '.join(left[:_NAMED])}{more}"
        yield Finding(
            "studies",
            text,
            Verdict.NOTE,
            "the command that started a study resumes it; doctor --fix only lets the trials of dead processes wait",
        )
    else:
        yield Finding("studies", found)


def _check_place(path: Path) -> Iterator[Finding]:
    """Check whether SQLite can write a database and its journal at a path."""
    try:
        try_to_write(path.parent)
    except OSError as error:
        raise TrackingError(
            f"{path.parent} cannot be written to ({reason(error)}); give the right to write there, or choose another "
            "folder with tracking.dir=PATH."
        ) from error
    if (free := free_bytes(path.parent)) < LITTLE_ROOM:
        found = f"{gigabytes(free)} free at {path.parent}"
        yield Finding("free space", found, Verdict.FIX, "free some space, or choose tracking.dir=PATH")
    if (kind := network_file_system(path)) is not None:
        fix = "store results on a local disk with tracking.dir=PATH, or on a server with tracking.uri"
        found = f"{path.parent} is on {kind}, where several processes may damage a SQLite file"
        yield Finding("file system", found, Verdict.FIX, fix)


def _check_damage(path: Path) -> None:
    """Check the pages of the file with SQLite; a file that is not a database is left to `check_sqlite`."""
    try:
        with closing(sqlite3.connect(path, timeout=20)) as database:
            answer = str(database.execute("PRAGMA quick_check(1)").fetchone()[0])
    except sqlite3.DatabaseError as error:
        if error.sqlite_errorcode != sqlite3.SQLITE_CORRUPT:
            return
        answer = str(error)
    if answer != "ok":
        raise TrackingError(
            f"{path} is damaged ({answer.splitlines()[-1]}); copy it to another folder, then recover what can be read with: "
            f"sqlite3 {shlex.quote(str(path))} .recover | sqlite3 recovered.db"
        )


def _what_is_there(store: Store, place: str) -> Iterator[Finding]:
    with translated(f"read the experiments of {store.uri}"):
        number = len(client(store.uri).search_experiments())
    found = f"{number} experiment{'s' * (number != 1)} in {place}, created for this version of MLflow"
    dead = orphaned_runs(store)
    if dead:
        runs = f"{len(dead)} run{'s' * (len(dead) != 1)} RUNNING although the process has died"
        yield Finding(
            "results",
            f"{found}; {runs}",
            Verdict.NOTE,
            f"the next run closes them as KILLED, or: {fix_command(store.uri, store.outboxes)}",
        )
    else:
        yield Finding("results", found)


def has_studies(url: str) -> bool:
    """Whether a storage has tables; opening it without tables would create them."""
    if url.startswith("journal:"):
        return Path(url.removeprefix("journal:")).exists()
    parsed = make_url(url)
    if parsed.get_backend_name() == "sqlite":
        return Path(str(parsed.database)).exists()
    check_database(url, parsed.get_backend_name())
    return "studies" in _tables(url)


def _tables(url: str) -> list[str]:
    engine = create_engine(url)
    try:
        return inspect(engine).get_table_names()
    finally:
        engine.dispose()


def _left_over(storage: BaseStorage, study: str) -> str:
    """The unfinished trials of a study; empty if a running process works on it."""
    states = (TrialState.RUNNING, TrialState.WAITING)
    study_id = storage.get_study_id_from_name(study)
    trials = storage.get_all_trials(study_id, deepcopy=False, states=states)
    waiting = [trial for trial in trials if trial.state is TrialState.WAITING]
    running = [trial for trial in trials if trial.state is TrialState.RUNNING]
    lost = [trial for trial in running if is_abandoned(trial.user_attrs, time.time())]
    if len(lost) < len(running) or not trials:
        return ""
    parts = [f"{len(lost)} of a process that died"] * bool(lost) + [f"{len(waiting)} waiting"] * bool(waiting)
    return f"{study} ({', '.join(parts)})"
