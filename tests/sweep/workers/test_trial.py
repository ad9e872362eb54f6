"""Tests of what a run sees of the trial it is."""

import pytest

from flowersweep.sweep.workers.trial import Pruned, RunningTrial, running, running_trial


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
    with pytest.raises(Pruned, match=r"It was pruned after step 1 at 0\.5\."):
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
