"""The split, held against Keras' own."""

from pathlib import Path

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from flowersweep.data import read_folder, split
from flowersweep.errors import ConfigError

FRACTIONS = st.floats(0.01, 0.45)
SEEDS = st.integers(0, 2**32 - 1)


@given(st.integers(100, 2000), SEEDS, FRACTIONS, FRACTIONS)
def test_every_picture_is_in_exactly_one_part(n: int, seed: int, validation: float, test: float) -> None:
    """The three parts are disjoint and together everything, with the counts rounded down."""
    parts = split(n, seed=seed, validation=validation, test=test)

    together = np.concatenate([parts.train, parts.validation, parts.test])
    assert sorted(together.tolist()) == list(range(n))
    assert len(parts.validation) == int(validation * n)
    assert len(parts.test) == int(test * n)
    assert together.dtype == np.int64


@given(st.integers(100, 2000), SEEDS, FRACTIONS, FRACTIONS)
def test_a_test_set_takes_from_training_only(n: int, seed: int, validation: float, test: float) -> None:
    """Validation stays the same whatever the test fraction; training keeps its beginning."""
    without = split(n, seed=seed, validation=validation)
    parts = split(n, seed=seed, validation=validation, test=test)

    assert parts.validation.tolist() == without.validation.tolist()
    assert [*parts.train, *parts.test] == without.train.tolist()


@settings(deadline=None)
@given(st.integers(2, 300), SEEDS, st.floats(0.001, 0.999))
def test_equals_keras_split(n: int, seed: int, validation: float) -> None:
    """Training and validation are those of Keras' own functions, for any number, seed and fraction."""
    from keras.src.utils.dataset_utils import get_training_or_validation_split

    assume(int(validation * n) > 0)
    files = [str(i) for i in range(n)]
    np.random.RandomState(seed).shuffle(files)
    labels = np.arange(n)
    expected = [
        get_training_or_validation_split(files, labels, validation, part)[0]
        for part in ("training", "validation")
    ]
    parts = split(n, seed=seed, validation=validation)

    assert [list(map(str, part)) for part in (parts.train, parts.validation)] == expected


@pytest.mark.photos
@pytest.mark.parametrize(("part", "count"), [("training", 2936), ("validation", 734)])
def test_real_photographs_split_as_in_keras(photos_dir: Path, part: str, count: int) -> None:
    """With the article's seed the parts hold the very files of `image_dataset_from_directory`."""
    from keras.utils import image_dataset_from_directory

    dataset = image_dataset_from_directory(
        photos_dir, validation_split=0.2, seed=123, subset=part, image_size=(180, 180), batch_size=128
    )
    catalogue = read_folder(photos_dir)
    parts = split(len(catalogue), seed=123, validation=0.2)
    indices = parts.train if part == "training" else parts.validation

    assert len(indices) == count
    assert [str(photos_dir / catalogue.paths[i]) for i in indices] == dataset.file_paths


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"n": 4, "seed": 0, "validation": 0.2}, "leaves 4 for training, 0 for validation"),
        ({"n": 10, "seed": 0, "validation": 0.2, "test": 0.05}, "and 0 for the test"),
        ({"n": 10, "seed": 0, "validation": 0.5, "test": 0.5}, "leaves 0 for training"),
        ({"n": 10, "seed": 0, "validation": 0.0}, "0 < validation < 1"),
        ({"n": 10, "seed": 0, "validation": 0.2, "test": 1.0}, "0 <= test < 1"),
        (
            {"n": 10, "seed": 0, "validation": 0.6, "test": 0.6},
            "leaves 0 for training, 6 for validation and 6 for the test",
        ),
        ({"n": 10, "seed": -1, "validation": 0.2}, "but is -1"),
        ({"n": 10, "seed": 2**32, "validation": 0.2}, "but is 4294967296"),
    ],
)
def test_impossible_splits_are_refused(arguments: dict[str, float], message: str) -> None:
    """A part that would be empty and a number out of range are errors that name the values."""
    with pytest.raises(ConfigError, match=message):
        split(**arguments)  # type: ignore[arg-type]  # one table for whole and broken numbers
