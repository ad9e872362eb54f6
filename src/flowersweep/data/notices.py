"""Notices about the pictures that affect how far metrics can be trusted; nothing is rejected or changed."""

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import PurePosixPath

import numpy as np

from flowersweep.data.catalogue import PART_FOLDERS, Catalogue
from flowersweep.data.split import Split
from flowersweep.texts import in_one_line, upper_bound

IMBALANCE = 10  # times as many pictures of one class as of another
_NAMED = 5  # classes or folders that a line names


@dataclass(frozen=True)
class Notice:
    """A notice.

    Attributes:
        found: What was found, the start of a sentence.
        fix: What to do about it, its end.
    """

    found: str
    fix: str

    def __str__(self) -> str:
        """The complete sentence."""
        return f"{self.found}; {self.fix}."


def picture_notices(catalogue: Catalogue, parts: Split, contents: Mapping[str, str]) -> Iterator[Notice]:
    """Notices about unusual properties of a data set and its split.

    Args:
        catalogue: The pictures.
        parts: Its split into training, validation and test pictures.
        contents: A digest of the content of each picture that may be equal to another, by path.
    """
    yield from _in_both_parts(catalogue, parts, contents)
    yield from _in_two_classes(catalogue, contents)
    yield from _classes_left_out(catalogue, parts)
    yield from _imbalance(catalogue)
    yield from _hidden(catalogue)
    yield from _parts_as_classes(catalogue)


def _in_both_parts(catalogue: Catalogue, parts: Split, contents: Mapping[str, str]) -> Iterator[Notice]:
    """Copies within one class: a copy that is trained as another class does not increase accuracy."""
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
            f"{len(copies)} of the {len(evaluated)} evaluation pictures {are} identical to training pictures, for example "
            f"{in_one_line(copies[0])} and {in_one_line(original)}",
            f"this may increase {increase(found, parts)}; in your own pictures, delete one of each pair",
        )


def increase(copies: Iterable[int], parts: Split) -> str:
    """By how much copies of training pictures can increase accuracy, as in `validation accuracy by up to 0.05`.

    Args:
        copies: Indices of the copies among the pictures of evaluation.
        parts: The split.
    """
    rows = np.array(list(copies), np.int64)
    evaluated = (("validation", parts.validation), ("test", parts.test))
    found = [(name, np.isin(part, rows)) for name, part in evaluated]
    return " and ".join(
        f"{name} accuracy by up to {upper_bound(copied.mean())}" for name, copied in found if copied.any()
    )


def _in_two_classes(catalogue: Catalogue, contents: Mapping[str, str]) -> Iterator[Notice]:
    classes: dict[str, dict[int, str]] = {}
    for path, label in zip(catalogue.paths, catalogue.labels.tolist(), strict=True):
        if path in contents:
            classes.setdefault(contents[path], {}).setdefault(label, path)
    torn = [list(found.values()) for found in classes.values() if len(found) > 1]
    if torn:
        pictures, it = (
            ("1 picture is", "it is") if len(torn) == 1 else (f"{len(torn)} pictures are", "they are")
        )
        yield Notice(
            f"{pictures} identical in more than one class, for example {in_one_line(torn[0][0])} and "
            f"{in_one_line(torn[0][1])}",
            f"no model can be right wherever {it}; keep your own pictures in one class",
        )


def _classes_left_out(catalogue: Catalogue, parts: Split) -> Iterator[Notice]:
    for verb, part, remedy in (
        ("validate", parts.validation, "a larger data.validation_split"),
        ("test", parts.test, "a larger data.test_split"),
        ("train", parts.train, "smaller parts for evaluation"),
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
            f"accuracy says little about {least}; add pictures of it, set trainer.class_weight=balanced and "
            "objective.metric=best/val_macro_f1, or check the accuracy of each class with python -m flowersweep evaluate",
        )


def _hidden(catalogue: Catalogue) -> Iterator[Notice]:
    inside = (PurePosixPath(path).parts[1:-1] for path in catalogue.paths)
    hidden = (next((name for name in names if name.startswith(".")), None) for names in inside)
    folders = Counter(name for name in hidden if name is not None)
    if folders:
        pictures = "1 picture is" if folders.total() == 1 else f"{folders.total()} pictures are"
        yield Notice(
            f"{pictures} in hidden folders inside classes ({_some(list(folders))}), which count, as in Keras",
            "delete these folders if they contain copies",
        )


def _parts_as_classes(catalogue: Catalogue) -> Iterator[Notice]:
    """A model that learns to tell training from test pictures has a useless, often plausible accuracy."""
    if set(catalogue.class_names) <= PART_FOLDERS.keys():
        yield Notice(
            f"The class folders are called {_some(catalogue.class_names)}, like the parts of a split",
            "if they are that, use data.split=folders",
        )


def _some(names: Sequence[str]) -> str:
    more = f" and {len(names) - _NAMED} more" if len(names) > _NAMED else ""
    return ", ".join(in_one_line(name) for name in names[:_NAMED]) + more
