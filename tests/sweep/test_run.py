"""Sweeps from their command to their end, around an application that trains nothing."""

import os
import signal
import sqlite3
import subprocess
import sys
import time
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from hydra import compose, initialize
from hydra.core.config_store import ConfigStore
from hydra.errors import ConfigCompositionException
from omegaconf import OmegaConf

from flowersweep.errors import SweepError, SweepStoppedError
from flowersweep.sweep.run import as_kept
from flowersweep.sweep.space.overrides import left_to_trials
from flowersweep.sweep.storage.storage import open_storage
from hydra_state import hydra_restored

Sweep = Callable[..., None]
TEN = "hydra.sweeper.n_trials=10"
# What a disk without room does to a database.
FULL = "CREATE TRIGGER full BEFORE INSERT ON trials BEGIN SELECT RAISE(FAIL, 'database or disk is full'); END"


@pytest.fixture
def sweep(app: Any, monkeypatch: pytest.MonkeyPatch) -> Sweep:
    """Run a sweep of it in this process."""
    return lambda *arguments: app.sweep(monkeypatch, *arguments)


def states(app: Any, name: str | None = None) -> list[str]:
    """The states of a study's trials."""
    return [trial.state.name for trial in app.study(name).trials]


class TestGrid:
    @pytest.mark.slow
    def test_points_in_hydras_order_once(
        self, app: Any, sweep: Sweep, capsys: pytest.CaptureFixture[str]
    ) -> None:
        """A grid is its points in Hydra's order; the same command again runs none of them and shows them all."""
        command = "x=0.1,0.2", "shape=round,square"
        sweep(*command)
        first = capsys.readouterr()
        sweep(*command)
        second = capsys.readouterr()

        points = [trial.params for trial in app.study().trials]
        assert points == [{"x": x, "shape": shape} for x in (0.1, 0.2) for shape in ("round", "square")]
        assert [mark[0] for mark in app.beginnings()] == [0, 1, 2, 3]
        assert not any(app.lives(mark[1]) for mark in app.beginnings())
        assert first.out == second.out
        assert "4 complete" in first.out
        assert [line.split()[1] for line in first.err.splitlines()] == ["0", "1", "2", "3"]
        assert "[4/4 done, best 0.2000 of trial 2]" in first.err.splitlines()[-1]

    @pytest.mark.slow
    def test_cut_short_then_whole(self, app: Any, sweep: Sweep) -> None:
        """hydra/sweeper/sampler=grid stops a grid where n_trials says; more trials go on from there."""
        grid = "hydra/sweeper/sampler=grid", "y=range(5)", "hydra.sweeper.study_name=grid"
        sweep(*grid, "hydra.sweeper.n_trials=2")
        assert [trial.params["y"] for trial in app.study().trials] == [0, 1]
        sweep(*grid, "hydra.sweeper.n_trials=40")
        assert [trial.params["y"] for trial in app.study().trials] == [0, 1, 2, 3, 4]

    @pytest.mark.slow
    def test_conditions(self, app: Any, sweep: Sweep) -> None:
        """A key is searched only where its condition holds: 2 + 1 points in place of 4."""
        sweep("shape=round,square", "y=1,2", "+hydra.sweeper.conditions={y: {shape: round}}")
        assert [trial.params for trial in app.study().trials] == [
            {"shape": "round", "y": 1},
            {"shape": "round", "y": 2},
            {"shape": "square"},
        ]
        assert app.study().best_value == 2.5

    @pytest.mark.slow
    def test_stays_a_grid_with_a_number_of_trials(
        self, app: Any, sweep: Sweep, caplog: pytest.LogCaptureFixture
    ) -> None:
        """Each larger n_trials goes on in the grid's order, and one beyond it ends with it and says so."""
        caplog.set_level("INFO")
        for n_trials in (2, 9):
            sweep("y=8,16,32", "hydra.sweeper.study_name=grid", f"hydra.sweeper.n_trials={n_trials}")
            done = [trial.params["y"] for trial in app.study().trials]
            assert done == [8, 16, 32][:n_trials]
        said = [record.message for record in caplog.records if "n_trials=" in record.message]
        assert said == [
            "The grid has 3 points, fewer than hydra.sweeper.n_trials=9; the study ends with them."
        ]


