"""Which pictures a model is evaluated on, and the metrics of each class."""

import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from flowersweep.commands.parsing.common import chosen
from flowersweep.data import fingerprint, read_folder, split
from flowersweep.deploy.choose import Choice
from flowersweep.deploy.evaluation import class_metrics, evaluation_set
from flowersweep.errors import DataError
from flowersweep.tracking.lookup import Files
from flowersweep.tracking.mlflow_tracker import MLflowTracker
from flowersweep.tracking.run import SPLIT_FILE
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
    data = evaluation_set(choice, drawn, "all")

    assert np.bincount(data.labels).tolist() == [12] * 5
    assert [choice.info.class_names[label] for label in data.labels] == [
        path.parent.name for path in data.paths
    ]
    assert (data.unknown, data.missing) == ([], [])


def test_validation_pictures_are_those_of_the_run(choice: Choice, drawn: Path) -> None:
    """A quarter, in the order of the split with the run's seed."""
    data = evaluation_set(choice, drawn, "validation")
    everything = evaluation_set(choice, drawn, "all").paths

    positions = split(60, seed=SPLIT_SEED, validation=0.25).validation
    assert data.paths == [everything[position] for position in positions]


def test_training_pictures_are_the_others(choice: Choice, drawn: Path) -> None:
    """Without a test part, every picture either trains or validates."""
    training, validation = (evaluation_set(choice, drawn, part) for part in ("training", "validation"))
    everything = evaluation_set(choice, drawn, "all").paths

    assert len(training.paths) == 45
    assert sorted([*training.paths, *validation.paths]) == sorted(everything)
    assert [choice.info.class_names[label] for label in training.labels] == [
        path.parent.name for path in training.paths
    ]


def test_parts_of_a_run_that_was_given_its_split(choice: Choice, results: Winners, drawn: Path) -> None:
    """From the copy of the file that the run has kept, although the file itself is gone."""
    everything = evaluation_set(choice, drawn, "all").paths
    names = [path.relative_to(drawn).as_posix() for path in everything]
    parts = ["test" if n % 12 == 0 else "val" if n % 12 == 1 else "train" for n in range(60)]
    run = MLflowTracker(results.store, results.runs["alone/good"])
    kept = Files(results.store, run.run_id).text("config/config.yaml")
    run.text(f"{kept}".replace("data: {", "data: {split: csv, split_file: /gone.csv, "), "config/config.yaml")
    run.text("file,part\n" + "".join(map("{},{}\n".format, names, parts)), SPLIT_FILE)
    good = chosen({"run": run.run_id, "tracking.dir": str(results.directory)})

    for subset, rest in (("test", 0), ("validation", 1)):
        found = evaluation_set(good, drawn, subset)
        assert sorted(found.paths) == sorted(everything[n] for n in range(60) if n % 12 == rest)
    run.text(str(kept), "config/config.yaml")


def test_a_run_without_a_test_part(choice: Choice, drawn: Path) -> None:
    """Is told how to get one."""
    with pytest.raises(
        DataError, match=r"held out no test pictures; train with data\.test_split=0\.1, or use"
    ):
        evaluation_set(choice, drawn, "test")


def test_classes_are_matched_by_name(choice: Choice, drawn: Path, tmp_path: Path) -> None:
    """Whatever their order; an unknown class is left out, a missing one is told."""
    first, *others, last = choice.info.class_names
    folder = some(drawn, tmp_path, {last: last, "weed": first, first: first})
    data = evaluation_set(choice, folder, "all")

    assert sorted(data.labels.tolist()) == [0, 4]
    assert (data.unknown, data.missing) == (["weed"], others)


def test_classes_are_matched_in_any_form_of_unicode(choice: Choice, drawn: Path, tmp_path: Path) -> None:
    """A folder that another system has written in another form is of the class; two folders that differ in it are two classes."""
    first, *others = choice.info.class_names
    named = replace(choice, info=replace(choice.info, class_names=("ros\xe9", *others)))
    data = evaluation_set(named, some(drawn, tmp_path / "copied", {"rose\u0301": first}), "all")
    assert (data.labels.tolist(), data.unknown, data.missing) == ([0], [], others)

    data = evaluation_set(
        named, some(drawn, tmp_path / "both", {"rose\u0301": first, "ros\xe9": first}), "all"
    )
    assert (data.labels.tolist(), data.unknown, data.missing) == ([0], ["rose\u0301"], others)


def test_pictures_of_a_single_class(choice: Choice, drawn: Path, tmp_path: Path) -> None:
    """They give the recall of this class, although no model could be trained on them."""
    second = choice.info.class_names[1]
    data = evaluation_set(choice, some(drawn, tmp_path, {second: second}), "all")

    assert data.labels.tolist() == [1]
    assert len(data.missing) == 4


def test_no_class_in_common_is_refused(choice: Choice, drawn: Path, tmp_path: Path) -> None:
    """The message names both sides."""
    first = choice.info.class_names[0]
    folder = some(drawn, tmp_path, {"cats": first, "dogs": first})

    with pytest.raises(
        DataError, match=r"contains cats, dogs, but the model distinguishes .* at least one of these"
    ):
        evaluation_set(choice, folder, "all")


def test_other_data_has_no_validation_pictures(choice: Choice, drawn: Path, tmp_path: Path) -> None:
    """A folder with the same classes and other pictures would give other ones."""
    folder = some(drawn, tmp_path, {name: name for name in choice.info.class_names})

    with pytest.raises(DataError, match=r"is not the data that run .* data.dir=DIR"):
        evaluation_set(choice, folder, "validation")


def test_class_figures() -> None:
    """By hand: a is right twice of three and called so three times; c is never called, d never there."""
    metrics = class_metrics(np.array([0, 0, 0, 1, 2]), np.array([0, 0, 1, 1, 0]), 4)

    np.testing.assert_allclose(metrics.precision, [2 / 3, 1 / 2, np.nan, np.nan])
    np.testing.assert_allclose(metrics.recall, [2 / 3, 1, 0, np.nan])
    np.testing.assert_allclose(metrics.f1, [2 / 3, 2 / 3, 0, np.nan])
    assert metrics.pictures.tolist() == [3, 1, 1, 0]
    assert metrics.confusion.tolist() == [[2, 1, 0, 0], [0, 1, 0, 0], [1, 0, 0, 0], [0, 0, 0, 0]]


def test_parts_of_a_copy_in_another_form_of_unicode(
    choice: Choice, drawn: Path, tmp_path: Path, cache: Path
) -> None:
    """A copy whose names another system has written in another form has the same validation pictures."""
    first, *others = choice.info.class_names
    for folder, name in (("original", "ros\xe9"), ("copy", "rose\u0301")):
        shutil.copytree(drawn, tmp_path / folder)
        (tmp_path / folder / first).rename(tmp_path / folder / name)
    digest = fingerprint(read_folder(tmp_path / "original"), cache)
    names = tuple(sorted(["ros\xe9", *others]))
    named = replace(choice, info=replace(choice.info, class_names=names, fingerprint=digest))

    original, copy = (evaluation_set(named, tmp_path / one, "validation") for one in ("original", "copy"))
    assert [path.name for path in copy.paths] == [path.name for path in original.paths]
    assert copy.labels.tolist() == original.labels.tolist()
    assert (copy.unknown, copy.missing) == ([], [])
    assert all(path.is_file() for path in copy.paths)
