"""Comparisons in which contestants do the same work alternately and are compared with the first one in each round.

Times on a shared machine drift by a factor of two, so only ratios of neighbouring measurements are meaningful.
"""

import statistics
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field


@dataclass(frozen=True)
class Sample:
    """One measurement.

    Attributes:
        value: The value to compare: seconds, unless the line has another unit.
        accuracy: Validation accuracy, 0..1; None if nothing was trained.
        beside: Further seconds by name, which are reported but not compared.
    """

    value: float
    accuracy: float | None = None
    beside: Mapping[str, float] = field(default_factory=dict)


@dataclass(frozen=True)
class Contestant:
    """A program that does the work.

    Attributes:
        name: The name in the table.
        measure: Does the work once, in a separate process.
        note: A note in the table.
    """

    name: str
    measure: Callable[[], Sample]
    note: str = ""


@dataclass(frozen=True)
class Line:
    """A contestant's line of the table.

    Attributes:
        contest: The name of the contest.
        name: The name of the contestant.
        samples: One per round.
        ratios: The first contestant's value divided by this one, one per round; empty for the first.
        unit: The unit of the values.
        note: Further information.
    """

    contest: str
    name: str
    samples: Sequence[Sample]
    ratios: Sequence[float] = ()
    unit: str = "s"
    note: str = ""


HEADINGS = ("contest", "contestant", "median (min-max)", "times as fast", "val_accuracy", "note")
WIDTHS = (22, 34, 24, 20, 12, 0)


def hold(contest: str, contestants: Sequence[Contestant], rounds: int) -> list[Line]:
    """Measure contestants alternately.

    Args:
        contest: The name of the contest.
        contestants: The contestants in their order; the others are compared with the first.
        rounds: The number of measurements of each contestant.

    Returns:
        A line for each contestant.
    """
    samples: list[list[Sample]] = [[] for _ in contestants]
    for number in range(1, rounds + 1):
        for contestant, own in zip(contestants, samples, strict=True):
            say(f"{contest}, round {number} of {rounds}: {contestant.name}")
            own.append(contestant.measure())
    return [
        Line(contest, contestant.name, own, ratios(samples[0], own) if index else (), note=contestant.note)
        for index, (contestant, own) in enumerate(zip(contestants, samples, strict=True))
    ]


def ratios(reference: Sequence[Sample], own: Sequence[Sample]) -> list[float]:
    """How many times as fast as the reference, in each round."""
    return [theirs.value / mine.value for theirs, mine in zip(reference, own, strict=True)]


def differences(reference: Sequence[Sample], own: Sequence[Sample]) -> list[float]:
    """How much more than the reference, in each round."""
    return [mine.value - theirs.value for theirs, mine in zip(reference, own, strict=True)]


def steady(seconds: Sequence[float]) -> float:
    """Seconds of an epoch: the mean without the first one, in which networks are traced and files are read.

    It is the mean and not the median, because work may be done ahead in the preceding epoch.
    """
    return statistics.mean(seconds[1:] or seconds)


def scaled(setup: float, seconds: Sequence[float], count: int) -> float:
    """The time of `count` trainings, extrapolated from some that were measured.

    Args:
        setup: Seconds that do not depend on the number of trainings.
        seconds: The times of the measured trainings.
        count: Number of trainings.
    """
    return setup + count * statistics.mean(seconds)


def spread(values: Sequence[float]) -> str:
    """Median, minimum and maximum with three significant digits; only the value if there is one."""
    median, least, greatest = map(short, (statistics.median(values), min(values), max(values)))
    return median if len(values) == 1 else f"{median} ({least}-{greatest})"


def short(value: float) -> str:
    """A number with about three significant digits."""
    size = abs(value)
    return f"{value:.{0 if size >= 100 else 1 if size >= 10 else 2}f}"


def cells(line: Line) -> list[str]:
    """The cells of a line."""
    accuracies = [sample.accuracy for sample in line.samples if sample.accuracy is not None]
    return [
        line.contest,
        line.name,
        f"{spread([sample.value for sample in line.samples])} {line.unit}",
        spread(line.ratios) if line.ratios else "",
        f"{statistics.median(accuracies):.4f}" if accuracies else "",
        "; ".join(filter(None, [line.note, *_beside(line.samples)])),
    ]


def row(columns: Sequence[str], *, markdown: bool) -> str:
    """A row of the table, as Markdown or with columns of fixed width."""
    if markdown:
        return f"| {' | '.join(columns)} |"
    return " ".join(f"{text:<{width}}" for text, width in zip(columns, WIDTHS, strict=True)).rstrip()


def head(*, markdown: bool) -> str:
    """The row of headings and, in Markdown, the line below it."""
    return row(HEADINGS, markdown=markdown) + ("\n|" + "---|" * len(HEADINGS) if markdown else "")


def say(message: str) -> None:
    """Print a progress message to standard error."""
    print(message, file=sys.stderr, flush=True)


def _beside(samples: Sequence[Sample]) -> Iterator[str]:
    for name in samples[0].beside:
        yield f"{name} {short(statistics.median(sample.beside[name] for sample in samples))} s"
