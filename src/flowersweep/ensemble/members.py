"""The trainings of a study that can become members of an ensemble, with their predictions for the validation pictures."""

from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

from flowersweep.config import direction_of
from flowersweep.deploy.best_run import counts, described, objective
from flowersweep.deploy.choose import Choice
from flowersweep.deploy.model_info import ModelInfo, model_info
from flowersweep.deploy.temperature import Temperature, fit, scaled
from flowersweep.ensemble.selection import Probabilities
from flowersweep.errors import TrackingError
from flowersweep.figures.predictions import PredictionsTable, read_predictions
from flowersweep.tracking.lookup import Files, logged_model
from flowersweep.tracking.mlflow_api import translated
from flowersweep.tracking.run import VALIDATION_TABLE
from flowersweep.tracking.selection import children_of, study_name, trials_of
from flowersweep.tracking.store.store import Store

if TYPE_CHECKING:
    from mlflow.entities import Run


@dataclass(frozen=True, eq=False)
class Member:
    """A finished training with its model.

    Attributes:
        choice: The run and its model.
        predictions: What the run recorded for its validation pictures.
    """

    choice: Choice
    predictions: PredictionsTable

    @property
    def inputs(self) -> tuple[ModelInfo, list[str], list[int]]:
        """What all members of an ensemble must have in common: also paths and true classes of the validation pictures."""
        return self.choice.info, self.predictions.paths, self.predictions.true.tolist()

    @cached_property
    def temperature(self) -> Temperature:
        """The temperature that makes its probabilities comparable with those of other members.

        Label smoothing makes a model less confident, and small training data more, whatever it knows: the loss of a mean
        would choose members by that.
        """
        return fit(self.predictions.true, self.predictions.probabilities)

    @cached_property
    def probabilities(self) -> Probabilities:
        """Those of the validation pictures, with its temperature; shape (m, number of classes)."""
        return scaled(self.predictions.probabilities, self.temperature.value)


def members(store: Store, study: "Run") -> tuple[list[Member], list[str]]:
    """Find the finished trainings of a study (with repeats, of each seed) that have saved a model.

    Args:
        store: The store of the study.
        study: The run of the study, see `find_study`.

    Returns:
        The members, best first, all with the classes, picture size and validation pictures of the best one, and one
        sentence for each reason why other trainings are left out.

    Raises:
        TrackingError: There are fewer than two members.
    """
    finished = [run for trial in trials_of(store, study) for run in _trainings(store, trial) if counts(run)]
    found = [member for run in finished if (member := _member(store, run)) is not None]
    left_out = []
    n_deleted = sum(map(counts, trials_of(store, study, deleted=True)))
    if n_deleted:
        several = "training was" if n_deleted == 1 else "trainings were"
        left_out.append(
            f"{n_deleted} finished {several} deleted in MLflow and {'is' if n_deleted == 1 else 'are'} left out."
        )
    if len(found) < len(finished):
        left_out.append(
            f"{len(finished) - len(found)} of {len(finished)} finished trainings saved no model; with "
            "tracking.artifacts_of=all a sweep saves those of all trials."
        )
    if found:
        sign = -1 if direction_of(objective(found[0].choice.run)[0]) == "maximize" else 1
        found.sort(key=lambda member: sign * objective(member.choice.run)[1])
        alike = [member for member in found if member.inputs == found[0].inputs]
        if len(alike) < len(found):
            n_others = len(found) - len(alike)
            left_out.append(
                f"{n_others} of {len(found)} trainings {'is' if n_others == 1 else 'are'} left out, with other classes, "
                f"another picture size or other validation pictures than the best one, {described(found[0].choice.run)}."
            )
        found = alike
    if len(found) < 2:
        raise TrackingError(
            " ".join(
                [
                    f"An ensemble needs two trainings, but study {study_name(study)!r} has {len(found)}.",
                    *left_out,
                ]
            )
        )
    return found, left_out


def _trainings(store: Store, trial: "Run") -> list["Run"]:
    """The runs of a trial that trained: itself, or with repeats those below it."""
    if "n_repeats" not in trial.data.tags:
        return [trial]
    return [run for run in children_of(store, trial) if run.data.tags.get("kind") == "repeat"]


def _member(store: Store, run: "Run") -> Member | None:
    """A run as a member; None if it has saved no model."""
    with translated(f"look for the model of run {run.info.run_id}"):
        model = logged_model(store, run)
    if model is None:
        return None
    choice = Choice(store, run, model, model_info(store, model.artifact_location))
    predictions = read_predictions(Files(store, choice.run_id).text(VALIDATION_TABLE) or "")
    if predictions is None:
        raise TrackingError(
            f"Run {choice.run_id} has no file {VALIDATION_TABLE}; it was not written by flowersweep."
        )
    return Member(choice, predictions)
