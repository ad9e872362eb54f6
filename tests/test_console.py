"""Log lines and progress bars share a terminal: a program in a pseudo-terminal, and what its screen shows."""

import io
import logging
import re
import sys

import pytest
from rich.console import Console

from broken_pipes import unread
from flowersweep.console import plain_console, print_line, print_notice, stderr_console
from flowersweep.errors import SweepError
from flowersweep.redaction import Formatter
from flowersweep.training.logs.display import epoch_line
from terminal import Screen, shown

PROGRAM = """
import logging, logging.config, sys, time, warnings
import yaml
from flowersweep.config import conf_dir
from flowersweep.progress import progress
from flowersweep import progress as module
from flowersweep.training.logs.display import TrainingDisplay

file = conf_dir() / "hydra/job_logging/flowersweep.yaml"
logging.config.dictConfig(yaml.safe_load(file.read_text()))
log = logging.getLogger("flowersweep.test")
module.DELAY = 0
values = dict(loss=1.25, accuracy=0.5, val_loss=1.5, val_accuracy=0.625, learning_rate=1e-3, seconds=1, images_per_second=2)
times = iter([0.0, 0.0, 50.0, 60.0, 72.0])
with TrainingDisplay("head", 3, 4, then="fine-tuning", clock=lambda: next(times)) as display:
    for epoch in (1, 2, 3):
        for step in range(4):
            display.batch()
            time.sleep(0.02)
            log.info("step %d of epoch %d, with a path %s", step, epoch, "/long/folder" * 4)
            if step == 2:
                with progress("Computing features", 3) as advance:
                    for _ in range(3):
                        time.sleep(0.02)
                        advance(1)
                        log.warning("one more")
        sys.stderr.write("a line from elsewhere\\n")
        display.epoch(epoch, values)
print("the end")
"""


@pytest.mark.slow
@pytest.mark.parametrize("columns", [80, 120])
def test_a_bar_and_log_lines_do_not_meet(columns: int) -> None:
    """No line has a part of another one, at any moment, and the bar is gone at the end."""
    screen = Screen(columns)
    bars = set()
    for piece in shown([sys.executable, "-c", PROGRAM], columns):
        screen.feed(piece)
        for line in screen.lines:
            if "step " in line and "━" in line:
                assert re.fullmatch(
                    r"head [123]/3 [━╸╺ ]+ step [0-4]/4 0:00:0\d ?(at most \d+ \w+ left, then fine-tuning)?",
                    line,
                )
                bars.add(line)
            assert ("INFO" in line or "WARNING" in line) <= bool(
                re.match(r"\d\d:\d\d:\d\d (INFO|WARNING) ", line)
            )
    logged = [line for line in screen.lines if "INFO" in line]
    assert [line.partition("INFO    ")[2][:17] for line in logged] == [
        f"step {step} of epoch {epoch}" for epoch in (1, 2, 3) for step in range(4)
    ]
    assert sum(line.endswith("one more") for line in screen.lines) == 9
    assert screen.lines.count("a line from elsewhere") == 3
    bars_left = [line for line in screen.lines if "━" in line]
    assert bars_left == [f"Computing features {'━' * 40} 3/3 0:00:00"] * 3
    assert screen.lines[-1] == "the end"
    assert not any("at most" in line for line in bars if line.startswith(("head 1", "head 2")))
    assert {re.search("at most .*", line)[0] for line in bars if line.startswith("head 3")} == {  # type: ignore[index]
        "at most 10 s left, then fine-tuning"
    }


@pytest.mark.parametrize("columns", [40, 80])
def test_a_message_is_wrapped_between_words(columns: int) -> None:
    """On a terminal no word of a message is broken."""
    words = "the pictures in a folder with a long name cannot be read; delete or repair the listed pictures"
    program = f"from flowersweep.console import print_notice; print_notice({words!r})"
    screen = Screen(columns)
    for piece in shown([sys.executable, "-c", program], columns):
        screen.feed(piece)

    assert all(len(line) <= columns for line in screen.lines)
    assert " ".join(line.strip() for line in screen.lines) == f"flowersweep: {words}"


@pytest.mark.parametrize(
    ("columns", "end"),
    [(None, "lr 1.00e-03  1.0 s  2 images/s"), (100, "lr 1.00e-03  1.0 s"), (80, "val_accuracy 0.6250")],
)
def test_an_epoch_is_one_line(columns: int | None, end: str) -> None:
    """Where a terminal is narrow, the time and the rate are left out; loss and accuracy never."""
    values = {"loss": 1.25, "accuracy": 0.5, "val_loss": 1.5, "val_accuracy": 0.625}
    line = epoch_line(
        "training", 7, 30, {**values, "learning_rate": 1e-3, "seconds": 1, "images_per_second": 2}, columns
    )

    assert line.startswith("epoch  7/30  loss 1.2500  accuracy 0.5000  val_loss 1.5000  val_accuracy 0.6250")
    assert line.endswith(end)
    assert columns is None or len(line) <= columns


def test_no_text_controls_the_terminal(capsys: pytest.CaptureFixture[str]) -> None:
    """Control characters are escaped in messages, errors and log lines, and in what is printed above a display."""
    text = "\x1b[2Jgone\rover"
    print_notice(text)
    print_line(text, Console(file=sys.stderr))
    record = logging.LogRecord("name", logging.INFO, "path", 1, text, None, None)
    sys.stderr.write(f"{SweepError(text)}\n{Formatter().format(record)}\n")

    shown_text = r"\x1b[2Jgone\rover"
    assert capsys.readouterr().err.splitlines() == [f"flowersweep: {shown_text}", *[shown_text] * 3]


def test_a_message_that_nobody_reads(monkeypatch: pytest.MonkeyPatch) -> None:
    """It ends nothing, nor do the following ones."""
    with unread() as stream:
        stream.reconfigure(line_buffering=True)  # type: ignore[attr-defined] # as standard error
        monkeypatch.setattr(sys, "stderr", stream)
        print_notice("first")
        print_notice("second")


def test_the_plain_console_escapes_what_cannot_be_encoded(monkeypatch: pytest.MonkeyPatch) -> None:
    """Also in a program that has not prepared its streams."""
    content = io.BytesIO()
    monkeypatch.setattr(sys, "stdout", io.TextIOWrapper(content, "ascii"))
    plain_console().print("0.89 ± 0.01")
    assert content.getvalue() == b"0.89 \\xb1 0.01\n"


@pytest.mark.parametrize("n_lines", [1, 1000])
def test_a_reader_that_leaves_ends_nothing(monkeypatch: pytest.MonkeyPatch, n_lines: int) -> None:
    """On both consoles, with texts shorter and longer than the buffers on their way; later ones are discarded too."""
    text = "\n".join(["x" * 70] * n_lines)
    with unread() as output, unread() as messages:
        monkeypatch.setattr(sys, "stdout", output)
        monkeypatch.setattr(sys, "stderr", messages)
        for console in (plain_console(), stderr_console()):
            console.print(text, highlight=False)
            console.print("later")
