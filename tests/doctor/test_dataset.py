"""Folders of pictures, good and bad."""

import shutil
import warnings
from pathlib import Path

import pytest
from PIL import Image

from conftest import MakeConfig
from flowersweep.doctor.dataset import check_pictures
from flowersweep.doctor.finding import Finding, Verdict, run_check


def test_a_good_folder_is_counted(make_config: MakeConfig, drawn: Path) -> None:
    """Pictures, classes and the folder are told."""
    found = list(check_pictures(make_config("data.split_seed=2")))
    assert found == [Finding("pictures", f"60 of 5 classes in {drawn}")]


def test_a_folder_without_classes_is_to_be_mended(make_config: MakeConfig, tmp_path: Path) -> None:
    """It says what the folder must hold."""
    (tmp_path / "empty").mkdir()
    config = make_config(f"data.dir={tmp_path}/empty")

    (finding,) = run_check("pictures", lambda: check_pictures(config))

    assert finding.verdict is Verdict.FIX
    assert finding.found == f"{tmp_path}/empty contains no class folders"
    assert finding.fix == "it must contain at least two sub-folders, one per class, with pictures in them"


def test_pictures_that_cannot_be_read_are_to_be_mended(
    make_config: MakeConfig, drawn: Path, tmp_path: Path
) -> None:
    """One of each class is decoded."""
    shutil.copytree(drawn, tmp_path / "copy")
    first = min((tmp_path / "copy/roses").iterdir())
    first.write_bytes(b"no picture")
    config = make_config(f"data.dir={tmp_path}/copy")

    (finding,) = run_check("pictures", lambda: check_pictures(config))

    assert finding.verdict is Verdict.FIX
    assert finding.found == f"{first} is not a picture in one of the formats BMP, GIF, JPEG, PNG, TIFF, WEBP"
    assert "data.unreadable=skip" in finding.fix


def test_pictures_that_a_run_leaves_out_are_no_fault(
    make_config: MakeConfig, drawn: Path, tmp_path: Path
) -> None:
    """With data.unreadable=skip, one picture of each class that can be read is enough."""
    shutil.copytree(drawn, tmp_path / "copy")
    roses = sorted((tmp_path / "copy/roses").iterdir())
    config = make_config(f"data.dir={tmp_path}/copy", "data.unreadable=skip")
    for path in roses[:-1]:
        path.write_bytes(b"no picture")
    finding, *_ = run_check("pictures", lambda: check_pictures(config))
    roses[-1].write_bytes(b"no picture")
    (refused,) = run_check("pictures", lambda: check_pictures(config))

    assert (finding.verdict, refused.verdict) == (Verdict.FINE, Verdict.FIX)
    assert refused.found.startswith(f"None of the {len(roses)} pictures of the class 'roses' can be read")


def test_a_folder_that_is_not_given(make_config: MakeConfig) -> None:
    """The sentence is that of a run; flower_photos are not looked at instead."""
    (finding,) = run_check("pictures", lambda: check_pictures(make_config("data.dir=null")))

    assert (finding.verdict, finding.found) == (
        Verdict.FIX,
        "data=folder needs the folder of your pictures, but none was given",
    )


@pytest.mark.slow
@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (
            b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 8 8\n%%EndComments\nshowpage\n",
            "is not a picture in one of the formats",
        ),
        ("bomb", "has more than the 89,478,485 pixels allowed"),
        (b"", "is empty (0 bytes)"),
    ],
)
def test_pictures_are_opened_as_a_run_opens_them(
    content: bytes | str, reason: str, make_config: MakeConfig, drawn: Path, tmp_path: Path
) -> None:
    """A PostScript file called .jpg starts no program, and a bomb does not fill the memory."""
    shutil.copytree(drawn, tmp_path / "copy")
    first = min((tmp_path / "copy/roses").iterdir())
    if isinstance(content, bytes):
        first.write_bytes(content)
    else:
        Image.new("1", (10_000, 9_000)).save(first, "png")
    config = make_config(f"data.dir={tmp_path}/copy")

    with warnings.catch_warnings():
        warnings.simplefilter("ignore", Image.DecompressionBombWarning)
        (finding,) = run_check("pictures", lambda: check_pictures(config))

    assert finding.verdict is Verdict.FIX
    assert reason in finding.found


def test_other_pictures_than_the_published_are_a_note(make_config: MakeConfig, drawn: Path) -> None:
    """data=flower_photos with somebody's own pictures trains, but is called by the wrong name."""
    config = make_config("data=flower_photos", f"data.dir={drawn}", "data.split_seed=2")
    (finding,) = check_pictures(config)

    assert finding.verdict is Verdict.NOTE
    assert finding.found == f"60 of 5 classes in {drawn}, not the published 3,670"
    assert finding.fix == "if they are your own pictures, use data=folder"


def test_a_download_that_is_to_come_is_a_note(make_config: MakeConfig, tmp_path: Path) -> None:
    """Its size is told, and nothing is fetched."""
    config = make_config("data=flower_photos", "data.dir=null", f"paths.cache={tmp_path}/cache")

    (finding,) = check_pictures(config)

    assert finding.verdict is Verdict.NOTE
    assert finding.fix == "the first run downloads 229 MB; if you have it, give its folder: data.dir=PATH"
    assert not (tmp_path / "cache").exists()


@pytest.mark.parametrize("source", ["demo"])
def test_drawn_pictures_need_nothing(make_config: MakeConfig, source: str) -> None:
    """They are made when they are needed."""
    assert next(iter(check_pictures(make_config(f"data={source}")))).verdict is Verdict.FINE


def test_what_a_run_would_tell_is_a_note(make_config: MakeConfig, drawn: Path, tmp_path: Path) -> None:
    """Copies, hidden folders and the like, each in a line of its own, and nothing is written."""
    shutil.copytree(drawn, tmp_path / "copy")
    shutil.copytree(tmp_path / "copy/roses", tmp_path / "copy/roses/.ipynb_checkpoints")
    config = make_config(f"data.dir={tmp_path}/copy", f"paths.cache={tmp_path}/cache")

    fine, *notes = check_pictures(config)

    assert fine.verdict is Verdict.FINE
    assert [note.verdict for note in notes] == [Verdict.NOTE] * 2
    assert "identical to training pictures" in notes[0].found
    assert notes[1].found.startswith("12 pictures are in hidden folders inside classes (.ipynb_checkpoints)")
    assert notes[1].fix == "delete these folders if they contain copies"
    assert not (tmp_path / "cache").exists()
