"""Open a study by its name; it continues if it still searches the same."""

import itertools
import warnings
from collections.abc import Mapping, Sequence
from typing import Any

import optuna
from optuna import Study
from optuna.exceptions import DuplicatedStudyError, ExperimentalWarning
from optuna.storages import BaseStorage
from optuna.study import StudyDirection

from flowersweep.errors import SweepError
from flowersweep.sweep.storage.lock import locked
from flowersweep.sweep.study.attributes import COMMAND, DEFINITION
from flowersweep.sweep.study.definition import differences
from flowersweep.texts import choose_one_of
from flowersweep.tracking.provenance import own_version


def open_study(
    storage: BaseStorage,
    name: str,
    definition: Mapping[str, Any],
    directions: Sequence[str],
    on_mismatch: str = "error",
) -> Study:
    """Create a study, or continue the one with that name.

    Args:
        storage: From `open_storage`.
        name: Of the study.
        definition: What it searches, see `flowersweep.sweep.study.definition`; stored with the study.
        directions: "minimize" or "maximize" for each objective.
        on_mismatch: If a study with that name searches something else, "error" raises; "new" takes the first of
            NAME-2, NAME-3, ... that does not exist or has this definition. "join" raises as well, for a machine that joins.

    Raises:
        SweepError: The study with that name searches something else.
    """

    def opened() -> Study:
        for candidate in _names(name):
            study = _made(storage, candidate, definition, directions)
            changes = _changes(study, definition, directions)
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


def _changes(study: Study, definition: Mapping[str, Any], directions: Sequence[str]) -> list[str]:
    if DEFINITION not in study.user_attrs:
        return ["It was created by another program, which stored no definition of its search space."]
    changes = differences(study.user_attrs[DEFINITION], definition)
    old = [direction.name.lower() for direction in study.directions]
    if old != list(directions):
        changes.append(f"The direction was {', '.join(old)}, and is now {', '.join(directions)}.")
    return changes


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
