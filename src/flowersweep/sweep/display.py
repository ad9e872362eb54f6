"""The display of a running sweep: a line per running trial, the best so far, the time left."""

import logging
import threading
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from types import TracebackType
from typing import Self

from omegaconf import DictConfig, OmegaConf
from optuna import Study
from optuna.study import StudyDirection
from optuna.trial import FrozenTrial, TrialState
from rich.console import Console, RenderableType
from rich.live import Live
from rich.text import Text

from flowersweep.config.spelling import value_text
from flowersweep.console import plain_console, print_line, stderr_console
from flowersweep.ranking.standings import configuration_key
from flowersweep.sweep.leaderboard import leaderboard
from flowersweep.sweep.leaderboard_view import as_listings
from flowersweep.sweep.record.study_run import StudyRun
from flowersweep.sweep.settings import Plan
from flowersweep.sweep.study.attributes import FAIL_REASON, N_STEPS, TAKEN_FROM
from flowersweep.sweep.study.claim import is_abandoned
from flowersweep.sweep.study.study import metric_names
from flowersweep.sweep.workers.worker_job import TRAINING_LOG
from flowersweep.tables import show_text, wrapped
from flowersweep.texts import counted, number_text

log = logging.getLogger(__name__)

LOOK_SECONDS = 1.0


class SweepDisplay:
    """Reads the study once a second, whichever processes run its trials, and shows its state.

    On a terminal the running trials are redrawn in place; elsewhere each trial gets one line when it ends.

    Args:
        study: The study to show.
        plan: Has the number of trials.
        config: The sweep's configuration, with the number of repeats.
        on_change: Called when trials have ended since the last update.
        console: Where to draw; standard error by default.
        clock: Gives seconds, from which the time left is estimated.
    """

    def __init__(
        self,
        study: Study,
        plan: Plan,
        config: DictConfig,
        *,
        on_change: Callable[[], None] = lambda: None,
        console: Console | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._study = study
        self._plan = plan
        repeats = OmegaConf.select(config, "hydra.sweeper.n_repeats") or 1
        # A trial that is repeated reports after each seed, others after each epoch.
        self._unit = "seed" if repeats > 1 else "epoch"
        self._on_change = on_change
        self._console = console or stderr_console()
        self._live = Live(console=self._console, refresh_per_second=2, transient=True)
        self._ended = {trial.number for trial in self._trials() if trial.state.is_finished()}
        self._before = len(self._ended)
        self._clock = clock
        self._began = clock()
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._watch, daemon=True, name="sweep-display")

    def __enter__(self) -> Self:
        if self._console.is_terminal:
            self._live.start()
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stop.set()
        self._thread.join(timeout=30)
        self._live.stop()

    def _watch(self) -> None:
        while not self._stop.wait(LOOK_SECONDS):
            self.look()
        self.look()

    def look(self) -> None:
        """Show what has changed since the last look; done once a second and at the end."""
        try:
            trials = self._trials()
            new = [trial for trial in trials if trial.state.is_finished() and trial.number not in self._ended]
            self._ended.update(trial.number for trial in new)
            for trial in new:
                print_line(self._ended_line(trial, trials), self._console)
            if new:
                self._on_change()
            if self._console.is_terminal:
                self._live.update(self._running(trials))
        except Exception:
            # A display that cannot draw must not end the sweep; the reason is in the debug log.
            log.debug("The display could not read the study.", exc_info=True)

    def _trials(self) -> list[FrozenTrial]:
        return self._study.get_trials(deepcopy=False)

    def _ended_line(self, trial: FrozenTrial, trials: Sequence[FrozenTrial]) -> str:
        params = " ".join(f"{name}={value_text(value)}" for name, value in trial.params.items())
        value = " ".join(map(number_text, trial.values or ()))
        reason = trial.user_attrs.get(FAIL_REASON, "")
        original = trial.user_attrs.get(TAKEN_FROM)
        value += "" if original is None else f" as trial {original}"
        done = sum(other.state.is_finished() for other in trials)
        return (
            f"trial {trial.number} {trial.state.name} {value or reason}  {params}  "
            f"[{self._progress(done, trials)}]"
        )

    def _progress(self, done: int, trials: Sequence[FrozenTrial]) -> str:
        left = [self._left(done)] if done < self._plan.n_trials else []
        return ", ".join([f"{done}/{self._plan.n_trials} done", self._best(trials), *left])

    def _best(self, trials: Sequence[FrozenTrial]) -> str:
        complete = [trial for trial in trials if trial.state is TrialState.COMPLETE]
        if not complete:
            return "none complete yet"
        if len(self._study.directions) > 1:
            front = {
                configuration_key(row.params)
                for row in leaderboard(self._study).best
                if row.taken_from is None
            }
            return f"{len(front)} in the Pareto set"
        choose = max if self._study.direction is StudyDirection.MAXIMIZE else min
        best = choose(complete, key=lambda trial: trial.values[0])
        return f"best {number_text(best.values[0])} of trial {best.number}"

    def _left(self, done: int) -> str:
        since = len(self._ended) - self._before
        if since == 0:
            return "time left unknown"
        seconds = (self._clock() - self._began) / since * max(0, self._plan.n_trials - done)
        return f"about {seconds / 60:.0f} min left" if seconds >= 90 else f"about {seconds:.0f} s left"

    def _running(self, trials: Sequence[FrozenTrial]) -> RenderableType:
        running = [trial for trial in trials if trial.state is TrialState.RUNNING]
        done = sum(trial.state.is_finished() for trial in trials)
        lines = [f"{self._study.study_name}: {self._progress(done, trials)}"]
        for trial in running:
            reported = trial.intermediate_values
            step = "starting"
            if reported:  # another program counts as it likes
                n_steps = trial.user_attrs.get(N_STEPS)
                step = f"{self._unit} {len(reported)}/{n_steps}" if n_steps else f"step {max(reported)}"
            best = f"best {self._best_reported(reported)}" if reported else ""
            params = " ".join(f"{name}={value_text(value)}" for name, value in trial.params.items())
            lines.append(f"trial {trial.number} {step} {best} {params}")
        return Text("\n".join(one for line in lines for one in wrapped(line, self._console.width)))

    def _best_reported(self, reported: dict[int, float]) -> str:
        maximize = self._study.directions[0] is StudyDirection.MAXIMIZE
        return number_text((max if maximize else min)(reported.values()))


