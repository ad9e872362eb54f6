"""The names of the user attributes that flowersweep stores with studies and trials."""

# Of a study: what it searches, and the points put before those of its sampler.
DEFINITION = "definition"
ENQUEUED = "enqueued"

# Of a trial: its run in MLflow, and the number of the trial whose result it took over.
RUN_ID = "mlflow_run_id"
TAKEN_FROM = "taken_from"

# Of a trial that failed: why, in one line, and the end of the traceback.
FAIL_REASON = "fail_reason"
TRACEBACK = "traceback"

# Of a trial that waits again because its infrastructure failed: in which sweep, and how.
HINDRANCE = "hindrance"
