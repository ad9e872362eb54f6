"""The names of the user attributes that flowersweep stores with studies and trials.

Studies of earlier versions have them too: they must stay as they are.
"""

# Of a study: what it searches, the points put before those of its sampler, and its run in MLflow.
DEFINITION = "definition"
ENQUEUED = "enqueued"
PARENT_RUN = "mlflow_parent_run_id"

# Of a trial: its run in MLflow, and of a duplicate the number of the trial whose result it has.
RUN_ID = "mlflow_run_id"
TAKEN_FROM = "taken_from"

# Of a trial that is a point of the grid: the index of the point.
GRID_POINT = "grid_point"

# Of a trial that a worker took: which process that is, and when it last gave a sign of life. Named so that no attribute
# of a run is taken for them.
OWNER = "flowersweep.owner"
HEARTBEAT = "flowersweep.heartbeat"

# Of a trial that is run again: how many workers, and how many training processes, died while they ran it.
LOST = "lost"
DEATHS = "deaths"

# Of a trial that failed: why, in one line, and the end of the traceback.
FAIL_REASON = "fail_reason"
TRACEBACK = "traceback"

# Of a trial that waits again because its infrastructure failed: in which sweep, and why.
INFRASTRUCTURE_FAILURE = "hindrance"
