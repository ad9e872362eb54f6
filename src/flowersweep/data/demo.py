"""Synthetic flowers of five kinds: a small data set that needs no network but is not trivial to learn.

The kinds differ in shape. Colours, sizes, poses, backgrounds and clutter overlap between them, so that neither
the mean colour nor a template identifies a kind.
"""

import math
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import numpy.typing as npt
from PIL import Image, ImageDraw, ImageEnhance, ImageFilter

from flowersweep.progress import progress

VERSION = 1  # increase it when any drawing changes

_OVERSAMPLING = 2
_ANGLES = np.linspace(0, 2 * np.pi, 25)[:-1]

Colour = tuple[int, int, int]
Points = npt.NDArray[np.float64]  # shape (corners, 2): a polygon's x and y; a flower fills the unit circle
Shape = tuple[Points, Colour]

_PETALS: dict[str, Colour] = {
    "white": (238, 236, 226),
    "yellow": (240, 205, 50),
    "orange": (235, 145, 40),
    "pink": (232, 130, 165),
    "red": (200, 40, 50),
    "purple": (140, 75, 165),
}
_BACKGROUNDS: tuple[Colour, ...] = (
    (60, 110, 50),
    (95, 140, 70),
    (40, 70, 40),
    (135, 170, 200),
    (120, 100, 75),
    (170, 175, 160),
)
_GREENS: tuple[Colour, ...] = ((60, 120, 45), (90, 145, 60), (45, 90, 50), (125, 150, 75))


def draw_all(folder: Path, per_class: int) -> None:
    """Write `per_class` JPEGs of every kind into a sub-folder per kind.

    Each picture depends on its kind and number only, so a larger set starts with the smaller one.
    """
    with progress("Drawing flowers", per_class * len(KINDS)) as advance:
        for kind_number, kind in enumerate(KINDS):
            (folder / kind).mkdir(parents=True)
            for number in range(per_class):
                rng = np.random.Generator(np.random.Philox(key=[VERSION, kind_number << 32 | number]))
                picture = draw(kind, rng)
                picture.save(folder / kind / f"{kind}_{number:04}.jpg", quality=int(rng.integers(70, 95)))
                advance(1)


def draw(kind: str, rng: np.random.Generator) -> Image.Image:
    """Draw one picture.

    Args:
        kind: One of `KINDS`.
        rng: Determines everything except the kind.

    Returns:
        An RGB picture, 96 to 128 pixels on each side.
    """
    width, height = (int(side) for side in rng.integers(96, 129, 2))
    canvas = _background(rng, width * _OVERSAMPLING, height * _OVERSAMPLING)
    pen = ImageDraw.Draw(canvas)
    _clutter(pen, rng)
    side = min(canvas.size)
    for _ in range(1 + int(rng.random() < 0.25)):
        centre = rng.uniform(0.35, 0.65, 2) * canvas.size
        _flower(pen, rng, kind, centre, side * rng.uniform(0.27, 0.45))
    for _ in range(rng.integers(0, 3)):  # blades of grass in front of the flower
        _blade(pen, rng)
    return _photograph(canvas.resize((width, height), Image.Resampling.BOX), rng)


def _flower(
    pen: ImageDraw.ImageDraw, rng: np.random.Generator, kind: str, centre: Points, radius: float
) -> None:
    green = _GREENS[rng.integers(len(_GREENS))]
    foot = centre + radius * np.array([rng.uniform(-1, 1), rng.uniform(2, 4)])
    pen.line([*centre, *foot], fill=_jitter(green, rng), width=max(2, int(radius * rng.uniform(0.06, 0.14))))
    for side in (-1, 1):
        at = centre + (foot - centre) * rng.uniform(0.35, 0.7)
        leaf = _rotated(_petal(0, 1, rng.uniform(0.12, 0.22)), side * rng.uniform(0.4, 1.3) - np.pi / 2)
        _fill(pen, at + leaf * radius * rng.uniform(0.7, 1.2), _jitter(green, rng))
    shapes, colours, upright = KINDS[kind]
    names, weights = zip(*colours.items(), strict=True)
    colour = _jitter(_PETALS[rng.choice(names, p=weights)], rng, 22)
    # A flower seen from above may have any rotation and perspective; a cup stands on its stem.
    tilt = np.array([1.0, 1.0 if upright else rng.uniform(0.6, 1.0)])
    turn = rng.uniform(-0.4, 0.4) if upright else rng.uniform(0, 2 * np.pi)
    lean = rng.uniform(-0.6, 0.6)
    for points, fill in shapes(rng, colour):
        _fill(pen, centre + _rotated(_rotated(points, turn) * tilt, lean) * radius, fill)


