"""Open a study by its name; it continues if it still searches the same."""

import itertools
import logging
import warnings
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import optuna
from optuna import Study
from optuna.distributions import BaseDistribution
from optuna.exceptions import DuplicatedStudyError, ExperimentalWarning
from optuna.storages import BaseStorage
from optuna.study import StudyDirection
from optuna.trial import FrozenTrial

from flowersweep.errors import SweepError
from flowersweep.sweep.storage.lock import locked
from flowersweep.sweep.study.attributes import COMMAND, DEFINITION
from flowersweep.sweep.study.definition import ADDED, differences
from flowersweep.texts import choose_one_of
from flowersweep.tracking.provenance import own_version

log = logging.getLogger(__name__)


def open_study(
    storage: BaseStorage,
    name: str,
    definition: Mapping[str, Any],
    directions: Sequence[str],
    on_mismatch: str = "error",
    *,
    dimensions: Mapping[str, BaseDistribution] | None = None,
) -> Study:
    """Create a study, or continue the one with that name.

    Args:
        storage: From `open_storage`.
        name: Of the study.
        definition: What it searches, see `flowersweep.sweep.study.definition`; stored with the study.
        directions: "minimize" or "maximize" for each objective.
        on_mismatch: If a study with that name searches something else, "error" raises; "new" takes the first of
            NAME-2, NAME-3, ... that does not exist or has this definition. "join" raises as well, for a machine that joins.
        dimensions: With which a study that another program has created can be continued, if its trials have the same; None to
            refuse those.

    Raises:
        SweepError: The study with that name searches something else.
    """

    def opened() -> Study:
        for candidate in _names(name):
            study = _made(storage, candidate, definition, directions)
            changes = _changes(study, definition, directions, dimensions)
            if not changes:
                return study
            if on_mismatch != "new":
                raise SweepError(_refusal(name, changes, joins=on_mismatch == "join"))
        raise AssertionError("There is always a further name.")

    return locked(storage, opened)


def join_study(storage: BaseStorage, name: str, pruner: optuna.pruners.BasePruner | None = None) -> Study:
    """Load the study that `open_study` created, for a worker.

    Args:
        storage: From `open_storage`.
        name: Of the study, as `open_study` returned it.
        pruner: Evaluates reports; None never prunes.

    Raises:
        SweepError: There is no study with that name.
    """
    try:
        return optuna.load_study(
            study_name=name, storage=storage, pruner=pruner or optuna.pruners.NopPruner()
        )
    except KeyError:
        raise SweepError(
            f"There is no study {name!r} in the storage; start the sweep that creates it first."
        ) from None


def existing_study(storage: BaseStorage, name: str | None = None) -> Study:
    """Load a study that a sweep has created.

    Args:
        storage: From `existing_storage`.
        name: Of the study; None for the only one.

    Raises:
        SweepError: There is no study with that name, or there are several and none is named.
    """
    names = sorted(study.study_name for study in storage.get_all_studies())
    if not names:
        raise SweepError("There are no studies in the storage; name another one with storage=URL.")
    if name is None and len(names) > 1:
        raise SweepError(
            f"There are several studies in the storage; choose one with study=NAME: {', '.join(names)}."
        )
    if name is not None and name not in names:
        raise SweepError(f"There is no study {name!r} in the storage; {choose_one_of(names, name)}")
    return join_study(storage, name or names[0])


def refuse_other_version(study: Study) -> None:
    """Refuse to join a study with another version of flowersweep, of which the trainings may be others.

    Raises:
        SweepError: It was started by another one.
    """
    version, own = (study.user_attrs.get(COMMAND) or {}).get("version"), own_version()
    if None not in {version, own} and version != own:
        raise SweepError(
            f"The sweep of the study {study.study_name!r} runs with flowersweep {version}, and this is {own}; install the "
            "same version on all machines."
        )


def name_metrics(study: Study, metrics: Sequence[str]) -> None:
    """Store the names of the objectives with the study, for plots, tables and the dashboard."""
    if metrics and study.metric_names != list(metrics):
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", ExperimentalWarning)
            study.set_metric_names(list(metrics))


