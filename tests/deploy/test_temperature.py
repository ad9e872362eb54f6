"""Temperature scaling, on predictions whose right temperature is known."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from flowersweep.deploy.temperature import fit


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
    """No temperature of a grid has a smaller loss, also where all predictions are right or wrong."""
    labels, probabilities = drawn(scale, count, seed)
    found = fit(labels, probabilities)
    logits = np.log(np.maximum(probabilities, 5e-7))
    for inverse in np.geomspace(1 / 19, 19, 40):
        raised = np.exp(logits * inverse - (logits * inverse).max(axis=1, keepdims=True))
        raised /= raised.sum(axis=1, keepdims=True)
        with np.errstate(divide="ignore"):
            loss = -np.log(raised[np.arange(count), labels]).mean()
        assert found.after.loss <= loss + 1e-6
