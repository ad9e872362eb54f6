"""Decode a picture from a file to a square array of bytes, as Keras would load it."""

import io
import warnings
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt
from PIL import Image, ImageOps, UnidentifiedImageError
from PIL.TiffImagePlugin import BITSPERSAMPLE, PHOTOMETRIC_INTERPRETATION, SAMPLEFORMAT, TiffImageFile

from flowersweep.errors import DataError
from flowersweep.texts import in_one_line

if TYPE_CHECKING:
    from PIL.Image import Image as Picture

Pixels = npt.NDArray[np.uint8]
Numbers = npt.NDArray[np.uint8] | npt.NDArray[np.float32]

# The supported formats, whatever the extension. Pillow has many more, some of which start programs.
FORMATS = ("BMP", "GIF", "JPEG", "PNG", "TIFF", "WEBP")

# Of damaged notes in a file, such as its EXIF; the picture itself is read or refused. Python would print the line of
# Pillow's source each time. Only a filter for the process reaches the threads that decode.
warnings.filterwarnings("ignore", category=UserWarning, module=r"PIL\.")
# Of a picture that is refused by name.
warnings.filterwarnings("ignore", category=Image.DecompressionBombWarning)

# The beginning of a reason that is an error of the system and not of the picture's content: it may pass.
UNREAD = "cannot be read"

_UNSIGNED = frozenset({1, 4})  # TIFF's SampleFormat: whole numbers from 0, or not stated
_WHITE_IS_ZERO = 0  # TIFF's PhotometricInterpretation
_PNG_DEPTH = 24  # the byte of a PNG that is its bits per channel

# Above this, Pillow suspects a decompression bomb; at 4 bytes per pixel it is 358 MB.
MAX_PIXELS = 89_478_485


class UnreadableError(DataError):
    """A file that is not a readable picture.

    Attributes:
        reason: What is wrong with it, as a sentence without its subject ("is empty").
    """

    def __init__(self, path: Path, reason: str) -> None:
        super().__init__(f"{in_one_line(path)} {reason}.")
        self.reason = reason


def decode(path: Path, size: int, resizing: str = "stretch") -> Pixels:
    """Read a picture and resize it to a square.

    Equal to what `keras.utils.image_dataset_from_directory(image_size=(size, size))` yields, for `crop` with
    `crop_to_aspect_ratio=True` and for `pad` with `pad_to_aspect_ratio=True`, rounded to integers, with three exceptions: JPEG is decoded with the accurate rather than the fast inverse cosine
    transform, the orientation stored by a camera is applied, and transparent pictures get a white background.

    Args:
        path: A file whose content is one of `FORMATS`; its name does not matter.
        size: Side length of the result in pixels.
        resizing: As data.resize.

    Returns:
        uint8, shape (size, size, 3), RGB, 0..255.

    Raises:
        DataError: The file cannot be read, or is not a complete picture.
    """
    pixels = load(path)
    if resizing == "crop":
        pixels = central_square(pixels)
    return resize(pixels, size, pad=resizing == "pad")


def central_square(pixels: Pixels) -> Pixels:
    """The largest square in the middle of a picture."""
    height, width, _ = pixels.shape
    side = min(height, width)
    top, left = (height - side) // 2, (width - side) // 2
    return pixels[top : top + side, left : left + side]


def load(path: Path) -> Pixels:
    """Read a picture at its original size, upright, as RGB.

    The first frame of an animation and the 8 highest bits of 12-bit and 16-bit pictures are used; transparent pixels become
    white. Grey, palette and CMYK pictures are converted. Pixels of 32 bits, with a sign or in floating point are refused: where
    their black and white are is not in the file.

    Returns:
        uint8, shape (height, width, 3), 0..255.

    Raises:
        DataError: The file cannot be read, or is not a complete picture.
    """
    try:
        content = path.read_bytes()
    except OSError as error:
        raise UnreadableError(path, f"{UNREAD} ({error.strerror})") from error
    if not content:
        raise UnreadableError(path, "is empty (0 bytes)")
    try:
        with Image.open(io.BytesIO(content), formats=FORMATS) as image:
            _refuse_bomb(image)
            return np.asarray(_rgb(ImageOps.exif_transpose(_in_bytes(image, path, content))))
    except (MemoryError, UnreadableError):
        raise  # lack of memory does not mean that the picture is unreadable
    except UnidentifiedImageError as error:
        raise UnreadableError(path, f"is not a picture in one of the formats {', '.join(FORMATS)}") from error
    except (Image.DecompressionBombError, Image.DecompressionBombWarning) as error:
        raise UnreadableError(
            path,
            f"has more than the {MAX_PIXELS:,} pixels allowed and may be a decompression bomb; "
            "scale it down if it is genuine",
        ) from error
    except Exception as error:  # Pillow's readers raise almost anything on damaged content
        raise UnreadableError(path, f"is damaged ({str(error) or type(error).__name__})") from error


def _refuse_bomb(image: "Picture") -> None:
    # Pillow itself raises only above twice this number, and warns below.
    if image.width * image.height > MAX_PIXELS:
        raise Image.DecompressionBombError


