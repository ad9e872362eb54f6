"""What is shown while a sweep runs, on a terminal and elsewhere, and when it is over."""

import io
import threading
from pathlib import Path

import optuna
import pytest
from omegaconf import OmegaConf
from optuna.distributions import FloatDistribution, IntDistribution
from optuna.trial import TrialState, create_trial
from rich.console import Console

from flowersweep.sweep import display
from flowersweep.sweep.display import SweepDisplay, show_summary
from flowersweep.sweep.record.study_run import StudyRun
from flowersweep.sweep.settings import Plan
from flowersweep.sweep.space.build_space import build_space
from flowersweep.sweep.study.attributes import N_STEPS
from flowersweep.sweep.study.claim import claim

CONFIG = OmegaConf.create({"trainer": {"epochs": 30}})
SPACE = {"x": FloatDistribution(0, 1)}
PLAN = Plan(is_grid=False, n_trials=4, enqueue=())


def console(*, terminal: bool) -> Console:
    """One that writes to memory."""
    return Console(file=io.StringIO(), force_terminal=terminal, width=100)


def text(shown: Console) -> str:
    """What was written to it."""
    return str(shown.file.getvalue())  # type: ignore[attr-defined]  # it is a StringIO


@pytest.fixture
def study() -> optuna.Study:
    """An empty study."""
    return optuna.create_study(direction="maximize", study_name="shown")


@pytest.fixture(autouse=True)
def _only_when_told(monkeypatch: pytest.MonkeyPatch) -> None:
    """The display's own thread looks at the end only."""
    monkeypatch.setattr(display, "LOOK_SECONDS", 600.0)


def add(study: optuna.Study, x: float, state: TrialState = TrialState.COMPLETE) -> None:
    """A finished trial whose value is x."""
    attrs = {"fail_reason": "ValueError: [red] no"} if state is TrialState.FAIL else {}
    values = None if state is TrialState.FAIL else x
    study.add_trial(
        create_trial(state=state, value=values, params={"x": x}, distributions=dict(SPACE), user_attrs=attrs)
    )


