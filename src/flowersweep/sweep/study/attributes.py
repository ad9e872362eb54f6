"""The names of the user attributes that flowersweep stores with studies and trials.

Studies of earlier versions have them too, so they must not be changed.
"""

from collections.abc import Mapping
from typing import Any

# Of a study: what it searches, its enqueued points, its run in MLflow, and the command of the latest sweep, without
# passwords, by which other machines can join; with its total number of trials and the version of flowersweep.
DEFINITION = "definition"
ENQUEUED = "enqueued"
PARENT_RUN = "mlflow_parent_run_id"
COMMAND = "flowersweep.command"

# Of a trial: its run in MLflow; of a duplicate, the number of the trial whose result it has.
RUN_ID = "mlflow_run_id"
TAKEN_FROM = "taken_from"

# Of a trial that trained networks: how many epochs in all its phases and repeats, also if it was pruned or failed; and if
# it is complete, the objective and the seed of each repeat (of several objectives the first one, and all of them), and the
# number of validation pictures.
EPOCHS = "epochs"
REPEATS = "repeats"
ALL_OBJECTIVES = "flowersweep.repeats"
# Of the same, from its start: how often it reports at most, which is its number of epochs or, with repeats, of seeds.
N_STEPS = "flowersweep.n_steps"
SEEDS = "seeds"
N_VALIDATION = "n_validation"

# Of a trial that is a point of the grid: the index of the point.
GRID_POINT = "grid_point"

# Of a trial that a worker took: the worker's process, and the time of its last sign of life. Named so that no
# attribute of a run is mistaken for them.
OWNER = "flowersweep.owner"
HEARTBEAT = "flowersweep.heartbeat"

# Of a trial that is run again: how many workers, and how many training processes, died while running it.
LOST = "lost"
DEATHS = "deaths"

# Of a failed trial: the reason in one line, and the end of the traceback.
FAIL_REASON = "fail_reason"
TRACEBACK = "traceback"

# Of a trial that waits again because its infrastructure failed: the sweep and the reason.
INFRASTRUCTURE_FAILURE = "hindrance"

# All those of trials. A program of the user's own stores attributes under other names.
OF_TRIALS = frozenset(
    {
        RUN_ID,
        TAKEN_FROM,
        EPOCHS,
        REPEATS,
        ALL_OBJECTIVES,
        N_STEPS,
        SEEDS,
        N_VALIDATION,
        GRID_POINT,
        OWNER,
        HEARTBEAT,
        LOST,
        DEATHS,
        FAIL_REASON,
        TRACEBACK,
        INFRASTRUCTURE_FAILURE,
    }
)


def earlier_attempts(user_attrs: Mapping[str, Any]) -> int:
    """How often a trial was started before: once if it only has a run, which the machine that gave it back may not have ended.

    Args:
        user_attrs: Those of the trial.
    """
    failed = int(user_attrs.get(DEATHS) or 0) + int(user_attrs.get(LOST) or 0)
    return max(failed, int(RUN_ID in user_attrs))