def _daisy(rng: np.random.Generator, colour: Colour) -> Iterator[Shape]:
    count = int(rng.integers(11, 19))
    yield from _ring(rng, colour, count, inner=0.15, outer=1.0, width=rng.uniform(0.11, 0.15))
    yield _disc(rng.uniform(0.2, 0.3)), _jitter(_PETALS["yellow"], rng, 30)


def _dandelion(rng: np.random.Generator, colour: Colour) -> Iterator[Shape]:
    for outer in (1.0, 0.75, 0.5):
        count = int(rng.integers(26, 40))
        yield from _ring(rng, _shade(colour, 1.25 - 0.3 * outer), count, inner=0.05, outer=outer, width=0.035)


def _rose(rng: np.random.Generator, colour: Colour) -> Iterator[Shape]:
    # Broad petals that overlap, smaller and darker towards the middle and turned by the golden angle.
    count = int(rng.integers(13, 18))
    start = rng.uniform(0, 2 * np.pi)
    for i in range(count):
        out = 1 - i / count
        angle = start + i * 2.4
        at = 0.5 * out * np.array([math.cos(angle), math.sin(angle)])
        shade = 0.55 + 0.5 * out + rng.uniform(-0.08, 0.08)
        yield at + _disc(0.16 + 0.34 * out) * [1.0, 0.9], _shade(colour, shade)


def _sunflower(rng: np.random.Generator, colour: Colour) -> Iterator[Shape]:
    count = int(rng.integers(17, 26))
    for layer in (0.85, 1.0):
        yield from _ring(
            rng, _shade(colour, layer), count, inner=0.35, outer=1.0, width=rng.uniform(0.09, 0.13)
        )
    middle = _jitter((95, 62, 30), rng, 30)
    size = rng.uniform(0.4, 0.55)
    yield _disc(size), middle
    yield _disc(size * 0.55), _shade(middle, rng.uniform(0.6, 1.4))


def _tulip(rng: np.random.Generator, colour: Colour) -> Iterator[Shape]:
    for lean, shade in ((-0.25, 0.75), (0.25, 0.8), (-0.42, 0.95), (0.42, 1.0), (0.0, 1.08)):
        petal = _petal(-0.15, rng.uniform(1.5, 1.75), rng.uniform(0.3, 0.38))
        yield (
            _rotated(petal, lean * rng.uniform(0.8, 1.2) - np.pi / 2) + np.array([0, 0.75]),
            _shade(colour, shade),
        )


_Shapes = Callable[[np.random.Generator, Colour], Iterator[Shape]]

# For each kind: its shapes, the frequencies of its petals' colours, and whether it stands upright.
KINDS: dict[str, tuple[_Shapes, dict[str, float], bool]] = {
    "daisy": (_daisy, {"white": 0.7, "pink": 0.15, "yellow": 0.15}, False),
    "dandelion": (_dandelion, {"yellow": 0.75, "white": 0.15, "orange": 0.1}, False),
    "roses": (_rose, {"red": 0.5, "pink": 0.25, "white": 0.15, "yellow": 0.1}, False),
    "sunflowers": (_sunflower, {"yellow": 0.5, "orange": 0.4, "red": 0.1}, False),
    "tulips": (_tulip, {"pink": 0.3, "purple": 0.3, "red": 0.15, "yellow": 0.15, "white": 0.1}, True),
}


def _ring(
    rng: np.random.Generator, colour: Colour, count: int, *, inner: float, outer: float, width: float
) -> Iterator[Shape]:
    for angle in rng.uniform(0, 1) + np.arange(count) * 2 * np.pi / count:
        petal = _petal(inner, outer * rng.uniform(0.85, 1.0), width)
        yield _rotated(petal, angle + rng.uniform(-0.06, 0.06)), _shade(colour, rng.uniform(0.82, 1.08))


