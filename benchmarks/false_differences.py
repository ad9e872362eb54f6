"""How often the report tells configurations apart that are in truth alike, and how often those that differ.

    python benchmarks/false_differences.py [--studies 1000]

Studies are simulated: counts of right validation pictures, for so many configurations and seeds. What is counted are
studies, not pairs: one false difference anywhere in the ranking is enough.
"""

import argparse
from collections.abc import Iterator

import numpy as np
import numpy.typing as npt

from flowersweep.report.statistics.comparison import Sample, groups

# The standard deviation of a training, in pictures, by what it is called; None: each picture is right by itself with the
# same chance, as if seeds had nothing in common.
SPREADS: dict[str, float | None] = {
    "half a picture": 0.5,
    "one picture": 1.0,
    "three pictures": 3.0,
    "binomial": None,
}
# How unlike the spreads of configurations are: the standard deviation of their logarithms.
UNLIKE = {"alike": 0.0, "unlike (half of them beyond a factor of 1.3)": 0.4, "very unlike (1.7)": 0.8}
SHARE_RIGHT = 0.9


def counts(
    rng: np.random.Generator,
    shape: tuple[int, int],
    n_pictures: int,
    spread: float | None,
    *,
    unlike: float = 0.0,
) -> npt.NDArray[np.float64]:
    """Counts of right pictures of configurations (rows) that are alike, by seed (columns)."""
    if spread is None:
        return rng.binomial(n_pictures, SHARE_RIGHT, shape).astype(float)
    level = SHARE_RIGHT * n_pictures + rng.uniform(-0.5, 0.5)
    spreads = spread * np.exp(rng.normal(0.0, unlike, (shape[0], 1)))
    found = level + spread * rng.normal(size=(1, shape[1])) + spreads * rng.normal(size=shape)
    return np.clip(np.round(found), 0, n_pictures)


def ranks(table: npt.NDArray[np.float64]) -> list[int]:
    """The rank that the report gives to each row; 1 for all if nothing is told apart."""
    order = sorted(range(len(table)), key=lambda row: -table[row].mean())
    samples: list[Sample] = [dict(enumerate(table[row].tolist())) for row in order]
    found = groups(samples, counts=True) or [1] * len(samples)
    return [found[order.index(row)] for row in range(len(table))]


def false_share(
    shape: tuple[int, int],
    n_pictures: int,
    spread: float | None,
    *,
    n_studies: int,
    unlike: float = 0.0,
    seed: int = 0,
) -> float:
    """The share of studies of configurations that are alike in which some are told apart, 0..1."""
    rng = np.random.default_rng(seed)
    tables = (counts(rng, shape, n_pictures, spread, unlike=unlike) for _ in range(n_studies))
    return sum(max(ranks(table)) > 1 for table in tables) / n_studies


def found_share(
    shape: tuple[int, int], n_pictures: int, difference: float, *, n_studies: int, seed: int = 0
) -> float:
    """The share of studies in which the one configuration that is worse is told apart from the leader, 0..1.

    Args:
        shape: How many configurations and seeds.
        n_pictures: For the validation.
        difference: By how much it is worse, in standard deviations of a training, which are three pictures.
        n_studies: How many to simulate.
        seed: Of the simulation.
    """
    rng = np.random.default_rng(seed)
    hits = 0
    for _ in range(n_studies):
        table = counts(rng, shape, n_pictures, 3.0)
        table[0] -= round(3.0 * difference)
        hits += ranks(np.maximum(table, 0))[0] > 1
    return hits / n_studies


def lines(n_studies: int) -> Iterator[str]:
    """The tables in Markdown."""
    yield "| alike in truth | pictures | 2 seeds | 3 seeds | 5 seeds |\n|---|---|---|---|---|"
    for name, spread in SPREADS.items():
        for n_pictures in (47, 120, 734):
            shares = [false_share((12, n), n_pictures, spread, n_studies=n_studies) for n in (2, 3, 5)]
            yield f"| 12, {name} | {n_pictures} | {' | '.join(f'{share:.1%}' for share in shares)} |"
    for k in (2, 3, 5, 12, 30):
        for name, unlike in UNLIKE.items():
            shares = [false_share((k, n), 734, 3.0, n_studies=n_studies, unlike=unlike) for n in (2, 3, 5)]
            yield f"| {k}, three pictures, spreads {name} | 734 | {' | '.join(f'{share:.1%}' for share in shares)} |"
    yield "\n| one is worse by | of | 2 seeds | 3 seeds | 5 seeds |\n|---|---|---|---|---|"
    for k in (2, 5, 12):
        for difference in (2.0, 4.0, 8.0):
            shares = [found_share((k, n), 734, difference, n_studies=n_studies) for n in (2, 3, 5)]
            yield f"| {difference:.0f} sd | {k} | {' | '.join(f'{share:.0%}' for share in shares)} |"


if __name__ == "__main__":
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--studies", type=int, default=1000)
    for line in lines(parser.parse_args().studies):
        print(line, flush=True)
