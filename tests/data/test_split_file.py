"""Parts and groups of pictures in a CSV file."""

from pathlib import Path

import numpy as np
import pytest

from flowersweep.data import Catalogue
from flowersweep.data.split_file import split_table, values_of
from flowersweep.errors import DataError

PATHS = ("a/1.jpg", "a/2.jpg", "b/x, y.jpg")
GOOD = 'file,note,group\n\na/1.jpg,,01\n"b/x, y.jpg",old,1\na/2.jpg,,1e5\n'


def read(text: str, root: Path, column: str = "group", allowed: tuple[str, ...] = ()) -> list[str]:
    """The values of three pictures."""
    catalogue = Catalogue(root, ("a", "b"), PATHS, np.array([0, 0, 1], np.int32))
    return values_of(text, column, catalogue, allowed, name="split.csv")


def test_values_are_texts_in_the_order_of_the_catalogue(tmp_path: Path) -> None:
    """01, 1 and 1e5 are three groups; other columns, blank lines and quotes are those of any CSV file."""
    assert read(GOOD, tmp_path) == ["01", "1e5", "1"]


def test_a_picture_that_was_left_out_may_be_listed(tmp_path: Path) -> None:
    """It exists, but is not in the catalogue: an unreadable one, for example."""
    (tmp_path / "a").mkdir()
    (tmp_path / "a/broken.jpg").touch()
    assert read(f"{GOOD}a/broken.jpg,,1\n", tmp_path) == ["01", "1e5", "1"]


def test_files_may_be_named_in_other_ways(tmp_path: Path) -> None:
    """From the folder itself, with their complete path, or with letters that another system has taken apart."""
    paths = ("ros\xe9/1.jpg", "ros\xe9/2.jpg", " c/3.jpg", "d/4.jpg")
    catalogue = Catalogue(tmp_path, ("a",), paths, np.zeros(4, np.int32))
    text = f'file,group\n./d/4.jpg,4\n{tmp_path}/ros\xe9/2.jpg,2\nrose\u0301/1.jpg,1\n" c/3.jpg",3\n'
    assert values_of(text, "group", catalogue, name="split.csv") == ["1", "2", "3", "4"]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (
            "",
            r"must start with a line that names the columns file,group, but starts with ''; add that line\.",
        ),
        ("a/1.jpg,1\n", r"but starts with 'a/1\.jpg,1'"),
        (f"{GOOD}a/1.jpg,,2\n", r"split\.csv, line 6 names a/1\.jpg a second time; keep one of the lines\."),
        (f"{GOOD}a/3.jpg,,2\n", r"line 6 names a/3\.jpg, but there is no such file in .* as in a/1\.jpg\."),
        (f"{GOOD}a/1.jpg\n", r"line 6 has 1 values instead of 3; correct it\."),
        (
            "file,group\na/1.jpg,1\n",
            r"2 pictures are not in split\.csv, for example a/2\.jpg; give each picture",
        ),
        ("file,group\na/1.jpg,\n", r"line 2 has no group for a/1\.jpg; give it one\."),
        (
            f'{GOOD}"a/3.jpg,,1\n\na/4.jpg,,2\n',
            r"line 6 has a quotation mark that makes it one row up to line 8; ",
        ),
        (
            f'{GOOD}a/3.jpg,,"1\na/4.jpg,,2\n',
            r"line 6 has a quotation mark that makes it one row up to line 7; ",
        ),
        (
            f'{GOOD}a/3.jpg,,"1\n{"a" * 131_072}',
            r"line 6 has a value of more than 131,072 characters; close its",
        ),
        (f"{GOOD}../c/1.jpg,,2\n", r"line 6 names \.\./c/1\.jpg, but there is no such file"),
        (f"{GOOD}{__file__},,2\n", r"line 6 names .*\.py, but there is no such file in"),
        (f"{GOOD}./a/1.jpg,,2\n", r"line 6 names a/1\.jpg a second time"),
        (f"{GOOD}.,,2\n", r"line 6 names \., but there is no such file"),
    ],
)
def test_mistakes_are_refused_in_one_sentence(text: str, message: str, tmp_path: Path) -> None:
    """With the line and the remedy."""
    with pytest.raises(DataError, match=message):
        read(text, tmp_path)


def test_an_unknown_part_is_refused(tmp_path: Path) -> None:
    """With the legal ones and the one that was meant."""
    with pytest.raises(
        DataError, match=r"line 2: the part must be one of train, .* 'tran'\. Did you mean train\?"
    ):
        read("file,part\na/1.jpg,tran\n", tmp_path, "part", ("train", "val", "validation", "test"))


def test_a_file_that_cannot_be_read(tmp_path: Path) -> None:
    """Missing, or not text."""
    with pytest.raises(DataError, match=r"cannot be read \(No such file or directory\); give a CSV file"):
        split_table(f"{tmp_path}/none.csv")
    (tmp_path / "binary.csv").write_bytes(b"\xff")
    with pytest.raises(DataError, match=r"cannot be read \(it is not UTF-8\)"):
        split_table(f"{tmp_path}/binary.csv")
