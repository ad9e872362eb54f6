"""One training run, from a configuration to a result in the tracking store."""

import logging
import traceback
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from flowersweep.cache.checkpoints import checkpoint_path
from flowersweep.config import cache_dir
from flowersweep.config.schema import Config
from flowersweep.errors import Pruned, infrastructure_failure
from flowersweep.fields import maximized
from flowersweep.interrupt import interruptible
from flowersweep.texts import printable
from flowersweep.tracking.closing import closing
from flowersweep.tracking.mlflow_tracker import MLflowTracker
from flowersweep.tracking.orphaned_runs import CLOSED_TAG, close_orphaned_runs
from flowersweep.tracking.outbox.delivery import END_SECONDS
from flowersweep.tracking.patience import cleaning_up
from flowersweep.tracking.run import NOTE, RunStatus
from flowersweep.tracking.store.store import Store, prepare_store
from flowersweep.tracking.store.summary import summary
from flowersweep.training.checkpoint.content import content_of
from flowersweep.training.checkpoint.interrupted import interrupted_run
from flowersweep.training.checkpoint.run_checkpoint import RunCheckpoint
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
    from flowersweep.models.network import Network


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
            values; raises Pruned to end the run.
        on_any_epoch: Called after each epoch of any phase, before `on_epoch`.
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
    keeps_artifacts: Callable[[float], bool] = lambda _objective: True


ALONE = RunContext()
# The tags by which the runs of a study's trials differ.
IDENTITY = ("study", "kind", "trial", "repeat")
# The tag of a run that went on after an interruption, and the tags that are no longer true then.
RESUMED = "resumed"
ENDED = ("failure", "trial.state", CLOSED_TAG)
log = logging.getLogger(__name__)


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

        if context is ALONE:  # the process of a study closes the runs of all its trials
            close_orphaned_runs(store)
        network, lineage = build(config, pictures, store)
        name = config.tracking.run_name or context.run_name or run_name(config)
        its_tags = {**tags(config), "precision": resolve_precision(config), **lineage, **context.tags}
        start = lineage.get("init_from.run_id")
        with started_or_resumed(config, pictures, context, store, name, its_tags, start) as found:
            tracker, checkpoint = found
        with (
            checkpoint.kept_while_needed(),
            # A trial tells its value to the study at once.
            closing(tracker, wait=END_SECONDS if context is ALONE else 0),
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
def started_or_resumed(
    config: Config,
    pictures: Pictures,
    context: RunContext,
    store: Store,
    name: str,
    its_tags: Mapping[str, object],
    start: str | None,
) -> Iterator[tuple[MLflowTracker, RunCheckpoint]]:
    """The run of a training in MLflow, and its checkpoint: a new run, or one that was interrupted.

    No other process resumes the same run before the end of the block.

    Args:
        config: The configuration.
        pictures: The pictures.
        context: The context of the run.
        store: The store of the run.
        name: The name of the run.
        its_tags: The tags of a new run.
        start: The run from whose weights it starts.
    """
    cache, experiment = cache_dir(config.paths.cache), config.tracking.experiment
    about = {
        "identity": [
            name,
            experiment,
            context.parent_run_id,
            *(str(context.tags.get(tag)) for tag in IDENTITY),
        ],
        "content": content_of(config, pictures, start),
    }
    resumes = config.tracking.resume == "auto"
    with interrupted_run(cache, about, store) if resumes else nullcontext() as found:
        if found is None:
            parent = context.parent_run_id
            tracker = MLflowTracker.start(store, experiment, name, parent_run_id=parent, tags=its_tags)
            path = checkpoint_path(cache, tracker.run_id) if resumes else None
            yield tracker, RunCheckpoint(path, about)
            return
        tracker = MLflowTracker.resume(store, found.run_id, without=ENDED)
        checkpoint = RunCheckpoint(checkpoint_path(cache, found.run_id), about, found.checkpoint)
        tracker.tags({**context.tags, RESUMED: f"after epoch {checkpoint.epochs}"})
        log.info("Run %s was interrupted; it goes on after epoch %d.", found.run_id, checkpoint.epochs)
        yield tracker, checkpoint


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
        tracker.tags({"trial.state": "PRUNED"})
        tracker.end(RunStatus.FINISHED)
        raise
    except BaseException as error:
        trace = traceback.format_exc()
        with cleaning_up(error):
            tracker.tags({"failure": printable(f"{type(error).__name__}: {error}")})
            tracker.text(printable(trace), "failure.txt")
            if again and infrastructure_failure(error) is not None:
                tracker.tags({"trial.state": "WAITING"})
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
    if checkpoint.found is None:  # otherwise it was recorded before the interruption
        tracker.metrics({**context.metrics, **sizes})
        record.record_start(tracker, config, pictures, overrides, context.command)
        record.record_layers(tracker, network)

    history = History.of(config.objective.metric)

    with event_files(tracker, enabled=config.tracking.tensorboard) as write_events:
        # An epoch is logged before its checkpoint is written, so that those after the checkpoint may have been logged.
        known = set() if checkpoint.found is None else tracker.steps("loss")
        n_logged = 0

        def log_epoch(number: int, values: Mapping[str, float]) -> None:
            nonlocal n_logged
            if number <= n_logged:  # of a head that was trained by another run after this one was interrupted
                return
            n_logged = number
            logged = {name: value for name, value in values.items() if not name.startswith(RECALL)}
            if number not in known:
                tracker.metrics(logged, step=number)
            write_events(number, logged)
            context.on_any_epoch()

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
