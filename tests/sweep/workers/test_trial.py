"""Tests of what a run sees of the trial it is."""

import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import flowersweep
from flowersweep.sweep.study.attributes import OF_TRIALS
from flowersweep.sweep.workers.trial import Pruned, RunningTrial, current_trial, running, running_trial


def test_there_is_none_outside_a_sweep() -> None:
    """A run that no sweep started has no trial."""
    assert running_trial() is None


def test_it_is_there_while_it_runs() -> None:
    """The trial can be asked for within the block only, also if that raises."""
    trial = RunningTrial(3, "s", {"x": 1})

    def run() -> None:
        with running(trial):
            assert running_trial() is trial
            raise ValueError("stop")

    with pytest.raises(ValueError, match="stop"):
        run()

    assert running_trial() is None


def test_report_raises_when_the_sweep_says_so() -> None:
    """A report passes step and value on as plain numbers, and raises if the answer is to prune."""
    seen: list[tuple[int, float]] = []

    def report(step: int, value: float) -> bool:
        seen.append((step, value))
        return step == 1

    trial = RunningTrial(3, "s", {}, _report=report)
    trial.report(0, 1)
    with pytest.raises(Pruned, match=r"It was pruned after step 1 at 0\.5000\."):
        trial.report(1, 0.5)

    assert seen == [(0, 1.0), (1, 0.5)]


def test_report_refuses_what_is_no_number() -> None:
    """A value that is no number is the run's mistake and raises there."""
    with pytest.raises(TypeError):
        RunningTrial(3, "s", {}).report(0, None)  # type: ignore[arg-type] # this is the mistake


def test_user_attrs_are_passed_on() -> None:
    """Attributes arrive as a dict of their own."""
    kept: list[dict[str, object]] = []
    attrs = {"run_id": "abc"}
    RunningTrial(3, "s", {}, _keep=kept.append).user_attrs(attrs)
    attrs.clear()

    assert kept == [{"run_id": "abc"}]


def test_the_public_names() -> None:
    """They are imported when they are used, and are those of this package; others are refused."""
    assert flowersweep.current_trial is current_trial
    assert flowersweep.Pruned is Pruned
    assert {"current_trial", "Pruned"} <= set(dir(flowersweep))
    with pytest.raises(AttributeError, match=r"module 'flowersweep' has no attribute 'tryal'"):
        _ = flowersweep.tryal


def test_they_are_imported_quickly() -> None:
    """A program that is run alone imports no other package for them."""
    code = (
        "import sys; from flowersweep import Pruned, current_trial; current_trial().report(1, 0.5);"
        "print({name.partition('.')[0] for name in sys.modules} - set(sys.stdlib_module_names))"
    )
    source = str(Path(flowersweep.__file__).parents[1])
    done = subprocess.run(
        [sys.executable, "-S", "-c", code],
        capture_output=True,
        text=True,
        check=True,
        env={"PYTHONPATH": source},
    )
    assert eval(done.stdout) == {"__main__", "flowersweep"}  # noqa: S307 - the test has printed it


def test_outside_a_sweep_it_does_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A program can be run alone: its trial has no number and no values, its folder is Hydra's, and nothing is stored."""
    monkeypatch.chdir(tmp_path)
    trial = current_trial()
    for step in range(3):
        trial.report(step, np.float32(0.5))
    trial.set_user_attr("file", "model.pt")
    assert (trial.number, trial.params, trial.should_prune, trial.folder) == (None, {}, False, tmp_path)


def test_a_program_that_a_trial_has_started_cannot_report(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """It runs as it does alone, with one warning; a trial of its own, as in a sweep that a trial starts, reports."""
    monkeypatch.setenv("FLOWERSWEEP_TRIAL", "31")
    current_trial().report(1, 0.5)
    current_trial().set_user_attr("a", 1)
    assert [text[:47] for text in caplog.messages] == ["Trial 31 gets no reports and attributes from he"]
    with running(RunningTrial(0, "s", {})):
        current_trial().report(1, 0.5)


def test_in_a_sweep_it_is_the_running_one() -> None:
    """The same name is then the trial; a report that is answered with "stop" raises, and stays known."""
    attrs: dict[str, Any] = {}
    trial = RunningTrial(3, "s", {"x": 1}, _report=lambda step, _: step == 2, _keep=attrs.update)
    with running(trial):
        mine = current_trial()
        mine.report(1, 0.5)
        assert (mine.number, mine.params, mine.should_prune) == (3, {"x": 1}, False)
        with pytest.raises(Pruned):
            mine.report(2, 0.5)
        assert mine.should_prune
        mine.set_user_attr("files", ["a", {"b": None}])
    assert attrs == {"files": ["a", {"b": None}]}


@pytest.mark.parametrize(
    ("step", "value", "error", "message"),
    [
        (1, None, TypeError, "report(step, value) needs a number as value, but got None."),
        (1, "0.5", TypeError, "report(step, value) needs a number as value, but got '0.5', a str."),
        (0.5, 1.0, TypeError, "report(step, value) needs an integer as step, but got 0.5, a float."),
        (
            -1,
            1.0,
            ValueError,
            "report(step, value) needs a step from 0 to 2,147,483,647, but got -1.",
        ),
        (
            3_000_000_000,
            1.0,
            ValueError,
            "report(step, value) needs a step from 0 to 2,147,483,647, but got 3000000000.",
        ),
    ],
)
def test_bad_reports(step: Any, value: Any, error: type[Exception], message: str) -> None:
    """What cannot be reported is one sentence, also outside a sweep, where a program is tried out."""
    for trial in (current_trial(), RunningTrial(3, "s", {})):
        with pytest.raises(error, match=f"^{re.escape(message)}$"):
            trial.report(step, value)


@pytest.mark.parametrize("name", sorted(OF_TRIALS))
def test_names_of_its_own_are_refused(name: str) -> None:
    """A program cannot overwrite what flowersweep stores with a trial."""
    with pytest.raises(ValueError, match=f"'{re.escape(name)}', ...\\): flowersweep uses this name itself"):
        current_trial().set_user_attr(name, 1)


def test_attributes_that_no_storage_takes() -> None:
    """They are refused where they are given, and not in the worker."""
    with pytest.raises(
        TypeError, match=r"'a', ...\) stores numbers, texts, lists and dicts, but got array\(\[1\]\)"
    ):
        current_trial().set_user_attr("a", np.array([1]))
    with pytest.raises(ValueError, match=r"needs a name of at most 512 characters.*, but got 'a+'; choose"):
        current_trial().set_user_attr("a" * 513, 1)
    with pytest.raises(
        ValueError, match=r"at most 4,000,000 characters, but this value has 4,000,001; write"
    ):
        current_trial().set_user_attr("a", "b" * 3_999_999)
