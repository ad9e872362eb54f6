"""The status of a run, and the names of tags that are written and read."""

from enum import Enum

# The tag that MLflow shows as a run's description, in Markdown.
NOTE = "mlflow.note.content"
# Prefix of the tags with the number of pictures that a run used for training, validation and test.
PICTURES = "pictures."
# The artifact of a run with its copy of data.split_file.
SPLIT_FILE = "config/split.csv"


class RunStatus(Enum):
    """How a run ended; the values are those of MLflow."""

    FINISHED = "FINISHED"
    FAILED = "FAILED"
    KILLED = "KILLED"
