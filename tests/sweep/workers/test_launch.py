"""Workers through Hydra's launchers, as real processes that are interrupted and killed."""

import os
import random
import re
import signal
import time
from collections import Counter
from pathlib import Path
from typing import Any

import pytest
from optuna.trial import TrialState

from flowersweep.sweep.workers.launch import MAX_LAUNCHES

pytestmark = pytest.mark.slow

FORTY = ("x=interval(0,1)", "hydra.sweeper.n_trials=40", "hydra.sweeper.study_name=s")
TWO = "hydra.sweeper.n_jobs=2"


def test_four_workers_share_forty_trials(app: Any) -> None:
    """Four workers finish exactly 40 trials, each begun once, and say nothing but a line per trial."""
    code, out, err = app.ended(app.start(*FORTY, "hydra.sweeper.n_jobs=4"))

    assert code == 0, err
    assert [trial.number for trial in app.study().trials] == list(range(40))
    assert {trial.state.name for trial in app.study().trials} == {"COMPLETE"}
    assert sorted(mark[0] for mark in app.beginnings()) == list(range(40))
    assert len({mark[2] for mark in app.beginnings()}) == 4
    assert "40 complete" in out
    assert all(re.match(r"trial \d+ COMPLETE", line) for line in err.splitlines()), err
    assert len(err.splitlines()) == 40


def test_killed_and_resumed_three_times(app: Any) -> None:
    """After three SIGKILLs of everything, as it starts and among the trials, 40 trials finish; none is lost, doubled or left running."""
    moment = random.Random(11)  # noqa: S311 - it picks moments, not secrets
    for n_more in (0, 4, 8):  # a trial that is lost at every start would fail in the end
        begun = len(app.beginnings())
        running = app.start(*FORTY, TWO, "seconds=0.05")
        app.wait_for(lambda begun=begun, n=n_more: len(app.beginnings()) >= begun + n)
        time.sleep(moment.uniform(0.0, 0.3))
        os.killpg(running.pid, signal.SIGKILL)
        running.communicate()
    app.wait_for(lambda: not any(app.lives(mark[1]) for mark in app.beginnings()))
    code, _, err = app.ended(app.start(*FORTY, TWO, "seconds=0.05"))

    trials = app.study().trials
    assert code == 0, err
    assert [trial.number for trial in trials] == list(range(40))
    assert Counter(trial.state.name for trial in trials) == {"COMPLETE": 40}
    assert len({trial.params["x"] for trial in trials}) == 40


def test_interrupted_and_resumed(app: Any) -> None:
    """Ctrl-C, which all processes get, stops a sweep in seconds; its trials wait, nothing of it lives on, and the next sweep has them all."""
    command = "x=interval(0,1)", "hydra.sweeper.n_trials=6", "hydra.sweeper.study_name=s"
    running = app.start(*command, TWO, "seconds=0.3", "long=2000")
    app.wait_for(lambda: len(app.beginnings()) >= 2)
    os.killpg(running.pid, signal.SIGINT)
    code, out, err = app.ended(running)  # which waits for four minutes, and the trial takes ten

    assert code == 128 + signal.SIGINT
    assert "Traceback" not in err
    states = [trial.state.name for trial in app.study().trials]
    assert "WAITING" in states
    assert "RUNNING" not in states
    assert "trials are left; the same command resumes the sweep" in out
    app.wait_for(lambda: not any(app.lives(pid) for mark in app.beginnings() for pid in mark[1:]))

    Path("results", "quick").touch()
    code, _, err = app.ended(app.start(*command, TWO, "seconds=0.3", "long=2000"))
    assert code == 0, err
    assert [trial.state.name for trial in app.study().trials] == ["COMPLETE"] * 6


def test_a_signal_to_one_worker_does_not_end_the_sweep(app: Any) -> None:
    """A worker that alone is told to stop gives its trial back; it is run by others, and the command ends with 0."""
    running = app.start("x=interval(0,1)", "hydra.sweeper.n_trials=4", TWO, "seconds=0.1", "long=6000")
    app.wait_for(lambda: any(mark[0] == 0 for mark in app.beginnings()))
    (worker,) = [mark[2] for mark in app.beginnings() if mark[0] == 0]
    app.wait_for(lambda: len(app.study().get_trials(states=[TrialState.COMPLETE])) == 3)
    Path("results", "quick").touch()
    os.kill(worker, signal.SIGTERM)
    code, out, err = app.ended(running)

    assert code == 0, err
    assert "4 complete" in out
    assert [mark[0] for mark in app.beginnings()].count(0) == 2


