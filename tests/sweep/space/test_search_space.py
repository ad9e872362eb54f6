"""The old spelling of a search means what it meant in hydra-optuna-sweeper 1.1."""

from typing import Any

import pytest
from optuna.distributions import CategoricalDistribution, FloatDistribution, IntDistribution

from flowersweep.errors import SweepError
from flowersweep.sweep.space.build_space import build_space
from flowersweep.sweep.space.search_space import as_params


@pytest.mark.parametrize(
    ("entry", "distribution"),
    [
        (
            {"type": "categorical", "choices": [2, "a b", True, None]},
            CategoricalDistribution([2, "a b", True, None]),
        ),
        ({"type": "int", "low": 1, "high": 5}, IntDistribution(1, 5)),
        ({"type": "int", "low": 1, "high": 5, "step": 1}, IntDistribution(1, 5)),
        ({"type": "int", "low": 1, "high": 6, "step": 2}, IntDistribution(1, 5, step=2)),
        ({"type": "int", "low": 1, "high": 8, "log": True}, IntDistribution(1, 8, log=True)),
        ({"type": "float", "low": 0, "high": 1}, FloatDistribution(0.0, 1.0)),
        ({"type": "float", "low": "1e-4", "high": 0.1, "log": True}, FloatDistribution(1e-4, 0.1, log=True)),
        ({"type": "float", "low": -5.5, "high": 5.5, "step": 0.5}, FloatDistribution(-5.5, 5.5, step=0.5)),
        ({"type": "float", "low": 0, "high": 1, "step": 0.3}, FloatDistribution(0.0, 0.9, step=0.3)),
    ],
)
def test_distributions(entry: dict[str, Any], distribution: Any) -> None:
    """Both ends are included, as they were."""
    space = build_space([], as_params({"a.b": entry}))
    assert space.dimensions == {"a.b": distribution}


@pytest.mark.parametrize(
    ("entry", "said"),
    [
        (3, r"search_space.x must be a mapping with the type categorical, int or float, but is 3"),
        ({"type": "log", "low": 1}, "must be a mapping with the type"),
        ({"type": "categorical"}, "must have a list of choices, but has None"),
        ({"type": "int", "low": 1}, "must have numbers as low and high"),
        (
            {"type": "int", "low": 1, "high": 3, "base": 2},
            "has the unknown key base; known keys: high, log, low, step",
        ),
    ],
)
def test_faults(entry: Any, said: str) -> None:
    """An entry that is no such mapping is one sentence."""
    with pytest.raises(SweepError, match=said):
        as_params({"x": entry})