@pytest.mark.slow
class TestFolders:
    def test_only_its_own_empty_ones_are_removed(self, app: Any, sweep: Sweep, tmp_path: Path) -> None:
        """Trials and workers leave no empty folder; what was empty before stays, whatever it is called."""
        for name in ("mine", "nested/empty", "workers", "trial_0"):
            (tmp_path / name).mkdir(parents=True)
        sweep("x=0.1,0.2", "hydra.sweep.dir=.", "hydra.sweep.subdir='trial_${hydra.job.num}'")
        assert states(app) == ["COMPLETE"] * 2
        folders = sorted(path.relative_to(tmp_path).as_posix() for path in tmp_path.rglob("*/"))
        assert [name for name in folders if not name.startswith(("results", "__pycache__"))] == [
            "mine",
            "nested",
            "nested/empty",
            "trial_0",
            "workers",
        ]


class TestDuplicates:
    @pytest.mark.slow
    def test_are_not_trained(self, app: Any, sweep: Sweep, capsys: pytest.CaptureFixture[str]) -> None:
        """A chosen sampler goes through a small space; what is left of the budget takes results over, marked as such."""
        sweep("y=8,16,32", "hydra/sweeper/sampler=random", "hydra.sweeper.n_trials=6")
        trials = app.study().trials
        assert states(app) == ["COMPLETE"] * 6
        assert len(app.beginnings()) == 3
        taken = [trial for trial in trials if "taken_from" in trial.user_attrs]
        assert len(taken) == 3
        for trial in taken:
            original = trials[trial.user_attrs["taken_from"]]
            assert (trial.params, trial.values) == (original.params, original.values)
            assert original not in taken
        shown = capsys.readouterr()
        assert shown.out.count("as trial ") == 3
        assert shown.err.count(" as trial ") == 3

    @pytest.mark.slow
    def test_only_of_complete_trials(self, app: Any, sweep: Sweep) -> None:
        """What failed is tried again."""
        sweep("kind=failing", "x=0.2,0.8", "hydra/sweeper/sampler=random", "hydra.sweeper.n_trials=4")
        trials = app.study().trials
        failed = [trial for trial in trials if trial.params["x"] == 0.8]
        assert {trial.state.name for trial in failed} == {"FAIL"}
        assert len(app.beginnings()) == 1 + len(failed)


