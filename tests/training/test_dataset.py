"""Which pictures a run gets, in which parts and sizes, on drawn flowers."""

import dataclasses
import shutil
from pathlib import Path

import numpy as np
import pytest

from conftest import MakeConfig
from flowersweep.data import split
from flowersweep.data.decode import decode
from flowersweep.errors import ConfigError, DataError
from flowersweep.training.dataset import PictureSet, divided, find_pictures, load_pictures


def files(part: PictureSet) -> set[int]:
    """The indices of a part."""
    return set(part.indices.tolist())


class TestClassWeight:
    def test_a_class_that_the_pictures_do_not_have_is_refused(self, make_config: MakeConfig) -> None:
        """Before any picture is decoded, with the classes and the one that was probably meant."""
        config = make_config("trainer.class_weight={daysy: 2, tulips: 1}")
        with pytest.raises(ConfigError, match=r"names daysy, but.*daisy, dandelion.*Did you mean daisy\?"):
            divided(config)

    def test_classes_that_are_not_named_are_trained(self, make_config: MakeConfig) -> None:
        """A class may be left out of the training; all of them may not."""
        names = divided(make_config("trainer.class_weight={daisy: 0}"))[0].class_names
        every = ",".join(f"{name}: 0" for name in names)
        with pytest.raises(
            ConfigError, match=r"every class of the pictures \(daisy, .*\) the weight 0; give one"
        ):
            divided(make_config(f"trainer.class_weight={{{every}}}"))


class TestParts:
    def test_each_picture_is_in_one_part_as_keras_splits(self, make_config: MakeConfig) -> None:
        """60 pictures with a fifth to validate and a tenth to test: 42, 12 and 6, in the order of the split."""
        pictures = load_pictures(make_config("data.test_split=0.1", "data.split_seed=7"))
        expected = split(60, seed=7, validation=0.2, test=0.1)
        assert pictures.test is not None
        parts = (pictures.train, pictures.validation, pictures.test)

        assert [len(part) for part in parts] == [42, 12, 6]
        assert set().union(*map(files, parts)) == set(range(60))
        np.testing.assert_array_equal(pictures.train.indices, expected.train)
        np.testing.assert_array_equal(pictures.validation.indices, expected.validation)
        np.testing.assert_array_equal(pictures.test.indices, expected.test)

    def test_a_test_part_takes_nothing_from_validation(self, make_config: MakeConfig) -> None:
        """Without one there is none, and the same pictures validate."""
        without, with_test = (load_pictures(make_config(f"data.test_split={part}")) for part in (0, 0.2))

        assert without.test is None
        assert len(without.train) == 48
        np.testing.assert_array_equal(without.validation.indices, with_test.validation.indices)

    def test_labels_and_pixels_are_those_of_the_files(self, make_config: MakeConfig) -> None:
        """A label is the place of the file's folder among the classes; pixels are the file's, at the run's size."""
        pictures = load_pictures(make_config("data.test_split=0.1"))
        catalogue = pictures.catalogue
        assert pictures.test is not None
        for part in (pictures.train, pictures.validation, pictures.test):
            assert part.labels.dtype == np.int32
            names = [Path(catalogue.paths[index]).parent.name for index in part.indices]
            assert [catalogue.class_names[label] for label in part.labels] == names
            first = part.indices[0]
            np.testing.assert_array_equal(
                part.images[first], decode(catalogue.root / catalogue.paths[first], 32)
            )

    def test_only_training_pictures_are_as_large_as_the_augmentation_wants(
        self, make_config: MakeConfig
    ) -> None:
        """RandomCrop of 32 pixels takes them from 36; what validates is the same as without it."""
        plain, cropped = (load_pictures(make_config(f"aug={name}")) for name in ("none", "RandomCrop"))

        assert plain.train.images.shape == (60, 32, 32, 3)
        assert cropped.train.images.shape == (60, 36, 36, 3)
        np.testing.assert_array_equal(plain.validation.images, cropped.validation.images)

    def test_too_few_for_the_fractions(self, make_config: MakeConfig) -> None:
        """A part that would be empty is refused before anything is decoded."""
        with pytest.raises(ConfigError, match=r"Splitting 60 pictures with validation=0\.01"):
            load_pictures(make_config("data.validation_split=0.01"))


