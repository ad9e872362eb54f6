"""What rich draws in place ends as the lines that a terminal would show."""

import io

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.console import Console
from rich.live import Live
from rich.progress import Progress

from flowersweep.api.screen import NotebookProgress, Screen, in_notebook, progress

WORDS = st.lists(st.text("ab ", min_size=1, max_size=5).filter(str.strip), max_size=6)


def _terminal() -> tuple[Console, io.StringIO]:
    file = io.StringIO()
    return Console(file=file, force_terminal=True, width=40, no_color=True), file


@given(st.lists(WORDS, max_size=5), st.integers(1, 9))
def test_a_live_display_leaves_what_was_printed_above_it(texts: list[list[str]], size: int) -> None:
    """Whatever its height, and however its output is cut into pieces."""
    console, file = _terminal()
    printed = []
    with Live(console=console, transient=True, auto_refresh=False) as live:
        for number, lines in enumerate(texts):
            live.update("\n".join(lines), refresh=True)
            console.print(f"line {number}")
            printed.append(f"line {number}")
    screen, sent = Screen(), file.getvalue()
    for start in range(0, len(sent), size):
        screen.feed(sent[start : start + size])
    assert screen.text() == "\n".join(printed)


def test_a_running_display_is_below() -> None:
    """While it lives, its latest lines are shown, and only these."""
    console, file = _terminal()
    with Progress(console=console, auto_refresh=False) as bars:
        task = bars.add_task("epoch 1", total=2)
        bars.refresh()
        console.print("done")
        bars.update(task, description="epoch 2", completed=1, refresh=True)
        screen = Screen()
        screen.feed(file.getvalue())
    lines = screen.text().splitlines()
    assert lines[0] == "done"
    assert [line.split("  ")[0][:7] for line in lines[1:]] == ["epoch 2"]


@pytest.mark.parametrize(
    ("sent", "shown"),
    [
        ("one\rtwo\n", "two"),
        ("progress 10\rprogress 9\x1b[K\n", "progress 9"),
        ("\x1b[1;31mred\x1b[0m \x1b]8;;http://a\x1b\\link\x1b]8;;\x1b\\", "red link"),
        ("a\nb\x1b[1A\x1b[2K\rc", "c\nb"),
        ("".join(f"{number}\n" for number in range(2000)), "\n".join(map(str, range(1001, 2000)))),
    ],
)
def test_control_sequences(sent: str, shown: str) -> None:
    """Colours and links are dropped, the cursor is obeyed, and old lines are forgotten."""
    screen = Screen()
    screen.feed(sent)
    assert screen.text() == shown


def test_outside_a_notebook(capsys: pytest.CaptureFixture[str]) -> None:
    """Where there is no terminal, progress is lines on standard error, whatever the environment asks of rich."""
    assert not in_notebook()
    with progress() as shown:
        assert not shown.inherits
        assert shown.environment({"FORCE_COLOR": "1", "HOME": "/home/me"}) == {"HOME": "/home/me"}
        shown.show("epoch 1\n")
    assert capsys.readouterr().err == "epoch 1\n"


def test_rich_draws_for_a_notebook() -> None:
    """The process gets an environment in which it draws, into a pipe."""
    variables = NotebookProgress().environment({"FORCE_COLOR": "", "COLUMNS": "10", "PATH": "x"})
    console = Console(file=io.StringIO(), _environ=variables)
    assert (console.is_terminal, console.is_interactive, console.width) == (True, True, 100)
    assert variables["PATH"] == "x"