class TestSearch:
    @pytest.mark.slow
    def test_extended_is_as_if_in_one_go(self, app: Any, sweep: Sweep) -> None:
        """Four trials and then six more are the ten of one sweep: each trial's seed comes from `seed` and its number."""
        space = "x=interval(0,1)", "shape=round,square"
        sweep(*space, "hydra.sweeper.study_name=parts", "hydra.sweeper.n_trials=4")
        sweep(*space, "hydra.sweeper.study_name=parts", TEN, "hydra.sweeper.timeout=600")
        sweep(*space, "hydra.sweeper.study_name=whole", TEN)
        parts, whole = ([trial.params for trial in app.study(name).trials] for name in ("parts", "whole"))
        assert len(parts) == 10
        assert parts == whole

    @pytest.mark.slow
    def test_enqueued_points_come_first_and_once(self, app: Any, sweep: Sweep) -> None:
        """Points are tried before the sampler's; given again with a further one, only that is added."""
        space = "x=interval(0,1)", "y=0,1", "hydra.sweeper.study_name=queued"
        sweep(*space, "hydra.sweeper.n_trials=2", "hydra.sweeper.enqueue=[{x: 0.25, y: 1}]")
        sweep(*space, "hydra.sweeper.n_trials=4", "hydra.sweeper.enqueue=[{x: 0.25, y: 1}, {x: 0.75}]")
        trials = app.study().trials
        assert trials[0].params == {"x": 0.25, "y": 1}
        assert trials[2].params["x"] == 0.75
        assert [trial.params["x"] for trial in trials].count(0.25) == 1
        assert len(trials) == 4

    @pytest.mark.slow
    def test_timeout(self, app: Any, sweep: Sweep, capsys: pytest.CaptureFixture[str]) -> None:
        """When the time is up no trial begins, the running one ends, and the summary says how many are left."""
        # Imports take seconds, too.
        sweep("x=interval(0,1)", "hydra.sweeper.n_trials=1", "hydra.sweeper.study_name=imports")
        capsys.readouterr()
        timed = "hydra.sweeper.study_name=timed", "hydra.sweeper.timeout=5", "seconds=5.1"
        sweep("x=interval(0,1)", "hydra.sweeper.n_trials=100", *timed)
        assert [trial.state.name for trial in app.study("timed").trials] == ["COMPLETE"]
        assert "99 of 100 trials are left; the same command resumes" in capsys.readouterr().out

    @pytest.mark.slow
    def test_pruned_trials(self, app: Any, sweep: Sweep, capsys: pytest.CaptureFixture[str]) -> None:
        """Pruned trials count, have the value they reported last, and stand behind complete ones."""
        sweep("kind=pruned", "x=interval(0,1)", "hydra.sweeper.n_trials=4")
        trials = app.study().trials
        assert states(app) == ["COMPLETE", "PRUNED", "COMPLETE", "PRUNED"]
        assert trials[1].value == trials[1].params["x"]
        assert "2 complete, 2 pruned" in capsys.readouterr().out

    @pytest.mark.slow
    def test_two_objectives(self, app: Any, sweep: Sweep, capsys: pytest.CaptureFixture[str]) -> None:
        """With two directions there is a Pareto set in place of a best trial."""
        sweep(
            "kind=two",
            "x=interval(0,1)",
            "hydra.sweeper.n_trials=4",
            "hydra.sweeper.direction=[maximize,maximize]",
        )
        shown = capsys.readouterr()
        assert len(app.study().best_trials) == 4
        assert "4 in the Pareto set" in shown.err
        assert sum(line.startswith("1 ") for line in shown.out.splitlines()) == 4


class TestFailures:
    @pytest.mark.slow
    def test_sweep_goes_on(self, app: Any, sweep: Sweep, capsys: pytest.CaptureFixture[str]) -> None:
        """Failed trials are kept with their reason while the others finish."""
        sweep("kind=failing", "x=0.2,0.7,0.4", "hydra.sweeper.max_failures=2")
        trials = app.study().trials
        assert states(app) == ["COMPLETE", "FAIL", "COMPLETE"]
        assert trials[1].user_attrs["fail_reason"] == "ValueError: x is 0.7"
        assert 'raise ValueError(f"x is {cfg.x}")' in trials[1].user_attrs["traceback"]
        shown = capsys.readouterr()
        assert "trial 1 failed: ValueError: x is 0.7" in shown.out
        assert "results/sweeps/x-" in shown.out
        assert "trial 1 FAIL ValueError: x is 0.7  x=0.7" in shown.err

    @pytest.mark.slow
    @pytest.mark.parametrize(
        ("limit", "n_trials"), [("max_failures=2", 3), ("max_failures_in_a_row=3", 5)], ids=["all", "row"]
    )
    def test_limits(self, app: Any, sweep: Sweep, limit: str, n_trials: int) -> None:
        """Too many failures stop the sweep with the last reasons; the same command resumes with the next trials."""
        command = "kind=failing", "x=0.8,0.1,0.7,0.9,0.6,0.2", f"hydra.sweeper.{limit}"
        with pytest.raises(
            SweepStoppedError, match=r"trials have failed, so the sweep was stopped"
        ) as raised:
            sweep(*command)
        assert len(app.study().trials) == n_trials
        assert f"Trial {n_trials - 1}: ValueError: x is" in str(raised.value)

    @pytest.mark.slow
    def test_nothing_but_failures(self, sweep: Sweep) -> None:
        """A sweep of which every trial failed has failed, whatever the limits."""
        with pytest.raises(
            SweepStoppedError, match=r"All 2 trials of the sweep failed; .*ValueError: x is 0.8"
        ):
            sweep("kind=failing", "x=0.8,0.9")


