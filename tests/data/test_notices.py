"""What is told of pictures before a run, and what is not."""

from pathlib import Path

import numpy as np
import pytest

from flowersweep.data import Split, fingerprint, possible_copies, read_folder
from flowersweep.data.notices import picture_notices


def told(
    root: Path, files: dict[str, bytes], *, train: list[int], validation: list[int], test: list[int]
) -> list[str]:
    """The sentences about a folder; indices are those of the catalogue."""
    for name, content in files.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_bytes(content)
    catalogue = read_folder(root)
    assert sorted(catalogue.paths) == sorted(files)
    parts = Split(*(np.array(part, np.int64) for part in (train, validation, test)))
    return [
        str(notice)
        for notice in picture_notices(catalogue, parts, possible_copies(catalogue, root / "cache"))
    ]


def test_nothing_is_said_of_good_pictures(tmp_path: Path) -> None:
    """All contents differ, though some have the same length; both classes are in every part."""
    files = {f"{name}/{i}.jpg": f"{name}{i}".encode() for name in "ab" for i in range(3)}
    assert told(tmp_path, files, train=[0, 3], validation=[1, 4], test=[2, 5]) == []


def test_copies_in_both_parts_are_counted_with_an_example(tmp_path: Path) -> None:
    """Validation and test pictures count, each against its own accuracy; copies within one part do not."""
    files = {
        "a/1.jpg": b"same", "a/2.jpg": b"same", "a/3.jpg": b"same", "a/4.jpg": b"other", "a/5.jpg": b"other",
        "b/1.jpg": b"b1", "b/2.jpg": b"b2", "b/3.jpg": b"b3",
    }  # fmt: skip
    (said,) = told(tmp_path, files, train=[0, 5], validation=[1, 2, 3, 6], test=[4, 7])
    assert said == (
        "2 of the 6 evaluation pictures are identical to training pictures, for example a/2.jpg and a/1.jpg; this may "
        "increase validation accuracy by up to 0.5; in your own pictures, delete one of each pair."
    )
    (said,) = told(tmp_path, files, train=[0, 5], validation=[1, 3, 4, 6], test=[2, 7])
    assert (
        "; this may increase validation accuracy by up to 0.25 and test accuracy by up to 0.5; in your"
        in said
    )


def test_a_copy_in_another_class_flatters_nobody(tmp_path: Path) -> None:
    """What was learned as another class is taken for it, which is a mistake; several are spoken of as such."""
    files = {
        "a/1.jpg": b"same", "a/2.jpg": b"else", "b/1.jpg": b"same", "b/2.jpg": b"else", "b/3.jpg": b"b3",
    }  # fmt: skip
    (said,) = told(tmp_path, files, train=[0, 3], validation=[1, 2], test=[])
    assert said == (
        "2 pictures are identical in more than one class, for example a/1.jpg and b/1.jpg; no model can be right wherever they "
        "are; keep your own pictures in one class."
    )


def test_several_classes_that_are_missing(tmp_path: Path) -> None:
    """They are classes, not a class."""
    files = {f"{name}/1.jpg": name.encode() * (index + 1) for index, name in enumerate("abcd")}
    said = told(tmp_path, files, train=[0, 1, 2, 3], validation=[2, 0], test=[])
    assert said[0].startswith("None of the 2 pictures that validate is of the classes b, d; add pictures, or")


def test_a_picture_in_two_classes_is_named(tmp_path: Path) -> None:
    """Whatever part it is in."""
    files = {"a/1.jpg": b"same", "a/2.jpg": b"a2", "b/1.jpg": b"same", "b/2.jpg": b"b2"}
    (said,) = told(tmp_path, files, train=[0, 2], validation=[1, 3], test=[])
    assert said == (
        "1 picture is identical in more than one class, for example a/1.jpg and b/1.jpg; no model can be right wherever it is; "
        "keep your own pictures in one class."
    )


