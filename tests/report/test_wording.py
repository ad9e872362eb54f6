"""Numbers in the words of the page."""

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from flowersweep.ranking.significance import ALPHA
from flowersweep.report.wording import p_text


@pytest.mark.parametrize(
    ("p", "text"),
    [
        (0.0004, "p < 0.001"),
        (0.0, "p < 0.001"),
        (0.001, "p 0.001"),
        (0.0498, "p 0.0498"),
        (0.04994, "p 0.0499"),
        (0.04996, "p 0.04996"),
        (0.05, "p 0.050"),
        (0.0502, "p 0.050"),
        (1.0, "p 1.000"),
    ],
)
def test_p(p: float, text: str) -> None:
    """No p is shown as 0, and none below the limit as the limit."""
    assert p_text(p) == text


@given(st.floats(0, 1))
def test_the_side_of_the_limit(p: float) -> None:
    """What is shown is on the same side of the limit as the number."""
    shown = float(re.sub("p <? ?", "", p_text(p)))
    assert (shown < ALPHA) == (p < ALPHA)
