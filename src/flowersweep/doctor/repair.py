"""Repair of what the doctor finds in results, studies and the cache; a database is copied before it is changed."""

import time
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path

from optuna import get_all_study_names, load_study
from optuna.storages import BaseStorage
from optuna.trial import TrialState
from sqlalchemy import make_url

from flowersweep.cache.verification import remove_damaged
from flowersweep.config import cache_dir
from flowersweep.config.schema import Config
from flowersweep.doctor.configured import Setup
from flowersweep.doctor.finding import Check, Finding, Verdict
from flowersweep.doctor.results import database_file, store_of, studies_of
from flowersweep.sweep.storage.storage import storage_url
from flowersweep.sweep.study.claim import is_abandoned
from flowersweep.sweep.study.reclaim import reclaim
from flowersweep.texts import counted
from flowersweep.tracking.failure import reason
from flowersweep.tracking.orphaned_runs import close_orphaned_runs, orphaned_runs
from flowersweep.tracking.outbox.delivery import deliver_all, waiting_runs
from flowersweep.tracking.outbox.outbox import Outbox
from flowersweep.tracking.store.moved import back_up, correct, old_folders
from flowersweep.tracking.store.reachable import check_server, check_sqlite

_NOTHING = "nothing to fix"


def all_repairs(setup: Setup) -> dict[str, Check]:
    """What `doctor --fix` does, in its order, by the name of the check that finds it."""
    config = setup.config
    repairs: dict[str, Callable[[], Iterator[Finding]]] = {
        "results": lambda: fix_store(config),
        "studies": lambda: fix_studies(config, setup.storage),
        "cache": lambda: fix_cache(config),
    }
    return {name: partial(_or_nothing, name, repair) for name, repair in repairs.items()}


def _or_nothing(name: str, repair: Callable[[], Iterator[Finding]]) -> Iterator[Finding]:
    is_any = False
    for finding in repair():
        is_any = True
        yield finding
    if not is_any:
        yield Finding(name, _NOTHING)


def fix_store(config: Config) -> Iterator[Finding]:
    """Correct addresses of moved files, deliver what waits for the store, and close the runs of dead processes.

    Raises:
        TrackingError: The store cannot be used.
    """
    store, path = store_of(config), database_file(config)
    if path is not None:
        if not path.exists():
            return
        check_sqlite(path)
        if config.tracking.uri is None:
            yield from _fix_addresses(path)
    check_server(store.uri)
    runs = waiting_runs(store.outboxes)
    if path is not None and (runs or orphaned_runs(store)):
        yield Finding("results", f"the backup of the database is {back_up(path)}")
    delivered, left = deliver_all(store.uri, store.outboxes)
    if delivered:
        yield Finding("results", f"{counted(delivered, 'record')} that waited on disk stored")
    for run_id, error in left.items():
        (where, *_) = Outbox(store.outboxes, run_id).waiting_in
        found = f"records of run {run_id} cannot be stored ({reason(error)})"
        fix = f"fix this and repeat the command, or delete {where} if they are not needed"
        yield Finding("results", found, Verdict.FIX, fix)
    if closed := close_orphaned_runs(store):
        yield Finding("results", f"{counted(len(closed), 'run')} of dead processes closed as KILLED")


def _fix_addresses(path: Path) -> Iterator[Finding]:
    if (done := correct(path)) is None:
        return
    found = f"{done.addresses} addresses of files changed from {' and '.join(done.old)} to {path.parent}"
    yield Finding("results", f"{found}; the backup of the database is {done.kept}")
    if old_folders(path):
        fix = "copy them, then run this command again"
        yield Finding("results", "some files are in the old folder only", Verdict.FIX, fix)


def fix_studies(config: Config, configured: str | None) -> Iterator[Finding]:
    """Let the trials of dead processes wait for the next sweep, which would do the same.

    Args:
        config: The configuration with `tracking.dir`.
        configured: The value of `hydra.sweeper.storage`.

    Raises:
        FlowersweepError: The storage cannot be used.
    """
    url = storage_url(configured, Path(config.tracking.dir))
    with studies_of(config, url) as storage:
        if storage is None:
            return
        names = [name for name in get_all_study_names(storage) if _has_abandoned(storage, name)]
        if names and url.startswith("sqlite"):
            kept = back_up(Path(str(make_url(url).database)).resolve())
            yield Finding("studies", f"the backup of the database is {kept}")
        for name in names:
            reclaimed = reclaim(load_study(study_name=name, storage=storage))
            found = f"{counted(len(reclaimed), 'trial')} of {name} left by dead processes"
            yield Finding("studies", f"{found}; the command that started the study resumes it")


def _has_abandoned(storage: BaseStorage, study: str) -> bool:
    running = storage.get_all_trials(
        storage.get_study_id_from_name(study), deepcopy=False, states=(TrialState.RUNNING,)
    )
    return any(is_abandoned(trial.user_attrs, time.time()) for trial in running)


def fix_cache(config: Config) -> Iterator[Finding]:
    """Remove files of the cache that differ from their checksums, and those that a killed process left incomplete."""
    cache = cache_dir(config.paths.cache)
    if not cache.exists():
        return
    result = remove_damaged(cache)
    if result.removed:
        found = f"{counted(len(result.removed), 'damaged or incomplete file')} removed from {cache}"
        yield Finding("cache", f"{found}; what is needed is made again")
    for path, why in result.unread.items():
        fix = "check its permissions and the disk, and repeat the command"
        yield Finding("cache", f"{path} cannot be read ({why})", Verdict.FIX, fix)