@pytest.mark.usefixtures("app")
def test_what_other_tests_register_is_forgotten() -> None:
    """A key of the application stays a key after another module of tests had a group of that name."""
    with hydra_restored():
        ConfigStore.instance().store(group="kind", name="a", node={})
        with initialize(None), pytest.raises(ConfigCompositionException, match="Could not override 'kind'"):
            compose("small_app", overrides=["kind=failing"])
    with initialize(None):
        assert compose("small_app", overrides=["kind=failing"]).kind == "failing"


def test_overrides_are_kept_as_typed() -> None:
    """In multirun.yaml stands what was typed, also of values that only trials can take; interpolations stay."""
    typed = ["optimizer=sgd,rmsprop", "optimizer.momentum=0.5", "data.split_seed=${seed}"]
    _, *given = left_to_trials(["--multirun", *typed])
    kept = OmegaConf.create(as_kept(OmegaConf.create({"hydra": {"overrides": {"task": given}}})))
    assert given != typed
    assert OmegaConf.to_container(kept, resolve=False) == {"hydra": {"overrides": {"task": typed}}}


class TestGoingOn:
    BEGUN = "x=0.1,0.2", "hydra.sweeper.study_name=mine"

    @pytest.mark.slow
    def test_a_storage_that_fails_before_the_first_trial(self, app: Any, sweep: Sweep) -> None:
        """A storage that can be opened but takes no more trials is told in a sentence; the same command resumes later."""
        command = "x=0.1,0.2", "hydra.sweeper.study_name=full", "hydra.sweeper.n_trials=2"
        queued = (*command, "hydra.sweeper.enqueue=[{x: 0.2}]")
        Path("results").mkdir()
        open_storage(None, Path("results"))
        with closing(sqlite3.connect("results/optuna.db")) as database, database:
            database.execute(FULL)
        with pytest.raises(
            SweepStoppedError,
            match=r"refused a request: .*disk is full, the disk at .* MB free\); the same command",
        ):
            sweep(*queued)
        with closing(sqlite3.connect("results/optuna.db")) as database, database:
            database.execute("DROP TRIGGER full")
        sweep(*queued)
        assert [trial.params["x"] for trial in app.study().trials] == [0.2, 0.1]

    @pytest.mark.slow
    def test_another_search_is_refused(self, app: Any, sweep: Sweep) -> None:
        """A name stands for one search: the difference is shown, once, and nothing is run."""
        sweep(*self.BEGUN)
        for arguments, said in [
            (("x=0.1,0.3",), "x was searched as choice(0.1,0.2), and is now choice(0.1,0.3)."),
            (("x=0.1,0.2", "y=1"), "y=1 is now given; it was not."),
            (
                ("x=0.1,0.2", "hydra.sweeper.direction=minimize"),
                "The direction was maximize, and is now minimize.",
            ),
        ]:
            with pytest.raises(SweepError, match="The study 'mine' is a different search") as raised:
                sweep(*arguments, "hydra.sweeper.study_name=mine")
            assert [line.strip() for line in str(raised.value).splitlines()[1:-1]] == [said]
            assert "hydra.sweeper.on_mismatch=new" in str(raised.value)
        assert len(app.study("mine").trials) == 2
        assert app.names() == ["mine"]

    @pytest.mark.slow
    def test_a_changed_file_is_refused(self, app: Any, sweep: Sweep) -> None:
        """A default that was changed where nobody typed it is shown as a dotted key, old and new."""
        sweep(*self.BEGUN)
        app.configure(seconds=0.001, more={"deep": "text"})
        try:
            with pytest.raises(SweepError) as raised:
                sweep(*self.BEGUN)
        finally:
            app.configure()
        assert [line.strip() for line in str(raised.value).splitlines()[1:-1]] == [
            "seconds was 0.0, and is now 0.001.",
            "more.deep is now in the configuration, as text; it was not.",
        ]

    @pytest.mark.slow
    def test_another_search_gets_a_name(self, app: Any, sweep: Sweep) -> None:
        """With on_mismatch=new it is NAME-2, which the same command finds again."""
        sweep(*self.BEGUN)
        for _ in range(2):
            sweep("x=0.3,0.4", "hydra.sweeper.study_name=mine", "hydra.sweeper.on_mismatch=new")
        assert app.names() == ["mine", "mine-2"]
        assert [trial.params["x"] for trial in app.study("mine-2").trials] == [0.3, 0.4]

    @pytest.mark.slow
    def test_a_derived_name_is_no_identity(self, app: Any, sweep: Sweep) -> None:
        """Without a name, another value of any group is another study, and each command finds its own again."""
        for k in (5, 10, 5, 10):
            sweep("x=0.1,0.2", f"+cluster.k={k}", "hydra.sweeper.on_mismatch=null")
        first, second = app.names()
        assert second == f"{first}-2"
        assert [len(app.study(name).trials) for name in (first, second)] == [2, 2]

    @pytest.mark.slow
    def test_what_may_change(self, app: Any, sweep: Sweep) -> None:
        """Budgets, limits, workers, pruner and sampler are no part of what is searched."""
        sweep("x=interval(0,1)", "hydra.sweeper.study_name=free", "hydra.sweeper.n_trials=1")
        sweep(
            "x=interval(0,1)",
            "hydra.sweeper.study_name=free",
            "hydra.sweeper.n_trials=2",
            "hydra.sweeper.timeout=600",
            "hydra.sweeper.max_failures=9",
            "hydra.sweeper.max_retries=0",
            "hydra.sweeper.trials_per_process=1",
            "hydra/sweeper/sampler=random",
            "hydra/sweeper/pruner=median",
            "tracking.dir=results",
        )
        assert states(app) == ["COMPLETE"] * 2


