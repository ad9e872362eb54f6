"""Where the runs of a sweep are stored in MLflow: as flowersweep's configuration says; for another program, as its environment does."""

from collections.abc import Iterable, Set  # noqa: PYI025 - the name is not taken
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path

from omegaconf import DictConfig

from flowersweep.config.locations import shared_experiment
from flowersweep.errors import SweepError, TrackingError
from flowersweep.sweep.space.values import own_value
from flowersweep.tracking.mlflow_api import client, given_elsewhere, translated
from flowersweep.tracking.rules import MAX_KEY_LENGTH, SEARCHED, is_key
from flowersweep.tracking.run import REPORTED
from flowersweep.tracking.store.store import Store, known_experiment, prepare_store
from flowersweep.tracking.store.summary import DEVIATION, MEAN, N_SEEDS, ORDER, RANK

URI, EXPERIMENT, EXPERIMENT_ID, RUN = (
    "MLFLOW_TRACKING_URI",
    "MLFLOW_EXPERIMENT_NAME",
    "MLFLOW_EXPERIMENT_ID",
    "MLFLOW_RUN_ID",
)
# The metrics that each run of a trial has besides its objectives.
_OWN_METRICS = (MEAN, DEVIATION, N_SEEDS, ORDER, RANK, REPORTED)


@dataclass(frozen=True)
class Runs:
    """A place for runs.

    Attributes:
        directory: The folder of the results.
        uri: MLflow's tracking URI; None for a database in that folder.
        experiment: The name of the experiment; empty if only its id is known.
        experiment_id: The id of the experiment, if only that is known.
        is_given: Whether the address is that of the environment.
    """

    directory: Path
    uri: str | None
    experiment: str
    experiment_id: str | None = None
    is_given: bool = False


def results_folder(config: DictConfig) -> Path:
    """The folder of a sweep's results."""
    return Path(own_value(config, "tracking.dir", str) or "mlruns")


def own_runs(config: DictConfig) -> Runs | None:
    """The place of flowersweep's own runs; None for a configuration that has none."""
    folder, experiment = (own_value(config, f"tracking.{name}", str) for name in ("dir", "experiment"))
    if folder is None or experiment is None:
        return None
    return Runs(Path(folder), own_value(config, "tracking.uri", str), experiment)


def other_runs(config: DictConfig, tracking: str | None) -> Runs | None:
    """The place of the runs of another program; None if they are not recorded.

    Args:
        config: The sweep's configuration, with the `hydra` node.
        tracking: `hydra.sweeper.tracking`.

    Raises:
        SweepError: MLflow is not installed.
    """
    given = given_elsewhere()
    if tracking == "none" or (tracking is None and URI not in given):
        return None
    if find_spec("mlflow") is None:
        raise SweepError(
            f"{f'hydra.sweeper.tracking={tracking}' if tracking else URI} needs MLflow, which is not installed; "
            "pip install 'flowersweep[mlflow]', or use hydra.sweeper.tracking=none."
        )
    key = None if EXPERIMENT in given else given.get(EXPERIMENT_ID)
    name = given.get(EXPERIMENT) or ("" if key else str(config.hydra.job.name))
    return Runs(results_folder(config).absolute(), given.get(URI), name, key, URI in given)


def runs_of(
    config: DictConfig, tracking: str | None, experiments: Set[str], names: Iterable[str] = ()
) -> Runs | None:
    """The place of the runs of a sweep; None if they are not recorded.

    Args:
        config: The sweep's configuration, with the `hydra` node.
        tracking: `hydra.sweeper.tracking`.
        experiments: Those of flowersweep's own trainings; empty if the trials are those of another program.
        names: Those of the objectives.

    Raises:
        SweepError: `tracking` is given with flowersweep's own trainings, or an objective of another program cannot be recorded.
    """
    if not experiments:
        if (runs := other_runs(config, tracking)) is not None:
            _refuse_objectives(names)
        return runs
    if tracking is not None:
        raise SweepError(
            f"hydra.sweeper.tracking={tracking} is for programs of your own; flowersweep's trainings are always recorded, "
            "where tracking.dir and tracking.uri say."
        )
    return Runs(results_folder(config), config.tracking.uri, shared_experiment(experiments))


def _refuse_objectives(names: Iterable[str]) -> None:
    """Refuse objectives that cannot be metrics of the runs of trials under their names."""
    for name in names:
        if name in _OWN_METRICS or name.startswith(SEARCHED):
            why = f"each run in MLflow has another metric of that name ({', '.join(_OWN_METRICS)} and {SEARCHED}KEY are taken)"
        elif not is_key(name):
            why = (
                f"a metric in MLflow has a name of 1 to {MAX_KEY_LENGTH} letters, digits or any of `_-./: `, and the form of a "
                "relative path"
            )
        else:
            continue
        raise SweepError(
            f"The objective {name[:60]!r} of hydra.sweeper.direction cannot be recorded, because {why}; rename it, or store "
            "no runs with hydra.sweeper.tracking=none."
        )


def open_store(runs: Runs | None) -> Store | None:
    """The store of runs; None if there is no place for them.

    Raises:
        TrackingError: It, or its experiment, cannot be used.
    """
    if runs is None:
        return None
    try:
        store = prepare_store(runs.directory, runs.uri)
        if runs.experiment:
            known_experiment(store, runs.experiment)  # a deleted one is rejected before a study is created
    except TrackingError as error:
        hint = f" This is the store of {URI}; with hydra.sweeper.tracking=none, no runs are stored."
        raise TrackingError(f"{error}{hint if runs.is_given else ''}") from error
    return store


def experiment_name(runs: Runs | None, store: Store | None) -> str | None:
    """The name of the experiment; None if there is no store."""
    if runs is None or store is None:
        return None
    if runs.experiment_id is None:
        return runs.experiment
    with translated(f"open experiment {runs.experiment_id} in {store.uri}"):
        return str(client(store.uri).get_experiment(runs.experiment_id).name)


def environment_of(store: Store, run_id: str) -> dict[str, str]:
    """The variables with which `mlflow.start_run()` in another program goes on with a run."""
    with translated(f"read run {run_id}"):
        run = client(store.uri).get_run(run_id)
    return {URI: store.uri, EXPERIMENT_ID: run.info.experiment_id, RUN: run_id}
