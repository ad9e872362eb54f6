"""Finding or starting the run of a study in MLflow."""

from contextlib import ExitStack

from optuna import Study

from flowersweep.doors.optuna_api import storage_of, study_id
from flowersweep.sweep.storage.lock import locked
from flowersweep.sweep.study.attributes import PARENT_RUN
from flowersweep.tracking.closing import closed_on_failure
from flowersweep.tracking.mlflow_api import client, translated
from flowersweep.tracking.mlflow_tracker import MLflowTracker
from flowersweep.tracking.store.store import Store


def started_or_resumed(study: Study, store: Store, experiment: str) -> MLflowTracker:
    """The study's run in this store; two sweeps that start at the same time share it."""
    storage = storage_of(study)
    started: list[MLflowTracker] = []  # only once, however often the step is repeated

    with ExitStack() as failure:

        def step() -> MLflowTracker:
            if (known := known_run(study, store)) is not None:
                return failure.enter_context(closed_on_failure(MLflowTracker.resume(store, known)))
            if not started:
                tags = {"study": study.study_name, "kind": "study"}
                tracker = MLflowTracker.start(store, experiment, f"study {study.study_name}", tags=tags)
                started.append(failure.enter_context(closed_on_failure(tracker)))
            study.set_user_attr(PARENT_RUN, started[0].run_id)
            return started[0]

        return locked(storage, step)


def known_run(study: Study, store: Store) -> str | None:
    """The id of the study's run; None if this store does not have it."""
    known = storage_of(study).get_study_user_attrs(study_id(study)).get(PARENT_RUN)
    return known if known is not None and _exists(store, known) else None


def _exists(store: Store, run_id: str) -> bool:
    """Whether this store has a run; machines may share a study and each store its own runs."""
    from mlflow.exceptions import MlflowException

    with translated(f"look for the study's run {run_id}"):
        try:
            client(store.uri).get_run(run_id)
        except MlflowException as error:
            if error.error_code == "RESOURCE_DOES_NOT_EXIST":
                return False
            raise
    return True
