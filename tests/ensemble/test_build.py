"""Whether the combined model is the one that was selected."""

from typing import cast

import numpy as np
import pytest
import scipy.special  # type: ignore[import-untyped] # it ships no types

from flowersweep.deploy.choose import Choice
from flowersweep.ensemble.build import check_mean
from flowersweep.ensemble.members import Member
from flowersweep.errors import TrackingError
from flowersweep.figures.predictions import PredictionsTable


@pytest.mark.parametrize("decimals", [6, None])
def test_the_combined_model_returns_the_mean_of_its_members(decimals: int | None) -> None:
    """Also where a temperature magnifies what tables of six decimals leave out; other models are refused."""
    chance = np.random.default_rng(0)
    true = chance.integers(0, 5, 200)
    members, answers = [], []
    for _ in range(2):
        # Overconfident: most probabilities are far below the sixth decimal, and many predictions are wrong.
        logits = 6 * (np.eye(5)[true] + chance.normal(size=(200, 5)))
        recorded = scipy.special.softmax(logits, axis=1)
        recorded = recorded if decimals is None else recorded.round(decimals)
        table = PredictionsTable([""] * 200, tuple("abcde"), true, recorded.argmax(axis=1), recorded)
        members.append(Member(cast("Choice", None), table))
        answers.append(scipy.special.softmax(logits / members[-1].temperature.value, axis=1))
    assert min(member.temperature.value for member in members) > 1.5

    check_mean(members, np.mean(answers, axis=0))
    with pytest.raises(TrackingError, match=r"differs by up to 0\.\d+ .*so nothing was stored"):
        check_mean(members, answers[0])