class TestSeed:
    @pytest.mark.slow
    def test_comes_from_the_configuration(self, app: Any, sweep: Sweep) -> None:
        """Without a seed of its own the sampler has that of the runs; null, typed, means none."""
        space = "x=interval(0,1)", "hydra.sweeper.n_trials=2", "hydra/sweeper/sampler=random"
        for name, more in {
            "seed": (),
            "same": ("hydra.sweeper.sampler.seed=3",),
            "other": ("hydra.sweeper.sampler.seed=4",),
            "none": ("hydra.sweeper.sampler.seed=null",),
        }.items():
            sweep(*space, f"hydra.sweeper.study_name={name}", *more)
        values = {name: [trial.params["x"] for trial in app.study(name).trials] for name in app.names()}
        assert values["seed"] == values["same"]
        assert values["other"] != values["seed"] != values["none"]


def test_a_foreign_program_says_bad_input_in_a_sentence(
    app: Any, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """A program with its own command line ends like flowersweep's: one sentence, code 2, no traceback of Hydra."""
    monkeypatch.setattr(
        sys, "argv", ["small_app.py", "--multirun", "x=interval(0,1)", "hydra.sweeper.n_trials=0"]
    )
    monkeypatch.delenv("HYDRA_FULL_ERROR", raising=False)
    with pytest.raises(SystemExit) as ended:
        app.main()

    assert ended.value.code == 2
    assert capsys.readouterr().err == "flowersweep: hydra.sweeper.n_trials must be at least 1, but is 0.\n"


@pytest.mark.slow
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_foreign_program_that_is_interrupted(app: Any, number: signal.Signals) -> None:
    """It ends with 128 + the signal's number and one line, and its trials wait."""
    Path("results").mkdir()
    environment = {key: value for key, value in os.environ.items() if key != "HYDRA_FULL_ERROR"}
    # A background process may have inherited that SIGINT is ignored.
    program = "import signal; signal.signal(signal.SIGINT, signal.default_int_handler); import small_app; small_app.main()"
    running = subprocess.Popen(
        [sys.executable, "-c", program, "--multirun", "x=interval(0,1)", "seconds=60", TEN],
        env={**environment, "PYTHONPATH": str(Path(__file__).parent)},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    until = time.monotonic() + 120
    while not app.beginnings():
        assert time.monotonic() < until
        time.sleep(0.1)
    running.send_signal(number)
    _, said = running.communicate(timeout=60)

    assert running.returncode == 128 + number
    assert said == f"flowersweep: interrupted by {number.name}; the same command resumes the sweep.\n"
    assert {trial.state.name for trial in app.study().trials} == {"WAITING"}
