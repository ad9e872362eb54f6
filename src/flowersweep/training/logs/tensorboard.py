"""TensorBoard event files of a run, stored with its artifacts."""

import tempfile
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from flowersweep.tracking.mlflow_tracker import MLflowTracker

FOLDER = "tensorboard"


@contextmanager
def event_files(
    tracker: MLflowTracker, *, enabled: bool
) -> Iterator[Callable[[int, Mapping[str, float]], None]]:
    """Yield a function that writes an epoch's values; the files are stored with the run at the end of the block.

    Args:
        tracker: The run.
        enabled: If False, nothing is written.
    """
    if not enabled:
        yield lambda _number, _values: None
        return
    import tensorflow as tf

    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as folder:
        writer = tf.summary.create_file_writer(folder)

        def write(number: int, values: Mapping[str, float]) -> None:
            with writer.as_default(step=number):
                for name, value in values.items():
                    tf.summary.scalar(name, value)

        try:
            yield write
        finally:
            writer.close()
            for path in sorted(Path(folder).iterdir()):
                tracker.file(path, FOLDER)