def _in_bytes(image: "Picture", path: Path, content: bytes) -> "Picture":
    """A picture whose numbers, also that of its transparent colour, are those of 8 bits."""
    tags = image.tag_v2 if isinstance(image, TiffImageFile) else {}
    if image.mode in {"I", "F"} or not _UNSIGNED.issuperset(tags.get(SAMPLEFORMAT, _UNSIGNED)):
        raise UnreadableError(
            path,
            "has pixels of 32 bits, with a sign or in floating point, whose black and white are not known; save it "
            "with 8 or 16 bits per channel",
        )
    transparent = image.info.get("transparency")
    if image.mode.startswith("I"):
        return _high_bytes(image, tags, transparent)
    # Pillow scales the pixels of a PNG to 8 bits, but not the colour that is transparent.
    if image.format == "PNG" and image.mode in {"L", "RGB"} and transparent is not None:
        numbers, depth = np.asarray(transparent), content[_PNG_DEPTH]
        scaled = numbers >> 8 if depth == 16 else numbers * 255 // (2**depth - 1)
        image.info["transparency"] = scaled.item() if image.mode == "L" else tuple(scaled.tolist())
    return image


def _high_bytes(image: "Picture", tags: Mapping[int, Any], transparent: int | None) -> "Picture":
    """Grey of 9 to 16 bits. Pillow clips it at 255 when converting, which would turn nearly every picture white."""
    numbers = np.asarray(image)
    (depth,) = tags.get(BITSPERSAMPLE, (16,))
    result = (numbers >> (depth - 8)).astype(np.uint8)
    if tags.get(PHOTOMETRIC_INTERPRETATION) == _WHITE_IS_ZERO:
        result = 255 - result
    result[numbers == transparent] = 255
    picture = Image.fromarray(result)
    picture.getexif().update(image.getexif())  # the orientation
    return picture


def _rgb(image: "Picture") -> "Picture":
    if image.has_transparency_data:
        white = Image.new("RGBA", image.size, "white")
        image = Image.alpha_composite(white, image.convert("RGBA"))
    return image.convert("RGB")


def resize(pixels: Pixels, size: int, *, pad: bool = False) -> Pixels:
    """Resize to a square by bilinear interpolation without antialiasing, rounding halves to even.

    Half-pixel centres and float32 arithmetic as in `tf.image.resize`, so that only the rounding differs.

    Args:
        pixels: uint8, shape (height, width, 3).
        size: Side length of the result in pixels.
        pad: Whether the picture is resized in the middle of a black square instead of stretched.

    Returns:
        uint8, shape (size, size, 3).
    """
    height, width, _ = pixels.shape
    if (height, width) == (size, size):
        return pixels
    side = max(height, width)
    top, bottom, down = _neighbours(height, size, side if pad else height)
    left, right, across = _neighbours(width, size, side if pad else width)
    if pad and height != width:  # the square itself could be a million times as large as the picture
        pixels = np.pad(pixels, ((0, int(height < width)), (0, int(width < height)), (0, 0)))
        height, width, _ = pixels.shape
    # Single numbers are gathered from rows, because NumPy is slow at gathering triples.
    colours = np.arange(3)
    left, right = ((3 * columns[:, None] + colours).ravel() for columns in (left, right))
    across, down = across.repeat(3), down[:, None]
    rows = pixels.reshape(height, 3 * width)
    if height < 2 * size:  # fewer rows than the result is interpolated from, so each of them once
        between = _between(rows.take(left, axis=1), rows.take(right, axis=1), across)
        upper, lower = between.take(top, axis=0), between.take(bottom, axis=0)
    else:
        upper, lower = (
            _between(some.take(left, axis=1), some.take(right, axis=1), across)
            for some in (rows.take(top, axis=0), rows.take(bottom, axis=0))
        )
    result = _between(upper, lower, down)
    return np.rint(result, out=result).astype(np.uint8).reshape(size, size, 3)


def _between(first: Numbers, second: Numbers, weight: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
    """Interpolate in float32: first + (second - first) * weight, with few temporary arrays."""
    start = first.astype(np.float32)
    between = second.astype(np.float32)
    between -= start
    between *= weight
    between += start
    return between


def _neighbours(
    source: int, target: int, side: int
) -> tuple[npt.NDArray[np.intp], npt.NDArray[np.intp], npt.NDArray[np.float32]]:
    """For each of `target` positions on an axis, the two source positions around it and the weight of the second.

    The source is in the middle of an axis of length `side`; outside, both are its length, the position of a margin.
    """
    scale = np.float32(side) / np.float32(target)
    position = (np.arange(target, dtype=np.float32) + np.float32(0.5)) * scale - np.float32(0.5)
    floor = np.floor(position)
    first = np.maximum(floor, 0).astype(np.intp)
    second = np.minimum(np.ceil(position), side - 1).astype(np.intp)
    if side > source:
        first, second = (_without_margin(places - (side - source) // 2, source) for places in (first, second))
    return first, second, position - floor


def _without_margin(places: npt.NDArray[np.intp], source: int) -> npt.NDArray[np.intp]:
    return np.where((places < 0) | (places > source), source, places)