def metric_names(study: Study) -> list[str]:
    """The names of the objectives; those of Optuna's tables if the study was given none."""
    return study.metric_names or default_names(len(study.directions))


def default_names(count: int) -> list[str]:
    """The names of objectives that were given none, as in Optuna's tables.

    >>> default_names(1), default_names(2)
    (['value'], ['values_0', 'values_1'])
    """
    return ["value"] if count == 1 else [f"values_{number}" for number in range(count)]


def _names(name: str) -> itertools.chain[str]:
    return itertools.chain([name], (f"{name}-{count}" for count in itertools.count(2)))


def _made(storage: BaseStorage, name: str, definition: Mapping[str, Any], directions: Sequence[str]) -> Study:
    pruner = optuna.pruners.NopPruner()
    try:
        study = optuna.create_study(
            storage=storage,
            study_name=name,
            directions=[StudyDirection[item.upper()] for item in directions],
            pruner=pruner,
        )
    except DuplicatedStudyError:
        study = optuna.load_study(study_name=name, storage=storage, pruner=pruner)
    if DEFINITION not in study.user_attrs and not study.get_trials(deepcopy=False):
        study.set_user_attr(DEFINITION, dict(definition))
    return study


def _changes(
    study: Study,
    definition: Mapping[str, Any],
    directions: Sequence[str],
    dimensions: Mapping[str, BaseDistribution] | None,
) -> list[str]:
    old = [direction.name.lower() for direction in study.directions]
    turned = [f"The direction was {', '.join(old)}, and is now {', '.join(directions)}."]
    changes = [] if old == list(directions) else turned
    if (known := study.user_attrs.get(DEFINITION)) is not None:
        changes = [*differences(known, definition), *changes]
        if not changes and any(known.get(name) != definition.get(name) for name in ADDED):
            # From now on, it is bound to what was formerly no part of it.
            study.set_user_attr(DEFINITION, dict(definition))
        return changes
    if dimensions is None:
        return ["It was created by another program, which stored no definition of its search space."]
    changes += [change for trial in study.trials for change in _of_another(trial, definition, dimensions)][:1]
    if not changes:
        study.set_user_attr(DEFINITION, dict(definition))
        log.warning(
            "The study %r was created by another program; its trials (%d) count, although it did not store "
            "with which configuration they ran.",
            study.study_name,
            len(study.trials),
        )
    return changes


def _of_another(
    trial: FrozenTrial, definition: Mapping[str, Any], dimensions: Mapping[str, BaseDistribution]
) -> Iterator[str]:
    """How a trial of another program differs from those of a search; hydra-optuna-sweeper stores fixed values with it."""
    had = f"It was created by another program, whose trial {trial.number} had"
    # One whose process was killed while it got its values gets the others now.
    wanted = dimensions if trial.state.is_finished() else ()
    for name in dict.fromkeys([*trial.distributions, *wanted]):
        if name not in dimensions:
            yield f"{had} the key {name}, which is not searched now."
        elif name not in trial.distributions:
            yield f"{had} no key {name}, which is searched now."
        elif trial.distributions[name] != dimensions[name]:
            yield f"{had} {name} from {trial.distributions[name]}, which is now {dimensions[name]}."
    for key, value in trial.user_attrs.items():
        if key in definition["fixed"] and str(value) != definition["fixed"][key]:
            yield f"{had} {key}={value}, which is now {definition['fixed'][key]}."


def _refusal(name: str, changes: Sequence[str], *, joins: bool) -> str:
    listed = "\n".join(f"  {change}" for change in changes)
    if joins:
        return (
            f"This machine cannot join the study {name!r}, because its trials would not be those of the other machines:\n"
            f"{listed}\nUse the same configuration files and the same content here; data.dir=PATH, data.split_file=PATH and "
            "model.weights=PATH say where the content is on this machine."
        )
    return (
        f"The study {name!r} is a different search, so this one cannot continue it:\n{listed}\n"
        "Give this sweep its own hydra.sweeper.study_name=NAME, or set hydra.sweeper.on_mismatch=new."
    )
