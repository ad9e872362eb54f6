"""One training run, from a configuration to a result in the tracking store."""

import logging
import traceback
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from flowersweep.config.schema import Config
from flowersweep.errors import Pruned, infrastructure_failure
from flowersweep.fields import maximized
from flowersweep.interrupt import interruptible
from flowersweep.texts import printable
from flowersweep.tracking.closing import closing
from flowersweep.tracking.mlflow_tracker import MLflowTracker
from flowersweep.tracking.orphaned_runs import close_orphaned_runs, supersede
from flowersweep.tracking.outbox.delivery import END_SECONDS
from flowersweep.tracking.patience import cleaning_up
from flowersweep.tracking.rules import key_of
from flowersweep.tracking.run import NOTE, RunStatus
from flowersweep.tracking.store.store import Store, prepare_store
from flowersweep.tracking.store.summary import summary
from flowersweep.training.checkpoint.content import content_of
from flowersweep.training.checkpoint.run_checkpoint import RunCheckpoint
from flowersweep.training.checkpoint.start import earlier_runs, started_or_resumed
from flowersweep.training.dataset import Pictures, load_pictures
from flowersweep.training.environment import (
    memory_exhaustion_reported,
    start_tensorflow,
    streams_released,
)
from flowersweep.training.history import RECALL, History
from flowersweep.training.logs.description import describe
from flowersweep.training.logs.notices import tell
from flowersweep.training.logs.tensorboard import event_files
from flowersweep.training.precision import resolve_precision
from flowersweep.training.result import Result

if TYPE_CHECKING:
    from mlflow.entities import Run

    from flowersweep.models.network import Network
    from flowersweep.training.callbacks import EpochCallback


@dataclass(frozen=True)
class RunContext:
    """The context of a run, such as a trial of a study.

    Attributes:
        run_name: The name of the run.
        parent_run_id: The MLflow run under which it is shown.
        tags: Additional tags.
        metrics: Logged when the run starts.
        command: The command as it was typed; None for the command line of this process.
        fingerprint: The fingerprint that the pictures must have; None for any.
        on_start: Called with the run's id when it is known.
        on_epoch: Called after each epoch of the last phase with its number in that phase, counted from 1, and its
            values, and again if the run goes on after an interruption; raises Pruned to end the run.
        on_any_epoch: Called after each epoch of any phase, before `on_epoch`.
        begun_before: Whether the same training may have begun below the same parent: a run that has finished is taken,
            unless `tracking.resume` is never, and the place of those on silent machines is taken.
        keeps_artifacts: Called with the objective; returns False if figures and model need not be stored.
    """

    run_name: str | None = None
    parent_run_id: str | None = None
    tags: Mapping[str, object] = field(default_factory=dict)
    metrics: Mapping[str, float] = field(default_factory=dict)
    command: str | None = None
    fingerprint: str | None = None
    on_start: Callable[[str], None] = lambda _run_id: None
    on_epoch: Callable[[int, Mapping[str, float]], None] = lambda _number, _values: None
    on_any_epoch: Callable[[], None] = lambda: None
    begun_before: bool = False
    keeps_artifacts: Callable[[float], bool] = lambda _objective: True


ALONE = RunContext()
log = logging.getLogger(__name__)

# The tag that says how the trial of a run ended, and one of its values.
TRIAL_STATE, PRUNED = "trial.state", "PRUNED"


