"""Temperature scaling, on predictions whose right temperature is known."""

import numpy as np
import pytest
import scipy.special  # type: ignore[import-untyped] # it ships no types
from hypothesis import given
from hypothesis import strategies as st

from flowersweep.deploy.temperature import fit, scaled


def drawn(scale: float, count: int, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """Classes drawn from probabilities, and the same probabilities with logits that are `scale` times as large."""
    chance = np.random.default_rng(seed)
    logits = chance.normal(size=(count, 5)) * 1.5
    right = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
    labels = (right.cumsum(axis=1) > chance.random((count, 1))).argmax(axis=1)
    sharp = np.exp(logits * scale)
    return labels, sharp / sharp.sum(axis=1, keepdims=True)


@pytest.mark.parametrize("scale", [0.5, 1.0, 3.0])
def test_the_factor_of_the_logits_is_found(scale: float) -> None:
    """A model whose logits are three times too large gets the temperature 3, and its probabilities fit."""
    found = fit(*drawn(scale, 20_000))
    assert found.value == pytest.approx(scale, rel=0.04)
    assert found.after.calibration_error < 0.012
    assert found.before.calibration_error > 0.1 or scale == 1.0
    assert found.after.loss <= found.before.loss


@given(st.integers(1, 50), st.floats(0.1, 10), st.integers(0, 2**31))
def test_nothing_is_better(count: int, scale: float, seed: int) -> None:
    """No temperature of a grid has a smaller loss, also where all predictions are right or wrong.

    The loss is that of one picture more, with the mean loss of the other ones' logits for every class.
    """
    labels, probabilities = drawn(scale, count, seed)
    found = fit(labels, probabilities)
    logits = np.log(probabilities)

    def guarded(inverse: float) -> float:
        losses = -scipy.special.log_softmax(logits * inverse, axis=1)
        return float((losses[np.arange(count), labels].sum() + losses.mean()) / (count + 1))

    for inverse in np.geomspace(1 / 19, 19, 40):
        assert guarded(1 / found.value) <= guarded(inverse) + 1e-6


def test_a_model_without_errors_does_not_become_certain() -> None:
    """Of 200 right predictions with 0.9, the next one may be wrong: not more than about 0.999 is left to believe."""
    labels = np.arange(200) % 2
    found = fit(labels, np.where(np.eye(2)[labels] == 1, 0.9, 0.1))

    assert 0.99 < scaled(np.array([[0.9, 0.1]]), found.value)[0, 0] < 0.999


def test_tables_with_six_decimals_and_with_six_digits() -> None:
    """In a rounded table 0 is at most half of the last decimal; where smaller values are known, nothing is rounded."""
    known = scaled(np.array([[1 - 1e-9, 1e-9]]), 2.0)[0, 1]
    rounded = scaled(np.array([[1.0, 0.0], [0.7, 0.3]]), 2.0)[0, 1]

    assert known == pytest.approx(1e-9**0.5, rel=1e-3)
    assert rounded == pytest.approx(5e-7**0.5, rel=1e-3)
