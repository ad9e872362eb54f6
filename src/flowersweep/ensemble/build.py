"""From a selection to a model with a run of its own, which is promoted, exported and served like any other."""

from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from flowersweep.deploy.evaluation import EvaluationSet, evaluation_set
from flowersweep.deploy.temperature import scaled_bounds, with_temperature
from flowersweep.ensemble.members import Member
from flowersweep.ensemble.prediction import engine_of, predict
from flowersweep.ensemble.recipe import PROBABILITIES, WEIGHTS, Recipe
from flowersweep.ensemble.record import Evaluated, Product, record
from flowersweep.ensemble.selection import Probabilities, Score, Step, score, select, select_soup
from flowersweep.errors import TrackingError
from flowersweep.texts import upper_bound
from flowersweep.tracking.lookup import load_model
from flowersweep.tracking.run import PICTURES
from flowersweep.tracking.store.store import Store
from flowersweep.training.environment import start_tensorflow

if TYPE_CHECKING:
    import keras
    from mlflow.entities import Run

# Another machine may round differently.
TOLERANCE = 1e-3


def build_ensemble(
    store: Store, study: "Run", members: Sequence[Member], recipe: Recipe, *, folder: Path, command: str
) -> tuple[Evaluated, str]:
    """Select members, combine them into one model, evaluate it and store it with a run below the study's run.

    Imports TensorFlow.

    Args:
        store: The store of the study.
        study: The run of the study.
        members: From `members`, best first.
        recipe: How to select and combine.
        folder: The pictures of the study.
        command: The command that was typed.

    Returns:
        The evaluation, and the id of the run that was created.

    Raises:
        ConfigError: The weights of different architectures were to be combined.
        DataError: The pictures are not those of the study.
        TrackingError: The combined model does not return the mean of the probabilities that its members returned.
    """
    best = members[0]
    validation = evaluation_set(best.choice, folder, "validation")
    has_test = int(best.choice.run.data.tags.get(f"{PICTURES}test", "0")) > 0
    test = evaluation_set(best.choice, folder, "test") if has_test else None
    start_tensorflow(seed=0, threads=None, deterministic=False)
    combine = _weights if recipe.combine == WEIGHTS else _probabilities
    steps, model = combine(store, members, recipe, validation)
    apply, info = engine_of(model), best.choice.info
    predicted = predict(apply, validation.paths, info, "Evaluating the ensemble")
    if recipe.combine == PROBABILITIES and not recipe.flip:
        check_mean([members[step.member] for step in steps], predicted)
    tested = best_tested = None
    if test is not None:
        single = engine_of(load_model(store, best.choice.location))
        tested = score(predict(apply, test.paths, info, "Test pictures"), test.labels)
        best_tested = score(predict(single, test.paths, info, "Test pictures, best member"), test.labels)
    evaluated = Evaluated(tuple(steps), score(predicted, validation.labels), tested, best_tested)
    chosen = [members[step.member] for step in steps]
    run_id = record(store, study, chosen, evaluated, Product(model, predicted, recipe, command))
    return evaluated, run_id


def _probabilities(
    store: Store, members: Sequence[Member], recipe: Recipe, _validation: EvaluationSet
) -> tuple[list[Step], "keras.Model"]:
    from flowersweep.ensemble.combination import mean_of_probabilities

    steps = select([member.probabilities for member in members], members[0].predictions.true, recipe.top)
    counts = Counter(step.member for step in steps)
    models = [
        (with_temperature(load_model(store, members[i].choice.location), members[i].temperature), count)
        for i, count in counts.items()
    ]
    return steps, mean_of_probabilities(models, flip=recipe.flip)


def _weights(
    store: Store, members: Sequence[Member], recipe: Recipe, validation: EvaluationSet
) -> tuple[list[Step], "keras.Model"]:
    from flowersweep.ensemble.combination import Soup, mean_of_probabilities

    soup = Soup([load_model(store, member.choice.location) for member in members])
    apply, info = engine_of(soup.model), members[0].choice.info

    def scored(some: Sequence[int]) -> Score:
        soup.mix(some)
        about = f"Mean weights of {len(some)}"
        return score(predict(apply, validation.paths, info, about), validation.labels)

    steps = select_soup(len(members), scored, recipe.top)
    soup.mix([step.member for step in steps])
    return steps, mean_of_probabilities([(soup.model, 1)], flip=True) if recipe.flip else soup.model


def check_mean(selected: Sequence[Member], predicted: Probabilities) -> None:
    """Refuse a combined model that does not return the mean of the probabilities of its members.

    Args:
        selected: The member of each step.
        predicted: What the combined model returns for the validation pictures.

    Raises:
        TrackingError: It differs by more than TOLERANCE from what their tables leave possible.
    """
    bounds = [scaled_bounds(one.predictions.probabilities, one.temperature.value) for one in selected]
    low, high = np.mean(bounds, axis=0)
    difference = float(np.maximum(low - predicted, predicted - high).max())
    if not difference <= TOLERANCE:
        raise TrackingError(
            f"The combined model differs by up to {upper_bound(difference)} from the mean of the probabilities that its members "
            "recorded; the saved models are not those of the recorded predictions, so nothing was stored."
        )
