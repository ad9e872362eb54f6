"""The run time of short CNN runs as whole processes: from the command to the prompt.

    python benchmarks/whole_run.py --data PATH/flower_photos

Plain Keras is one script that reads the pictures, trains and ends; it stores nothing. flowersweep is its command line
with everything that it logs: cold, when the pictures were not decoded before, and warm. The parts of a run are listed
in the note: until the first step, the epochs, and from the last epoch to the prompt.
"""

import shutil
import sys
import time
from collections.abc import Iterator
from functools import partial
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from benchmarks import ours, results
from benchmarks.command import BATCH_SIZE, Contest, Options, main
from benchmarks.contest import Contestant, Line, Sample, hold
from benchmarks.fresh import fresh

ROUNDS = 3
EPOCHS = 3


def whole_run(options: Options) -> Iterator[Line]:
    """Seconds of a run of the CNN."""
    count = options.epochs or EPOCHS
    overrides = ours.overrides(options, "cnn", f"trainer.epochs={count}", "trainer.patience=null")
    ours.command_line(overrides)  # creates the database; later runs, as a user's second one, have it
    yield from hold(
        f"whole run, {count} epochs",
        [
            Contestant("plain Keras", partial(_plain, options, count)),
            Contestant("flowersweep, cold", partial(_cold, options, overrides), note="decodes the pictures"),
            Contestant("flowersweep, warm", partial(_run, options, overrides)),
        ],
        options.rounds or ROUNDS,
    )


def _plain(options: Options, count: int) -> Sample:
    figures = fresh(
        "plain",
        "epochs",
        data=str(options.data),
        size=options.size,
        batch=BATCH_SIZE,
        count=count,
        model="cnn",
        weights=options.weights,
    )
    seconds, training = figures["process_seconds"], sum(figures["seconds"])
    return Sample(
        seconds, figures["val_accuracy"][-1], beside={"epochs": training, "the rest": seconds - training}
    )


def _cold(options: Options, overrides: list[str]) -> Sample:
    shutil.rmtree(options.cache)
    return _run(options, overrides)


def _run(options: Options, overrides: list[str]) -> Sample:
    began = time.time()
    seconds = ours.command_line(overrides)
    epochs = results.epochs(options.folder / "results")
    first_step = epochs.ends[0] - epochs.seconds[0]
    return Sample(
        seconds,
        epochs.val_accuracy[-1],
        beside={
            "first step after": first_step - began,
            "epochs": epochs.ends[-1] - first_step,
            "prompt after": began + seconds - epochs.ends[-1],
        },
    )


CONTESTS: dict[str, Contest] = {"whole_run": whole_run}

if __name__ == "__main__":
    main(__doc__, CONTESTS)
