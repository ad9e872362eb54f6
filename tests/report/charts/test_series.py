"""The axes of learning rates, shared by the page and the image files."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from flowersweep.report.charts.series import plain_number, rate_range, rate_ticks


def test_a_constant_rate_is_in_the_middle() -> None:
    """It is not drawn on the edge of the chart, where it looks like 0."""
    low, high = rate_range([0.001, 0.001])
    assert (low, high) == pytest.approx((0.0005, 0.002))
    assert list(rate_ticks(low, high).values()) == ["0.0005", "0.001", "0.002"]


def test_ticks_of_a_search() -> None:
    """Plain numbers without prefixes and, over up to three powers of ten, without exponents."""
    assert list(rate_ticks(*rate_range([0.00049085, 0.0091])).values()) == [
        "0.0005",
        "0.001",
        "0.002",
        "0.005",
        "0.01",
    ]
    assert list(rate_ticks(1e-5, 1.0).values()) == ["0.00001", "0.0001", "0.001", "0.01", "0.1", "1"]


@given(st.lists(st.floats(1e-12, 10), min_size=1, max_size=5))
def test_every_axis_has_ticks(values: list[float]) -> None:
    """At least one, in order and inside of the axis, whatever was searched."""
    low, high = rate_range(values)
    ticks = list(rate_ticks(low, high))
    assert low < min(values) <= max(values) < high
    assert ticks == sorted(ticks)
    assert ticks
    assert low * 0.99 <= ticks[0] <= ticks[-1] <= high * 1.01


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (0.00049085, "0.000491"),
        (0.0, "0"),
        (120.0, "120"),
        (1e-10, "1e-10"),
        (2.5e7, "2.5e+07"),
        (-0.25, "-0.25"),
    ],
)
def test_plain_numbers(value: float, text: str) -> None:
    """Three digits; an exponent only for tiny and huge numbers."""
    assert plain_number(value) == text
