"""What is found in a folder with one of everything, and what is said of it."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from conftest import MakeConfig
from flowersweep.data import read_folder
from flowersweep.errors import DataError
from flowersweep.inspection.counts import counts_of, distributions
from flowersweep.inspection.findings import findings
from flowersweep.inspection.looking import Looks, look


@pytest.fixture
def make(make_config: MakeConfig, garden: Path) -> MakeConfig:
    """Configurations for the garden."""
    return lambda *overrides: make_config(f"data.dir='{garden}'", *overrides)


def seen(config: object, garden: Path, cache: Path) -> Looks:
    """What its pictures look like."""
    return look(config, read_folder(garden), cache)  # type: ignore[arg-type]  # a configuration


def paths(looks: Looks, groups: list[tuple[int, ...]]) -> list[set[str]]:
    """The paths of groups."""
    return [{looks.catalogue.paths[i] for i in group} for group in groups]


def test_copies_and_versions_are_found(make: MakeConfig, garden: Path, cache: Path) -> None:
    """Identical ones by their bytes, others by their look, whatever their class; each picture in one list."""
    looks = seen(make(), garden, cache)
    assert paths(looks, looks.identical) == [{"a & b/0.png", "a & b/copy.png"}, {"a & b/1.png", "c/torn.png"}]
    assert paths(looks, looks.similar) == [{"a & b/2.png", "a & b/small.jpg"}, {"a & b/3.png", "d/grey.png"}]
    assert list(looks.unreadable) == ["d/broken.png"]
    wide = looks.catalogue.paths.index("d/wide.png")
    assert (looks.widths[wide], looks.heights[wide]) == (200, 50)


def test_each_finding_has_a_remedy(make: MakeConfig, garden: Path, cache: Path, tmp_path: Path) -> None:
    """The most serious first; the counts are those of the folder."""
    names = read_folder(garden).paths
    held_out = {"a & b/copy.png", "a & b/small.jpg", "c/5.png", "d/5.png"}
    table = "".join(f"{name},{'val' if name in held_out else 'train'}\n" for name in names)
    (tmp_path / "split.csv").write_text(f"file,part\n{table}")
    config = make(
        "data.split=csv", f"data.split_file={tmp_path}/split.csv", "aug=none", "trainer.image_size=32"
    )
    said = [str(one) for one in findings(config, seen(config, garden, cache))]

    assert [one.split(",")[0].split(";")[0] for one in said] == [
        "1 picture cannot be read",
        "1 of the 4 evaluation pictures is identical to training pictures",
        "1 picture is identical in more than one class",
        "1 group with pictures of different classes that look alike",
        "1 of the 4 evaluation pictures look like training pictures of their class",
        "1 picture has a side of fewer than trainer.image_size=32 pixels",
        "1 picture is more than 2 times as long as wide or the reverse",
    ]
    assert said[0].endswith("; delete or repair the files, or leave them out with data.unreadable=skip.")
    assert (
        "example a & b/2.png and a & b/small.jpg; this may increase validation accuracy by up to 0.25; delete"
        in said[4]
    )


def test_a_padded_picture_is_as_large_as_its_longer_side(make: MakeConfig, garden: Path, cache: Path) -> None:
    """Of all pictures, only the one of 200 x 50 pixels loses nothing in a padded square of 100."""

    def small(size: int, resize: str) -> tuple[int, str]:
        config = make("aug=none", f"trainer.image_size={size}", f"data.resize={resize}")
        said = [one.found for one in findings(config, seen(config, garden, cache))]
        (count, rest) = next(one.split(" ", 1) for one in said if "trainer.image_size" in one)
        return int(count), rest

    stretched, padded, larger = small(100, "stretch"), small(100, "pad"), small(300, "pad")
    assert stretched[1] == "pictures have a side of fewer than trainer.image_size=100 pixels"
    assert padded == (stretched[0] - 1, "pictures have no side of at least trainer.image_size=100 pixels")
    assert larger[0] == stretched[0]


def test_pictures_that_cannot_be_split(make: MakeConfig, garden: Path, cache: Path) -> None:
    """The reason is a finding; everything that does not depend on the split is still there."""
    config = make("data.split=stratified", "data.folds=20", "data.fold=19")
    looks = seen(config, garden, cache)
    said = [str(one) for one in findings(config, looks)]
    assert said[1].startswith(
        "A run would end with an error: The validation part of the split has no picture of"
    )
    assert said[1].endswith("; add pictures, or use fewer data.folds.")
    assert counts_of(looks).columns == ["all"]
    assert said[2].startswith("1 group with pictures of different classes")


def test_counts_and_distributions(make: MakeConfig, garden: Path, cache: Path) -> None:
    """Every readable picture is in one cell and in one bar of each distribution."""
    config = make("data.split=stratified", "data.validation_split=0.25")
    looks = seen(config, garden, cache)
    counts = counts_of(looks)
    assert counts.columns == ["train", "validation", "all"]
    assert [(name, row[-1]) for name, row in counts.rows] == [("a & b", 12), ("c", 11), ("d", 12)]
    assert counts.total[0] + counts.total[1] == counts.total[2] == 35
    for one, largest in zip(distributions(config, looks), ("200", "50", "4.00"), strict=True):
        assert sum(number for _, number, _ in one.bars) == 35
        assert (one.largest, max(share for *_, share in one.bars)) == (largest, 100)


def test_pictures_of_one_size_have_one_bar(make: MakeConfig, garden: Path, cache: Path) -> None:
    """Without a range there is nothing to divide."""
    looks = seen(make(), garden, cache)
    equal = replace(looks, widths=np.full(35, 64), heights=np.full(35, 32))
    bars = [one.bars for one in distributions(make(), equal)]
    assert bars == [[("64", 35, 100)], [("32", 35, 100)], [("2.00", 35, 100)]]


def test_nothing_can_be_read(make_config: MakeConfig, tmp_path: Path, cache: Path) -> None:
    """There is nothing to show."""
    for name in "ab":
        (tmp_path / "photos" / name).mkdir(parents=True)
        (tmp_path / "photos" / name / "1.jpg").write_bytes(b"no")
    with pytest.raises(DataError, match=r"None of the 2 pictures in .* can be read\."):
        seen(make_config(), tmp_path / "photos", cache)
