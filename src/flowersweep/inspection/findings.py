"""What was found in a data set, and what to do about each finding."""

from collections.abc import Iterator, Sequence

import numpy as np

from flowersweep.config.schema import Config
from flowersweep.data.notices import Notice, picture_notices
from flowersweep.inspection.looking import Looks
from flowersweep.texts import in_one_line

ODD_RATIO = 2.0  # sides; beyond it, stretching to a square distorts a picture noticeably


def findings(config: Config, looks: Looks) -> list[Notice]:
    """The findings, the most serious first."""
    return [
        *_unreadable(config, looks),
        *_unsplit(looks),
        *_notices(looks),
        *_similar(looks),
        *_sizes(config, looks),
    ]


def _unreadable(config: Config, looks: Looks) -> Iterator[Notice]:
    if looks.unreadable:
        path, reason = next(iter(looks.unreadable.items()))
        counted = _pictures(len(looks.unreadable), "cannot be read", "cannot be read")
        done = (
            "they are left out (data.unreadable=skip)"
            if config.data.unreadable == "skip"
            else "delete or repair the files, or leave them out with data.unreadable=skip"
        )
        yield Notice(f"{counted}, for example {in_one_line(path)}, which {reason}", done)


def _unsplit(looks: Looks) -> Iterator[Notice]:
    if looks.split_problem:
        found, _, fix = looks.split_problem.rstrip(".").rpartition("; ")
        yield Notice(f"A run would end with an error: {found or fix}", fix or "correct it")


def _notices(looks: Looks) -> Iterator[Notice]:
    if looks.split is not None:
        yield from picture_notices(looks.catalogue, looks.split, looks.contents)


def _similar(looks: Looks) -> Iterator[Notice]:
    """Pictures that look alike: in two classes, in training and evaluation, or only together."""
    labels, parts = looks.catalogue.labels.tolist(), looks.parts
    torn = [group for group in looks.similar if len({labels[i] for i in group}) > 1]
    if torn:
        yield Notice(
            f"{_groups(torn)} with pictures of different classes that look alike, for example {_example(looks, torn)}",
            "look at them on the page: one of the classes is probably wrong",
        )
    leaking = [
        group
        for group in looks.similar
        if {"train"} < {parts[i] for i in group} and len({labels[i] for i in group}) == 1
    ]
    if leaking:
        n = sum(parts[i] != "train" for group in leaking for i in group)
        total = sum(part != "train" for part in parts)
        yield Notice(
            f"{n} of the {total} evaluation pictures look like training pictures of their class, for example "
            f"{_example(looks, leaking)}",
            f"this may increase accuracy by up to {n / total:.4f}; delete copies, or keep versions of a picture in one part "
            "with data.split=groups",
        )
    rest = [group for group in looks.similar if group not in torn and group not in leaking]
    if rest:
        yield Notice(
            f"{_groups(rest)} of pictures look alike within a class and a part, for example {_example(looks, rest)}",
            "they count several times; delete copies that add nothing",
        )


def _sizes(config: Config, looks: Looks) -> Iterator[Notice]:
    size = config.trainer.image_size
    # A padded picture is as large as its longer side.
    sides, pads = (looks.widths, looks.heights), config.data.resize == "pad"
    small = (np.maximum(*sides) if pads else np.minimum(*sides)) < size
    if small.any():
        counted = _pictures(int(small.sum()), "has", "have")
        yield Notice(
            f"{counted} {'no side of at least' if pads else 'a side of fewer than'} trainer.image_size={size} pixels",
            "they are enlarged, which adds no detail; if they are many, use a smaller trainer.image_size",
        )
    odd = ratios(looks) > ODD_RATIO
    if odd.any():
        counted = _pictures(int(odd.sum()), "is", "are")
        yield Notice(
            f"{counted} more than {ODD_RATIO:g} times as long as wide or the reverse",
            {
                "stretch": "stretched to a square they are distorted; data.resize=crop or pad keeps their shape",
                "crop": "data.resize=crop leaves out half of them or more; data.resize=pad keeps everything",
                "pad": "half of their square or more is black with data.resize=pad; cut the longest ones to what matters",
            }[config.data.resize],
        )


def ratios(looks: Looks) -> np.ndarray:
    """The longer side of each picture divided by the shorter one, float64, shape (n,)."""
    return np.maximum(looks.widths, looks.heights) / np.minimum(looks.widths, looks.heights)


def _pictures(n: int, one: str, several: str) -> str:
    return f"1 picture {one}" if n == 1 else f"{n:,} pictures {several}"


def _groups(groups: Sequence[tuple[int, ...]]) -> str:
    return f"{len(groups)} group{'s' * (len(groups) != 1)}"


def _example(looks: Looks, groups: Sequence[tuple[int, ...]]) -> str:
    return " and ".join(in_one_line(looks.catalogue.paths[i]) for i in groups[0][:2])
