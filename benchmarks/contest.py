"""Contests: contestants that do the same work alternate, and each is compared with the first one, round by round.

Times on a shared machine drift by a factor of two, so that only ratios of neighbouring measurements say something.
"""

import statistics
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field


@dataclass(frozen=True)
class Sample:
    """One measurement.

    Attributes:
        value: What is compared: seconds, unless the line says otherwise.
        accuracy: Validation accuracy, 0..1; None where nothing was trained.
        beside: Further seconds by name, to be told but not compared.
    """

    value: float
    accuracy: float | None = None
    beside: Mapping[str, float] = field(default_factory=dict)


@dataclass(frozen=True)
class Contestant:
    """Somebody who does the work.

    Attributes:
        name: As the table calls it.
        measure: Does the work once, in a process of its own.
        note: What the table says of it.
    """

    name: str
    measure: Callable[[], Sample]
    note: str = ""


@dataclass(frozen=True)
class Line:
    """A contestant's line of the table.

    Attributes:
        contest: What was done.
        name: Who did it.
        samples: One per round.
        ratios: The first contestant's value over this one's, one per round; empty for the first.
        unit: Of the values.
        note: What the columns do not say.
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
    """Let contestants alternate.

    Args:
        contest: What they do.
        contestants: In their order; the others are compared with the first.
        rounds: How often each measures.

    Returns:
        A line for each.
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

    The mean and not the median, because work may be done ahead in the epoch before.
    """
    return statistics.mean(seconds[1:] or seconds)


def scaled(setup: float, seconds: Sequence[float], count: int) -> float:
    """What `count` trainings would take, of which some were measured.

    Args:
        setup: Seconds spent once, whatever the number of trainings.
        seconds: Those of the measured trainings.
        count: Number of trainings.
    """
    return setup + count * statistics.mean(seconds)


def spread(values: Sequence[float]) -> str:
    """Median, least and greatest value with three significant digits; a single value alone."""
    median, least, greatest = map(short, (statistics.median(values), min(values), max(values)))
    return median if len(values) == 1 else f"{median} ({least}-{greatest})"


def short(value: float) -> str:
    """A number with about three significant digits."""
    size = abs(value)
    return f"{value:.{0 if size >= 100 else 1 if size >= 10 else 2}f}"


def cells(line: Line) -> list[str]:
    """What stands in a line's columns."""
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
    """Tell what goes on, apart from the table."""
    print(message, file=sys.stderr, flush=True)


def _beside(samples: Sequence[Sample]) -> Iterator[str]:
    for name in samples[0].beside:
        yield f"{name} {short(statistics.median(sample.beside[name] for sample in samples))} s"
