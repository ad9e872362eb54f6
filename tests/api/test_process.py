"""The command in a process of its own: its errors become exceptions, and nothing of it stays here."""

import os
import signal
import subprocess
import sys
import threading
from pathlib import Path

import psutil
import pytest

from flowersweep import errors
from flowersweep.api import child
from flowersweep.api.process import _checked, _error, run
from flowersweep.tracking.mlflow_api import client
from flowersweep.tracking.selection import open_results, search


@pytest.mark.slow
def test_errors_are_the_sentences_of_the_command_line(capfd: pytest.CaptureFixture[str]) -> None:
    """As exceptions, in any thread, with nothing printed and the environment as it was."""
    before, caught = dict(os.environ), []

    def call() -> None:
        try:
            run(["aug=RandomFlp"])
        except errors.FlowersweepError as error:
            caught.append(error)

    thread = threading.Thread(target=call)
    thread.start()
    thread.join()
    assert [type(error) for error in caught] == [errors.ConfigError]
    assert str(caught[0]).startswith("aug has no choice 'RandomFlp'")
    assert str(caught[0]).endswith("Did you mean RandomFlip?")
    assert capfd.readouterr() == ("", "")
    assert dict(os.environ) == before


class TestOutcomes:
    def test_every_error_keeps_its_class_and_its_sentence(self) -> None:
        """Of those that have words; the others are failures, with their traceback as the cause."""
        known = _error(child._error(errors.WeightsError("The file w is missing.")))
        assert (type(known), str(known), known.__cause__) == (
            errors.WeightsError,
            "The file w is missing.",
            None,
        )
        try:
            int("x")
        except ValueError as error:
            unknown = _error(child._error(error))
        assert type(unknown) is errors.TrainingError
        assert str(unknown).startswith("failed unexpectedly with ValueError: invalid literal")
        assert 'int("x")' in str(unknown.__cause__)

    def test_a_killed_process(self) -> None:
        """It has left no outcome; that is an error with a remedy."""
        with pytest.raises(errors.TrainingError, match=r"killed by SIGKILL, .* the same call goes on"):
            _checked({}, -9, interrupted=False, stopped=errors.SweepStoppedError)

    def test_an_interrupt_of_this_process(self) -> None:
        """It is one here, too, whether or not the process could say how to go on."""
        for outcome, said in (({}, "interrupted by SIGINT."), ({"interrupted": "go on"}, "go on")):
            with pytest.raises(KeyboardInterrupt) as caught:
                _checked(outcome, 130, interrupted=True, stopped=errors.SweepStoppedError)
            assert str(caught.value) == said

    def test_somebody_else_stops_it(self) -> None:
        """That is an error: the caller did not ask for it."""
        with pytest.raises(errors.SweepStoppedError, match="stopped by me"):
            _checked({"interrupted": "stopped by me"}, 0, interrupted=False, stopped=errors.SweepStoppedError)


def test_it_ends_when_the_call_has_ended(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """However that ended: a process whose folder has gone is asked to stop, and before that keeps the folder young."""
    monkeypatch.setattr(child, "LOOK_SECONDS", 0.01)
    asked = threading.Event()
    before = signal.signal(signal.SIGTERM, lambda *_: asked.set())
    folder = tmp_path / "shared"
    folder.mkdir()
    os.utime(folder, (0, 0))
    try:
        watch = threading.Thread(target=child._end_with, args=(folder, os.getppid()), daemon=True)
        watch.start()
        assert not asked.wait(0.2)
        assert folder.stat().st_mtime > 0
        folder.rmdir()
        assert asked.wait(10)
    finally:
        signal.signal(signal.SIGTERM, before)


@pytest.mark.slow
def test_it_ends_with_its_caller(tmp_path: Path, drawn: Path, cache: Path) -> None:
    """Killed like a kernel that is restarted, the caller takes its training along, and the run is closed."""
    overrides = ["data=folder", f"data.dir={drawn}", f"paths.cache={cache}", "trainer=quick"]
    call = f"import flowersweep as fs; fs.train({[*overrides, 'tracking.dir=results', 'trainer.epochs=100000']!r})"
    caller = subprocess.Popen([sys.executable, "-c", call], cwd=tmp_path, stderr=subprocess.PIPE, text=True)
    assert caller.stderr is not None
    for line in caller.stderr:
        if line.startswith("epoch "):
            break
    (training,) = psutil.Process(caller.pid).children()
    caller.send_signal(signal.SIGKILL)
    caller.wait()
    training.wait(60)
    caller.stderr.close()
    store = open_results(str(tmp_path / "results"))
    (found,) = search(store, "")
    assert client(store.uri).get_run(found.info.run_id).info.status == "KILLED"
