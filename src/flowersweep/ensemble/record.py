"""The run of an ensemble in MLflow, below the run of its study."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING

from flowersweep.deploy.best_run import described
from flowersweep.deploy.derived_run import log_derived_model, tags_taken_over, take_over
from flowersweep.ensemble.members import Member
from flowersweep.ensemble.recipe import PROBABILITIES, Recipe
from flowersweep.ensemble.selection import Probabilities, Score, Step
from flowersweep.figures.predictions import predictions_table
from flowersweep.texts import number_text
from flowersweep.tracking.closing import closing
from flowersweep.tracking.mlflow_tracker import MLflowTracker
from flowersweep.tracking.provenance import provenance
from flowersweep.tracking.run import NOTE, VALIDATION_TABLE
from flowersweep.tracking.selection import experiment_of, study_name
from flowersweep.tracking.store.store import Store

if TYPE_CHECKING:
    import keras
    from mlflow.entities import Run

METRIC = "best/val_accuracy"


@dataclass(frozen=True)
class Evaluated:
    """The evaluation of an ensemble.

    Attributes:
        steps: What was selected, with the score on the validation pictures after each step.
        validation: The score of the combined model on the validation pictures, on which it was selected.
        test: Its score on the test pictures; None if the study has none.
        best_test: The score of the best single model on the test pictures; None if the study has none.
    """

    steps: tuple[Step, ...]
    validation: Score
    test: Score | None
    best_test: Score | None


@dataclass(frozen=True)
class Product:
    """The combined model.

    Attributes:
        model: Takes raw pictures, returns probabilities.
        predicted: Its probabilities for the validation pictures.
        recipe: How it was made.
        command: The command that made it.
    """

    model: "keras.Model"
    predicted: Probabilities
    recipe: Recipe
    command: str


def record(
    store: Store,
    study: "Run",
    selected: Sequence[Member],
    evaluated: Evaluated,
    product: Product,
) -> str:
    """Store an ensemble, and return the id of its run.

    Args:
        store: The store of the study.
        study: The run of the study.
        selected: The member of each step; the first one provides the configuration.
        evaluated: Its evaluation.
        product: The combined model.
    """
    first = selected[0].choice
    counts = Counter(member.choice.run_id for member in selected)
    tracker = MLflowTracker.start(
        store,
        experiment_of(store, study),
        f"ensemble-{study_name(study)}",
        parent_run_id=study.info.run_id,
        tags={
            "kind": "ensemble",
            "study": study_name(study),
            "objective": METRIC,
            "command": product.command,
            **tags_taken_over(first.run, "data"),
        },
    )
    with closing(tracker):
        tracker.params(
            {
                **{f"ensemble.{key}": value for key, value in asdict(product.recipe).items()},
                "objective.metric": METRIC,
            }
        )
        for number, step in enumerate(evaluated.steps, 1):
            tracker.metrics({"val_accuracy": step.score.accuracy, "val_loss": step.score.loss}, step=number)
        tracker.metrics({METRIC: evaluated.validation.accuracy, "best/val_loss": evaluated.validation.loss})
        if evaluated.test is not None:
            tracker.metrics({"test/accuracy": evaluated.test.accuracy, "test/loss": evaluated.test.loss})
        tracker.json(_members(selected, counts, product.recipe), "members.json")
        tracker.json(provenance(command=product.command), "config/provenance.json")
        recorded = selected[0].predictions
        table = predictions_table(recorded.paths, recorded.true, product.predicted, recorded.class_names)
        tracker.text(table, VALIDATION_TABLE)
        take_over(tracker, first)
        log_derived_model(tracker, first, product.model)
        tracker.tags({NOTE: _description(selected, counts, evaluated)})
    return tracker.run_id


def _members(selected: Sequence[Member], counts: Counter[str], recipe: Recipe) -> dict[str, dict[str, float]]:
    """How often each run counts and, in a mean of probabilities, the temperature of its model."""
    found: dict[str, dict[str, float]] = {run_id: {"count": count} for run_id, count in counts.items()}
    if recipe.combine == PROBABILITIES:
        for member in selected:
            found[member.choice.run_id]["temperature"] = member.temperature.value
    return found


def _description(selected: Sequence[Member], counts: Counter[str], evaluated: Evaluated) -> str:
    by_id = {member.choice.run_id: member.choice for member in selected}
    lines = [
        f"**Validation accuracy {number_text(evaluated.validation.accuracy)}** on the pictures on which the members were selected"
        + (f", test accuracy {number_text(evaluated.test.accuracy)}" if evaluated.test else ""),
        "",
        *(f"- {count} x {described(by_id[run_id].run)}" for run_id, count in counts.items()),
    ]
    return "\n".join(lines)
