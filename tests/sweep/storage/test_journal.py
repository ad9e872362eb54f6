"""Tests of the journal file: killed writers must not spoil it."""

import subprocess
import sys
import time
from pathlib import Path

import optuna
import pytest
from hypothesis import given
from hypothesis import strategies as st
from optuna.storages import JournalStorage

from flowersweep.sweep.storage.journal import JournalFile, _cut_torn_line

_HOLD = """
import sys, time
from pathlib import Path
from flowersweep.sweep.storage.journal import JournalFile
journal = JournalFile(Path(sys.argv[1]))
journal._lock.acquire()
print("held", flush=True)
time.sleep(60)
"""


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """A journal with one finished trial."""
    path = tmp_path / "studies.log"
    study = optuna.create_study(study_name="s", storage=JournalStorage(JournalFile(path)))
    study.tell(study.ask(), 1.0)
    return path


def _open(path: Path) -> optuna.Study:
    return optuna.load_study(study_name="s", storage=JournalStorage(JournalFile(path)))


def test_torn_line_is_cut_on_opening(path: Path) -> None:
    """A line that a killed process left unfinished is removed, and what came before it stays."""
    whole = path.read_bytes()
    path.write_bytes(whole + b'{"op_code":4,"wor')
    study = _open(path)

    assert path.read_bytes() == whole
    assert [trial.value for trial in study.trials] == [1.0]


def test_torn_line_is_cut_by_writers_that_have_it_open(path: Path) -> None:
    """Who had opened the journal before the line was torn can go on reading and writing."""
    study = _open(path)
    with path.open("ab") as file:
        file.write(b'{"op_code":4,"wor')
    assert len(study.trials) == 1
    study.tell(study.ask(), 2.0)

    assert [trial.value for trial in study.trials] == [1.0, 2.0]
    assert [trial.value for trial in _open(path).trials] == [1.0, 2.0]


def test_killed_writer_leaves_no_lock(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """After a SIGKILL of a process that was about to write, the next one writes at once."""
    holder = subprocess.Popen([sys.executable, "-c", _HOLD, str(path)], stdout=subprocess.PIPE)
    assert holder.stdout is not None
    assert holder.stdout.readline() == b"held\n"
    holder.kill()
    holder.communicate()
    monkeypatch.setattr(time, "sleep", lambda seconds: pytest.fail(f"waits for {seconds} s"))
    assert _open(path).ask().number == 1


@given(st.lists(st.binary(max_size=30).map(lambda line: line.replace(b"\n", b" "))), st.integers(1, 8))
def test_cut_keeps_whole_lines(
    tmp_path_factory: pytest.TempPathFactory, lines: list[bytes], block: int
) -> None:
    """Exactly what follows the last line end is cut, wherever the blocks that are read from the end fall."""
    path = tmp_path_factory.mktemp("cut") / "file"
    content = b"\n".join(lines)
    path.write_bytes(content)
    _cut_torn_line(path, block)

    assert path.read_bytes() == content[: content.rfind(b"\n") + 1]
