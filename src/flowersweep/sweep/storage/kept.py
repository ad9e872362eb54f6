"""How a trial ended, kept on disk until the study has it: a finished training is never trained again.

A worker writes the file before it tells the study. If the storage is away for too long, or the worker dies, the claim on
the trial still names the file, and whoever reclaims the trial tells the study instead.
"""

import json
import logging
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from optuna.storages import BaseStorage

from flowersweep.cache.atomic import write_json
from flowersweep.errors import DataError

log = logging.getLogger(__name__)

# The name of the folder, and of its entry in the claim on a trial.
FOLDER = "untold"


@dataclass
class Unsaved:
    """What is known about a trial and not yet stored with it.

    Attributes:
        values: Reported values by step.
        attrs: User attributes.
    """

    values: dict[int, float] = field(default_factory=dict)
    attrs: dict[str, Any] = field(default_factory=dict)

    def write(self, storage: BaseStorage, trial_id: int) -> None:
        """Store it with the trial."""
        for step, value in self.values.items():
            # Trial.report() keeps the first value of a step; of two attempts the second counts.
            storage.set_trial_intermediate_value(trial_id, step, value)
        for name, attr in self.attrs.items():
            storage.set_trial_user_attr(trial_id, name, attr)


def keep(path: Path, outcome: Mapping[str, Any], unsaved: Unsaved) -> None:
    """Write the end of a trial; without a place to write, the study alone has to get it.

    Args:
        path: From `path_of`.
        outcome: The fields of an `Outcome`.
        unsaved: What the study does not have yet.
    """
    values = list(unsaved.values.items())  # JSON has no numbers as keys
    try:
        write_json(path, {"outcome": outcome, "values": values, "attrs": unsaved.attrs})
    except (DataError, TypeError) as error:
        log.warning("The result of a trial cannot be kept on disk until it is stored: %s", error)


def kept(owner: Mapping[str, Any]) -> tuple[Path, dict[str, Any], Unsaved] | None:
    """The file with the end of a trial, and its content; None if there is none.

    Args:
        owner: The claim on the trial.
    """
    if not owner.get(FOLDER):
        return None
    path = path_of(owner)
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
        unsaved = Unsaved({int(step): value for step, value in content["values"]}, dict(content["attrs"]))
        return path, dict(content["outcome"]), unsaved
    except (OSError, ValueError, KeyError, TypeError):
        return None


def path_of(owner: Mapping[str, Any]) -> Path:
    """Where the end of a trial is kept.

    Args:
        owner: The claim on the trial, which was made with a folder.
    """
    return Path(owner[FOLDER]) / f"{owner['claim']}.json"


def forget(path: Path) -> None:
    """Remove a file that is no longer needed, and its folder with the last one."""
    with suppress(OSError):
        path.unlink()
        path.parent.rmdir()