def show_summary(
    study: Study, plan: Plan, study_run: StudyRun, folder: Path, console: Console | None = None
) -> None:
    """Print the leaderboard and the locations of the results on standard output.

    Args:
        study: The study whose trials are shown.
        plan: Has the number of trials.
        study_run: The study's run.
        folder: Of the sweep, with the log of its training processes.
        console: Where to print.
    """
    console = console or plain_console()
    board = leaderboard(study)
    rows = board.rows
    counts = {state: sum(row.state == state for row in rows) for state in ("COMPLETE", "PRUNED", "FAIL")}
    title = f"Study {study.study_name}: " + ", ".join(
        f"{count} {state.lower()}" for state, count in counts.items() if count or state == "COMPLETE"
    )
    full, narrow = as_listings(board, metric_names(study), title)
    full.show(console, narrow)
    show_text(console, board.note)
    lines = [f"trial {row.trial} failed: {row.reason}" for row in rows if row.state == "FAIL"][:5]
    if lines and (folder / TRAINING_LOG).exists():
        lines.append(f"more about failures in {folder / TRAINING_LOG}")
    n_elsewhere = _n_running(study)
    if n_elsewhere:
        verb = "is" if n_elsewhere == 1 else "are"
        lines.append(f"{counted(n_elsewhere, 'trial')} {verb} running in another sweep of this study")
    if (left := plan.n_trials - len(rows) - n_elsewhere) > 0:
        lines.append(
            f"{left} of {counted(plan.n_trials, 'trial')} {'is' if left == 1 else 'are'} left; the same command resumes the sweep"
        )
    if study_run.where:
        lines.append(f"study run {study_run.run_id} in {study_run.where}")
    for line in lines:
        for part in wrapped(line, console.width) if console.is_terminal else [line]:
            console.print(part, highlight=False, soft_wrap=True, markup=False)
    if study_run.best_command:  # one line, to be copied
        console.print(f"best again: {study_run.best_command}", highlight=False, soft_wrap=True, markup=False)


def _n_running(study: Study) -> int:
    """The number of trials that living processes run; those of dead ones are run again by the next sweep."""
    running = study.get_trials(deepcopy=False, states=[TrialState.RUNNING])
    return sum(not is_abandoned(trial.user_attrs, time.time()) for trial in running)
