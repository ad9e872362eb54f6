"""Texts in charts."""

from hypothesis import given
from hypothesis import strategies as st

from flowersweep.report.charts.plotting import wrapped

WORDS = st.text(st.sampled_from("abc=0.5-"), min_size=1, max_size=30)


@given(st.lists(WORDS, min_size=1, max_size=3))
def test_a_name_is_wrapped_between_words(words: list[str]) -> None:
    """A number such as learning_rate=0.0008735 is never split between two lines."""
    lines = wrapped(" ".join(words)).split("<br>")
    assert " ".join(lines).removesuffix(" …") == " ".join(words)[: len(" ".join(lines).removesuffix(" …"))]
    assert {word for line in lines for word in line.split()} <= {*words, "…"}
