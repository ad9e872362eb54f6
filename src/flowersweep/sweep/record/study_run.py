"""The study's own run in MLflow: the parent of its trials' runs, with leaderboard, best configuration and plots."""

import json
import logging
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from omegaconf import DictConfig, OmegaConf
from optuna import Study
from optuna.distributions import distribution_to_json
from optuna.trial import TrialState

from flowersweep.config.files import flags
from flowersweep.errors import TrackingError
from flowersweep.redaction import redacted
from flowersweep.sweep.leaderboard import Leaderboard, Row, as_json, leaderboard
from flowersweep.sweep.leaderboard_view import answer, as_markdown
from flowersweep.sweep.record import figures, table_row
from flowersweep.sweep.record.start import known_run, started_or_resumed
from flowersweep.sweep.settings import Plan
from flowersweep.sweep.space.overrides import typed_overrides
from flowersweep.sweep.space.space import Space
from flowersweep.sweep.space.values import own_value
from flowersweep.sweep.storage.storage import shown, storage_url
from flowersweep.sweep.study.study import metric_names
from flowersweep.texts import counted
from flowersweep.tracking.closing import closing
from flowersweep.tracking.lookup import training_command
from flowersweep.tracking.mlflow_api import client, run_page
from flowersweep.tracking.mlflow_tracker import MLflowTracker
from flowersweep.tracking.orphaned_runs import close_orphaned_runs
from flowersweep.tracking.patience import patience
from flowersweep.tracking.provenance import command_line
from flowersweep.tracking.run import GOAL, NOTE, PROGRAM, artifact_address
from flowersweep.tracking.selection import experiment_of
from flowersweep.tracking.store.store import Store
from flowersweep.tracking.store.summary import RANK

log = logging.getLogger(__name__)

UPDATE_SECONDS = 5.0
# Ranks of hundreds of repeated trials take seconds to compute; the training needs the processor more.
MAX_SHARE = 0.05


