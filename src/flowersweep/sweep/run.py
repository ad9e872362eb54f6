"""A sweep from its command to its end: read, check, open the study, launch workers, show the results."""

import logging
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import replace
from pathlib import Path

from hydra.types import HydraContext, TaskFunction
from omegaconf import DictConfig, OmegaConf, flag_override
from optuna import Study
from optuna.trial import TrialState

from flowersweep import process
from flowersweep.config import Config
from flowersweep.console import plain_console
from flowersweep.doors import hydra_api
from flowersweep.errors import SweepError, SweepStoppedError
from flowersweep.interrupt import interruptible
from flowersweep.own.main_module import InMain, MainModule, refuse_in_training_process
from flowersweep.own.names import program_name
from flowersweep.redaction import redacted
from flowersweep.sweep.display import SweepDisplay, show_summary
from flowersweep.sweep.official import tell_differences, write_results
from flowersweep.sweep.opening import begun_budget, enqueue_points, lead, opened_study
from flowersweep.sweep.record.study_run import StudyRun
from flowersweep.sweep.runs import experiment_name, open_store, results_folder, runs_of
from flowersweep.sweep.search.explicit import explicit_options
from flowersweep.sweep.settings import (
    Plan,
    make_plan,
    objectives,
    searched_space,
    seeded,
    sweep_settings,
    with_budget,
)
from flowersweep.sweep.space.check import check_choices
from flowersweep.sweep.space.overrides import typed_overrides
from flowersweep.sweep.storage.machines import refuse_file_for_machines
from flowersweep.sweep.storage.patience import STORAGE_FAILURES, patience
from flowersweep.sweep.storage.storage import existing_storage, open_storage, stopped_in_words, storage_url
from flowersweep.sweep.study.attributes import FAIL_REASON
from flowersweep.sweep.study.budget import Stop, failure_summary, infrastructure_summary, remaining
from flowersweep.sweep.study.content import Content, find_all, place_of
from flowersweep.sweep.study.definition import definition_of
from flowersweep.sweep.study.reclaim import reclaim
from flowersweep.sweep.study.study import name_metrics
from flowersweep.sweep.workers.failed_run import record_lost
from flowersweep.sweep.workers.launch import launch
from flowersweep.sweep.workers.messages import packed
from flowersweep.sweep.workers.stopping import interruption_of
from flowersweep.sweep.workers.worker import WorkerReport
from flowersweep.sweep.workers.worker_job import Sweep
from flowersweep.texts import counted, expanded
from flowersweep.tracking.mlflow_api import given_elsewhere
from flowersweep.tracking.patience import cleaning_up
from flowersweep.tracking.provenance import command_line, program
from flowersweep.tracking.store.store import Store
from flowersweep.training.dataset import divided
from flowersweep.training.logs.next_steps import after_sweep, show_next_steps
from flowersweep.training.logs.notices import tell_of_pictures_to_come

log = logging.getLogger(__name__)
# Called with a sweep when its study is open: Hydra returns nothing from it.
on_study: list[Callable[[Sweep], None]] = []


