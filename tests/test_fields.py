"""Tests of flowersweep.fields: in which direction a metric is better."""

import pytest

from flowersweep.fields import maximized


@pytest.mark.parametrize(
    ("metric", "expected"),
    [
        ("val_accuracy", True),
        ("best/val_accuracy", True),
        ("val_loss", False),
        ("best/val_loss", False),
        ("best/val_macro_f1", True),
        ("val_auc", True),
        ("total/seconds", False),
    ],
)
def test_direction_follows_from_the_name(metric: str, *, expected: bool) -> None:
    """Accuracies are maximized, losses minimized, with or without a prefix."""
    assert maximized(metric) is expected
