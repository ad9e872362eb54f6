"""The status of a run, and the names of tags that are written and read."""

from enum import Enum
from urllib.parse import quote

# The tag that MLflow shows as a run's description, in Markdown.
NOTE = "mlflow.note.content"
# The tag of a study whose trials are not flowersweep's own trainings: the command of their program.
PROGRAM = "program"
# What a study optimizes, as in "maximize best/val_accuracy, minimize total/seconds".
GOAL = "study.goal"
# The run that took the place of one whose machine gave no sign of life.
SUPERSEDED_TAG = "flowersweep.superseded_by"
# The metric with the values that the trials of another program report.
REPORTED = "reported"
# Prefix of the tags with the number of pictures that a run used for training, validation and test.
PICTURES = "pictures."
# The artifact of a run with the probabilities that it predicted for each validation picture.
VALIDATION_TABLE = "validation_predictions.csv"
# The artifact of a run with its copy of data.split_file.
SPLIT_FILE = "config/split.csv"
# The folder of a run's artifacts with the modules of the user's own code.
OWN_CODE = "code"
# The metadata of a saved model that has model.build of a network of the user's own.
BUILDER = "model_build"


def artifact_address(run_id: str, name: str) -> str:
    """The address of an artifact on MLflow's server, relative to its page."""
    return f"get-artifact?path={quote(name)}&run_uuid={run_id}"


class RunStatus(Enum):
    """How a run ended; the values are those of MLflow."""

    FINISHED = "FINISHED"
    FAILED = "FAILED"
    KILLED = "KILLED"