def run_study(
    arguments: Sequence[str], *, config: DictConfig, hydra_context: HydraContext, task_function: TaskFunction
) -> float | None:
    """Run a sweep until its budget is spent, and show its leaderboard.

    The same command again resumes the same study: only the missing trials of the budget are run.

    Args:
        arguments: The overrides of the command line that are not Hydra's own.
        config: The sweep's configuration, with the `hydra` node.
        hydra_context: As Hydra passes it to sweepers.
        task_function: The function under `@hydra.main`; returns the objective.

    Returns:
        The best value; None for several objectives and for a sweep without a complete trial.

    Raises:
        SweepError: The sweep cannot start; no study and no run were created.
        SweepStoppedError: Too many trials failed, or all of them; or their infrastructure failed, such as the
            pictures, the disk or a store.
        Interrupted: SIGINT or SIGTERM; running trials wait for the next sweep.
    """
    refuse_in_training_process()
    given = sweep_settings(config)
    loader = hydra_context.config_loader
    given = replace(given, explicit=explicit_options(config, loader))
    space = searched_space(arguments, given, config, loader)
    settings = with_budget(given, space, config)
    plan = make_plan(settings, space)
    settings = seeded(settings, config)
    configs = check_choices(space, config, loader, settings.n_repeats)
    main = MainModule.of(task_function)
    function = (main and InMain.of(task_function)) or task_function
    packed(function, main)  # is refused here if it cannot be sent
    resolvers = packed(hydra_api.resolvers(), main)
    directory = results_folder(config)
    url = storage_url(settings.storage, directory)
    refuse_file_for_machines(config, url)
    # Before anything is written: without the pictures there is no study, and if the store fails, none is created.
    if settings.n_repeats > 1 and not configs:
        raise SweepError(
            f"hydra.sweeper.n_repeats={settings.n_repeats} repeats flowersweep's own trainings; for a program of your own, "
            "search its seed instead, as in seed=0,1,2: the leaderboard compares means over the values of seed."
        )
    content = _content(configs)
    definition = definition_of(
        space,
        config,
        settings.n_repeats,
        content.listed() if content else None,
        None if configs else program_name(task_function),
    )
    runs = runs_of(config, settings.tracking, {one.tracking.experiment for one in configs}, settings.names)
    store = open_store(runs)
    storage = (existing_storage if settings.join else open_storage)(url, directory)
    with stopped_in_words(), patience(settings.storage_patience):
        is_foreign = not objectives(config)
        study = opened_study(settings, space, definition, storage, is_foreign=is_foreign)
        name_metrics(study, settings.names)
        if is_foreign and not study.get_trials(deepcopy=False):
            tell_differences(given, settings, plan, space)
        reclaim(study)
        enqueue_points(study, plan)
        budget = begun_budget(study, settings, plan)
        if not settings.join:
            lead(study, config, task_function.__module__, budget, plan)
        sweep = Sweep(
            study_name=study.study_name,
            storage=url,
            space=space,
            settings=settings,
            budget=budget,
            folder=_folder(config, study.study_name),
            config=config,
            hydra_context=hydra_context,
            task_function=function,
            main=main,
            resolvers=resolvers,
            sweeper=process.identity(),
            command=command_line(),
            content=content,
            runs=runs,
            environment=None if configs else given_elsewhere(),
        )
        for listener in on_study:
            listener(sweep)
        _keep_configuration(sweep)
        _run(study, sweep, plan, store)
        return _best(study)


def _content(configs: Sequence[Config]) -> Content | None:
    """What the trials read; None for an application with its own configuration."""
    if not configs:
        return None
    pictures = find_all(configs)
    tell_of_pictures_to_come(configs[0], pictures[place_of(configs[0])])
    for config in {
        repr(config.data): config for config in configs if config.data != configs[0].data
    }.values():
        divided(config, pictures[place_of(config)])  # refuses a split that is not possible
    return Content.of(configs, pictures)


def _keep_configuration(sweep: Sweep) -> None:
    """Write multirun.yaml, for an application that stores its configuration in files."""
    if sweep.config.hydra.output_subdir is not None:
        sweep.folder.mkdir(parents=True, exist_ok=True)
        (sweep.folder / "multirun.yaml").write_text(as_kept(sweep.config), encoding="utf-8")


