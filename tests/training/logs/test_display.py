"""What is printed while a run trains and at its end."""

import io

import pytest
from rich.console import Console

from flowersweep.training.logs.display import TrainingDisplay

VALUES = {
    "loss": 1.25,
    "accuracy": 0.5,
    "val_loss": 1.5,
    "val_accuracy": 0.625,
    "learning_rate": 1e-3,
    "seconds": 12.34,
    "images_per_second": 245.6,
}


def test_an_epoch_is_one_line_where_there_is_no_terminal() -> None:
    """Without a terminal there is no bar, and each epoch gives one line with all its values."""
    output = io.StringIO()
    with TrainingDisplay("head", 9, 23, first_epoch=2, console=Console(file=output, width=60)) as display:
        display.batch()
        display.epoch(3, VALUES)

    assert output.getvalue() == (
        "head 1/9  loss 1.2500  accuracy 0.5000  val_loss 1.5000  val_accuracy 0.6250  "
        "lr 1.00e-03  12.3 s  246 images/s\n"
    )


def drawn(epochs: int, done: list[float], then: str | None = None) -> str:
    """The last bar that a terminal shows after epochs that ended at these times, in seconds."""
    output = io.StringIO()
    times = iter([0.0, 0.0, *done])
    console = Console(file=output, width=100, force_terminal=True)
    with TrainingDisplay(
        "training", epochs, 4, then=then, console=console, clock=lambda: next(times)
    ) as display:
        for number in range(1, len(done) + 1):
            for _ in range(4):
                display.batch()
            display.epoch(number, VALUES)
        for _ in range(3):
            display.batch()
    return [line for line in output.getvalue().splitlines() if "step" in line][-1]


def test_a_terminal_shows_the_step_and_the_epoch() -> None:
    """A bar says which step of which epoch it is; without a measured epoch it says nothing about the time left."""
    for done, seen in (([], "epoch  1/30"), ([400.0], "epoch  2/30")):
        last = drawn(30, done)

        assert seen in last
        assert "step 3/4" in last
        assert "left" not in last


@pytest.mark.parametrize(
    ("done", "limit"),
    [
        ([400.0, 410.0], "at most 5 min left"),  # 28 of 10 s; the first one was slow for its own reasons
        ([400.0, 410.0, 430.0, 431.0], "at most 9 min left"),  # 26 of 20 s, the slowest one
        ([1.0 * number for number in range(1, 30)], "at most 1 s left"),
        ([0.0, 7200.0], "at most 56 h left"),
    ],
)
def test_the_time_left_is_a_limit(done: list[float], limit: str) -> None:
    """After two epochs, no later one is expected to be slower than the slowest but the first; training may stop before."""
    assert limit in drawn(30, done)


def test_what_follows_is_named() -> None:
    """The limit is that of the phase; how long the next one takes is not known."""
    assert "at most 1 s left, then fine-tuning" in drawn(3, [1.0, 2.0], then="fine-tuning")
