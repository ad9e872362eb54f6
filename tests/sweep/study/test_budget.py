"""Tests of how many trials a sweep may run, and which is the next."""

import copy
import time
from datetime import datetime, timedelta
from pathlib import Path

import optuna
import pytest
from hypothesis import given
from hypothesis import strategies as st
from optuna.samplers import RandomSampler
from optuna.trial import Trial, TrialState, create_trial

from flowersweep.errors import SweepError
from flowersweep.sweep.space.build_space import build_space
from flowersweep.sweep.storage.storage import open_storage
from flowersweep.sweep.study.attributes import FAIL_REASON, OWNER
from flowersweep.sweep.study.budget import (
    Budget,
    Stop,
    failure_summary,
    infrastructure_summary,
    next_trial,
    remaining,
)
from flowersweep.sweep.study.claim import claim_of
from flowersweep.sweep.study.outcome import Outcome, State, tell

LINE = build_space(["x=interval(0,1)"])
GRID = build_space(["a=1,2", "b=u,v,w"])
WHOLE = Budget(None, is_grid=True)


@pytest.fixture
def study() -> optuna.Study:
    """A study in memory."""
    return optuna.create_study()


def _taken(study: optuna.Study, budget: Budget, space: object = LINE) -> Trial:
    trial = next_trial(study, space, budget)  # type: ignore[arg-type] # spaces of both kinds
    assert isinstance(trial, Trial)
    return trial


def _ended(study: optuna.Study, states: str) -> None:
    """Add trials that ended a second apart: C, P or F each."""
    now = datetime.now()  # noqa: DTZ005 - Optuna's times have no zone
    kinds = {"C": TrialState.COMPLETE, "P": TrialState.PRUNED, "F": TrialState.FAIL}
    for index, letter in enumerate(states):
        trial = create_trial(
            state=kinds[letter],
            value=1.0 if letter == "C" else None,
            user_attrs={FAIL_REASON: f"reason {index}"} if letter == "F" else {},
        )
        trial.datetime_start = now
        trial.datetime_complete = now + timedelta(seconds=len(study.trials))
        study.add_trial(trial)


class TestCount:
    """How many trials there are in all."""

    @given(st.integers(0, 6), st.integers(1, 8), st.text("CPF", max_size=6))
    def test_every_trial_counts_once(self, waiting: int, n_trials: int, ended: str) -> None:
        """Finished, failed and running trials count; waiting ones are begun within what is left, and first."""
        study = optuna.create_study()
        _ended(study, ended)
        for _ in range(waiting):
            study.enqueue_trial({"x": 0.5})
        budget, begun = Budget(n_trials), 0
        while isinstance(next_trial(study, LINE, budget), Trial):
            begun += 1

        assert begun == max(0, n_trials - len(ended))
        assert len(study.trials) == max(n_trials, len(ended) + waiting)
        assert remaining(study, LINE, budget) == min(0, n_trials - len(ended))

    def test_trial_is_owned_and_empty(self, study: optuna.Study) -> None:
        """The trial belongs to this process, and has no values yet."""
        trial = _taken(study, Budget(1))

        assert claim_of(trial) == study.trials[0].user_attrs[OWNER]["claim"]
        assert trial.params == {}

    def test_sampler_is_made_for_the_number(self, study: optuna.Study) -> None:
        """The sampler of a trial depends on its number alone, also for trials that waited."""
        study.enqueue_trial({"x": 0.5})
        numbers: list[int] = []

        def sampler_for(number: int) -> RandomSampler:
            numbers.append(number)
            return RandomSampler(seed=number)

        for _ in range(3):
            next_trial(study, LINE, Budget(3), sampler_for)

        assert numbers == [0, 1, 2]

    def test_abandoned_trial_comes_first(self, study: optuna.Study) -> None:
        """A trial that its owner left running is taken before a new one is made."""
        study.ask()

        assert _taken(study, Budget(2)).number == 0
        assert _taken(study, Budget(2)).number == 1
        assert next_trial(study, LINE, Budget(2)) is Stop.SPENT


