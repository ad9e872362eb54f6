"""A sweep from its command to its end: read, check, open the study, launch workers, say what came out."""

import hashlib
import json
import logging
from collections.abc import Mapping, Sequence
from dataclasses import replace
from itertools import islice
from pathlib import Path
from typing import Any

from hydra.types import HydraContext, TaskFunction
from omegaconf import DictConfig, OmegaConf
from optuna import Study

from flowersweep import config as configuration
from flowersweep.errors import SweepError
from flowersweep.sweep.budget import Budget, Stop, failure_summary, remaining
from flowersweep.sweep.check import check_choices
from flowersweep.sweep.display import SweepDisplay, show_summary
from flowersweep.sweep.launch import Sweep, launch
from flowersweep.sweep.ledger import Ledger
from flowersweep.sweep.lock import storage_lock
from flowersweep.sweep.parse import parse_space
from flowersweep.sweep.reconcile import reconcile
from flowersweep.sweep.settings import Plan, Settings, make_plan, read_settings
from flowersweep.sweep.space import Space
from flowersweep.sweep.storage import open_storage, storage_url
from flowersweep.sweep.study import open_study
from flowersweep.tracking import process
from flowersweep.training.interrupt import Interrupted, interruptible

log = logging.getLogger(__name__)

ENQUEUED = "enqueued"
# What of a configuration says where things are, and nothing about what a trial comes to.
PLACES = ("tracking", "paths", "hydra")


def run_study(
    arguments: Sequence[str], *, config: DictConfig, hydra_context: HydraContext, task_function: TaskFunction
) -> list[float] | float | None:
    """Run a sweep until its budget is spent, and show its leaderboard.

    The same command again goes on with the same study: only what is missing of the budget runs.

    Args:
        arguments: The overrides of the command line that are not Hydra's own.
        config: The sweep's configuration, with the `hydra` node.
        hydra_context: As Hydra hands it to sweepers.
        task_function: The function under `@hydra.main`; returns the objective.

    Returns:
        The best value; for several objectives and for a sweep without a finished trial None.

    Raises:
        SweepError: The sweep cannot begin, or too many trials failed.
        Interrupted: SIGINT or SIGTERM; running trials wait for the next sweep.
    """
    metric = OmegaConf.select(config, "objective.metric")
    settings = read_settings(
        config.hydra.sweeper, configuration.direction_of(metric) if metric else "maximize"
    )
    loader = hydra_context.config_loader
    space = parse_space(arguments, settings.params, settings.conditions, config_loader=loader)
    plan = make_plan(settings, space)
    check_choices(space, config, loader)
    directory = Path(OmegaConf.select(config, "tracking.dir") or "mlruns")
    storage = open_storage(settings.storage, directory)
    study = _study(settings, space, config, storage)
    reconcile(study)
    _enqueue(study, plan)
    folder = directory / "sweeps" / study.study_name
    budget = _budget(study, settings, plan)
    sweep = Sweep(
        study_name=study.study_name,
        storage=storage_url(settings.storage, directory),
        space=_grid_cut_short(space, plan),
        settings=settings,
        budget=budget,
        folder=folder.absolute(),
        config=config,
        hydra_context=hydra_context,
        task_function=task_function,
        sweeper=process.identity(),
    )
    _run(study, sweep, plan)
    if any(report.stop is Stop.FAILURES for report in sweep.reports):
        raise SweepError(failure_summary(study, budget))
    return _best(study)


def _run(study: Study, sweep: Sweep, plan: Plan) -> None:
    """Launch workers until there is nothing left to do, with the MLflow run and the display around them."""
    left = remaining(study, sweep.space, sweep.budget)
    if left <= 0:
        log.info(
            "All %d trials of study %r are done; nothing is left to run.", plan.n_trials, study.study_name
        )
    with interruptible(), Ledger.open(sweep.config, study, plan) as ledger:
        if left > 0:
            with SweepDisplay(study, plan, sweep.config, on_change=ledger.update):
                launch(replace_parent(sweep, ledger.run_id), study)
        ledger.finish()
    show_summary(study, ledger)
    signals = [report.signal_number for report in sweep.reports if report.signal_number is not None]
    if signals:
        raise Interrupted(signals[0])


def replace_parent(sweep: Sweep, run_id: str | None) -> Sweep:
    """The same sweep, its trials below an MLflow run; reports go to the same list."""
    return replace(sweep, parent_run_id=run_id)


def _study(settings: Settings, space: Space, config: DictConfig, storage: Any) -> Study:
    definition = {**space.definition(), "config": base_config(config)}
    name = settings.study_name or derived_name(space, definition, settings.directions)
    return open_study(storage, name, definition, settings.directions, settings.on_mismatch)


def base_config(config: DictConfig) -> dict[str, Any]:
    """The configuration that all trials of a sweep share, as JSON has it, without the places on this machine."""
    plain = OmegaConf.to_container(config, resolve=False)
    assert isinstance(plain, dict)  # noqa: S101 (a DictConfig is a mapping)
    kept = {str(key): value for key, value in plain.items() if key not in PLACES}
    if isinstance(data := kept.get("data"), dict):
        kept["data"] = {key: value for key, value in data.items() if key != "dir"}
    return dict(json.loads(json.dumps(kept, default=str)))


def derived_name(space: Space, definition: Mapping[str, Any], directions: Sequence[str]) -> str:
    """The name of a study that was given none: the same command has the same one.

    What is searched is readable in it; a hash of the whole definition tells apart what reads alike.
    """
    keys = "-".join(name.rpartition(".")[2] for name in space.searched) or "single"
    text = json.dumps([definition, list(directions)], sort_keys=True)
    return f"{keys[:40].rstrip('-')}-{hashlib.sha256(text.encode()).hexdigest()[:6]}"


def _enqueue(study: Study, plan: Plan) -> None:
    """Put the points that are to be tried first before all others, once in a study's life."""
    with storage_lock(study._storage):  # noqa: SLF001 (the lock belongs to the storage)
        if study.user_attrs.get(ENQUEUED):
            return
        for point in plan.enqueue:
            study.enqueue_trial(point)
        study.set_user_attr(ENQUEUED, True)  # noqa: FBT003 (Optuna's signature)


def _budget(study: Study, settings: Settings, plan: Plan) -> Budget:
    return Budget.begun(
        study,
        None if plan.is_grid else plan.n_trials,
        timeout=settings.timeout,
        max_failures=settings.max_failures,
        max_failures_in_a_row=settings.max_failures_in_a_row,
    )


def _grid_cut_short(space: Space, plan: Plan) -> Space:
    """A space whose grid ends where n_trials says."""
    return FirstPoints(space.items, plan.n_trials) if plan.is_grid and plan.n_trials < space.size else space


class FirstPoints(Space):
    """A space of whose grid only the first points are run."""

    def __init__(self, items: tuple[Any, ...], count: int) -> None:
        super().__init__(items)
        object.__setattr__(self, "count", count)

    @property
    def size(self) -> int:
        """How many points are run."""
        return int(self.count)  # type: ignore[attr-defined]  # set past the frozen dataclass

    def grid(self) -> Any:
        """The first points in the grid's order."""
        return islice(super().grid(), self.size)


def _best(study: Study) -> float | None:
    finished = study.get_trials(deepcopy=False, states=[_complete()])
    return float(study.best_value) if finished and len(study.directions) == 1 else None


def _complete() -> Any:
    from optuna.trial import TrialState

    return TrialState.COMPLETE
