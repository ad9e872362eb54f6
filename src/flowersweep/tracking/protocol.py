"""What training asks of a log: one object per run, a dozen methods, no knowledge of MLflow."""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from enum import Enum
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol, TypeVar

import numpy as np
import numpy.typing as npt

from flowersweep.errors import FlowersweepError
from flowersweep.tracking.patience import cleaning_up

if TYPE_CHECKING:  # these imports take seconds; whoever hands one over has paid for it already
    import keras
    from matplotlib.figure import Figure


# The tag that MLflow shows as a run's description, in Markdown.
NOTE = "mlflow.note.content"
# The beginning of the tags that tell how many pictures a run used for training, validation and test.
PICTURES = "pictures."

Pictures = npt.NDArray[np.uint8] | npt.NDArray[np.float32]


class RunStatus(Enum):
    """How a run ended; the values are MLflow's."""

    FINISHED = "FINISHED"
    FAILED = "FAILED"
    KILLED = "KILLED"


class Tracker(Protocol):
    """The log of one run.

    Every method raises TrackingError if the run has ended, if a name is not allowed, or if the store refuses.
    """

    @property
    def run_id(self) -> str:
        """The run's identifier in its store."""

    @property
    def status(self) -> RunStatus | None:
        """How the run ended, None while it goes on."""

    def params(self, values: Mapping[str, object]) -> None:
        """Log what the run was given, flat, under dotted keys; a value once logged cannot be changed."""

    def metrics(self, values: Mapping[str, float], step: int | None = None) -> None:
        """Log measurements in one batch; without a step they belong to the run as a whole."""

    def tags(self, values: Mapping[str, object]) -> None:
        """Set tags, which may be set again to another value."""

    def text(self, content: str, name: str) -> None:
        """Store a text file; `name` is its path inside the run's artifacts, with `/` between folders."""

    def json(self, content: object, name: str) -> None:
        """Store a JSON file; NumPy numbers and arrays and paths are converted."""

    def image(self, picture: npt.NDArray[np.uint8], name: str) -> None:
        """Store a picture, uint8, shape (height, width, 3), as a .png file."""

    def figure(self, figure: "Figure", name: str) -> None:
        """Store a matplotlib figure in the format that the name's ending says."""

    def dataset(
        self,
        name: str,
        *,
        digest: str,
        source: str,
        context: str,
        picture_shape: tuple[int, int, int] | None = None,
        profile: Mapping[str, object] | None = None,
    ) -> None:
        """Record which pictures the run used.

        Args:
            name: What the data set is called.
            digest: Fingerprint of its content; the first 36 characters are kept, which is MLflow's limit.
            source: A folder or a URL.
            context: What it was used for, as in "training" or "validation".
            picture_shape: (height, width, channels) as the model sees a picture.
            profile: Further facts, such as the number of pictures in each class.
        """

    def model(
        self,
        keras_model: "keras.Model",
        *,
        example: Pictures,
        class_names: Sequence[str],
        metadata: Mapping[str, Any] | None = None,
    ) -> str:
        """Store the trained model with its signature.

        Args:
            keras_model: Takes raw pictures, shape (batch, height, width, 3), values 0..255. Not compiled, at best:
                a compiled one takes its optimizer along, which triples the file and brings its learning rate back.
            example: At least one picture, shape (n, height, width, 3); its dtype becomes the signature's.
            class_names: In the order of the model's outputs.
            metadata: Further facts to keep with the model, JSON values.

        Returns:
            The address under which MLflow loads it, `runs:/RUN_ID/model`.
        """

    def file(self, path: Path, folder: str | None = None) -> None:
        """Store a copy of a local file, in a folder of the run's artifacts or at their top."""

    def end(self, status: RunStatus) -> None:
        """Close the run; nothing can be logged afterwards."""


AnyTracker = TypeVar("AnyTracker", bound=Tracker)


@contextmanager
def closing(tracker: AnyTracker) -> Iterator[AnyTracker]:
    """End the run when the block is left: FINISHED, FAILED after an exception, KILLED after an interruption.

    A run that was ended inside the block keeps the status it was given. One that the store does not let be ended
    stays RUNNING until `close_orphaned_runs` finds it.
    """
    try:
        yield tracker
        _end_if_open(tracker, RunStatus.FINISHED)
    except BaseException as error:
        if isinstance(error, FlowersweepError):
            error.ended_a_run = True
        killed = not isinstance(error, Exception)  # KeyboardInterrupt and SystemExit: somebody stopped it
        with cleaning_up(error):
            _end_if_open(tracker, RunStatus.KILLED if killed else RunStatus.FAILED)
        raise


def _end_if_open(tracker: Tracker, status: RunStatus) -> None:
    if tracker.status is None:
        tracker.end(status)
