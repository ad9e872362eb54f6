"""Decode a picture from a file to a square array of bytes, as Keras would load it."""

import io
import warnings
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt
from PIL import Image, ImageOps, UnidentifiedImageError

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

# The beginning of a reason that is an error of the system and not of the picture's content: it may pass.
UNREAD = "cannot be read"

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
    return resize(squared(load(path), resizing), size)


def squared(pixels: Pixels, resizing: str) -> Pixels:
    """The central square of a picture (`crop`), the picture in the middle of a black square (`pad`), or itself (`stretch`)."""
    height, width, _ = pixels.shape
    if height == width or resizing == "stretch":
        return pixels
    if resizing == "crop":
        side = min(height, width)
        top, left = (height - side) // 2, (width - side) // 2
        return pixels[top : top + side, left : left + side]
    side = max(height, width)
    top, left = (side - height) // 2, (side - width) // 2
    square = np.zeros((side, side, 3), np.uint8)
    square[top : top + height, left : left + width] = pixels
    return square


def load(path: Path) -> Pixels:
    """Read a picture at its original size, upright, as RGB.

    The first frame of an animation and the high byte of 16-bit pictures are used; transparent pixels become
    white. Grey, palette and CMYK pictures are converted.

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
            return np.asarray(_rgb(ImageOps.exif_transpose(image)))
    except MemoryError:
        raise  # does not mean that the picture is unreadable
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


def _rgb(image: "Picture") -> "Picture":
    if image.mode.startswith("I"):
        # Pillow clips 16-bit grey at 255 when converting, which would turn nearly every picture white.
        high_byte = np.clip(np.asarray(image).astype(np.int64) >> 8, 0, 255).astype(np.uint8)
        image = Image.fromarray(high_byte)
    if image.has_transparency_data:
        white = Image.new("RGBA", image.size, "white")
        image = Image.alpha_composite(white, image.convert("RGBA"))
    return image.convert("RGB")


def resize(pixels: Pixels, size: int) -> Pixels:
    """Resize to a square by bilinear interpolation without antialiasing, rounding halves to even.

    Half-pixel centres and float32 arithmetic as in `tf.image.resize`, so that only the rounding differs.

    Args:
        pixels: uint8, shape (height, width, 3).
        size: Side length of the result in pixels.

    Returns:
        uint8, shape (size, size, 3).
    """
    height, width, _ = pixels.shape
    if (height, width) == (size, size):
        return pixels
    top, bottom, down = _neighbours(height, size)
    left, right, across = _neighbours(width, size)
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
    source: int, target: int
) -> tuple[npt.NDArray[np.intp], npt.NDArray[np.intp], npt.NDArray[np.float32]]:
    """For each of `target` positions on an axis, the two source positions around it and the weight of the second."""
    scale = np.float32(source) / np.float32(target)
    position = (np.arange(target, dtype=np.float32) + np.float32(0.5)) * scale - np.float32(0.5)
    floor = np.floor(position)
    first = np.maximum(floor, 0).astype(np.intp)
    second = np.minimum(np.ceil(position), source - 1).astype(np.intp)
    return first, second, position - floor
