"""Creating a run exactly once, even if the store fails, with the tags that MLflow's `start_run` would set."""

import getpass
import sys
import time
from collections.abc import Mapping

from flowersweep.tracking.mlflow_api import QUICK, bare_client, environment, translated
from flowersweep.tracking.patience import cleaning_up, patiently
from flowersweep.tracking.provenance import git_state
from flowersweep.tracking.run import RunStatus
from flowersweep.tracking.store.store import Store


def create_run(store: Store, experiment_id: str, tags: Mapping[str, str], run_name: str) -> str:
    """Create a run exactly once, even if the store fails after creating it, and return its identifier.

    A signal that arrives meanwhile ends the run as KILLED.
    """
    service, began = bare_client(store.uri), int(time.time() * 1000)
    created: list[str] = []

    def create() -> str:
        run = service.create_run(experiment_id, start_time=began, tags=tags, run_name=run_name)
        created.append(run.info.run_id)
        return created[-1]

    def find() -> str | None:
        for run in service.search_runs([experiment_id], f"attributes.start_time = {began}"):
            if all(run.data.tags.get(key) == tags[key] for key in tags) and run.info.run_name == run_name:
                return str(run.info.run_id)
        return None

    try:
        return patiently(create, again=lambda: find() or create())
    except KeyboardInterrupt as interruption:
        with cleaning_up(interruption), translated(f"end run {run_name!r}"), environment(QUICK):
            # Without an answer it may have been created all the same.
            if (run_id := created[-1] if created else find()) is not None:
                service.set_terminated(run_id, RunStatus.KILLED.value)
        raise


def source_tags() -> dict[str, str]:
    """Return the tags that MLflow's start_run would set; its client sets none."""
    try:
        user = getpass.getuser()
    except (OSError, KeyError, ImportError):  # a container whose user has no name
        user = "unknown"
    tags = {
        "mlflow.user": user,
        "mlflow.source.name": "flowersweep" if sys.argv[0] in {"", "-c"} else sys.argv[0],
        "mlflow.source.type": "LOCAL",
    }
    commit = git_state().get("commit")
    return tags if commit is None else tags | {"mlflow.source.git.commit": commit}
