"""What somebody would want to know of the pictures before trusting a figure; none of it is refused or changed."""

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import PurePosixPath

import numpy as np

from flowersweep.data.catalogue import Catalogue
from flowersweep.data.split import Split
from flowersweep.texts import in_one_line

IMBALANCE = 10  # times as many pictures of one class as of another
_NAMED = 5  # classes or folders that a line names


@dataclass(frozen=True)
class Notice:
    """One thing to know.

    Attributes:
        found: What was found, the beginning of a sentence.
        fix: What to do about it, its end.
    """

    found: str
    fix: str

    def __str__(self) -> str:
        """The whole sentence."""
        return f"{self.found}; {self.fix}."


def picture_notices(catalogue: Catalogue, parts: Split, contents: Mapping[str, str]) -> Iterator[Notice]:
    """What is odd about a data set and the way it is divided.

    Args:
        catalogue: The pictures.
        parts: Which of them train, validate and test.
        contents: A digest of the content of each picture that may be equal to another, by path.
    """
    yield from _in_both_parts(catalogue, parts, contents)
    yield from _in_two_classes(catalogue, contents)
    yield from _classes_left_out(catalogue, parts)
    yield from _imbalance(catalogue)
    yield from _hidden(catalogue)


def _in_both_parts(catalogue: Catalogue, parts: Split, contents: Mapping[str, str]) -> Iterator[Notice]:
    """Copies of one class: one that is learned as another class flatters nobody."""
    named = [
        (contents.get(path), label)
        for path, label in zip(catalogue.paths, catalogue.labels.tolist(), strict=True)
    ]
    training = {named[index]: catalogue.paths[index] for index in reversed(parts.train) if named[index][0]}
    evaluated = [*parts.validation, *parts.test]
    found = [index for index in evaluated if named[index] in training]
    if found:
        copies, original = [catalogue.paths[index] for index in found], training[named[found[0]]]
        are = "is" if len(copies) == 1 else "are"
        yield Notice(
            f"{len(copies)} of the {len(evaluated)} pictures that judge {are} byte for byte among those that train, as "
            f"{in_one_line(copies[0])} and {in_one_line(original)}",
            f"this may flatter accuracy by up to {len(copies) / len(evaluated):.4f}; of pictures of your own delete one of "
            "each pair",
        )


def _in_two_classes(catalogue: Catalogue, contents: Mapping[str, str]) -> Iterator[Notice]:
    classes: dict[str, dict[int, str]] = {}
    for path, label in zip(catalogue.paths, catalogue.labels.tolist(), strict=True):
        if path in contents:
            classes.setdefault(contents[path], {}).setdefault(label, path)
    torn = [list(found.values()) for found in classes.values() if len(found) > 1]
    if torn:
        pictures, it = (
            ("1 picture lies", "it is") if len(torn) == 1 else (f"{len(torn)} pictures lie", "they are")
        )
        yield Notice(
            f"{pictures} byte for byte in more than one class, as {in_one_line(torn[0][0])} and "
            f"{in_one_line(torn[0][1])}",
            f"no model can be right wherever {it}; leave pictures of your own in one class",
        )


def _classes_left_out(catalogue: Catalogue, parts: Split) -> Iterator[Notice]:
    for verb, part, remedy in (
        ("validate", parts.validation, "a larger data.validation_split"),
        ("test", parts.test, "a larger data.test_split"),
        ("train", parts.train, "smaller parts to judge on"),
    ):
        missing = set(range(len(catalogue.class_names))) - set(catalogue.labels[part].tolist())
        if missing and len(part):
            names = _some([catalogue.class_names[label] for label in sorted(missing)])
            yield Notice(
                f"None of the {len(part)} pictures that {verb} is of the class{'es' * (len(missing) > 1)} {names}",
                f"add pictures, or choose another data.split_seed or {remedy}",
            )


def _imbalance(catalogue: Catalogue) -> Iterator[Notice]:
    counts = np.bincount(catalogue.labels, minlength=len(catalogue.class_names))
    largest, smallest = int(counts.argmax()), int(counts.argmin())
    if counts[largest] >= IMBALANCE * counts[smallest]:
        most, least = (in_one_line(catalogue.class_names[label]) for label in (largest, smallest))
        yield Notice(
            f"The class {most} has {counts[largest]:,} pictures and {least} only {counts[smallest]:,}",
            f"accuracy says little of {least}; add pictures of it, or look at each class with python -m "
            "flowersweep.commands.evaluate",
        )


def _hidden(catalogue: Catalogue) -> Iterator[Notice]:
    inside = (PurePosixPath(path).parts[1:-1] for path in catalogue.paths)
    hidden = (next((name for name in names if name.startswith(".")), None) for names in inside)
    folders = Counter(name for name in hidden if name is not None)
    if folders:
        pictures = "1 picture lies" if folders.total() == 1 else f"{folders.total()} pictures lie"
        yield Notice(
            f"{pictures} in hidden folders inside of classes ({_some(list(folders))}), which count, as in Keras",
            "delete these folders if they hold copies",
        )


def _some(names: Sequence[str]) -> str:
    more = f" and {len(names) - _NAMED} more" if len(names) > _NAMED else ""
    return ", ".join(in_one_line(name) for name in names[:_NAMED]) + more
