"""Finding a store with results, a study in it, its trials, and runs."""

import shlex
from typing import TYPE_CHECKING

from flowersweep.config.locations import STUDIES_NAME, results_dir
from flowersweep.errors import TrackingError
from flowersweep.redaction import redacted
from flowersweep.texts import choose_one_of, expanded
from flowersweep.tracking.mlflow_api import client, translated
from flowersweep.tracking.run import PROGRAM
from flowersweep.tracking.store.store import DATABASE_NAME, Store, prepare_store

if TYPE_CHECKING:
    from mlflow.entities import Run

PAGE = 1000
STUDIES = "tags.kind = 'study'"


def open_results(directory: str | None = None, uri: str | None = None) -> Store:
    """The store of existing results.

    Args:
        directory: The folder of results; the default one if None.
        uri: MLflow's tracking URI, if results are not in that folder.

    Raises:
        TrackingError: There are no results yet, or they cannot be reached.
    """
    folder = expanded(directory or results_dir())
    if uri is None and not (folder / DATABASE_NAME).exists():
        if (folder / STUDIES_NAME).exists():
            raise TrackingError(
                f"No runs are recorded in {folder}, only studies; a sweep of a program of your own records its trials with "
                "hydra.sweeper.tracking=mlflow."
            )
        raise TrackingError(
            f"There are no results in {folder}; train a model first, as in python -m flowersweep data=demo "
            "trainer=quick, or give the folder of the results with tracking.dir=DIR."
        )
    return prepare_store(folder, uri)


def find_study(
    store: Store, study: str | None = None, experiment: str | None = None, *, of_others: bool = False
) -> "Run":
    """The run of a study, which is the parent of its trials' runs.

    Args:
        store: The store to search.
        study: Its name; None for the one that was started last.
        experiment: Name of the experiment to look in; None for all.
        of_others: Whether its trials may be those of another program.

    Raises:
        TrackingError: There is no study of that name, no study at all, or it was deleted in MLflow; or it is one of another
            program, and must not be.
    """
    found = search(store, STUDIES, experiment)
    runs = found if of_others else own_studies(found)
    for run in runs:
        if study in {None, study_name(run)}:
            return run
    for run in found:
        if study == study_name(run):
            raise TrackingError(
                f"The trials of the study {study!r} are not flowersweep's own trainings but those of "
                f"`{run.data.tags[PROGRAM]}`, for which there is no such command; report study=NAME compares them."
            )
    refuse_deleted_study(store, study, experiment, of_others=of_others)
    if not runs:
        raise TrackingError(
            "There is no study yet; a sweep creates one, as in python -m flowersweep --multirun aug=none,RandomFlip."
        )
    names = list(dict.fromkeys(map(study_name, runs)))
    raise TrackingError(f"There is no study {study!r}; {choose_one_of(names, study or '')}")


def study_name(run: "Run") -> str:
    """The name of the study that a run belongs to; the run's own name for people may be another one."""
    return str(run.data.tags.get("study", run.info.run_name))


def experiment_of(store: Store, run: "Run") -> str:
    """The name of the experiment that a run is in."""
    with translated(f"read the experiment of run {run.info.run_id}"):
        return str(client(store.uri).get_experiment(run.info.experiment_id).name)


def own_studies(studies: list["Run"]) -> list["Run"]:
    """Those of the runs of studies whose trials are not another program's."""
    return [run for run in studies if PROGRAM not in run.data.tags]


def program_of(store: Store, run: "Run") -> str | None:
    """The command of the other program that a run is a trial of, by the study above it; None for flowersweep's own."""
    while parent := run.data.tags.get("mlflow.parentRunId"):
        there, its_id = [run.info.experiment_id], f"attributes.run_id = '{parent}'"
        found = _search(store, there, its_id) or _search(store, there, its_id, deleted=True)
        if not found:
            return None
        run = found[0]
    program: str | None = run.data.tags.get(PROGRAM)
    return program


def refuse_deleted_study(
    store: Store, study: str | None = None, experiment: str | None = None, *, of_others: bool = False
) -> None:
    """Refuse a study that was deleted in MLflow, and say how to restore it.

    Args:
        store: The store to search.
        study: Its name; None for any.
        experiment: Name of the experiment to look in; None for all.
        of_others: Whether any includes studies of another program.

    Raises:
        TrackingError: There is a deleted study of that name.
    """
    found = search(store, STUDIES, experiment, deleted=True)
    for run in found if study or of_others else own_studies(found):
        if study in {None, study_name(run)}:
            raise TrackingError(
                f"The study {study_name(run)!r} was deleted in MLflow; {restoring(store, run.info.run_id)}."
            )


def trials_of(store: Store, study: "Run", *, deleted: bool = False) -> list["Run"]:
    """The runs of a study's trials, in the order of their numbers; for a trial with several attempts, the last one.

    Args:
        store: The store of the runs.
        study: The run of the study.
        deleted: Return the runs that were deleted in MLflow and can be restored, instead of the existing ones.
    """
    latest: dict[int, Run] = {}
    runs = children_of(store, study, deleted=deleted)
    for run in sorted(runs, key=lambda run: int(run.data.tags.get("attempt", 0))):
        if run.data.tags.get("kind") == "trial":
            latest[int(run.data.tags["trial"])] = run
    return [latest[number] for number in sorted(latest)]


def children_of(store: Store, run: "Run", *, deleted: bool = False) -> list["Run"]:
    """The child runs of a run, in the order in which they started.

    Args:
        store: The store of the runs.
        run: The parent run.
        deleted: Return the runs that were deleted in MLflow instead of the existing ones.
    """
    below = f"tags.`mlflow.parentRunId` = '{run.info.run_id}'"
    found = _search(store, [run.info.experiment_id], below, deleted=deleted)
    return sorted(found, key=lambda child: int(child.info.start_time))


def restoring(store: Store, run_id: str) -> str:
    """How to restore a deleted run, as the end of a sentence."""
    uri = redacted(store.uri)
    return f"restore it with `MLFLOW_TRACKING_URI={shlex.quote(uri)} mlflow runs restore --run-id {run_id}`"


def search(
    store: Store, filter_string: str, experiment: str | None = None, *, deleted: bool = False
) -> list["Run"]:
    """Runs that pass MLflow's filter, the latest first.

    Args:
        store: The store to search.
        filter_string: A filter of MLflow.
        experiment: Name of the experiment to look in; None for all.
        deleted: Return the runs that were deleted in MLflow instead of the existing ones.

    Raises:
        TrackingError: There is no such experiment.
    """
    service = client(store.uri)
    with translated(f"look for runs in {store.uri}"):
        experiments = {found.name: found.experiment_id for found in service.search_experiments()}
    if experiment is not None and experiment not in experiments:
        raise TrackingError(
            f"There is no experiment {experiment!r}; {choose_one_of(list(experiments), experiment)}"
        )
    chosen = list(experiments.values()) if experiment is None else [experiments[experiment]]
    return _search(store, chosen, filter_string, deleted=deleted)


def _search(
    store: Store, experiments: list[str], filter_string: str, *, deleted: bool = False
) -> list["Run"]:
    service, token = client(store.uri), None
    from mlflow.entities import ViewType

    runs: list[Run] = []
    with translated(f"look for runs in {store.uri}"):
        while True:
            page = service.search_runs(
                experiments,
                filter_string=filter_string,
                run_view_type=ViewType.DELETED_ONLY if deleted else ViewType.ACTIVE_ONLY,
                order_by=["attributes.start_time DESC"],
                max_results=PAGE,
                page_token=token,
            )
            runs.extend(page)
            token = page.token
            if not token:
                return runs