class StudyRun:
    """Writes a study's state to its MLflow run; does nothing without one.

    Args:
        study: The study.
        plan: Has the number of trials.
        space: Formats the overrides of the best trial.
        store: Where runs are stored; None for no tracking.
        experiment: The id of the experiment that the study's run is in.
        tracker: The study's run; None for no tracking, and if another sweep writes to it.
        own_files: The arguments that name the user's own files, from `config.flags`.
        draws: Whether the study's plots are stored.
        program: The command of another program; None for flowersweep's own.
        run_id: The study's run, if another sweep writes to it.
    """

    def __init__(
        self,
        study: Study,
        plan: Plan,
        space: Space,
        *,
        store: Store | None = None,
        experiment: str = "",
        tracker: MLflowTracker | None = None,
        own_files: Sequence[str] = (),
        draws: bool = True,
        program: str | None = None,
        run_id: str | None = None,
    ) -> None:
        self._study = study
        self._plan = plan
        self._space = space
        self._store = store
        self._experiment = experiment
        self._tracker = tracker
        self._own_files = own_files
        self._draws = draws
        self._program = program
        self._run_id = run_id if tracker is None else tracker.run_id
        self._next = 0.0
        self._board: Leaderboard | None = None
        self._n_written = 0
        self._is_drawn = False

    @classmethod
    @contextmanager
    def open(
        cls,
        config: DictConfig,
        study: Study,
        plan: Plan,
        space: Space,
        store: Store | None,
        *,
        experiment: str | None = None,
        program: str | None = None,
        joins: bool = False,
    ) -> Iterator["StudyRun"]:
        """Start or resume the study's run; it ends with the block, like the runs of its trials.

        Args:
            config: The sweep's configuration, with the `hydra` node.
            study: The study.
            plan: Has the number of trials.
            space: What is searched.
            store: Where runs are stored; None for no tracking.
            experiment: The name of the experiment of a new study's run; None for that of the configuration. The run of a
                resumed study stays where it is, and so do the runs of its trials.
            program: The command of another program, as in "python train.py"; None for flowersweep's own.
            joins: Whether another sweep writes to the run, if it is in this store.
        """
        if store is None:
            yield cls(study, plan, space, program=program)
            return
        if joins and (run_id := known_run(study, store)) is not None:
            yield cls(
                study, plan, space, store=store, own_files=flags(config), program=program, run_id=run_id
            )
            return
        tracker = started_or_resumed(study, store, experiment or config.tracking.experiment)
        with closing(tracker):
            own = client(store.uri).get_run(tracker.run_id)
            close_orphaned_runs(store)
            study_run = cls(
                study,
                plan,
                space,
                store=store,
                experiment=own.info.experiment_id,
                tracker=tracker,
                own_files=[] if program else flags(config),
                draws=own_value(config, "tracking.log_figures", bool) is not False,
                program=program,
            )
            study_run._n_written = int(own.data.metrics.get("trials/finished", 0))
            known = table_row.params(config, plan, space, experiment_of(store, own))
            # The report reads the goals, also before the first trial has ended.
            tracker.tags({GOAL: study_run._goal(), **({PROGRAM: program} if program is not None else {})})
            # A resumed study has them; another budget or sampler cannot change a param, but is in its files.
            tracker.params({key: value for key, value in known.items() if key not in own.data.params})
            tracker.text(_without_password(config.hydra.sweeper), "study/sweeper.yaml")
            overrides = "".join(f"{line}\n" for line in typed_overrides(config, "task"))
            tracker.text(overrides, "study/overrides.txt")
            tracker.text(f"{command_line()}\n", "study/command.txt")
            # The report needs them for the importance of each key; the values alone are not enough.
            distributions = {
                key: json.loads(distribution_to_json(one)) for key, one in space.dimensions.items()
            }
            tracker.json(distributions, "study/distributions.json")
            yield study_run

    @property
    def run_id(self) -> str | None:
        """The study's run."""
        return self._run_id

    @property
    def where(self) -> str | None:
        """The tracking store."""
        return redacted(self._store.uri) if self._store else None

    @property
    def best_command(self) -> str | None:
        """The command that trains the best trial's configuration again; None without a best one, or if the command is unknown."""
        if self._store is None and self._program is None:
            return None
        return self._command(self._board or leaderboard(self._study))

    def _command(self, board: Leaderboard) -> str | None:
        if len(board.best) != 1:
            return None
        overrides = self._space.overrides(board.best[0].params)
        words = [*self._own_files, *overrides]
        return training_command(words) if self._program is None else training_command(words, self._program)

    def update(self) -> None:
        """Write the leaderboard, unless it was written a moment ago."""
        began = time.monotonic()
        if self._tracker is None or began < self._next:
            return
        with patience(0):  # everything is written again when the next trial has ended
            self._close_orphaned_runs()
            self._write(self._tracker)
        now = time.monotonic()
        self._next = max(began + UPDATE_SECONDS, now + (now - began) / MAX_SHARE)

    def finish(self, *, draw: bool = True) -> None:
        """Write everything.

        Args:
            draw: Whether to draw the study's plots, which takes seconds.
        """
        if self._tracker is None:
            return
        draw = draw and self._draws
        try:
            with patience(0):
                self._close_orphaned_runs()
        except (
            TrackingError
        ) as error:  # what is written waits for the store; the next command closes those runs
            log.warning("%s", error)
        if draw:
            self._is_drawn = figures.store_ranking(self._tracker, self._study)
        self._write_ranks(self._write(self._tracker))
        if draw:
            figures.store_plots(self._tracker, self._study)

    def _close_orphaned_runs(self) -> None:
        """A killed training process leaves its run open."""
        assert self._store is not None  # noqa: S101 (it comes with the tracker)
        close_orphaned_runs(self._store, [self._experiment])

    def _write(self, tracker: MLflowTracker) -> Leaderboard:
        board = self._board = leaderboard(self._study)
        rows, best = board.rows, board.best
        tracker.json(as_json(rows), "study/leaderboard.json")
        tracker.tags({NOTE: self._description(board), **self._state(rows)})
        steps = table_row.course(self._study)
        for number, values in list(enumerate(steps, start=1))[self._n_written :]:
            tracker.metrics(values, step=number)
            self._n_written = number
        if best:
            tracker.json([row.params for row in best], "study/best_params.json")
        return board

    def _write_ranks(self, board: Leaderboard) -> None:
        """Write the rank of each trial to its run as a metric, by which MLflow's table can be sorted."""
        assert self._store is not None  # noqa: S101 (it comes with the tracker)
        for row in board.rows:
            if row.rank is None or row.run_id is None:
                continue
            try:
                MLflowTracker(self._store, row.run_id).metrics({RANK: float(row.rank)}, len(board.rows))
            except TrackingError as error:  # a run that was deleted, or is in the store of another machine
                log.warning("The rank of trial %d was not stored with its run: %s", row.trial, error)

    def _state(self, rows: Sequence[Row]) -> dict[str, object]:
        states = [row.state for row in rows]
        return {
            GOAL: self._goal(),
            "study.finished": f"{len(rows)}/{self._plan.n_trials}",
            "study.pruned": states.count(TrialState.PRUNED.name),
            "study.failed": states.count(TrialState.FAIL.name),
        }

    def _goal(self) -> str:
        """As in "maximize best/val_accuracy, minimize total/seconds"."""
        pairs = zip(self._study.directions, metric_names(self._study), strict=True)
        return ", ".join(f"{direction.name.lower()} {name}" for direction, name in pairs)

    def _description(self, board: Leaderboard) -> str:
        again = self._command(board)
        command = f"Best again:\n\n    {again}\n\n" if again else ""
        table = as_markdown(board, metric_names(self._study), link=run_page(self._experiment, "{}"))
        table_and_more = "Plots, the complete table" if self._draws else "The complete table"
        address = artifact_address(str(self.run_id), figures.RANKING)
        picture = f"![ranking with the spread over seeds]({address})\n\n" if self._is_drawn else ""
        return (
            f"**{self._study.study_name}**: {self._goal()}; {len(board.rows)} of {counted(self._plan.n_trials, 'trial')} done.\n\n"
            f"{answer(board)}{picture}{command}{table}\n\n{table_and_more} and the sweep's settings: artifacts, `study/`.\n"
        )


def _without_password(sweeper: DictConfig) -> str:
    """The settings of the sweep as YAML, without passwords because many users may read what MLflow stores."""
    plain = OmegaConf.to_container(sweeper)
    assert isinstance(plain, dict)  # noqa: S101 (a DictConfig is a mapping)
    if plain.get("storage"):
        plain["storage"] = shown(storage_url(str(plain["storage"]), Path()))
    return OmegaConf.to_yaml(plain)
