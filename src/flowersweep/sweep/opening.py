"""Opening the study of a sweep: by its name or as a new one, with the points to try first, its budget and its command."""

import logging
from collections.abc import Mapping
from typing import Any

from omegaconf import DictConfig
from optuna import Study
from optuna.storages import BaseStorage

from flowersweep.config.files import flags
from flowersweep.doors.optuna_api import enqueued_values, storage_of
from flowersweep.errors import SweepError
from flowersweep.redaction import redacted
from flowersweep.sweep.settings import Plan, Settings
from flowersweep.sweep.space.overrides import typed_overrides
from flowersweep.sweep.space.space import Space
from flowersweep.sweep.storage.lock import locked
from flowersweep.sweep.storage.stop_message import clear_stop, latest_stop
from flowersweep.sweep.study.attributes import COMMAND, ENQUEUED
from flowersweep.sweep.study.budget import Budget
from flowersweep.sweep.study.definition import derived_name
from flowersweep.sweep.study.study import existing_study, open_study, refuse_other_version
from flowersweep.tracking.provenance import own_version

log = logging.getLogger(__name__)


def opened_study(
    settings: Settings,
    space: Space,
    definition: Mapping[str, Any],
    storage: BaseStorage,
    *,
    is_foreign: bool,
) -> Study:
    """The study that a sweep continues, creates or joins.

    Raises:
        SweepError: The study of that name searches something else, or is not there or was stopped although it is to be joined.
    """
    if settings.join:
        joined = existing_study(storage, settings.study_name)
        if (message := latest_stop(joined.user_attrs)) is not None and message.holds:
            raise SweepError(
                f"The study {joined.study_name!r} was stopped by {message.by}; start it again with the command of its sweep, "
                "and then join it."
            )
        refuse_other_version(joined)
        return open_study(storage, joined.study_name, definition, settings.directions, "join")
    name = settings.study_name or derived_name(space, definition, settings.directions)
    # To hydra-optuna-sweeper, a name without a storage is no identity: each command is a study of its own. A derived name is
    # none either: that of an earlier version does not depend on the complete definition.
    is_identity = settings.study_name is not None and not (is_foreign and settings.storage is None)
    default = "error" if is_identity else "new"
    dimensions = space.dimensions if is_foreign and space.extension is None else None
    study = open_study(
        storage, name, definition, settings.directions, settings.on_mismatch or default, dimensions=dimensions
    )
    if study.study_name != name:
        log.info("The study %r is a different search; this one is %r.", name, study.study_name)
    return study


def enqueue_points(study: Study, plan: Plan) -> None:
    """Enqueue the points of `hydra.sweeper.enqueue` before all others, each only once per study."""

    def enqueue() -> None:
        known: list[Mapping[str, Any]] = list(study.user_attrs.get(ENQUEUED, []))
        new = [point for point in plan.enqueue if point not in known]
        # Those of an attempt that failed before it could store what it had enqueued.
        had = [enqueued_values(trial) for trial in study.get_trials(deepcopy=False)] if new else []
        for point in new:
            if point not in had:
                study.enqueue_trial(point)
        if new:
            study.set_user_attr(ENQUEUED, [*known, *new])

    locked(storage_of(study), enqueue)


def begun_budget(study: Study, settings: Settings, plan: Plan) -> Budget:
    """The budget of a sweep that starts now, from its settings."""
    rate = settings.max_failure_rate
    return Budget.begun(
        study,
        settings.n_trials,
        is_grid=plan.is_grid,
        timeout=settings.timeout,
        max_failures=settings.max_failures,
        max_failures_in_a_row=settings.max_failures_in_a_row if rate is None else None,
        max_failure_rate=rate,
        window=settings.n_jobs,
    )


def lead(study: Study, config: DictConfig, program: str, budget: Budget, plan: Plan) -> None:
    """Let a stopped study go on, and store with it how it is searched, for machines that join; without passwords."""
    clear_stop(study)
    typed = [*flags(config), *typed_overrides(config, "task"), *typed_overrides(config, "hydra")]
    arguments = [one for one in typed if redacted(one) == one]
    kept = {"program": program, "arguments": arguments, "deadline": budget.deadline}
    study.set_user_attr(COMMAND, {**kept, "trials": plan.n_trials, "version": own_version()})
