"""Malformed pictures, however they came about, are refused one by one: nothing else is raised and no process dies."""

import io
import sys
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from PIL import Image

from flowersweep.commands import inspect
from flowersweep.data import decode, fingerprint, open_pixel_store, read_folder, readable
from flowersweep.data.decode import UnreadableError
from flowersweep.deploy.images import batches
from flowersweep.errors import DataError
from fuzzing import TIMES

# In the suite; 1,000 with FLOWERSWEEP_FUZZ=20.
N_FILES = 50 * TIMES


def samples() -> dict[str, bytes]:
    """A sound picture of each kind that the supported formats have."""
    rng = np.random.default_rng(0)
    smooth = np.add.outer(np.arange(40), np.arange(56))[..., None] * np.array([1, 2, 3])
    colour = Image.fromarray((smooth + rng.integers(0, 30, smooth.shape)).astype(np.uint8))
    exif = Image.Exif()
    exif[0x0112] = 6  # rotated by 90 degrees
    pictures: dict[str, tuple[Image.Image, dict[str, Any]]] = {
        "jpeg": (colour, {"format": "JPEG", "exif": exif}),
        "progressive": (colour, {"format": "JPEG", "progressive": True}),
        "cmyk": (colour.convert("CMYK"), {"format": "JPEG"}),
        "grey jpeg": (colour.convert("L"), {"format": "JPEG"}),
        "png": (colour, {"format": "PNG", "exif": exif}),
        "palette": (colour.convert("P"), {"format": "PNG", "transparency": 3}),
        "rgba": (colour.convert("RGBA"), {"format": "PNG"}),
        "16 bits": (Image.fromarray((smooth[..., 0] * 300).astype(np.uint16)), {"format": "PNG"}),
        "gif": (colour, {"format": "GIF", "save_all": True, "append_images": [colour.rotate(90)]}),
        "bmp": (colour, {"format": "BMP"}),
        "bmp palette": (colour.convert("P"), {"format": "BMP"}),
        "webp": (colour, {"format": "WEBP"}),
        "lossless webp": (colour.convert("RGBA"), {"format": "WEBP", "lossless": True}),
        "tiff": (colour, {"format": "TIFF"}),
        "lzw tiff": (colour, {"format": "TIFF", "compression": "tiff_lzw"}),
        "jpeg tiff": (colour, {"format": "TIFF", "compression": "jpeg"}),
    }
    found = {}
    for name, (picture, how) in pictures.items():
        stream = io.BytesIO()
        picture.save(stream, **how)
        found[name] = stream.getvalue()
    return found


def damaged(content: bytes, others: list[bytes], rng: np.random.Generator) -> bytes:
    """A content after one to three faults."""
    data = bytearray(content)
    for _ in range(rng.integers(1, 4)):
        place = int(rng.integers(0, max(1, len(data))))
        head = min(place, 64)
        match rng.integers(0, 8):
            case 0:  # cut short
                del data[place:]
            case 1:  # flipped bits
                for at in rng.integers(0, max(1, len(data)), 8) if data else ():
                    data[at] ^= 1 << int(rng.integers(0, 8))
            case 2:  # the beginning of another format
                data[:head] = others[rng.integers(len(others))][:head]
            case 3:  # wrong numbers in the header
                data[head : head + 4] = rng.bytes(4)
            case 4:  # a block of zeros, as after a crash of the machine
                data[place : place + 512] = bytes(len(data[place : place + 512]))
            case 5:  # a part twice
                data[place:place] = data[max(0, place - 100) : place]
            case 6:  # a part is missing
                del data[place : place + int(rng.integers(1, 100))]
            case _:  # the largest numbers in the header
                data[head : head + 4] = b"\xff\xff\xff\x7f"
    return bytes(data)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Malformed pictures in two classes, each of which also has a sound one."""
    root, rng, sound = tmp_path_factory.mktemp("malformed"), np.random.default_rng(1), samples()
    for name in ("a", "b"):
        (root / name).mkdir()
        (root / name / "sound.png").write_bytes(sound["png"])
    names = list(sound)
    for number in range(N_FILES):
        kind = names[number % len(names)]
        content = damaged(sound[kind], list(sound.values()), rng)
        (root / "ab"[number % 2] / f"{number:05d}.jpg").write_bytes(content)
    return root


@pytest.fixture(autouse=True)
def _warnings_of_pillow() -> Iterator[None]:
    """Pillow's warnings are lines on the terminal, not errors as in other tests."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield


def test_sound_ones_are_read(tmp_path: Path) -> None:
    """Every kind of picture that is damaged below is readable before."""
    for name, content in samples().items():
        (tmp_path / name).write_bytes(content)
        assert decode(tmp_path / name, 16).shape == (16, 16, 3)


def test_decoding(folder: Path) -> None:
    """Each file is a picture of the size, or an UnreadableError in one line; both occur."""
    refused: list[str] = []
    read: list[npt.NDArray[np.uint8]] = []
    for path in sorted(folder.glob("*/*")):
        try:
            read.append(decode(path, 16))
        except UnreadableError as error:
            refused.append(str(error))
    assert {pixels.shape for pixels in read} == {(16, 16, 3)}
    assert len(refused) > N_FILES / 4
    assert len(read) > N_FILES / 10
    assert not [one for one in refused if "\n" in one or "Traceback" in one]


def test_training(folder: Path, tmp_path: Path) -> None:
    """All malformed files are listed at once, or left out of what is trained with."""
    catalogue = read_folder(folder)
    digest = fingerprint(catalogue, tmp_path)
    with pytest.raises(DataError, match=r"^\d+ pictures in .* cannot be read; delete or repair"):
        open_pixel_store(catalogue, fingerprint=digest, size=16, cache=tmp_path)
    kept = readable(catalogue, fingerprint=digest, cache=tmp_path)
    assert 2 < len(kept) < len(catalogue)
    store = open_pixel_store(kept, fingerprint=fingerprint(kept, tmp_path), size=16, cache=tmp_path)
    assert store.images.shape == (len(kept), 16, 16, 3)


def test_predicting(folder: Path) -> None:
    """What `predict`, `evaluate` and a client of the model server read goes on after every malformed file."""
    paths = sorted(folder.glob("*/*"))
    found = list(batches(paths, 16, 32))
    assert sum(map(len, found)) == len(paths)
    assert 2 < sum(len(batch.positions) for batch in found) < len(paths)


def test_inspecting(
    folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The page about the pictures names them."""
    monkeypatch.chdir(tmp_path)
    code = inspect.main(["data=folder", f"data.dir={folder}", f"paths.cache={tmp_path}", "output=x.html"])
    out, err = capsys.readouterr()
    assert code == 0, err
    assert "cannot be read" in out
    assert (tmp_path / "x.html").stat().st_size > 1_000
    assert "Traceback" not in err + (tmp_path / "x.html").read_text(encoding="utf-8")
    sys.stdout.write(out)
