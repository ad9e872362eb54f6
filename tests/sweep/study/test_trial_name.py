"""Tests of the names of trials' runs."""

from flowersweep.sweep.study.trial_name import MAX_NAME, trial_name
from flowersweep.sweep.workers.trial import RunningTrial


def test_names() -> None:
    """Runs are named so that they sort by number, with the searched values, and in one line of MLflow's table."""
    assert trial_name(RunningTrial(7, "s", {}, attempt=2)) == "trial-0007"
    searched = {"aug": "RandomFlip", "optimizer.learning_rate": 0.00123456}
    assert trial_name(RunningTrial(7, "s", searched)) == "trial-0007 aug=RandomFlip learning_rate=0.001235"
    assert len(trial_name(RunningTrial(7, "s", dict.fromkeys(map(str, range(50)), "x")))) <= MAX_NAME