class TestWhileRunning:
    def test_a_line_per_trial(self, study: optuna.Study) -> None:
        """Elsewhere than on a terminal each trial that ends is one line; those of earlier sweeps are none."""
        add(study, 0.1)
        changes: list[int] = []
        shown, times = console(terminal=False), iter([0.0, 30.0])
        with SweepDisplay(
            study,
            PLAN,
            CONFIG,
            on_change=lambda: changes.append(1),
            console=shown,
            clock=lambda: next(times),
        ) as shows:
            shows.look()
            add(study, 0.123456789)
            shows.look()
            shows.look()
            add(study, 0.7, TrialState.FAIL)
            add(study, 0.3, TrialState.PRUNED)
        assert text(shown).splitlines() == [
            "trial 1 COMPLETE 0.1235  x=0.1235  [2/4 done, best 0.1235 of trial 1, about 60 s left]",
            "trial 2 FAIL ValueError: [red] no  x=0.7  [4/4 done, best 0.1235 of trial 1]",
            "trial 3 PRUNED 0.3000  x=0.3  [4/4 done, best 0.1235 of trial 1]",
        ]
        assert len(changes) == 2

    @pytest.mark.parametrize(
        ("seconds", "left"),
        [(29.9, "about 90 s left"), (30.0, "about 2 min left"), (600.0, "about 30 min left")],
    )
    def test_the_time_left_is_that_of_the_trials_so_far(
        self, study: optuna.Study, seconds: float, left: str
    ) -> None:
        """Trials of an earlier sweep took no time of this one; from a minute and a half on it is in minutes."""
        shown, now = console(terminal=False), [0.0]
        with SweepDisplay(study, PLAN, CONFIG, console=shown, clock=lambda: now[0]) as shows:
            now[0] = seconds
            add(study, 0.5)
            shows.look()
        assert text(shown).splitlines() == [
            f"trial 0 COMPLETE 0.5000  x=0.5  [1/4 done, best 0.5000 of trial 0, {left}]"
        ]

    def test_it_looks_by_itself(self, study: optuna.Study, monkeypatch: pytest.MonkeyPatch) -> None:
        """Nobody has to tell it; here every hundredth of a second."""
        monkeypatch.setattr(display, "LOOK_SECONDS", 0.01)
        seen = threading.Event()
        with SweepDisplay(study, PLAN, CONFIG, on_change=seen.set, console=console(terminal=False)):
            add(study, 0.5)
            assert seen.wait(60)

    def test_running_trials_on_a_terminal(self, study: optuna.Study) -> None:
        """A terminal shows each running trial with its epoch, of as many as it has itself, and its best value so far."""
        trial, other = study.ask(dict(SPACE)), study.ask(dict(SPACE))
        trial.set_user_attr(N_STEPS, 7)
        other.set_user_attr(N_STEPS, 30)
        shown = console(terminal=True)
        with SweepDisplay(study, PLAN, CONFIG, console=shown):
            trial.report(0.5, 0)
            trial.report(0.25, 1)
            other.report(0.4e-5, 1)
        assert "epoch 2/7" in text(shown)
        assert "epoch 1/30 best 4e-06" in text(shown)
        assert "best 0.5000" in text(shown)
        assert "shown: 0/4 done, none complete yet, time left unknown" in text(shown)

    def test_configurations_in_the_pareto_set_are_counted(self) -> None:
        """Two seeds of a configuration are one point of the set, by its mean."""
        made = optuna.create_study(directions=["maximize", "minimize"])
        for value, units, seed in ((0.9, 1, 0), (0.8, 1, 1), (0.8, 2, 0)):
            made.add_trial(
                create_trial(
                    values=[value, float(units)],
                    params={"units": units, "seed": seed},
                    distributions=dict.fromkeys(("units", "seed"), IntDistribution(0, 9)),
                )
            )
        shown = console(terminal=True)
        with SweepDisplay(made, PLAN, CONFIG, console=shown):
            pass
        assert "3/4 done, 1 in the Pareto set" in text(shown)

    @pytest.mark.parametrize("trainer", ["gpu", ["gpu"], {"epochs": "all"}])
    def test_another_program_reports_its_steps(self, study: optuna.Study, trainer: object) -> None:
        """What it counts, and how far, is not known: the step is shown as it was reported."""
        trial = study.ask(dict(SPACE))
        shown = console(terminal=True)
        with SweepDisplay(study, PLAN, OmegaConf.create({"trainer": trainer}), console=shown):
            trial.report(0.5, 10)
            trial.report(0.25, 20)
        assert f"trial {trial.number} step 20 best 0.5000" in text(shown)

    def test_a_repeated_trial_reports_seeds(self, study: optuna.Study) -> None:
        """What is counted after two of three seeds are seeds, not epochs; no number is broken on a narrow terminal."""
        trial = study.ask(dict(SPACE))
        trial.set_user_attr(N_STEPS, 3)
        config = OmegaConf.create({"trainer": {"epochs": 30}, "hydra": {"sweeper": {"n_repeats": 3}}})
        shown = Console(file=io.StringIO(), force_terminal=True, width=30)
        with SweepDisplay(study, PLAN, config, console=shown):
            trial.report(0.5, 1)
            trial.report(0.25, 2)
        assert "seed 2/3" in text(shown)
        assert "best 0.5000" in text(shown)
        assert "epoch" not in text(shown)
        assert f"x={trial.params['x']:.4g}" in text(shown)

    def test_a_storage_that_fails_ends_nothing(self, study: optuna.Study) -> None:
        """What the display cannot see it does not show; the sweep goes on."""
        shown = console(terminal=False)
        with SweepDisplay(study, PLAN, CONFIG, on_change=lambda: 1 / 0, console=shown):  # type: ignore[arg-type]
            add(study, 0.5)
        assert text(shown).startswith("trial 0 COMPLETE")
        assert len(text(shown).splitlines()) == 1


class TestSummary:
    def test_everything(self, study: optuna.Study, tmp_path: Path) -> None:
        """Counts, the table, why trials failed and where to read more, and what is left."""
        add(study, 0.5)
        add(study, 0.7, TrialState.FAIL)
        (tmp_path / "training.log").touch()
        shown = console(terminal=False)
        show_summary(study, PLAN, StudyRun(study, PLAN, build_space([])), tmp_path, shown)
        said = text(shown)
        assert "Study shown: 1 complete, 1 fail" in said
        assert "trial 1 failed: ValueError: [red] no" in said
        assert f"more about failures in {tmp_path}/training.log" in said
        assert "2 of 4 trials are left; the same command resumes the sweep" in said
        assert "best again" not in said

    def test_what_runs_elsewhere_is_not_left(
        self, study: optuna.Study, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """A trial that another sweep is running is not one for the same command, unless its process is dead."""
        for _ in range(2):
            claim(study.ask(dict(SPACE)))
        shown = console(terminal=False)
        show_summary(study, PLAN, StudyRun(study, PLAN, build_space([])), tmp_path, shown)
        assert text(shown).splitlines()[1:] == [
            "2 trials are running in another sweep of this study",
            "2 of 4 trials are left; the same command resumes the sweep",
        ]
        monkeypatch.setattr("flowersweep.process.is_dead", lambda *_: True)
        shown = console(terminal=False)
        show_summary(study, PLAN, StudyRun(study, PLAN, build_space([])), tmp_path, shown)
        assert text(shown).splitlines()[1:] == ["4 of 4 trials are left; the same command resumes the sweep"]

    def test_nothing(self, study: optuna.Study, tmp_path: Path) -> None:
        """An empty study has no table."""
        shown = console(terminal=False)
        show_summary(study, PLAN, StudyRun(study, PLAN, build_space([])), tmp_path, shown)
        assert text(shown).splitlines() == [
            "Study shown: 0 complete",
            "4 of 4 trials are left; the same command resumes the sweep",
        ]
