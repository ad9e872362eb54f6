"""Selection of a run with its model: by id, the best of a study, or the promoted one."""

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

from flowersweep.deploy.best_run import best_of, best_run, counts, described, overrides_of, refuse_deleted
from flowersweep.deploy.model_info import ModelInfo, model_info
from flowersweep.errors import ConfigError, TrackingError
from flowersweep.tracking.lookup import logged_model, training_command
from flowersweep.tracking.mlflow_api import client, translated
from flowersweep.tracking.selection import (
    children_of,
    open_results,
    program_of,
    restoring,
    search,
    study_name,
)
from flowersweep.tracking.store.store import Store

if TYPE_CHECKING:
    from mlflow.entities import LoggedModel, Run
    from mlflow.entities.model_registry import ModelVersion

MODEL_NAME = "flowersweep"
ALIAS = "champion"
BEST = "best"

_RUN_ID = re.compile(r"[0-9a-f]{8,32}")
_REGISTERED = re.compile(r"models:/([^/@]+)(?:@([^/@]+)|/(\d+))")


@dataclass(frozen=True)
class Choice:
    """A run with its saved model.

    Attributes:
        store: The store of both.
        run: The run in MLflow.
        model: The saved model in MLflow.
        info: Inputs and outputs of the model.
    """

    store: Store
    run: "Run"
    model: "LoggedModel"
    info: ModelInfo

    @property
    def run_id(self) -> str:
        """The run's id."""
        return str(self.run.info.run_id)

    @property
    def location(self) -> str:
        """The address of the model's files."""
        return str(self.model.artifact_location)

    @property
    def about(self) -> str:
        """A short description, for example "run 3202c00c (trial 17 of study asha, best/val_accuracy 0.8978)"."""
        return f"run {self.run_id[:8]} ({described(self.run)})"


def choose(
    run: str | None = None,
    study: str | None = None,
    experiment: str | None = None,
    *,
    directory: str | None = None,
    uri: str | None = None,
) -> Choice:
    """Select the run whose model is used.

    Args:
        run: Its id or at least 8 digits of it, `best`, `champion`, or `models:/NAME@ALIAS`; None for the champion, or
            the best run if there is no champion.
        study: The study to search for `best`; None for the latest one.
        experiment: The experiment to search for `best`; None for all.
        directory: The folder of results; the default one if None.
        uri: MLflow's tracking URI, if results are not in that folder.

    Raises:
        ConfigError: The arguments contradict each other or are invalid.
        TrackingError: There is no such run, or it has saved no model.

    Example:
        >>> choice = choose("best", study="petals", directory="results")
        >>> choice.info.class_names
        ('daisy', 'dandelion', 'roses', 'sunflowers', 'tulips')
    """
    if (study or experiment) and run not in {None, BEST}:
        given = "study" if study else "experiment"
        raise ConfigError(
            f"{given}= selects the best run, but run={run} names another one; leave one of the two out."
        )
    if run not in {None, BEST, ALIAS} and not _is_named(str(run)):
        raise ConfigError(
            f"run={run} is not a run; give its id or at least 8 digits of it, best, champion, or models:/NAME@ALIAS."
        )
    store = open_results(directory, uri)
    if run == BEST or study or experiment:
        return choose_run(store, best_run(store, study, experiment))
    if run is None:
        version = registered(store, f"models:/{MODEL_NAME}@{ALIAS}", missing_ok=True)
        return _of_version(store, version) if version else choose_run(store, best_run(store))
    if _RUN_ID.fullmatch(run):
        return choose_run(store, find_run(store, run))
    version = registered(store, f"models:/{MODEL_NAME}@{ALIAS}" if run == ALIAS else run)
    assert version is not None  # noqa: S101 (a missing one was refused)
    return _of_version(store, version)


def registered(store: Store, address: str, *, missing_ok: bool = False) -> "ModelVersion | None":
    """The registered version at `models:/NAME@ALIAS` or `models:/NAME/VERSION`.

    Raises:
        TrackingError: There is no such version; with `missing_ok` None is returned instead.
    """
    from mlflow.exceptions import MlflowException

    match = _REGISTERED.fullmatch(address)
    assert match is not None  # noqa: S101 (the caller checked it)
    name, alias, number = match.groups()
    service = client(store.uri)
    try:
        return (
            service.get_model_version_by_alias(name, alias)
            if alias
            else service.get_model_version(name, number)
        )
    except MlflowException as error:
        # Some stores report a missing alias as an invalid parameter.
        if error.error_code not in {"RESOURCE_DOES_NOT_EXIST", "INVALID_PARAMETER_VALUE"}:
            with translated(f"look up {address}"):
                raise
    if missing_ok:
        return None
    raise TrackingError(
        f"There is no registered model {address}; register one with python -m flowersweep promote study=NAME."
    )