class TestGrid:
    """Without a number of trials the grid is walked."""

    def test_point_k_is_trial_k(self, study: optuna.Study) -> None:
        """Each point is one trial, in Hydra's order, and made only when it is taken."""
        points = []
        for count in range(1, GRID.size + 1):
            points.append(GRID.suggest(_taken(study, WHOLE, GRID)))
            assert len(study.trials) == count

        assert points == list(GRID.grid())
        assert next_trial(study, GRID, WHOLE) is Stop.SPENT
        assert remaining(study, GRID, WHOLE) == 0

    def test_a_point_is_run_once_whoever_chose_it(self, study: optuna.Study) -> None:
        """A point that somebody enqueued comes first, and is left out where the grid would have it."""
        study.enqueue_trial({"a": 2, "b": "u"})

        assert remaining(study, GRID, WHOLE) == 6
        points = [GRID.suggest(_taken(study, WHOLE, GRID)) for _ in range(6)]
        assert points[0] == {"a": 2, "b": "u"}
        assert points[1:] == [point for point in GRID.grid() if point != points[0]]
        assert next_trial(study, GRID, WHOLE) is Stop.SPENT

    @given(st.lists(st.integers(1, 12), min_size=1, max_size=4), st.integers(0, 4), st.integers(0, 10))
    def test_larger_budgets_go_on_in_it(self, budgets: list[int], sampled: int, seed: int) -> None:
        """However the budget grows, and whatever a sampler tried before, points come once, in order, and are no more."""
        study = optuna.create_study(sampler=RandomSampler(seed))
        for _ in range(sampled):
            trial = study.ask()
            GRID.suggest(trial)
            study.tell(trial, 1.0)
        before = [trial.params for trial in study.trials]
        for n_trials in budgets:
            budget = Budget(n_trials, is_grid=True)
            while isinstance(found := next_trial(study, GRID, budget), Trial):
                GRID.suggest(found)
            assert remaining(study, GRID, budget) <= 0

        rest = [point for point in GRID.grid() if point not in before]
        expected = max(0, min(max(budgets) - sampled, len(rest)))
        assert [trial.params for trial in study.trials[sampled:]] == rest[:expected]

    @pytest.mark.parametrize("dead", [False, True])
    def test_what_waits_comes_before_the_next_point(self, study: optuna.Study, *, dead: bool) -> None:
        """A point that waits, or whose worker died, is run, and no further one is begun beside it."""
        if dead:
            trial = _taken(study, WHOLE, GRID)
            GRID.suggest(trial)
            study._storage.set_trial_user_attr(trial._trial_id, OWNER, None)
        else:
            study.enqueue_trial({"a": 2, "b": "v"})

        assert _taken(study, WHOLE, GRID).number == 0
        assert [trial.state.name for trial in study.trials] == ["RUNNING"]
        assert remaining(study, GRID, WHOLE) == 5

    def test_other_values_are_no_points(self, study: optuna.Study) -> None:
        """A trial with a value that the grid does not have takes none of its points."""
        study.enqueue_trial({"a": 7, "b": "u"})
        assert _taken(study, WHOLE, GRID).number == 0
        assert remaining(study, GRID, WHOLE) == 6

    @pytest.mark.parametrize(("state", "left"), [(TrialState.COMPLETE, 0), (TrialState.FAIL, 1)])
    def test_the_only_point_of_a_space_without_keys(
        self, study: optuna.Study, state: TrialState, left: int
    ) -> None:
        """Has been had when a trial without values is complete; one that failed may have died before it had some."""
        study.add_trial(create_trial(state=state, value=1.0 if state is TrialState.COMPLETE else None))
        assert remaining(study, build_space([]), WHOLE) == left

    def test_interval_has_no_grid(self, study: optuna.Study) -> None:
        """An interval without a number of trials is refused before any trial is made."""
        with pytest.raises(SweepError, match="no grid"):
            next_trial(study, LINE, WHOLE)

        assert study.trials == []


