"""Listing a folder of class folders, held against Keras' own listing."""

import errno
import logging
import os
import sys
import tempfile
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from flowersweep.data import read_folder
from flowersweep.data.catalogue import read_parts
from flowersweep.errors import DataError

# Names whose order depends on how folders, separators and capital letters are compared.
FILES = ["1.jpg", "10.JPEG", "2.png", "note.txt", "x/1.jpg", "x-y/1.bmp", "x/y/1.gif", ".d/2.jpg", "w.webp"]
LAYOUTS = st.dictionaries(
    st.sampled_from(["a", "a-b", "B", ".h"]),
    st.sets(st.sampled_from(FILES)).map(lambda names: names | {"0.jpg"}),
    min_size=2,
).filter(lambda folders: len(folders.keys() - {".h"}) >= 2)


def fill(root: Path, *paths: str) -> Path:
    """Create small files below `root`, and return it."""
    for path in paths:
        (root / path).parent.mkdir(parents=True, exist_ok=True)
        (root / path).write_bytes(b"x")
    return root


class TestOrder:
    """What is listed, and in which order."""

    def test_classes_and_pictures_are_sorted(self, tmp_path: Path) -> None:
        """Classes come in the order of their names, pictures in that of theirs, with matching labels."""
        catalogue = read_folder(fill(tmp_path, "tulips/b.jpg", "tulips/a.PNG", "Daisy/z.gif", "roses/10.bmp"))

        assert catalogue.class_names == ("Daisy", "roses", "tulips")
        assert catalogue.paths == ("Daisy/z.gif", "roses/10.bmp", "tulips/a.PNG", "tulips/b.jpg")
        assert catalogue.labels.tolist() == [0, 1, 2, 2]
        assert catalogue.labels.dtype == np.int32
        assert catalogue.root == tmp_path
        assert len(catalogue) == 4

    def test_sub_folders_belong_to_their_class(self, tmp_path: Path) -> None:
        """Pictures below a class folder, hidden sub-folders included, carry the label of the class."""
        catalogue = read_folder(fill(tmp_path, "a/2.jpg", "a/sub/1.jpg", "a/.hidden/3.jpg", "b/1.jpg"))

        assert catalogue.paths == ("a/2.jpg", "a/.hidden/3.jpg", "a/sub/1.jpg", "b/1.jpg")

    def test_hidden_class_folders_are_no_classes(self, tmp_path: Path) -> None:
        """A folder whose name begins with a dot is not a class."""
        assert read_folder(fill(tmp_path, ".git/1.jpg", "a/1.jpg", "b/1.jpg")).class_names == ("a", "b")

    def test_links_are_followed_to_files_and_classes_only(self, tmp_path: Path) -> None:
        """A linked class folder and a linked picture count, a linked folder inside a class does not."""
        outside = fill(tmp_path / "outside", "1.jpg")
        root = fill(tmp_path / "root", "a/own.jpg")
        (root / "a/link.jpg").symlink_to(outside / "1.jpg")
        (root / "a/folder").symlink_to(outside)
        (root / "b").symlink_to(outside)

        assert read_folder(root).paths == ("a/link.jpg", "a/own.jpg", "b/1.jpg")

    @settings(max_examples=25, deadline=None)
    @given(LAYOUTS)
    def test_any_folder_is_listed_as_keras_lists_it(self, folders: dict[str, set[str]]) -> None:
        """Paths, labels and class names equal those of Keras' own index for any layout."""
        from keras.src.utils.dataset_utils import index_directory
        from keras.src.utils.image_dataset_utils import ALLOWLIST_FORMATS

        with tempfile.TemporaryDirectory() as folder:
            root = fill(
                Path(folder), *(f"{name}/{path}" for name, paths in folders.items() for path in paths)
            )
            catalogue = read_folder(root)
            paths, labels, names = index_directory(
                folder, "inferred", ALLOWLIST_FORMATS, shuffle=False, verbose=False
            )

        assert [str(root / path) for path in catalogue.paths] == paths
        assert catalogue.labels.tolist() == labels.tolist()
        assert list(catalogue.class_names) == names


class TestNestedFolder:
    """Folders around the folder of class folders."""

    def test_a_folder_around_the_class_folders_is_stepped_over(
        self, tmp_path: Path, caplog: pytest.LogCaptureFixture
    ) -> None:
        """The only sub-folder of a folder without pictures is used if it holds the class folders, and logged."""
        fill(tmp_path, "photos/a/1.jpg", "photos/b/1.jpg", "LICENSE.txt")
        with caplog.at_level(logging.INFO):
            catalogue = read_folder(tmp_path)

        assert catalogue.root == tmp_path / "photos"
        assert catalogue.class_names == ("a", "b")
        assert "contains only the folder photos" in caplog.text

    def test_two_folders_around_are_stepped_over(self, tmp_path: Path) -> None:
        """The rule holds at every depth."""
        assert read_folder(fill(tmp_path, "x/y/a/1.jpg", "x/y/b/1.jpg")).root == tmp_path / "x/y"

    def test_a_lone_class_is_not_a_wrapper(self, tmp_path: Path) -> None:
        """One folder with pictures in it is one class, which is an error."""
        with pytest.raises(DataError, match="only the class folder a; it must contain at least two"):
            read_folder(fill(tmp_path, "a/1.jpg", "a/sub/2.jpg"))


