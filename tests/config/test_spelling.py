"""How keys and values are written for people."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from flowersweep.config.spelling import headings, mean_text, short_keys, value_text

KEYS = st.lists(st.text("ab./", min_size=1, max_size=6), unique=True)


def test_the_last_part_stands_for_a_key_where_it_is_its_only_one() -> None:
    """Groups end in a slash; a key whose end another one has too stays whole."""
    keys = ["optimizer.learning_rate", "model.dropout", "head.dropout", "hydra/sweeper/sampler", "seed"]
    assert short_keys(keys) == {
        "optimizer.learning_rate": "learning_rate",
        "model.dropout": "model.dropout",
        "head.dropout": "head.dropout",
        "hydra/sweeper/sampler": "sampler",
        "seed": "seed",
    }


@given(KEYS)
def test_every_key_has_a_text_that_ends_it(keys: list[str]) -> None:
    """In the order of the keys."""
    short = short_keys(keys)
    assert list(short) == keys
    assert all(key.replace("/", ".").endswith(text.replace("/", ".")) for key, text in short.items())


def test_floats_have_four_digits_and_all_else_is_as_it_is() -> None:
    """Whole numbers are not rounded."""
    values = (0.000123456, 12345.6789, 123456, True, None, "RandomFlip")
    assert [value_text(value) for value in values] == [
        "0.0001235",
        "1.235e+04",
        "123456",
        "True",
        "None",
        "RandomFlip",
    ]


@pytest.mark.parametrize(
    ("mean", "deviation", "text"),
    [
        (0.9396, 0.000787, "0.9396 ± 0.0008"),
        (0.9396, 0.0, "0.9396 ± 0.0000"),
        (0.9396, 0.00001, "0.9396 ± 1e-05"),
        (123.44, 5.67, "123.4 ± 5.7"),
        (13.0, 0.7071, "13.00 ± 0.71"),
        (2.0, 1.4142, "2.0000 ± 1.4142"),
        (150.0, 3.6, "150.0 ± 3.6"),
        (12, 3, "12 ± 3"),
        (12.0, 0.0, "12 ± 0"),
        (9.87e-7, 5.1e-7, "9.87e-07 ± 5.1e-07"),
    ],
)
def test_a_spread_has_the_decimals_of_its_mean(mean: float, deviation: float, text: str) -> None:
    """More would be of no use, and fewer only where nothing would be left."""
    assert mean_text(mean, deviation) == text


def test_headings_are_told_apart() -> None:
    """By the complete key, and where that is the heading of another column too, by what it is."""
    keys, objectives = (
        ["trainer.epochs", "lora.rank", "loss", "model.dropout"],
        ["total/seconds", "loss", "rank"],
    )
    fixed = ["rank", "epochs", "seconds"]
    assert headings(keys, objectives, fixed, short=True) == (
        {
            "trainer.epochs": "trainer.epochs",
            "lora.rank": "lora.rank",
            "loss": "searched/loss",
            "model.dropout": "dropout",
        },
        {"total/seconds": "total/seconds", "loss": "objective/loss", "rank": "objective/rank"},
    )
    assert headings(["a.b"], ["c/d"], fixed, short=False) == ({"a.b": "a.b"}, {"c/d": "c/d"})


NAMES = st.lists(st.text("ab./", min_size=1, max_size=3), unique=True, max_size=5)


@given(NAMES, NAMES, NAMES, st.booleans())
def test_no_two_columns_have_the_same_heading(
    keys: list[str],
    names: list[str],
    fixed: list[str],
    short: bool,  # noqa: FBT001 - drawn
) -> None:
    """Whatever keys and objectives are called."""
    searched, objectives = headings(keys, names, fixed, short=short)
    heads = [*searched.values(), *objectives.values(), *fixed]
    assert list(searched) == keys
    assert list(objectives) == names
    assert len(set(heads)) == len(heads)