def train(config: Config, *, overrides: Sequence[str] = (), context: RunContext = ALONE) -> Result:
    """Train one model and log everything.

    Args:
        config: The result of `flowersweep.config.settings` for a composed configuration.
        overrides: The overrides as they were typed, to be logged.
        context: The context of the run.

    Raises:
        DataError: The pictures cannot be used; no run is started.
        TrackingError: The store cannot be used; no run is started.
        TrainingError: The training cannot continue; the run ends FAILED.
        InfrastructureError: The disk or the store failed; the run ends FAILED, or KILLED if it belongs to a study.
        Pruned: `context.on_epoch` raised it; the run ends FINISHED with a tag that says so.
        Interrupted: SIGINT or SIGTERM; the run ends KILLED.

    Example:
        >>> from hydra import compose, initialize_config_dir
        >>> from flowersweep import config
        >>> config.prepare()
        >>> overrides = ["data=demo", "trainer=quick", "trainer.epochs=1", "tracking.dir=results"]
        >>> with initialize_config_dir(str(config.conf_dir())):
        ...     settings = config.settings(compose("config", overrides=overrides))
        >>> result = train(settings, overrides=overrides)
        >>> result.objective == result.metrics["best/val_accuracy"]
        True
    """
    pictures = load_pictures(config, context.fingerprint)
    if context is ALONE:  # a sweep logs the notices once for all its trials
        tell(config, pictures.catalogue, pictures.split)
    with interruptible():
        if context is ALONE:
            log.info("Opening the results in %s and starting TensorFlow ...", config.tracking.dir)
        # A trial waits for a store that its sweep has already used.
        store = prepare_store(
            Path(config.tracking.dir), config.tracking.uri, known_to_work=context is not ALONE
        )
        trainer = config.trainer
        start_tensorflow(seed=config.seed, threads=trainer.threads, deterministic=trainer.deterministic)
        from flowersweep.training.phases import build
        from flowersweep.training.reuse.teacher import with_teacher

        if context is ALONE:  # the process of a study closes the runs of all its trials
            close_orphaned_runs(store)
        network, lineage = build(config, pictures, store)
        name = config.tracking.run_name or context.run_name or run_name(config)
        its_tags = {**tags(config), "precision": resolve_precision(config), **lineage, **context.tags}
        content = content_of(config, pictures, lineage.get("init_from.run_id"))
        parent = context.parent_run_id
        done: Run | None = None
        silent: list[Run] = []
        if context.begun_before and parent is not None:
            done, silent = earlier_runs(store, parent, its_tags, content)
        if done is not None and config.tracking.resume == "auto":
            for run_of_silent in silent:
                supersede(store, run_of_silent, done.info.run_id)
            context.on_start(str(done.info.run_id))
            for _ in range(int(done.data.metrics["total/epochs"])):
                context.on_any_epoch()
            if done.data.tags.get(TRIAL_STATE) == PRUNED:
                raise Pruned(f"It was pruned in run {done.info.run_id}.")
            return _result(config, pictures, store, done)
        pictures = with_teacher(config, pictures, store)
        run = started_or_resumed(
            config, store, name, parent=parent, tags=its_tags, content=content, silent=silent
        )
        with (
            _ended(run, alone=context is ALONE) as (tracker, checkpoint),
            failures_recorded(tracker, again=context is not ALONE),
            memory_exhaustion_reported(),
            streams_released(),
        ):
            context.on_start(tracker.run_id)
            metrics = _train(
                config, pictures, network, tracker, checkpoint, overrides=overrides, context=context
            )
    n_validation = len(pictures.validation)
    return Result(metrics[config.objective.metric], metrics, tracker.run_id, store.uri, n_validation)


@contextmanager
def _ended(
    run: AbstractContextManager[tuple[MLflowTracker, RunCheckpoint]], *, alone: bool
) -> Iterator[tuple[MLflowTracker, RunCheckpoint]]:
    """Yield a run from `started_or_resumed`, which every exit from the block ends; nothing can happen in between."""
    with ExitStack() as ending:
        with run as (tracker, checkpoint):
            ending.enter_context(
                checkpoint.kept_while_needed(
                    lambda: alone or tracker.is_stored, lambda: tracker.status is RunStatus.FINISHED
                )
            )
            # A trial tells its value to the study at once.
            ending.enter_context(closing(tracker, wait=END_SECONDS if alone else 0))
        yield tracker, checkpoint


class _EpochsLogged:
    """Logs epochs, each once, whatever was logged before an interruption.

    An epoch is logged before its checkpoint is written, so that those after the checkpoint may have been logged.
    """

    def __init__(
        self,
        tracker: MLflowTracker,
        known: Collection[int],
        write: "EpochCallback",
        count: Callable[[], None],
    ) -> None:
        self._tracker, self._known, self._write, self._count = tracker, known, write, count
        self._last = 0

    def __call__(self, number: int, values: Mapping[str, float]) -> None:
        """Log an epoch; one of a head that another run has trained after the interruption may be there already."""
        if number <= self._last:
            return
        self._last = number
        logged = {name: value for name, value in values.items() if not name.startswith(RECALL)}
        if number not in self._known:
            # Callbacks of the user's own may add values under any name.
            self._tracker.metrics({key_of(name): value for name, value in logged.items()}, step=number)
        self._write(number, logged)
        self._count()


