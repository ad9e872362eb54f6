"""What is known of a run wherever it is read or written: how it ended, and the tags that are looked up again."""

from enum import Enum

# The tag that MLflow shows as a run's description, in Markdown.
NOTE = "mlflow.note.content"
# The beginning of the tags that tell how many pictures a run used for training, validation and test.
PICTURES = "pictures."


class RunStatus(Enum):
    """How a run ended; the values are MLflow's."""

    FINISHED = "FINISHED"
    FAILED = "FAILED"
    KILLED = "KILLED"