def _run(study: Study, sweep: Sweep, plan: Plan, store: Store | None) -> None:
    """Launch workers until nothing is left to do, with the MLflow run and the display open."""
    reports: list[WorkerReport] = []
    joins = sweep.settings.join
    opened = StudyRun.open(
        sweep.config,
        study,
        plan,
        sweep.space,
        store,
        experiment=experiment_name(sweep.runs, store),
        program=None if sweep.environment is None else program(),
        joins=joins,
    )
    with interruptible(), opened as study_run:
        if plan.is_grid and (sweep.budget.n_trials or 0) > plan.n_trials:
            log.info(
                "The grid has %d points, fewer than hydra.sweeper.n_trials=%d; the study ends with them.",
                plan.n_trials,
                sweep.budget.n_trials,
            )
        if remaining(study, sweep.space, sweep.budget) > 0:
            log.info(
                "Study %r: %s, results in %s", study.study_name, counted(plan.n_trials, "trial"), sweep.folder
            )
            with SweepDisplay(study, plan, sweep.config, on_change=study_run.update):
                reports = launch(replace(sweep, parent_run_id=study_run.run_id), study)
        else:
            log.info(
                "Study %r is done: %s. %s; another hydra.sweeper.study_name starts a new one.",
                study.study_name,
                counted(plan.n_trials, "trial"),
                "These are all points of the grid"
                if plan.is_grid and plan.n_trials == sweep.space.size
                else "A larger hydra.sweeper.n_trials continues it",
            )
        if (interruption := interruption_of(study, reports, joins=joins)) is not None:
            # Neither store is waited for now.
            with suppress(*STORAGE_FAILURES), patience(0), cleaning_up(interruption):
                study_run.finish(draw=False)
                show_summary(study, plan, study_run, sweep.folder)
            raise interruption
        if store is not None:
            record_lost(study, store)
        study_run.finish()
        write_results(study, sweep.space, sweep.folder)
        if (failure := _failure(study, sweep, reports)) is not None:
            show_summary(study, plan, study_run, sweep.folder)
            raise failure
    # Its run has ended: whether it can be shown does not change how.
    show_summary(study, plan, study_run, sweep.folder)
    if store is not None and study.get_trials(deepcopy=False, states=[TrialState.COMPLETE]):
        assert sweep.runs is not None  # noqa: S101 (for the type checker; the store is theirs)
        steps = after_sweep(
            str(sweep.runs.directory),
            sweep.runs.uri,
            study.study_name,
            has_model=sweep.environment is None and bool(sweep.config.tracking.get("log_model")),
        )
        show_next_steps(steps, plain_console())


def _folder(config: DictConfig, study_name: str) -> Path:
    """`hydra.sweep.dir`, which may refer to the study as `hydra.study`."""
    named = config.copy()
    OmegaConf.copy_cache(from_config=config, to_config=named)
    with flag_override(named.hydra, ["readonly", "struct"], [False, False]):
        named.hydra.study = study_name
    return expanded(named.hydra.sweep.dir).absolute()


def as_kept(config: DictConfig) -> str:
    """A sweep's configuration as YAML, with the overrides as they were typed and without passwords."""
    kept = config.copy()
    with flag_override(kept.hydra, ["readonly", "struct"], [False, False]):
        kept.hydra.overrides.task = typed_overrides(config, "task")
    return redacted(OmegaConf.to_yaml(kept))


def _failure(study: Study, sweep: Sweep, reports: Sequence[WorkerReport]) -> SweepStoppedError | None:
    """Why a sweep has failed; None for a success."""
    if any(report.stop is Stop.INFRASTRUCTURE for report in reports):
        return SweepStoppedError(infrastructure_summary(study, sweep.budget))
    if any(report.stop is Stop.FAILURES for report in reports):
        return SweepStoppedError(failure_summary(study, sweep.budget))
    trials = study.get_trials(deepcopy=False)
    failed = [trial for trial in trials if trial.state is TrialState.FAIL]
    if failed and len(failed) == len(trials):
        reason = failed[0].user_attrs.get(FAIL_REASON, "unknown")
        if len(failed) == 1:
            return SweepStoppedError(f"The trial of the sweep failed: {reason}")
        return SweepStoppedError(f"All {len(failed)} trials of the sweep failed; the first one: {reason}")
    return None


def _best(study: Study) -> float | None:
    complete = study.get_trials(deepcopy=False, states=[TrialState.COMPLETE])
    return float(study.best_value) if complete and len(study.directions) == 1 else None