def _result(config: Config, pictures: Pictures, store: Store, run: "Run") -> Result:
    """The result of a run that has finished."""
    kinds = ("best/", "last/", "total/", "test/", "model/")
    metrics = {name: float(value) for name, value in run.data.metrics.items() if name.startswith(kinds)}
    objective = metrics[config.objective.metric]
    return Result(objective, metrics, str(run.info.run_id), store.uri, len(pictures.validation))


def run_name(config: Config) -> str:
    """The default name of a run: the settings by which runs are usually compared."""
    return f"{config.model.name}-{config.aug.name}-seed{config.seed}"


def tags(config: Config) -> dict[str, str]:
    """Tags for filtering and grouping the MLflow table without parameters."""
    return {
        "kind": "run",  # a trial or a repeat overrides it
        "data": config.data.source,
        "model": config.model.name,
        "augmentation": config.aug.name,
        "objective": config.objective.metric,
    }


@contextmanager
def failures_recorded(tracker: MLflowTracker, *, again: bool) -> Iterator[None]:
    """Store the traceback of an error that ends the run as an artifact, and its message as a tag.

    Args:
        tracker: The tracker of the run.
        again: Whether the trial is run again if its infrastructure failed. The run is then KILLED, as after an
            interruption, with a tag that says so.
    """
    try:
        yield
    except Pruned:
        tracker.tags({TRIAL_STATE: PRUNED})
        tracker.end(RunStatus.FINISHED)
        raise
    except BaseException as error:
        trace = traceback.format_exc()
        with cleaning_up(error):
            tracker.tags({"failure": printable(f"{type(error).__name__}: {error}")})
            tracker.text(printable(trace), "failure.txt")
            if again and infrastructure_failure(error) is not None:
                tracker.tags({TRIAL_STATE: "WAITING"})
                tracker.end(RunStatus.KILLED)
        raise


def _train(
    config: Config,
    pictures: Pictures,
    network: "Network",
    tracker: MLflowTracker,
    checkpoint: RunCheckpoint,
    *,
    overrides: Sequence[str],
    context: RunContext,
) -> dict[str, float]:
    # These modules import Keras, which is only allowed after `start_tensorflow`.
    from flowersweep.training.logs import record
    from flowersweep.training.phases import train_phases
    from flowersweep.training.probabilities import with_probabilities

    sizes = record.network_sizes(network)
    known = tracker.steps("loss") if checkpoint.in_same_run else set()
    if (
        not known
    ):  # otherwise it was recorded before the interruption; a run that took a checkpoint over may have none
        tracker.metrics({**context.metrics, **sizes})
        record.record_start(tracker, config, pictures, overrides, context.command)
        record.record_layers(tracker, network)

    history = History.of(config.objective.metric)

    with event_files(tracker, enabled=config.tracking.tensorboard) as write_events:
        log_epoch = _EpochsLogged(tracker, known, write_events, context.on_any_epoch)
        for number, values in enumerate(checkpoint.epochs_before, start=1):
            log_epoch(number, values)
        try:
            evaluated = train_phases(
                network,
                config,
                pictures,
                history,
                on_epoch=log_epoch,
                on_last_phase=context.on_epoch,
                checkpoint=checkpoint,
            )
        except Pruned:
            tracker.metrics(history.summary())
            raise
    if context is ALONE and (config.tracking.log_figures or config.tracking.log_model):
        log.info("Storing the results of epoch %d ...", history.best_epoch)
    metrics = history.summary()
    if evaluated.test is not None:
        metrics |= {"test/accuracy": evaluated.test.accuracy, "test/loss": evaluated.test.loss}
    metric = config.objective.metric
    shown = summary([metrics[metric]], maximize=maximized(metric))
    tracker.metrics({**metrics, **shown})
    record.record_tables(tracker, pictures, history, evaluated.validation)
    kept = context.keeps_artifacts(metrics[config.objective.metric])
    if kept and config.tracking.log_figures:
        record.record_preview(tracker, config, pictures)
        record.record_figures(tracker, pictures, history, evaluated.validation)
    if kept and config.tracking.log_model:
        record.record_model(tracker, with_probabilities(network.whole), config, pictures)
    figures = kept and config.tracking.log_figures
    tracker.tags({NOTE: describe(config, metrics, tracker.run_id, figures=figures)})
    return sizes | metrics
