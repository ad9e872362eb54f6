"""Pictures that look alike: perceptual hashes, and the search for pairs of them that differ in a few bits."""

from collections.abc import Iterator
from itertools import pairwise

import numpy as np
import numpy.typing as npt
from PIL import Image

from flowersweep.data.decode import Pixels

Hashes = npt.NDArray[np.uint64]

BITS = 64
# Two pictures look alike if at most this many bits differ: so do copies in another size, JPEG quality or colour. Among
# the 6.7 million pairs of flower_photos, all 24 found with 6 bits show one scene (3 are the same file, others two
# photographs of it); of the 7 with 8 bits, 4 are different photographs.
MAX_BITS = 6

_ROWS = 512  # hashes compared with all others of their bucket at a time, which limits the memory


def perceptual_hash(pixels: Pixels) -> int:
    """The 64 bits of a picture's pHash: its lowest frequencies, each compared with their median. Colours do not count.

    Args:
        pixels: uint8, shape (height, width, 3), RGB.
    """
    import imagehash

    bits = imagehash.phash(Image.fromarray(pixels)).hash
    return int.from_bytes(np.packbits(bits).tobytes(), "big")


def near_pairs(hashes: Hashes, max_bits: int = MAX_BITS) -> list[tuple[int, int]]:
    """The pairs of positions whose hashes differ in at most `max_bits` bits, sorted.

    Cut into max_bits + 1 pieces, such hashes have at least one equal piece. So only hashes with an equal piece are
    compared: with 100,000 pictures, about one pair in a hundred.

    Args:
        hashes: uint64, shape (n,).
        max_bits: At least 0 and less than 64.

    Returns:
        Pairs (i, j), i < j. Of several equal hashes, the first is paired with each of the others, and only the first
        with hashes that are not equal.
    """
    unique, first, inverse = np.unique(hashes, return_index=True, return_inverse=True)
    found = {(int(first[group]), i) for i, group in enumerate(inverse.tolist()) if first[group] != i}
    edges = np.linspace(0, BITS, max_bits + 2).astype(int).tolist()
    for low, high in pairwise(edges):
        mask = (1 << (high - low)) - 1
        piece = (unique >> np.uint64(low)) & np.uint64(mask)
        for bucket in _buckets(piece):
            for one, other in _compared(unique[bucket], max_bits):
                pair = sorted((int(first[bucket[one]]), int(first[bucket[other]])))
                found.add((pair[0], pair[1]))
    return sorted(found)


def _buckets(piece: Hashes) -> Iterator[npt.NDArray[np.intp]]:
    """The positions of equal values, for each value that occurs more than once."""
    order = np.argsort(piece, kind="stable")
    starts = np.flatnonzero(np.diff(piece[order])) + 1
    yield from (bucket for bucket in np.split(order, starts) if len(bucket) > 1)


def _compared(hashes: Hashes, max_bits: int) -> Iterator[tuple[int, int]]:
    for start in range(0, len(hashes), _ROWS):
        different = np.bitwise_count(hashes[start : start + _ROWS, None] ^ hashes[None, :])
        for row, column in np.argwhere(different <= max_bits).tolist():
            if start + row < column:
                yield start + row, column


def joined(pairs: list[tuple[int, int]]) -> list[tuple[int, ...]]:
    """The groups of positions that are connected by pairs, each sorted, in the order of their first positions."""
    leader: dict[int, int] = {}

    def lead(i: int) -> int:
        while leader.setdefault(i, i) != i:
            leader[i] = leader[leader[i]]
            i = leader[i]
        return i

    for i, j in pairs:
        leader[max(lead(i), lead(j))] = min(lead(i), lead(j))
    groups: dict[int, list[int]] = {}
    for i in sorted(leader):
        groups.setdefault(lead(i), []).append(i)
    return [tuple(group) for group in groups.values()]
