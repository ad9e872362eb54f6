"""The split, held against Keras' own."""

from pathlib import Path

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from flowersweep.data import Split, balanced_split, read_folder, split
from flowersweep.data.split import check_parts
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


LABELS = st.lists(st.integers(2, 60), min_size=2, max_size=6).map(
    lambda counts: np.repeat(np.arange(len(counts)), counts).astype(np.int32)
)


def of_parts(parts: Split) -> list[np.ndarray]:
    """The three parts."""
    return [parts.train, parts.validation, parts.test]


class TestBalanced:
    @given(LABELS, SEEDS, st.floats(0.1, 0.4), st.sampled_from([0.0, 0.1, 0.3]))
    def test_every_part_has_its_fraction_of_every_class(
        self, labels: np.ndarray, seed: int, validation: float, test: float
    ) -> None:
        """To within one picture and a rounded one, at least one where the class has enough, and each picture once."""
        parts = of_parts(balanced_split(labels, seed=seed, validation=validation, test=test))
        assert sorted(np.concatenate(parts).tolist()) == list(range(len(labels)))
        fractions = (1 - validation - test, validation, test)
        for part, fraction in zip(parts, fractions, strict=True):
            counts = np.bincount(labels[part], minlength=labels.max() + 1)
            assert np.abs(counts - fraction * np.bincount(labels)).max() < 2
            assert (counts[np.bincount(labels) >= 3] >= (fraction > 0)).all()

    @given(LABELS, SEEDS, st.integers(2, 8), st.sampled_from([0.0, 0.2]))
    def test_each_picture_validates_in_one_fold(
        self, labels: np.ndarray, seed: int, folds: int, test: float
    ) -> None:
        """Folds differ by at most one picture of a class, the test part is the same for all, and training is the rest."""
        splits = [
            balanced_split(labels, seed=seed, validation=0.5, test=test, folds=folds, fold=fold)
            for fold in range(folds)
        ]
        validating = np.concatenate([one.validation for one in splits])
        assert sorted([*validating.tolist(), *splits[0].test.tolist()]) == list(range(len(labels)))
        per_class = np.array([np.bincount(labels[one.validation], minlength=6) for one in splits])
        assert np.ptp(per_class, axis=0).max() <= 1
        for one in splits:
            assert one.test.tolist() == splits[0].test.tolist()
            assert sorted(np.concatenate(of_parts(one)).tolist()) == list(range(len(labels)))

    @given(st.lists(st.integers(0, 9), min_size=30, max_size=200), SEEDS)
    def test_no_group_is_in_two_parts(self, groups: list[int], seed: int) -> None:
        """Whatever their sizes and classes."""
        labels = np.arange(len(groups), dtype=np.int32) % 2
        parts = of_parts(balanced_split(labels, groups, seed=seed, validation=0.2, test=0.2))
        found = [{groups[index] for index in part} for part in parts]
        assert sum(map(len, found)) == len(set(groups))

    def test_a_large_group_trains(self) -> None:
        """Half of the pictures are one group: they do not fill the fifth that validates, whatever the seed."""
        groups = [0] * 50 + list(range(1, 51))
        for seed in range(20):
            parts = balanced_split(np.zeros(100, np.int32), groups, seed=seed, validation=0.2)
            assert len(parts.validation) == 20

    def test_the_seed_decides(self) -> None:
        """The same seed gives the same split, in the same order; another one gives another split."""
        labels = np.repeat([0, 1], 20).astype(np.int32)
        one, same, other = (balanced_split(labels, seed=seed, validation=0.25) for seed in (1, 1, 2))
        assert one.train.tolist() == same.train.tolist()
        assert set(one.train.tolist()) != set(other.train.tolist())
        assert one.train.tolist() != sorted(one.train.tolist())

    def test_a_class_that_is_missing_in_a_part_is_named(self) -> None:
        """With its number of pictures and the remedy that was given."""
        labels = np.array([0, 0, 0, 1], np.int32)
        parts = balanced_split(labels, seed=0, validation=0.25)
        with pytest.raises(
            ConfigError,
            match=r"The training part .* no picture of the class rose, which has 1 in all; add more\.",
        ):
            check_parts(labels, ["daisy", "rose"], parts, "add more", tests=False)
        nothing = Split(np.arange(4), np.array([], np.int64), parts.test)
        with pytest.raises(ConfigError, match=r"The validation part of the split has no pictures"):
            check_parts(labels, ["daisy", "rose"], nothing, "add more", tests=False)