def _petal(start: float, end: float, width: float) -> Points:
    """A pointed oval along the x axis from `start` to `end`, `width` to either side."""
    along = (start + end) / 2 + (end - start) / 2 * np.cos(_ANGLES)
    return np.stack([along, width * np.sin(_ANGLES)], axis=1)


def _disc(radius: float) -> Points:
    return _petal(-radius, radius, radius)


def _rotated(points: Points, angle: float) -> Points:
    cosine, sine = math.cos(angle), math.sin(angle)
    turned: Points = points @ np.array([[cosine, sine], [-sine, cosine]])
    return turned


def _fill(pen: ImageDraw.ImageDraw, points: Points, colour: Colour) -> None:
    pen.polygon([tuple(point) for point in points.tolist()], fill=colour)


def _shade(colour: Colour, factor: float) -> Colour:
    red, green, blue = (min(255, max(0, int(part * factor))) for part in colour)
    return red, green, blue


def _jitter(colour: Colour, rng: np.random.Generator, spread: float = 16) -> Colour:
    red, green, blue = (min(255, max(0, int(part + rng.normal(0, spread)))) for part in colour)
    return red, green, blue


def _background(rng: np.random.Generator, width: int, height: int) -> Image.Image:
    first, second = (_jitter(_BACKGROUNDS[i], rng, 25) for i in rng.integers(0, len(_BACKGROUNDS), 2))
    slope = (
        Image.linear_gradient("L")
        .rotate(rng.uniform(0, 360), Image.Resampling.BILINEAR)
        .resize((width, height))
    )
    canvas = Image.composite(Image.new("RGB", slope.size, first), Image.new("RGB", slope.size, second), slope)
    pen = ImageDraw.Draw(canvas)
    # Out of focus: leaves, and spots in the colours of petals.
    palette = [*_GREENS, *_GREENS, *_BACKGROUNDS, *_PETALS.values()]
    for _ in range(rng.integers(4, 14)):
        spot = _disc(rng.uniform(0.04, 0.2) * width) + rng.uniform(0, 1, 2) * canvas.size
        _fill(pen, spot, _jitter(palette[rng.integers(len(palette))], rng))
    return canvas.filter(ImageFilter.GaussianBlur(rng.uniform(5, 14)))


def _clutter(pen: ImageDraw.ImageDraw, rng: np.random.Generator) -> None:
    for _ in range(rng.integers(1, 6)):
        _blade(pen, rng)
    palette = [*_GREENS, *_PETALS.values()]
    for _ in range(rng.integers(1, 5)):  # fallen petals and leaves
        petal = _rotated(_petal(0, 1, rng.uniform(0.15, 0.5)), rng.uniform(0, 2 * np.pi))
        at = rng.uniform(0, 1, 2) * pen.im.size
        _fill(pen, at + petal * rng.uniform(8, 40), _jitter(palette[rng.integers(len(palette))], rng, 25))


def _blade(pen: ImageDraw.ImageDraw, rng: np.random.Generator) -> None:
    ends = rng.uniform(0, 1, (2, 2)) * [1, 0.6] + [[0, 0.5], [0, 0]]
    ends *= pen.im.size
    pen.line(
        [tuple(end) for end in ends.tolist()],
        _jitter(_GREENS[rng.integers(len(_GREENS))], rng),
        int(rng.integers(1, 7)),
    )


def _photograph(picture: Image.Image, rng: np.random.Generator) -> Image.Image:
    """Add the effects of a camera: blur, exposure, contrast, colour and noise."""
    picture = picture.filter(ImageFilter.GaussianBlur(rng.uniform(0, 1.2)))
    for enhance, low, high in (
        (ImageEnhance.Brightness, 0.75, 1.25),
        (ImageEnhance.Contrast, 0.75, 1.25),
        (ImageEnhance.Color, 0.6, 1.3),
    ):
        picture = enhance(picture).enhance(rng.uniform(low, high))
    noise = rng.normal(0, rng.uniform(2, 10), (picture.height, picture.width, 3))
    return Image.fromarray(np.clip(np.asarray(picture) + noise, 0, 255).astype(np.uint8))
