"""A data set in another form of Unicode: the same order and the same fingerprint as where it was first."""

import shutil
import unicodedata
from collections.abc import Sequence
from pathlib import Path
from typing import Literal

import pytest

from flowersweep.data import fingerprint, read_folder, read_parts, respelled

# In NFC, "ros\xe9" comes after "rosz"; in NFD, before it.
NAMES = ("ros\xe9/b\xe9.jpg", "ros\xe9/bz.jpg", "rosz/\xe9/1.jpg", "rosz/z/2.jpg", "rosz/e.jpg")


def write(root: Path, form: Literal["NFC", "NFD"], names: Sequence[str] = NAMES) -> Path:
    """Files with their number as content."""
    for number, name in enumerate(names):
        path = root / unicodedata.normalize(form, name)
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(str(number))
    return root


@pytest.mark.parametrize(("first", "second"), [("NFC", "NFD"), ("NFD", "NFC"), ("NFC", "NFC")])
@pytest.mark.parametrize("parts", [(), ("train", "val")])
def test_a_copy_is_listed_as_the_original(
    tmp_path: Path, first: Literal["NFC", "NFD"], second: Literal["NFC", "NFD"], parts: tuple[str, ...]
) -> None:
    """Its files are found by their own names, in the order of the original, whose fingerprint it has."""
    names = [f"{part}/{name}" for part in parts for name in NAMES] or list(NAMES)
    read = read_parts if parts else read_folder
    original, copy = (
        read(write(tmp_path / name, form, names)) for name, form in (("a", first), ("b", second))
    )
    assert (copy.paths == original.paths) is (first == second)

    found = respelled(copy, first, in_parts=bool(parts))
    assert found is not None
    own, named = found
    assert (named.class_names, named.paths) == (original.class_names, original.paths)
    assert named.labels.tolist() == original.labels.tolist()
    assert [(copy.root / path).read_text() for path in own.paths] == [
        (original.root / path).read_text() for path in original.paths
    ]
    assert [unicodedata.normalize(first, own.class_names[label]) for label in own.labels] == [
        named.class_names[label] for label in named.labels
    ]
    assert fingerprint(own, tmp_path, names=named) == fingerprint(original, tmp_path)


def test_names_that_differ_in_their_form_are_different(tmp_path: Path) -> None:
    """Two such files in one folder are two pictures, which have no common name."""
    folder = write(write(tmp_path, "NFC"), "NFD", ["ros\xe9/b\xe9.jpg"])
    assert respelled(read_folder(folder), "NFC", in_parts=False) is None
    shutil.rmtree(folder / "rose\u0301")
    assert respelled(read_folder(folder), "NFC", in_parts=False) is not None