def _is_named(wanted: str) -> bool:
    return bool(_RUN_ID.fullmatch(wanted) or _REGISTERED.fullmatch(wanted))


def find_run(store: Store, beginning: str) -> "Run":
    """The run with this id.

    Args:
        store: The store to search.
        beginning: The id, or at least 8 digits of it.

    Raises:
        ConfigError: It is not an id.
        TrackingError: There is no such run, several start with it, or it was deleted in MLflow.
    """
    if not _RUN_ID.fullmatch(beginning):
        raise ConfigError(f"{beginning!r} is not a run; give its id or at least 8 digits of it.")
    runs = search(store, f"attributes.run_id LIKE '{beginning}%'")
    if not runs:
        for run in search(store, f"attributes.run_id LIKE '{beginning}%'", deleted=True):
            raise TrackingError(
                f"The run {run.info.run_id} was deleted in MLflow; {restoring(store, run.info.run_id)}."
            )
        raise TrackingError(
            f"There is no run {beginning} in {store.uri}; python -m flowersweep ui shows the existing runs."
        )
    if len(runs) > 1:
        raise TrackingError(f"{len(runs)} runs start with {beginning}; give more digits of the id.")
    return runs[0]


def _of_version(store: Store, version: "ModelVersion") -> Choice:
    # The registry stores the run of a version, but in a database not its model; each run has only one.
    if not version.run_id:
        raise TrackingError(
            f"Version {version.version} of {version.name} does not record its run; register one with "
            "python -m flowersweep promote."
        )
    with translated(f"look up run {version.run_id} of version {version.version} of {version.name}"):
        run = client(store.uri).get_run(version.run_id)
    return choose_run(store, run)


def choose_run(store: Store, run: "Run") -> Choice:
    """A run with its model; a repeated trial has no model, so its best repeat is used."""
    if run.data.tags.get("kind") == "study":
        name = study_name(run)
        raise ConfigError(f"run={run.info.run_id[:8]} is a study; use run=best study={name} instead.")
    if "n_repeats" in run.data.tags:
        run = _best_repeat(store, run)
    with translated(f"look for the model of run {run.info.run_id}"):
        model = logged_model(store, run)
    if model is None:
        if program := program_of(store, run):
            raise TrackingError(
                f"Run {run.info.run_id[:8]} is not flowersweep's own training but one of `{program}`, and has saved no model "
                "that flowersweep can use; give another run with run=ID."
            )
        raise TrackingError(
            f"Run {run.info.run_id[:8]} ({described(run)}) has saved no model; train it again with\n"
            f"{_command_with_model(store, run)}\nand use the new run with run=ID."
        )
    return Choice(store, run, model, model_info(store, model.artifact_location))


def _best_repeat(store: Store, run: "Run") -> "Run":
    """The best of a trial's repeats; the trial itself if its training was not completed."""
    repeats = [one for one in children_of(store, run) if counts(one)]
    deleted = [one for one in children_of(store, run, deleted=True) if counts(one)]
    refuse_deleted(store, f"repeat of {described(run)}", repeats, deleted)
    n_lost = int(run.data.tags["n_repeats"]) - len(repeats) - len(deleted)
    if counts(run) and n_lost > 0:
        left = ", ".join(one.info.run_id[:8] for one in repeats) or "none"
        raise TrackingError(
            f"Of the {run.data.tags['n_repeats']} repeats of {described(run)}, {n_lost} cannot be found any more, and the "
            f"best may be among them; select one of the others with run=ID ({left})."
        )
    return best_of(repeats) if repeats else run


def _command_with_model(store: Store, run: "Run") -> str:
    """The command that trains a run again and stores its model."""
    typed = overrides_of(store, run)
    kept = [one for one in typed if not one.lstrip("+").startswith("tracking.log_model=")]
    return training_command([*kept, "tracking.log_model=true"])
