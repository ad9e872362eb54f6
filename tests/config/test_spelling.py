"""How keys and values are written for people."""

from hypothesis import given
from hypothesis import strategies as st

from flowersweep.config.spelling import headings, short_keys, value_text, value_texts

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
    values = (0.000123456, 12345.6789, 123456, True, None, "RandomFlip", [1, "a"], {"b": 0.5})
    assert [value_text(value) for value in values] == [
        "0.0001235",
        "1.235e+04",
        "123456",
        "True",
        "None",
        "RandomFlip",
        "[1,a]",
        "{b:0.5}",
    ]


@given(st.lists(st.floats(allow_nan=False)))
def test_different_values_have_different_texts(values: list[float]) -> None:
    """Floats get as many digits as that takes."""
    assert len(set(value_texts(values))) == len(set(values))


def test_only_values_that_would_look_alike_have_more_digits() -> None:
    """The others keep four; what is no float is as it is."""
    values = [0.123412, 0.123449, 1 / 3, 10, "adam", ""]
    assert value_texts(values) == ["0.12341", "0.12345", "0.3333", "10", "adam", ""]


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