class TestErrors:
    """Folders that cannot be a data set."""

    def test_missing_folder(self, tmp_path: Path) -> None:
        """A folder that does not exist is named."""
        with pytest.raises(DataError, match="nowhere does not exist"):
            read_folder(tmp_path / "nowhere")

    def test_file(self, tmp_path: Path) -> None:
        """A file instead of a folder is an error that says so."""
        with pytest.raises(DataError, match=r"1\.jpg is a file; give a folder"):
            read_folder(fill(tmp_path, "1.jpg") / "1.jpg")

    def test_no_class_folders(self, tmp_path: Path) -> None:
        """Pictures without class folders are an error."""
        with pytest.raises(DataError, match="contains no class folders"):
            read_folder(fill(tmp_path, "1.jpg"))

    def test_empty_class(self, tmp_path: Path) -> None:
        """A class folder without pictures is named."""
        with pytest.raises(
            DataError, match=r"class folder .*/b contains no pictures .*: \.txt 1; add some, or remove"
        ):
            read_folder(fill(tmp_path, "a/1.jpg", "b/1.txt"))

    def test_only_endings_that_keras_does_not_read(self, tmp_path: Path) -> None:
        """The endings that were found are named, and that a picture may simply be renamed."""
        words = r"\(\.bmp, \.gif, \.jpeg, \.jpg, \.png\) but only files with other extensions: \.webp 2, \.txt 1; add some, or give"
        with pytest.raises(DataError, match=words):
            read_folder(fill(tmp_path, "a/1.jpg", "b/1.WEBP", "b/2.webp", "b/1.txt"))

    @pytest.mark.parametrize("name", ["b", "b/inner"])
    def test_a_folder_that_cannot_be_listed(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str
    ) -> None:
        """A class, or a folder in it, is named; a class without some of its pictures would be another data set."""
        root, listing = fill(tmp_path, "a/1.jpg", "b/1.jpg", "b/inner/2.jpg"), os.scandir

        def denied(folder: str) -> object:
            if Path(folder) == root / name:
                raise PermissionError(errno.EACCES, os.strerror(errno.EACCES), str(folder))
            return listing(folder)

        monkeypatch.setattr(os, "scandir", denied)
        with pytest.raises(
            DataError,
            match=rf"^The folder .*/{name} cannot be listed \(Permission denied\); make it readable, or",
        ):
            read_folder(root)

    @pytest.mark.skipif(sys.platform != "linux", reason="other systems allow no such names")
    @pytest.mark.parametrize(
        ("name", "shown"), [(b"caf\xe9", r"caf\\xe9"), (b"a\nb", r"a\\nb"), ("a\u2028".encode(), r"a\\u2028")]
    )
    def test_names_that_are_no_line_of_text(self, tmp_path: Path, name: bytes, shown: str) -> None:
        """A class whose name no table and no database takes is refused before anything is trained."""
        root = fill(tmp_path, "a/1.jpg")
        (root / os.fsdecode(name)).mkdir()
        with pytest.raises(
            DataError, match=f"The class folder {shown} in .* not one line of UTF-8 text; rename it"
        ):
            read_folder(root)


def test_classes_of_the_parts_are_paired_in_any_form_of_unicode(tmp_path: Path) -> None:
    """They have the numbers of the first part, whatever their order in the other; a class that lacks is named."""
    root = fill(tmp_path, "train/ros\xe9/1.jpg", "train/rosf/2.jpg", "val/rosf/3.jpg", "val/rose\u0301/4.jpg")
    catalogue = read_parts(root)
    assert catalogue.class_names == ("rosf", "ros\xe9")
    assert catalogue.paths == (
        "train/rosf/2.jpg",
        "train/ros\xe9/1.jpg",
        "val/rose\u0301/4.jpg",
        "val/rosf/3.jpg",
    )
    assert catalogue.labels.tolist() == [0, 1, 1, 0]

    fill(root, "val/more/5.jpg")
    with pytest.raises(DataError, match=r"The class more is in .*val, but not in .*train; every part needs"):
        read_parts(root)


def test_what_is_left_out_is_logged(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """Files with other endings are counted by ending, loose pictures by number."""
    read_folder(fill(tmp_path, "a/1.jpg", "b/1.jpg", "b/1.webp", "b/2.WEBP", "a/README", "loose.png"))

    assert "Left out 3 files" in caplog.text
    assert ".webp 2, no extension 1" in caplog.text
    assert "Left out 1 picture directly" in caplog.text


@pytest.mark.photos
def test_real_photographs(photos_dir: Path) -> None:
    """flower_photos has 3,670 pictures in its five classes."""
    catalogue = read_folder(photos_dir)

    assert np.bincount(catalogue.labels).tolist() == [633, 898, 641, 699, 799]
    assert catalogue.class_names == ("daisy", "dandelion", "roses", "sunflowers", "tulips")
