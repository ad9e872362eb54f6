"""Which pictures a model is judged on, and the figures of each class."""

from pathlib import Path

import numpy as np
import pytest

from flowersweep.commands.common import chosen
from flowersweep.data import split
from flowersweep.deploy.choose import Choice
from flowersweep.deploy.evaluation import class_figures, judged_pictures
from flowersweep.errors import DataError
from winners import SPLIT_SEED, Winners


@pytest.fixture
def choice(results: Winners, cache: Path, monkeypatch: pytest.MonkeyPatch) -> Choice:
    """The winner of study petals; the cache is the tests' own."""
    monkeypatch.setenv("FLOWERSWEEP_CACHE", str(cache))
    return chosen({"study": "petals", "tracking.dir": str(results.directory)})


def some(drawn: Path, folder: Path, names: dict[str, str]) -> Path:
    """A folder with one picture of each class under another name."""
    for name, source in names.items():
        (folder / name).mkdir(parents=True)
        (folder / name / "1.jpg").symlink_to(next((drawn / source).iterdir()))
    return folder


def test_all_pictures_of_the_same_classes(choice: Choice, drawn: Path) -> None:
    """Twelve of each class, numbered as the model does."""
    judged = judged_pictures(choice, drawn, "all")

    assert np.bincount(judged.labels).tolist() == [12] * 5
    assert [choice.info.class_names[label] for label in judged.labels] == [
        path.parent.name for path in judged.paths
    ]
    assert (judged.unknown, judged.missing) == ([], [])


def test_validation_pictures_are_those_of_the_run(choice: Choice, drawn: Path) -> None:
    """A quarter, in the order of the split with the run's seed."""
    judged = judged_pictures(choice, drawn, "validation")
    everything = judged_pictures(choice, drawn, "all").paths

    positions = split(60, seed=SPLIT_SEED, validation=0.25).validation
    assert judged.paths == [everything[position] for position in positions]


def test_classes_are_matched_by_name(choice: Choice, drawn: Path, tmp_path: Path) -> None:
    """Whatever their order; an unknown class is left out, a missing one is told."""
    first, *others, last = choice.info.class_names
    folder = some(drawn, tmp_path, {last: last, "weed": first, first: first})
    judged = judged_pictures(choice, folder, "all")

    assert sorted(judged.labels.tolist()) == [0, 4]
    assert (judged.unknown, judged.missing) == (["weed"], others)


def test_no_class_in_common_is_refused(choice: Choice, drawn: Path, tmp_path: Path) -> None:
    """The message names both sides."""
    first = choice.info.class_names[0]
    folder = some(drawn, tmp_path, {"cats": first, "dogs": first})

    with pytest.raises(DataError, match=r"holds cats, dogs, but the model tells .* none of the classes"):
        judged_pictures(choice, folder, "all")


def test_other_data_has_no_validation_pictures(choice: Choice, drawn: Path, tmp_path: Path) -> None:
    """A folder with the same classes and other pictures would give other ones."""
    folder = some(drawn, tmp_path, {name: name for name in choice.info.class_names})

    with pytest.raises(DataError, match=r"is not the data that run .* subset=all"):
        judged_pictures(choice, folder, "validation")


def test_class_figures() -> None:
    """By hand: a is right twice of three and called so three times; c is never called, d never there."""
    figures = class_figures(np.array([0, 0, 0, 1, 2]), np.array([0, 0, 1, 1, 0]), 4)

    np.testing.assert_allclose(figures.precision, [2 / 3, 1 / 2, np.nan, np.nan])
    np.testing.assert_allclose(figures.recall, [2 / 3, 1, 0, np.nan])
    np.testing.assert_allclose(figures.f1, [2 / 3, 2 / 3, 0, np.nan])
    assert figures.pictures.tolist() == [3, 1, 1, 0]
    assert figures.confusion.tolist() == [[2, 1, 0, 0], [0, 1, 0, 0], [1, 0, 0, 0], [0, 0, 0, 0]]
