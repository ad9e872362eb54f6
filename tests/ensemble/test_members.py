"""Which trainings of a study can become members."""

import numpy as np
import pytest

from ensemble_study import SmallStudy
from flowersweep.ensemble.members import Member, members
from flowersweep.ensemble.selection import select
from flowersweep.errors import TrackingError
from flowersweep.figures.predictions import PredictionsTable
from flowersweep.tracking.mlflow_api import client
from flowersweep.tracking.selection import find_study


def found(small: SmallStudy) -> tuple[list[Member], list[str]]:
    """The members of the study."""
    return members(small.store, find_study(small.store, "small"))


def test_members_are_the_trainings_with_a_model(small: SmallStudy) -> None:
    """Best first, with what they recorded; one sentence about those without a model."""
    runs = [small.add(number, seed=number + 1, saved=number != 1) for number in range(3)]
    some, left_out = found(small)

    accuracies = [one.choice.run.data.metrics["best/val_accuracy"] for one in some]
    assert accuracies == sorted(accuracies, reverse=True)
    assert {one.choice.run_id for one in some} == {runs[0], runs[2]}
    assert left_out == [
        "1 of 3 finished trainings saved no model; with tracking.artifacts_of=all a sweep saves those of all trials."
    ]
    validation = small.parts.validation
    assert some[0].predictions.true.tolist() == small.catalogue.labels[validation].tolist()
    trial = int(some[0].choice.run.data.tags["trial"])
    expected = np.asarray(small.models[trial](small.pictures(validation), training=False))
    assert some[0].predictions.probabilities == pytest.approx(expected, abs=1e-6)


def test_members_share_their_validation_pictures(small: SmallStudy) -> None:
    """A mean over different pictures would be meaningless."""
    runs = [small.add(number, seed=number + 1, value=0.5 + number / 10) for number in range(2)]
    small.add(2, seed=3, value=0.4, positions=small.parts.train[:15])
    some, (left_out,) = found(small)

    assert [one.choice.run_id for one in some] == runs[::-1]
    assert left_out.startswith("1 of 3 trainings is left out")
    assert "other validation pictures than the best one, trial 1 of study small" in left_out


def test_members_are_compared_with_their_temperatures(small: SmallStudy) -> None:
    """A model that is right more often but not sure of it, as after label smoothing, is selected before a sure one."""
    run = small.add(0, seed=1)
    small.add(1, seed=2)
    choice = next(one.choice for one in found(small)[0] if one.choice.run_id == run)
    true = np.arange(100) % 2

    def member(wrong: int, certainty: float) -> Member:
        probabilities = np.where(np.eye(2)[true] == 1, certainty, 1 - certainty)
        probabilities[:wrong] = probabilities[:wrong, ::-1]
        paths = [f"{number}.jpg" for number in range(100)]
        return Member(
            choice, PredictionsTable(paths, ("a", "b"), true, probabilities.argmax(1), probabilities)
        )

    sure, good = member(wrong=8, certainty=0.92), member(wrong=4, certainty=0.6)
    as_recorded = select([one.predictions.probabilities for one in (sure, good)], true, top=1)
    with_temperature = select([one.probabilities for one in (sure, good)], true, top=1)

    assert (as_recorded[0].member, with_temperature[0].member) == (0, 1)
    assert sure.temperature.value == pytest.approx(1, abs=0.1)
    assert good.temperature.value == pytest.approx(np.log(1.5) / np.log(24), rel=0.15)


def test_one_model_is_no_ensemble(small: SmallStudy) -> None:
    """The error says what is missing and how to get it."""
    small.add(0, seed=1)
    small.add(1, seed=2, saved=False)
    with pytest.raises(
        TrackingError, match=r"needs two trainings, but study 'small' has 1\. 1 of 2 .*artifacts_of=all"
    ):
        found(small)


def test_deleted_trainings_are_told(small: SmallStudy) -> None:
    """A training that was deleted in MLflow is no member, and the sentence says how many there are."""
    runs = [small.add(number, seed=number + 1) for number in range(3)]
    client(small.store.uri).delete_run(runs[1])
    some, left_out = found(small)

    assert sorted(one.choice.run_id for one in some) == sorted([runs[0], runs[2]])
    assert left_out == ["1 finished training was deleted in MLflow and is left out."]
