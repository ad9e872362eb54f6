"""The study's own run in MLflow: the parent of its trials' runs, with leaderboard, best configuration and plots."""

import logging
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from omegaconf import DictConfig, OmegaConf
from optuna import Study
from optuna.trial import TrialState

from flowersweep.sweep import plots
from flowersweep.sweep.leaderboard import Row, as_json, as_markdown, leaderboard
from flowersweep.sweep.settings import Plan
from flowersweep.tracking.mlflow_tracker import MLflowTracker
from flowersweep.tracking.protocol import closing
from flowersweep.tracking.reconcile import close_dead_runs
from flowersweep.tracking.store import experiment_id, prepare_store

log = logging.getLogger(__name__)

PARENT_RUN = "mlflow_parent_run_id"
UPDATE_SECONDS = 5.0


class Ledger:
    """Writes a study's state to its MLflow run; does nothing for an application without `tracking`.

    Args:
        study: Whose state it is.
        plan: Says how many trials there are to be.
        config: The sweep's configuration.
        tracker: The study's run; None for no tracking.
        where: The tracking store.
    """

    def __init__(
        self, study: Study, plan: Plan, config: DictConfig, tracker: MLflowTracker | None, where: str | None
    ) -> None:
        self._study = study
        self._plan = plan
        self._config = config
        self._tracker = tracker
        self._last = 0.0
        self.where = where

    @classmethod
    @contextmanager
    def open(cls, config: DictConfig, study: Study, plan: Plan) -> Iterator["Ledger"]:
        """Start the study's run, or go on with it; it ends with the block, as its trials' runs do."""
        if OmegaConf.select(config, "tracking.experiment") is None:
            yield cls(study, plan, config, None, None)
            return
        store = prepare_store(Path(config.tracking.dir), config.tracking.uri)
        close_dead_runs(store, [experiment_id(store, config.tracking.experiment)])
        known = study.user_attrs.get(PARENT_RUN)
        if known is not None:
            tracker = MLflowTracker.resume(store, known)
        else:
            tags = {"study": study.study_name, "kind": "study"}
            tracker = MLflowTracker.start(store, config.tracking.experiment, study.study_name, tags=tags)
            study.set_user_attr(PARENT_RUN, tracker.run_id)
        with closing(tracker):
            ledger = cls(study, plan, config, tracker, store.uri)
            ledger._begin()
            yield ledger

    @property
    def run_id(self) -> str | None:
        """The study's run."""
        return self._tracker.run_id if self._tracker else None

    @property
    def best_command(self) -> str | None:
        """The command that trains the best trial's configuration once more."""
        best = self._best()
        return None if best is None else _command(self._config, best.params)

    def update(self) -> None:
        """Write the leaderboard, unless that was done a moment ago."""
        if self._tracker is None or time.monotonic() - self._last < UPDATE_SECONDS:
            return
        self._last = time.monotonic()
        self._write()

    def finish(self) -> None:
        """Write everything, plots among it."""
        if self._tracker is None:
            return
        self._write()
        try:
            if (html := plots.page(self._study)) is not None:
                self._tracker.text(html, "study/plots.html")
            for name, figure in plots.pictures(self._study):
                self._tracker.figure(figure, f"study/{name}.png")
        except Exception:
            # The trials are done and stored; a plot that cannot be drawn must not make the sweep a failure.
            log.warning("The study's plots could not be drawn.", exc_info=True)

    def _begin(self) -> None:
        assert self._tracker is not None  # noqa: S101 (called by `open` only)
        self._tracker.text(OmegaConf.to_yaml(self._config.hydra.sweeper), "study/sweeper.yaml")
        self._tracker.text("\n".join(self._config.hydra.overrides.task) + "\n", "study/overrides.txt")

    def _write(self) -> None:
        assert self._tracker is not None  # noqa: S101 (checked by the callers)
        rows = leaderboard(self._study)
        self._tracker.json(as_json(rows), "study/leaderboard.json")
        self._tracker.tags({"mlflow.note.content": self._description(rows), **self._state(rows)})
        if (best := self._best()) is not None:
            self._tracker.metrics({"best/value": best.values[0], "best/trial": float(best.trial)})
            self._tracker.json(best.params, "study/best_params.json")
        self._tracker.metrics({"trials/finished": float(len(rows))})

    def _state(self, rows: list[Row]) -> dict[str, Any]:
        states = [trial.state for trial in self._study.get_trials(deepcopy=False)]
        return {
            "study.finished": f"{len(rows)}/{self._plan.n_trials}",
            "study.pruned": states.count(TrialState.PRUNED),
            "study.failed": states.count(TrialState.FAIL),
        }

    def _description(self, rows: list[Row]) -> str:
        columns = list(dict.fromkeys(name for row in rows for name in row.params))
        command = f"Best again: `{self.best_command}`\n\n" if self.best_command else ""
        return (
            f"Study **{self._study.study_name}**, {len(rows)} of {self._plan.n_trials} trials done.\n\n"
            f"{command}{as_markdown(rows, columns)}\n\nPlots: artifacts `study/`."
        )

    def _best(self) -> Row | None:
        rows = leaderboard(self._study)
        return rows[0] if rows and rows[0].state == "COMPLETE" and len(self._study.directions) == 1 else None


def _command(config: DictConfig, params: dict[str, Any]) -> str:
    fixed = [line for line in config.hydra.overrides.task if line.split("=")[0] not in params]
    return " ".join(["python -m flowersweep", *fixed, *(f"{name}={value}" for name, value in params.items())])