@pytest.fixture
def in_parts(drawn: Path, tmp_path: Path) -> Path:
    """Links to the drawn flowers in train/ (8 of each class), val/ (3) and test/ (1)."""
    for flower in drawn.iterdir():
        for number, picture in enumerate(sorted(flower.iterdir())):
            part = "train" if number < 8 else "val" if number < 11 else "test"
            target = tmp_path / "parts" / part / flower.name / picture.name
            target.parent.mkdir(parents=True, exist_ok=True)
            target.symlink_to(picture)
    return tmp_path / "parts"


def table(path: Path, column: str, values: dict[str, str]) -> str:
    """Write a CSV file; return the override that names it."""
    path.write_text(f"file,{column}\n" + "".join(f"{file},{value}\n" for file, value in values.items()))
    return f"data.split_file={path}"


class TestKindsOfSplit:
    def test_stratified_parts_have_the_same_classes(self, make_config: MakeConfig) -> None:
        """60 pictures with a quarter to validate: 9 and 3 of each of the five classes."""
        pictures = load_pictures(make_config("data.split=stratified", "data.validation_split=0.25"))
        assert np.bincount(pictures.train.labels).tolist() == [9] * 5
        assert np.bincount(pictures.validation.labels).tolist() == [3] * 5

    @pytest.mark.slow
    def test_each_picture_validates_in_one_of_the_folds(self, make_config: MakeConfig) -> None:
        """Four folds of 15 pictures; a fold that is not given is the first."""
        configs = [make_config("data.split=stratified", "data.folds=4", f"data.fold={n}") for n in range(4)]
        found = [divided(config)[2] for config in configs]
        assert sorted(index for parts in found for index in parts.validation) == list(range(60))
        first = divided(make_config("data.split=stratified", "data.folds=4"))[2]
        assert first.validation.tolist() == found[0].validation.tolist()

    def test_folders_are_the_parts(self, make_config: MakeConfig, in_parts: Path) -> None:
        """Each picture is in the part of its folder, and the classes are the folders below."""
        pictures = load_pictures(make_config("data.split=folders", f"data.dir={in_parts}"))
        assert pictures.test is not None
        assert len(pictures.catalogue.class_names) == 5
        for part, name, count in (
            (pictures.train, "train", 40), (pictures.validation, "val", 15), (pictures.test, "test", 5),
        ):  # fmt: skip
            assert {pictures.catalogue.paths[index].split("/")[0] for index in part.indices} == {name}
            assert len(part) == count

    def test_folders_that_do_not_fit(self, make_config: MakeConfig, drawn: Path, in_parts: Path) -> None:
        """A missing part, a class that is not in every part, and two names of one part."""
        with pytest.raises(DataError, match=r"needs the folders train and val .* but found none of them"):
            divided(make_config("data.split=folders", f"data.dir={drawn}"))
        config = make_config("data.split=folders", f"data.dir={in_parts}")
        (in_parts / "validation").mkdir()
        with pytest.raises(
            DataError, match=r"has two folders for validation: train, val, validation; keep one"
        ):
            divided(config)
        (in_parts / "validation").rmdir()
        name = next((in_parts / "test").iterdir()).name
        shutil.rmtree(in_parts / "test" / name)
        with pytest.raises(
            DataError, match=rf"The class {name} is in .*/train, but not in .*/test; every part needs"
        ):
            divided(config)

    def test_a_file_names_the_parts(self, make_config: MakeConfig, tmp_path: Path) -> None:
        """Every third picture of each class validates; `val` and `validation` are the same."""
        catalogue, _ = find_pictures(make_config())
        names = {
            path: ("train", "train", "val", "validation")[n % 4] for n, path in enumerate(catalogue.paths)
        }
        config = make_config("data.split=csv", table(tmp_path / "1e5", "part", names))
        parts = divided(config)[2]
        assert sorted(parts.validation.tolist()) == [n for n in range(60) if n % 4 > 1]
        assert len(parts.train) == 30

        table(tmp_path / "1e5", "part", dict.fromkeys(names, "train"))
        with pytest.raises(
            ConfigError, match=r"validation part of the split has no pictures, but needs some of every"
        ):
            divided(config)

    def test_groups_stay_together(self, make_config: MakeConfig, tmp_path: Path) -> None:
        """Pairs of pictures of one class, in a single split and in folds."""
        catalogue, _ = find_pictures(make_config())
        pairs = {path: f"pair {n // 2}" for n, path in enumerate(catalogue.paths)}
        given = table(tmp_path / "groups.csv", "group", pairs)
        for more in ([], ["data.folds=3", "data.fold=2"]):
            parts = divided(make_config("data.split=groups", given, *more))[2]
            assert not {n // 2 for n in parts.train} & {n // 2 for n in parts.validation}
            assert np.bincount(catalogue.labels[parts.validation], minlength=5).min() >= 2

    @pytest.mark.slow
    @pytest.mark.parametrize("more", [["data.folds=5"], ["data.validation_split=0.2"]])
    def test_too_few_groups_for_the_test(
        self, more: list[str], make_config: MakeConfig, tmp_path: Path
    ) -> None:
        """A test part that was asked for and would be empty is refused, as any other part is."""
        catalogue, _ = find_pictures(make_config())
        n_groups = 5 if "folds" in more[0] else 2
        groups = {path: str(n % n_groups) for n, path in enumerate(catalogue.paths)}
        given = table(tmp_path / "groups.csv", "group", groups)
        with pytest.raises(
            ConfigError, match=r"The test part of the split has no pictures.*; add groups, or use"
        ):
            divided(make_config("data.split=groups", given, "data.test_split=0.1", *more))

    def test_too_few_pictures_for_the_folds(self, make_config: MakeConfig) -> None:
        """Twelve of a class cannot validate in thirteen folds."""
        with pytest.raises(ConfigError, match=r"which has 12 in all; add pictures, or use fewer data"):
            divided(make_config("data.split=stratified", "data.folds=13", "data.fold=12"))


class TestOtherPictures:
    @pytest.fixture
    def photos(self, drawn: Path, tmp_path: Path) -> Path:
        """A copy of the drawn flowers."""
        return Path(shutil.copytree(drawn, tmp_path / "photos"))

    def test_those_that_a_sweep_began_with_are_asked_for(self, make_config: MakeConfig, photos: Path) -> None:
        """By their fingerprint, which changes with a file."""
        config = make_config(f"data.dir={photos}")
        expected = find_pictures(config)[1]
        assert load_pictures(config, expected).fingerprint == expected

        next(photos.rglob("*.*")).unlink()
        with pytest.raises(DataError, match=r"are no longer those that the sweep started with") as caught:
            load_pictures(config, expected)
        assert str(photos) in str(caught.value)

    def test_unreadable_ones_are_left_out_where_that_was_asked_for(
        self, make_config: MakeConfig, photos: Path
    ) -> None:
        """The rest has a fingerprint of its own and is split anew; otherwise the file is named."""
        broken = sorted(path for path in photos.rglob("*.*") if path.is_file())[3]
        broken.write_bytes(b"no picture")
        refusing, skipping = (
            make_config(f"data.dir={photos}", f"data.unreadable={choice}") for choice in ("error", "skip")
        )
        with pytest.raises(DataError, match=broken.name):
            load_pictures(refusing)
        catalogue, digest, parts = divided(skipping)

        assert len(catalogue) == len(parts.train) + len(parts.validation) == 59
        assert str(broken.relative_to(photos)) not in catalogue.paths
        assert digest != find_pictures(skipping)[1]
        assert load_pictures(skipping).fingerprint == digest

    def test_a_folder_has_to_be_named(self, make_config: MakeConfig) -> None:
        """Where the configuration was made without the command line, too."""
        config = make_config()
        nameless = dataclasses.replace(config, data=dataclasses.replace(config.data, dir=None))
        with pytest.raises(DataError, match=r"none was given; add data\.dir=PATH"):
            find_pictures(nameless)

    def test_the_home_folder_may_be_a_tilde(
        self, make_config: MakeConfig, photos: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """As in a shell."""
        monkeypatch.setenv("HOME", str(photos.parent))
        assert find_pictures(make_config("data.dir='~/photos'"))[0].root == photos
