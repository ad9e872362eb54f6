"""The page about a data set as a single HTML file that works offline and without JavaScript."""

import base64
import datetime as dt
import io
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from PIL import Image

from flowersweep.config.schema import Config
from flowersweep.data.decode import load
from flowersweep.data.notices import Notice
from flowersweep.data.resizing import RESIZED
from flowersweep.inspection.counts import counts_of, distributions
from flowersweep.inspection.looking import Looks
from flowersweep.report.page import TEMPLATES, WHEN, environment
from flowersweep.texts import in_one_line

_HERE = Path(__file__).parent / "templates"
EXAMPLES = 8  # pictures of each class
_ALL_EXAMPLES = 400  # pictures of all classes together, with at least one of each
_GROUPS = 40  # groups of duplicates of each kind that are shown
_OF_A_GROUP = 6  # pictures of a group that are shown
_ALIKE = (
    "Probably versions of one photograph: another size, quality, colour or a small change. Colours do not count in the "
    "comparison, and cropped or mirrored versions are mostly not found. On flower_photos, all 24 pairs that are found are "
    "versions of one photograph."
)
_THUMBNAIL = 112  # pixels of the longer side


@dataclass(frozen=True)
class Shown:
    """A picture on the page.

    Attributes:
        uri: A small copy of it as a data URI.
        path: Its path, on one line.
        about: Its part and its size.
    """

    uri: str
    path: str
    about: str


@dataclass(frozen=True)
class Copies:
    """Groups of pictures that are copies of each other.

    Attributes:
        title: The heading.
        about: A sentence about this kind of copies.
        groups: The pictures of the first groups, those of several classes first.
        n_groups: The number of all groups.
    """

    title: str
    about: str
    groups: list[list[Shown]]
    n_groups: int


def page(
    config: Config,
    looks: Looks,
    found: Sequence[Notice],
    preview: Image.Image | None,
    *,
    made: dt.datetime | None = None,
) -> str:
    """The page as HTML.

    Args:
        config: The configuration with which the pictures were inspected.
        looks: What they look like.
        found: The findings.
        preview: What the augmentation makes of some of them; None if there is none.
        made: The time at which the page was created; None for now.
    """
    from markupsafe import Markup

    style = (TEMPLATES / "style.css").read_text(encoding="utf-8")
    return (
        environment(_HERE)
        .get_template("inspection.html")
        .render(
            style=Markup(style + (_HERE / "inspection.css").read_text(encoding="utf-8")),  # noqa: S704 (own files)
            title=in_one_line(looks.catalogue.root.name),
            facts=facts(config, looks),
            findings=found,
            table=counts_of(looks),
            distributions=distributions(config, looks),
            classes=list(_examples(looks)),
            copies=_copies(looks),
            unreadable={in_one_line(path): reason for path, reason in looks.unreadable.items()},
            preview=None if preview is None else data_uri(preview, "PNG"),
            augmentation=config.aug.name,
            made=(made or dt.datetime.now(dt.UTC)).strftime(WHEN),
        )
    )


def facts(config: Config, looks: Looks) -> dict[str, str]:
    """The facts below the title, by name."""
    data = config.data
    return {
        "Folder": in_one_line(looks.catalogue.root),
        "Pictures": f"{len(looks.catalogue):,}"
        + (f", and {len(looks.unreadable):,} that cannot be read" if looks.unreadable else ""),
        "Classes": str(len(looks.catalogue.class_names)),
        "Split": data.split + ("" if data.folds is None else f", fold {data.fold} of {data.folds}"),
        "Used at": f"{config.trainer.image_size} x {config.trainer.image_size} pixels, {RESIZED[data.resize]}",
    }


def data_uri(image: Image.Image, kind: str) -> str:
    """A picture as a data URI.

    Args:
        image: The picture.
        kind: PNG, or JPEG for small photographs.
    """
    file = io.BytesIO()
    image.save(file, kind, **({"quality": 80} if kind == "JPEG" else {}))
    return f"data:image/{kind.lower()};base64,{base64.b64encode(file.getvalue()).decode('ascii')}"


def _shown(looks: Looks, index: int) -> Shown:
    catalogue = looks.catalogue
    image = Image.fromarray(load(catalogue.root / catalogue.paths[index]))
    image.thumbnail((_THUMBNAIL, _THUMBNAIL))
    about = f"{looks.parts[index]}, {looks.widths[index]} x {looks.heights[index]}"
    return Shown(data_uri(image, "JPEG"), in_one_line(catalogue.paths[index]), about)


def _examples(looks: Looks) -> Iterator[tuple[str, list[Shown]]]:
    """Each class with some of its pictures, evenly spaced in the order of their names."""
    names = looks.catalogue.class_names
    most = max(1, min(EXAMPLES, _ALL_EXAMPLES // len(names)))
    for label, name in enumerate(names):
        indices = np.flatnonzero(looks.catalogue.labels == label)
        places = np.linspace(0, len(indices) - 1, min(most, len(indices))).round().astype(int)
        yield in_one_line(name), [_shown(looks, int(index)) for index in indices[places]]


def _copies(looks: Looks) -> list[Copies]:
    kinds = (
        ("Identical files", "The same bytes.", looks.identical),
        ("Pictures that look alike", _ALIKE, looks.similar),
    )
    labels, parts = looks.catalogue.labels.tolist(), looks.parts

    def spread(group: tuple[int, ...]) -> tuple[int, int]:
        return -len({labels[i] for i in group}), -len({parts[i] for i in group})

    return [
        Copies(
            title,
            about,
            [
                [_shown(looks, i) for i in group[:_OF_A_GROUP]]
                for group in sorted(groups, key=spread)[:_GROUPS]
            ],
            len(groups),
        )
        for title, about, groups in kinds
        if groups
    ]
