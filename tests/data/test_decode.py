"""Reading single pictures: colour modes, orientation, damage, and equality with Keras."""

import io
import struct
import subprocess
import sys
import zlib
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from flowersweep.data import decode
from flowersweep.data.decode import MAX_PIXELS, UnreadableError, central_square, load, resize
from flowersweep.errors import DataError

QUARTERS = np.array([[[255, 0, 0], [0, 255, 0]], [[0, 0, 255], [250, 250, 250]]], np.uint8)


def quarters(side: int = 16) -> Image.Image:
    """Red, green, blue and near-white squares: every orientation of it looks different."""
    return Image.fromarray(QUARTERS.repeat(side // 2, 0).repeat(side // 2, 1))


def corners(pixels: np.ndarray) -> list[list[int]]:
    """The colours in the middle of the four squares, row by row."""
    a, b = pixels.shape[0] // 4, 3 * pixels.shape[0] // 4
    return [pixels[row, column].tolist() for row in (a, b) for column in (a, b)]


def tiff(bits: int, row: bytes, *, sample: int = 1, white: int = 1) -> bytes:
    """A grey TIFF of four pixels; `sample` is its SampleFormat, `white` its PhotometricInterpretation."""
    short, long = 3, 4
    tags = [(256, short, 4), (257, short, 1), (258, short, bits), (259, short, 1), (262, short, white)]
    tags += [(273, long, 134), (277, short, 1), (278, short, 1), (279, long, len(row)), (339, short, sample)]
    directory = b"".join(struct.pack("<HHII", tag, kind, 1, value) for tag, kind, value in tags)
    return b"II*\0" + struct.pack("<IH", 8, len(tags)) + directory + bytes(4) + row


def png(side: tuple[int, int], depth: int, colour: int, rows: bytes, transparent: bytes = b"") -> bytes:
    """A PNG of this width and height, with a transparent colour if there is one."""

    def chunk(kind: bytes, content: bytes) -> bytes:
        return (
            struct.pack(">I", len(content)) + kind + content + struct.pack(">I", zlib.crc32(kind + content))
        )

    head = struct.pack(">IIBBBBB", *side, depth, colour, 0, 0, 0)
    chunks = [chunk(b"IHDR", head), chunk(b"IDAT", zlib.compress(rows)), chunk(b"IEND", b"")]
    if transparent:
        chunks.insert(1, chunk(b"tRNS", transparent))
    return b"\x89PNG\r\n\x1a\n" + b"".join(chunks)


class TestModes:
    """Everything a picture file may contain."""

    @pytest.mark.parametrize("mode", ["L", "1", "P", "CMYK", "LA", "RGBA", "YCbCr"])
    def test_every_colour_mode_becomes_rgb(self, tmp_path: Path, mode: str) -> None:
        """Whatever the mode of the file, the result is RGB in bytes and looks as the picture does."""
        picture = quarters().convert("L" if mode in {"L", "1", "LA"} else "RGB").convert(mode)
        path = tmp_path / "picture.jpg"
        picture.save(path, format="TIFF" if mode in {"CMYK", "YCbCr"} else "PNG")

        result = load(path)
        expected = np.asarray(picture.convert("L" if mode == "LA" else "RGB").convert("RGB"))
        assert result.shape == (16, 16, 3)
        assert result.dtype == np.uint8
        assert np.abs(result.astype(int) - expected).max() <= 3

    def test_cmyk_jpeg(self, tmp_path: Path) -> None:
        """A JPEG for print, whose inks are stored inverted, has its colours right."""
        quarters().convert("CMYK").save(tmp_path / "a.jpg", quality=100)

        assert np.abs(np.array(corners(load(tmp_path / "a.jpg"))) - QUARTERS.reshape(4, 3)).max() <= 6

    def test_transparent_is_white(self, tmp_path: Path) -> None:
        """Fully transparent pixels become white, half transparent ones lie halfway to it."""
        pixels = np.zeros((4, 4, 4), np.uint8)
        pixels[:2, :, 3] = 128
        pixels[3, :, 3] = 255
        Image.fromarray(pixels).save(tmp_path / "a.png")

        assert load(tmp_path / "a.png")[:, 0, 0].tolist() == [127, 127, 255, 0]

    def test_transparent_palette(self, tmp_path: Path) -> None:
        """The transparent colour of a palette becomes white too."""
        picture = Image.new("P", (4, 4), 1)
        picture.putpalette([0, 0, 0, 200, 10, 10])
        picture.putpixel((0, 0), 0)
        picture.save(tmp_path / "a.png", transparency=0)

        assert load(tmp_path / "a.png")[0, :2].tolist() == [[255, 255, 255], [200, 10, 10]]

    def test_sixteen_bits_keep_the_high_byte(self, tmp_path: Path) -> None:
        """16-bit grey is scaled to 8 bits, not clipped to white."""
        Image.fromarray(np.array([[0, 256, 32768, 65535]], np.uint16)).save(tmp_path / "a.png")

        assert load(tmp_path / "a.png")[0, :, 0].tolist() == [0, 1, 128, 255]

    def test_twelve_bits_keep_the_highest_eight(self, tmp_path: Path) -> None:
        """A TIFF that says that it has 12 bits is scaled from them."""
        (tmp_path / "a.tif").write_bytes(tiff(12, bytes.fromhex("000400bb8fff")))

        assert load(tmp_path / "a.tif")[0, :, 0].tolist() == [0, 64, 187, 255]

    @pytest.mark.parametrize("bits", [8, 16])
    def test_white_is_zero(self, tmp_path: Path, bits: int) -> None:
        """A TIFF that counts from white to black is not a negative, whatever its depth."""
        (tmp_path / "a.tif").write_bytes(
            tiff(bits, np.array([0, 1, 2, 3], f"<u{bits // 8}").tobytes(), white=0)
        )

        assert load(tmp_path / "a.tif")[0, :2, 0].tolist() == ([255, 254] if bits == 8 else [255, 255])

    @pytest.mark.parametrize(("kind", "sample"), [("<f4", 3), ("<i4", 2), ("<u4", 1), ("<i2", 2), ("<i1", 2)])
    def test_numbers_without_a_known_white_are_refused(self, tmp_path: Path, kind: str, sample: int) -> None:
        """They would be black, or wrap around, without a word."""
        numbers = np.array([0, 1, 2, 3], kind)
        (tmp_path / "a.tif").write_bytes(tiff(8 * numbers.itemsize, numbers.tobytes(), sample=sample))
        with pytest.raises(
            UnreadableError, match=r"a\.tif has pixels of 32 bits, with a sign or in floating point"
        ):
            load(tmp_path / "a.tif")

    @pytest.mark.parametrize(
        ("depth", "row", "transparent", "shown"),
        [
            (2, "1b", 1, [0, 255, 170, 255]),
            (4, "018f", 8, [0, 17, 255, 255]),
            (8, "000180ff", 1, [0, 255, 128, 255]),
            (16, "000001008000ffff", 256, [0, 255, 128, 255]),
        ],
    )
    def test_a_transparent_grey_is_white(
        self, tmp_path: Path, depth: int, row: str, transparent: int, shown: list[int]
    ) -> None:
        """Whatever the depth of a PNG: only the pixels of that grey."""
        (tmp_path / "a.png").write_bytes(
            png((4, 1), depth, 0, bytes.fromhex("00" + row), struct.pack(">H", transparent))
        )

        assert load(tmp_path / "a.png")[0, :, 0].tolist() == shown

    def test_a_transparent_colour_of_16_bits_is_white(self, tmp_path: Path) -> None:
        """It is compared by its high bytes, which are all that is read of the pixels."""
        row = np.repeat(np.array([0, 0x8000, 0x0100, 0xFFFF], ">u2"), 3).tobytes()
        (tmp_path / "a.png").write_bytes(png((4, 1), 16, 2, b"\0" + row, struct.pack(">3H", *[0x8000] * 3)))

        assert load(tmp_path / "a.png")[0, :, 0].tolist() == [0, 255, 1, 255]

    def test_sixteen_bits_are_turned_upright(self, tmp_path: Path) -> None:
        """The stored orientation counts for grey of 16 bits too."""
        exif = Image.Exif()
        exif[0x0112] = 3
        for name in ("a.png", "a.tif"):
            Image.fromarray(np.array([[0, 65535]], np.uint16)).save(tmp_path / name, exif=exif)
            assert load(tmp_path / name)[0, :, 0].tolist() == [255, 0]

    def test_animation_gives_its_first_frame(self, tmp_path: Path) -> None:
        """Of an animated GIF the first frame is read."""
        frames = [Image.new("RGB", (8, 8), colour) for colour in ("red", "blue")]
        frames[0].save(tmp_path / "a.gif", save_all=True, append_images=frames[1:])

        assert load(tmp_path / "a.gif")[4, 4].tolist() == [255, 0, 0]

    def test_several_pictures_in_a_jpeg_give_the_first(self, tmp_path: Path) -> None:
        """Of the pictures a camera stores in one file the first is read."""
        frames = [Image.new("RGB", (8, 8), colour) for colour in ("red", "blue")]
        frames[0].save(tmp_path / "a.jpg", format="MPO", save_all=True, append_images=frames[1:])

        assert np.abs(load(tmp_path / "a.jpg")[4, 4].astype(int) - [255, 0, 0]).max() <= 3

    @pytest.mark.parametrize("kind", ["PNG", "BMP", "GIF", "WEBP", "TIFF"])
    def test_content_decides_not_the_name(self, tmp_path: Path, kind: str) -> None:
        """A file named .jpg is read as what it is."""
        Image.new("RGB", (8, 8), (255, 0, 0)).save(tmp_path / "a.jpg", format=kind)

        assert np.abs(load(tmp_path / "a.jpg")[4, 4].astype(int) - [255, 0, 0]).max() <= 3


@pytest.mark.parametrize("orientation", range(1, 9))
def test_stored_orientation_is_applied(tmp_path: Path, orientation: int) -> None:
    """A picture stored turned or mirrored, with the note that says so, comes out upright."""
    stored_by = {
        2: Image.Transpose.FLIP_LEFT_RIGHT,
        3: Image.Transpose.ROTATE_180,
        4: Image.Transpose.FLIP_TOP_BOTTOM,
        5: Image.Transpose.TRANSPOSE,
        6: Image.Transpose.ROTATE_90,
        7: Image.Transpose.TRANSVERSE,
        8: Image.Transpose.ROTATE_270,
    }
    upright = quarters(32)
    stored = upright.transpose(stored_by[orientation]) if orientation > 1 else upright
    exif = Image.Exif()
    exif[0x0112] = orientation
    stored.save(tmp_path / "a.jpg", exif=exif, quality=100, subsampling=0)

    assert np.abs(np.array(corners(load(tmp_path / "a.jpg"))) - QUARTERS.reshape(4, 3)).max() <= 3


def test_garbage_in_the_camera_notes_is_ignored(tmp_path: Path) -> None:
    """A picture with unreadable EXIF but whole pixels is read."""
    quarters(32).save(tmp_path / "a.jpg", exif=b"Exif\x00\x00garbage" * 3, quality=100)

    assert np.abs(load(tmp_path / "a.jpg")[8, 8].astype(int) - [255, 0, 0]).max() <= 3


class TestUnreadable:
    """Everything that is not a whole picture."""

    def test_empty(self, tmp_path: Path) -> None:
        """A file of zero bytes is named as such."""
        (tmp_path / "a.jpg").touch()
        with pytest.raises(DataError, match=r"a\.jpg is empty \(0 bytes\)\.$"):
            decode(tmp_path / "a.jpg", 8)

    def test_missing(self, tmp_path: Path) -> None:
        """A file that is not there is named with the system's reason."""
        with pytest.raises(DataError, match=r"a\.jpg cannot be read \(No such file or directory\)\.$"):
            decode(tmp_path / "a.jpg", 8)

    def test_text(self, tmp_path: Path) -> None:
        """Text named .jpg is not a picture."""
        (tmp_path / "a.jpg").write_text("<html>404 Not Found</html>")
        with pytest.raises(DataError, match=r"a\.jpg is not a picture in one of the formats BMP, GIF, JPEG"):
            decode(tmp_path / "a.jpg", 8)

    @pytest.mark.parametrize("kind", ["JPEG", "PNG", "GIF", "BMP", "WEBP"])
    def test_every_truncation_is_refused(self, tmp_path: Path, kind: str) -> None:
        """A file cut in the middle is an error and never a picture with a grey part."""
        whole = io.BytesIO()
        noise = np.random.default_rng(0).integers(0, 256, (64, 64, 3), dtype=np.uint8)
        Image.fromarray(noise).save(whole, format=kind)
        for share in (0.1, 0.5, 0.9):
            (tmp_path / "a.jpg").write_bytes(whole.getvalue()[: int(share * len(whole.getvalue()))])
            with pytest.raises(DataError, match=r"a\.jpg is (damaged|not a picture)"):
                decode(tmp_path / "a.jpg", 8)

    @pytest.mark.parametrize("side", [9_500, 60_000])
    def test_a_bomb_is_refused_before_it_unfolds(self, tmp_path: Path, side: int) -> None:
        """A tiny file that claims an enormous picture is refused from its header alone."""
        (tmp_path / "a.png").write_bytes(png((side, side), 8, 0, bytes(99)))

        assert side * side > MAX_PIXELS
        with pytest.raises(DataError, match="more than the 89,478,485 pixels allowed"):
            decode(tmp_path / "a.png", 8)


class TestResize:
    """Bilinear resizing to a square."""

    def test_by_hand(self) -> None:
        """Two pixels stretched to four meet at half-pixel centres: 0, a quarter, three quarters, 1."""
        row = np.array([[[0] * 3, [100] * 3]], np.uint8).repeat(2, 0)

        assert resize(row, 4)[0, :, 0].tolist() == [0, 25, 75, 100]

    def test_the_right_size_is_left_alone(self) -> None:
        """A picture that already has the size keeps every pixel."""
        pixels = np.arange(75, dtype=np.uint8).reshape(5, 5, 3)

        assert np.array_equal(resize(pixels, 5), pixels)

    @settings(deadline=None, max_examples=60)
    @given(st.integers(1, 60), st.integers(1, 60), st.integers(1, 40), st.integers(0, 99))
    def test_equals_keras_but_for_rounding(self, height: int, width: int, size: int, seed: int) -> None:
        """For any shape the result is the rounded result of the resize that Keras uses."""
        import tensorflow as tf

        pixels = np.random.default_rng(seed).integers(0, 256, (height, width, 3), dtype=np.uint8)
        expected = tf.image.resize(pixels, (size, size)).numpy()

        assert np.abs(resize(pixels, size) - expected).max() <= 0.5


class TestSquares:
    """What becomes of the aspect ratio."""

    @given(st.integers(1, 40), st.integers(1, 40), st.integers(1, 24), st.integers(0, 2**32 - 1))
    def test_crop_equals_keras(self, height: int, width: int, size: int, seed: int) -> None:
        """The central square, as with crop_to_aspect_ratio=True, rounded."""
        import keras

        pixels = np.random.default_rng(seed).integers(0, 256, (height, width, 3), dtype=np.uint8)
        wanted = keras.ops.image.resize(
            pixels.astype(np.float32), (size, size), crop_to_aspect_ratio=True, data_format="channels_last"
        )
        assert np.abs(resize(central_square(pixels), size) - np.asarray(wanted)).max() <= 0.51

    @given(st.integers(1, 40), st.integers(1, 20), st.booleans(), st.integers(0, 2**32 - 1))
    def test_pad_equals_keras(self, short: int, half: int, upright: bool, seed: int) -> None:  # noqa: FBT001
        """Black bars of equal width, as with pad_to_aspect_ratio=True, rounded."""
        import keras

        shape = (short + 2 * half, short, 3) if upright else (short, short + 2 * half, 3)
        pixels = np.random.default_rng(seed).integers(0, 256, shape, dtype=np.uint8)
        wanted = keras.ops.image.resize(
            pixels.astype(np.float32), (16, 16), pad_to_aspect_ratio=True, data_format="channels_last"
        )
        assert np.abs(resize(pixels, 16, pad=True) - np.asarray(wanted)).max() <= 0.51

    @given(st.integers(1, 40), st.integers(1, 40), st.integers(1, 24), st.integers(0, 2**32 - 1))
    def test_pad_is_a_black_square_around_the_picture(
        self, height: int, width: int, size: int, seed: int
    ) -> None:
        """Byte for byte the square with the picture in its middle, resized; of an odd number of rows, one more is below."""
        pixels = np.random.default_rng(seed).integers(0, 256, (height, width, 3), dtype=np.uint8)
        side = max(height, width)
        top, left = (side - height) // 2, (side - width) // 2
        square = np.zeros((side, side, 3), np.uint8)
        square[top : top + height, left : left + width] = pixels
        assert np.array_equal(resize(pixels, size, pad=True), resize(square, size))

    @pytest.mark.parametrize("shape", [(2_000_000, 2, 3), (2, 2_000_000, 3)])
    def test_pad_of_a_line_needs_no_square(self, shape: tuple[int, int, int]) -> None:
        """A picture of four million pixels whose square would have 12 terabytes; its two pixels are lost among the black."""
        assert not resize(np.full(shape, 9, np.uint8), 8, pad=True).any()


@pytest.mark.photos
def test_real_photographs_equal_keras_but_for_the_cosine_transform(photos_dir: Path) -> None:
    """Keras' fast inverse cosine transform is the only difference: with the accurate one pixels are equal."""
    import tensorflow as tf

    differences = []
    for path in sorted(photos_dir.glob("*/*.jpg"))[::150]:
        content = tf.io.read_file(str(path))
        accurate = tf.io.decode_jpeg(content, channels=3, dct_method="INTEGER_ACCURATE")
        keras = tf.image.resize(tf.io.decode_image(content, channels=3, expand_animations=False), (180, 180))
        assert np.array_equal(load(path), accurate)
        differences.append(np.abs(decode(path, 180) - keras.numpy()))

    assert np.mean(differences) < 1.5  # 0.97 of 255 seen on average, 0.25 of it from rounding
    assert np.max(differences) < 12  # 7.8 seen


def test_damaged_notes_print_nothing(tmp_path: Path) -> None:
    """A picture whose EXIF is cut short is read, and a bomb refused, without Pillow's warning and the line of its source."""
    exif = Image.Exif()
    exif[0x010E] = "a description"
    Image.new("RGB", (8, 8)).save(tmp_path / "x.png", exif=exif.tobytes()[:-20])
    code = (
        "import sys; from pathlib import Path; from flowersweep.data.decode import decode\n"
        "print(decode(Path(sys.argv[1]), 4).shape)"
    )
    ended = subprocess.run(
        [sys.executable, "-c", code, str(tmp_path / "x.png")], capture_output=True, text=True, check=False
    )
    assert (ended.stdout, ended.stderr) == ("(4, 4, 3)\n", "")

    (tmp_path / "x.png").write_bytes(png((9_500, 9_500), 8, 0, bytes(99)))
    code = code.replace("print(", "try: print(") + "\nexcept Exception as error: print(type(error).__name__)"
    ended = subprocess.run(
        [sys.executable, "-c", code, str(tmp_path / "x.png")], capture_output=True, text=True, check=False
    )
    assert (ended.stdout, ended.stderr) == ("UnreadableError\n", "")