@pytest.mark.parametrize(
    ("parts", "verb"),
    [(([0, 1, 2], [3], []), "validate"), (([0, 2], [1, 3], [4]), "test"), (([0], [1, 2], []), "train")],
)
def test_a_class_that_is_missing_in_a_part_is_named(
    parts: tuple[list[int], ...], verb: str, tmp_path: Path
) -> None:
    """The message says of which class and what changes it."""
    files = {"a/1.jpg": b"1", "a/2.jpg": b"22", "b/1.jpg": b"333", "b/2.jpg": b"4444", "b/3.jpg": b"55555"}
    said = told(tmp_path, files, train=parts[0], validation=parts[1], test=parts[2])
    missing = "b" if verb == "train" else "a"
    count = len(parts[["train", "validate", "test"].index(verb)])
    assert said[0].startswith(
        f"None of the {count} pictures that {verb} is of the class {missing}; add pictures, or"
    )


def test_tenfold_imbalance_is_told(tmp_path: Path) -> None:
    """Ten times as many are told, nine times are not."""
    files = {"a/0.jpg": b"a", **{f"b/{i}.jpg": bytes(i + 2) for i in range(10)}}
    (said,) = told(tmp_path, files, train=[0, 1], validation=[0, 2], test=[])
    assert said.startswith("The class b has 10 pictures and a only 1; accuracy says little about a; ")
    (tmp_path / "b/9.jpg").unlink()
    del files["b/9.jpg"]
    assert told(tmp_path, files, train=[0, 1], validation=[0, 2], test=[]) == []


def test_hidden_folders_inside_of_classes_are_told(tmp_path: Path) -> None:
    """Their pictures count, as in Keras, which nobody sees."""
    files = {"a/.ipynb_checkpoints/1.jpg": b"1", "a/1.jpg": b"22", "b/.x/y/1.jpg": b"333", "b/1.jpg": b"4444"}
    (said,) = told(tmp_path, files, train=[0, 2], validation=[1, 3], test=[])
    assert said == (
        "2 pictures are in hidden folders inside classes (.ipynb_checkpoints, .x), which count, as in Keras; delete "
        "these folders if they contain copies."
    )


def test_remembered_hashes_are_used_and_nothing_is_written(tmp_path: Path) -> None:
    """Only contents of files of the same length are looked at; missing and unreadable files are no copies."""
    root = tmp_path / "pictures"
    for name, content in {"a/1.jpg": b"1", "a/2.jpg": b"2", "b/1.jpg": b"1", "b/2.jpg": b"long"}.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_bytes(content)
    catalogue = read_folder(root)
    found = possible_copies(catalogue, tmp_path / "cache")
    assert sorted(found) == ["a/1.jpg", "a/2.jpg", "b/1.jpg"]
    assert found["a/1.jpg"] == found["b/1.jpg"] != found["a/2.jpg"]
    assert not (tmp_path / "cache").exists()
    fingerprint(catalogue, tmp_path / "cache")
    assert possible_copies(catalogue, tmp_path / "cache") == found


@pytest.mark.photos
def test_the_published_photographs_have_copies(photos_dir: Path, cache: Path) -> None:
    """Under the default split two validation pictures are among those that train in their class, and one has two classes."""
    from flowersweep.data import split

    catalogue = read_folder(photos_dir)
    parts = split(len(catalogue), seed=123, validation=0.2)
    said = [str(one) for one in picture_notices(catalogue, parts, possible_copies(catalogue, cache))]
    assert [line.partition(" ")[0] for line in said] == ["2", "1"]
    assert "by up to 0.0028" in said[0]


def test_parts_that_are_taken_for_classes(tmp_path: Path) -> None:
    """train/ and val/ are usually not what a model should distinguish."""
    files = {f"{name}/{i}.jpg": f"{name}{i}".encode() for name in ("train", "val") for i in range(2)}
    (said,) = told(tmp_path, files, train=[0, 2], validation=[1, 3], test=[])
    assert said == (
        "The class folders are called train, val, like the parts of a split; if they are that, use data.split=folders."
    )