def test_nothing_outlives_a_killed_sweeper(app: Any) -> None:
    """After `kill -9` of a sweeper its workers give back their trials and end, with all that they and joblib had started."""
    running = app.start(*FORTY, "kind=with_a_child", "hydra.sweeper.n_jobs=3", "seconds=0.1", "long=100")
    app.wait_for(lambda: len({mark[2] for mark in app.beginnings()}) == 3 and len(app.children()) >= 3)
    running.kill()
    running.communicate()

    app.wait_for(
        lambda: not any(app.lives(pid) for mark in app.beginnings() for pid in mark[1:]), seconds=120
    )
    app.wait_for(lambda: not any(app.lives(pid) for pid in app.children()), seconds=120)
    assert "RUNNING" not in {trial.state.name for trial in app.study().trials}
    shared = Path("/dev/shm")  # noqa: S108 - joblib's place on Linux
    app.wait_for(
        lambda: not [*shared.glob(f"*loky-{running.pid}-*"), *shared.glob(f"*folder_{running.pid}_*")],
        seconds=60,
    )


def test_a_workers_death_costs_no_trial(app: Any) -> None:
    """A worker that is killed takes joblib's others along; they are started again, and no trial is lost or doubled."""
    code, out, err = app.ended(
        app.start("kind=killing_worker", "x=interval(0,1)", "hydra.sweeper.n_trials=8", TWO)
    )
    assert code == 0, err
    assert [trial.number for trial in app.study().trials] == list(range(8))
    assert "8 complete" in out
    # The other worker may begin the dead one's trial in the moment before joblib ends it as well.
    assert [mark[0] for mark in app.beginnings()].count(2) in {2, 3}


def test_workers_that_always_die_end_the_sweep(app: Any) -> None:
    """A trial that kills its worker at every start has failed; a sweep whose workers all die says so in a sentence."""
    code, _, err = app.ended(
        app.start("kind=killing_workers", "x=interval(0,1)", "hydra.sweeper.n_trials=2", TWO)
    )
    assert code == 1
    assert "small_app: " in err.splitlines()[-1]
    assert "Traceback" not in err
    assert len(app.beginnings()) <= 2 * MAX_LAUNCHES


def test_a_signal_to_one_sweeper_stops_all_sweeps_of_the_study(app: Any) -> None:
    """Ctrl-C where one sweep was started is read by the workers of another one: both end, and nothing is left running."""
    command = "x=interval(0,1)", "hydra.sweeper.n_trials=3", "hydra.sweeper.study_name=s", "seconds=300"
    first, second = app.start(*command), app.start(*command)
    app.wait_for(lambda: len({mark[2] for mark in app.beginnings()}) == 2)
    first.send_signal(signal.SIGINT)
    began = time.monotonic()
    code, _, _ = app.ended(first)
    other_code, out, err = app.ended(second)

    assert (code, other_code) == (130, 143)
    assert time.monotonic() - began < 150  # half of what a trial takes
    assert "3 trials are left; the same command resumes the sweep" in out
    assert "Traceback" not in err
    assert {trial.state.name for trial in app.study().trials} == {"WAITING"}


def test_a_sweep_may_be_joined_and_left(app: Any) -> None:
    """One that joins runs trials of the study; Ctrl-C there ends it alone, the budget is exact, and a stop is for both."""
    command = "x=interval(0,1)", "hydra.sweeper.n_trials=6", "hydra.sweeper.study_name=s", "seconds=0.5"
    joining = (*command, "hydra.sweeper.join=true", "long=600")
    code, _, err = app.ended(app.start(*joining))
    assert (code, "There are no studies in" in err) == (1, True)
    sweep = app.start(*command, "long=600")
    app.wait_for(lambda: len(app.beginnings()) == 1)
    joined = app.start(*joining)
    app.wait_for(lambda: len({mark[2] for mark in app.beginnings()}) == 2)
    joined.send_signal(signal.SIGINT)
    code, _, err = app.ended(joined)
    assert code == 130, err
    assert sweep.poll() is None

    code, _, err = app.ended(app.start(*joining))
    assert code == 0, err
    sweep.send_signal(signal.SIGINT)
    assert app.ended(sweep)[0] == 130
    code, _, err = app.ended(app.start(*joining))
    assert "was stopped by SIGINT on " in err
    Path("results", "quick").touch()
    assert app.ended(app.start(*command, "long=600"))[0] == 0
    assert [trial.state.name for trial in app.study().trials] == ["COMPLETE"] * 6