class TestStop:
    """Reasons to stop."""

    def test_timeout(self, study: optuna.Study) -> None:
        """After the deadline no trial is begun, waiting ones neither."""
        study.enqueue_trial({"x": 0.5})
        budget = Budget.begun(study, 3, timeout=0.05)
        time.sleep(0.06)

        assert next_trial(study, LINE, budget) is Stop.TIMEOUT
        assert remaining(study, LINE, budget) == 3

    @pytest.mark.parametrize("jump", [-86_400.0, 86_400.0])
    def test_a_clock_that_is_set_changes_no_timeout(
        self, study: optuna.Study, monkeypatch: pytest.MonkeyPatch, jump: float
    ) -> None:
        """A day forward ends no sweep, and a day back lets none go on; also in a worker, which gets a copy."""
        long, short = (copy.copy(Budget.begun(study, 3, timeout=seconds)) for seconds in (3600, 0.05))
        now = time.time
        monkeypatch.setattr(time, "time", lambda: now() + jump)
        time.sleep(0.06)

        assert next_trial(study, LINE, short) is Stop.TIMEOUT
        assert isinstance(next_trial(study, LINE, long), optuna.Trial)

    @pytest.mark.parametrize(
        ("ended", "in_all", "in_a_row", "stops"),
        [
            ("CFCF", 3, None, False),
            ("CFCFF", 3, None, True),
            ("FFCF", None, 2, False),
            ("FCPFF", None, 2, True),
            ("FFFF", None, None, False),
        ],
    )
    def test_failures(
        self, study: optuna.Study, ended: str, in_all: int | None, in_a_row: int | None, *, stops: bool
    ) -> None:
        """So many failures in all, or one after another, stop the sweep."""
        budget = Budget.begun(study, 20, max_failures=in_all, max_failures_in_a_row=in_a_row)
        _ended(study, ended)

        assert (next_trial(study, LINE, budget) is Stop.FAILURES) == stops

    @pytest.mark.parametrize(
        ("ended", "rate", "window", "stops"),
        [
            ("CF", 0.0, 1, True),
            ("F", 1.0, 1, False),
            ("CF", 0.5, 2, False),
            ("CFF", 0.5, 2, True),
            ("F", 0.5, 4, False),
            ("FCFCF", 0.5, 4, False),
            ("FCFPFF", 0.5, 4, True),
            ("FC", 0.0, 1, False),
            ("FFFFFFFF", None, 4, False),
        ],
    )
    def test_failure_rate(
        self, study: optuna.Study, ended: str, rate: float | None, window: int, *, stops: bool
    ) -> None:
        """More than this fraction of the last trials, as many as there are workers, stops the sweep."""
        budget = Budget.begun(study, 20, max_failure_rate=rate, window=window)
        _ended(study, ended)

        assert (next_trial(study, LINE, budget) is Stop.FAILURES) == stops

    def test_earlier_failures_do_not_count(self, study: optuna.Study) -> None:
        """A sweep that goes on after its user fixed something starts counting at zero."""
        _ended(study, "FFFF")
        budget = Budget.begun(study, 20, max_failures=2, max_failures_in_a_row=2)

        assert isinstance(next_trial(study, LINE, budget), Trial)
        _ended(study, "F")
        assert isinstance(next_trial(study, LINE, budget), Trial)
        _ended(study, "F")
        assert next_trial(study, LINE, budget) is Stop.FAILURES

    def test_summary(self, study: optuna.Study) -> None:
        """The summary counts the failures of this sweep and gives the reasons of the last three."""
        _ended(study, "F")
        budget = Budget.begun(study, 20, max_failures=4)
        _ended(study, "CFFFF")

        assert failure_summary(study, budget).splitlines() == [
            "4 trials have failed, so the sweep was stopped; the last ones:",
            "Trial 3: reason 2",
            "Trial 4: reason 3",
            "Trial 5: reason 4",
        ]

    def test_summary_of_few(self, study: optuna.Study) -> None:
        """Those of earlier sweeps on the study are not among the reasons."""
        _ended(study, "FF")
        budget = Budget.begun(study, 20, max_failures=1)
        _ended(study, "F")
        assert (
            failure_summary(study, budget)
            == "1 trial has failed, so the sweep was stopped:\nTrial 2: reason 0"
        )


@pytest.mark.parametrize("configured", [None, "journal"])
def test_two_workers_share_it(tmp_path: Path, configured: str | None) -> None:
    """Two workers with their own connections that take turns never take the same trial, nor one too many."""
    url = configured and f"journal:{tmp_path}/j"
    one = optuna.create_study(storage=open_storage(url, tmp_path), study_name="s")
    two = optuna.load_study(storage=open_storage(url, tmp_path), study_name="s")
    taken = [next_trial(study, LINE, Budget(5)) for _ in range(3) for study in (one, two)]

    assert [trial.number for trial in taken if isinstance(trial, Trial)] == [0, 1, 2, 3, 4]
    assert taken[5] is Stop.SPENT


class TestInfrastructure:
    """What the trials stand on fails."""

    def test_its_sweep_ends_and_no_other(self, study: optuna.Study) -> None:
        """The sweep whose trial had to wait begins no further one; another sweep on the study runs that trial."""
        here, elsewhere = Budget.begun(study, 5, max_failures=1), Budget.begun(study, 5)
        trial = _taken(study, here)
        tell(study, trial, Outcome(State.WAITING, reason="The disk is full."), here.sweep)

        assert next_trial(study, LINE, here) is Stop.INFRASTRUCTURE
        assert _taken(study, elsewhere).number == trial.number
        assert next_trial(study, LINE, here) is Stop.INFRASTRUCTURE
        assert infrastructure_summary(study, here) == (
            "Trial 0 could not be run and waits; the same command resumes the sweep. The disk is full."
        )

    def test_the_last_one_is_told_before_failures(self, study: optuna.Study) -> None:
        """Of two trials that could not be run the later one is named, and what failed them, not how many trials failed."""
        budget = Budget.begun(study, 5, max_failures=1)
        trials = [_taken(study, budget) for _ in range(3)]
        states = (State.WAITING, State.WAITING, State.FAIL)
        for trial, state, reason in zip(trials, states, ("First.", "Second.", "Third."), strict=True):
            tell(study, trial, Outcome(state, reason=reason), budget.sweep)

        assert next_trial(study, LINE, budget) is Stop.INFRASTRUCTURE
        assert infrastructure_summary(study, budget) == (
            "Trial 1 could not be run and waits; the same command resumes the sweep. Second."
        )

    def test_the_next_sweep_goes_on(self, study: optuna.Study) -> None:
        """What hindered an earlier sweep does not stop the one of the same command."""
        before = Budget.begun(study, 2)
        tell(study, _taken(study, before), Outcome(State.WAITING, reason="No."), before.sweep)
        budget = Budget.begun(study, 2)

        assert [_taken(study, budget).number for _ in range(2)] == [0, 1]
