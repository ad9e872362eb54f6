"""How often the report distinguishes configurations that are truly equal, and how often those that differ.

    python benchmarks/false_differences.py [--studies 1000]

Studies are simulated as counts of correct validation pictures for several configurations and seeds. The rates are those
of studies, not of pairs: a single false difference in the ranking is counted.
"""

import argparse
from collections.abc import Iterator

import numpy as np
import numpy.typing as npt

from flowersweep.ranking.comparison import groups
from flowersweep.ranking.effects import Sample

# The standard deviation of a training, in pictures, by name; None: the pictures are correct independently with the same
# probability, as if seeds had no effect.
SPREADS: dict[str, float | None] = {
    "half a picture": 0.5,
    "one picture": 1.0,
    "three pictures": 3.0,
    "binomial": None,
}
# How much the spreads of configurations differ: the standard deviation of their logarithms.
UNLIKE = {"equal spreads": 0.0, "unequal spreads (1.3)": 0.4, "very unequal spreads (1.7)": 0.8}
SHARE_RIGHT = 0.9


def counts(
    rng: np.random.Generator,
    shape: tuple[int, int],
    n_pictures: int,
    spread: float | None,
    *,
    unlike: float = 0.0,
) -> npt.NDArray[np.float64]:
    """Counts of correct pictures of equal configurations (rows) by seed (columns)."""
    if spread is None:
        return rng.binomial(n_pictures, SHARE_RIGHT, shape).astype(float)
    level = SHARE_RIGHT * n_pictures + rng.uniform(-0.5, 0.5)
    spreads = spread * np.exp(rng.normal(0.0, unlike, (shape[0], 1)))
    found = level + spread * rng.normal(size=(1, shape[1])) + spreads * rng.normal(size=shape)
    return np.clip(np.round(found), 0, n_pictures)


def ranks(table: npt.NDArray[np.float64]) -> list[int]:
    """The rank of each row in the report; 1 for all if they are indistinguishable."""
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
    """The fraction, 0..1, of studies of equal configurations in which some are distinguished."""
    rng = np.random.default_rng(seed)
    tables = (counts(rng, shape, n_pictures, spread, unlike=unlike) for _ in range(n_studies))
    return sum(max(ranks(table)) > 1 for table in tables) / n_studies


def found_share(
    shape: tuple[int, int], n_pictures: int, difference: float, *, n_studies: int, seed: int = 0
) -> float:
    """The fraction, 0..1, of studies in which the worse configuration is distinguished from the leader.

    Args:
        shape: The numbers of configurations and seeds.
        n_pictures: The number of validation pictures.
        difference: How much it is worse, in standard deviations of a training, which are three pictures.
        n_studies: The number of simulated studies.
        seed: The seed of the simulation.
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
    yield "| truly equal | pictures | 2 seeds | 3 seeds | 5 seeds |\n|---|---|---|---|---|"
    for name, spread in SPREADS.items():
        for n_pictures in (47, 120, 734):
            shares = [false_share((12, n), n_pictures, spread, n_studies=n_studies) for n in (2, 3, 5)]
            yield f"| 12, {name} | {n_pictures} | {' | '.join(f'{share:.1%}' for share in shares)} |"
    for k in (2, 3, 5, 12, 30):
        for name, unlike in UNLIKE.items():
            shares = [false_share((k, n), 734, 3.0, n_studies=n_studies, unlike=unlike) for n in (2, 3, 5)]
            yield f"| {k}, three pictures, {name} | 734 | {' | '.join(f'{share:.1%}' for share in shares)} |"
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
