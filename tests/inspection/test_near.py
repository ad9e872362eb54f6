"""The search for pictures that look alike."""

import io

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from flowersweep.inspection.near import MAX_BITS, joined, near_pairs, perceptual_hash

HASHES = st.lists(st.integers(0, 2**64 - 1), max_size=30)


def distance(one: int, other: int) -> int:
    """The number of different bits."""
    return (one ^ other).bit_count()


@given(HASHES, st.data(), st.integers(0, 12))
def test_every_pair_within_the_limit_is_found_and_no_other(
    hashes: list[int], data: st.DataObject, max_bits: int
) -> None:
    """As by comparing all pairs, for hashes of which some are versions of others; equal ones count through the first."""
    for _ in range(data.draw(st.integers(0, 20)) if hashes else 0):
        bits = data.draw(st.lists(st.integers(0, 63), max_size=14))
        version = data.draw(st.sampled_from(hashes))
        for bit in bits:
            version ^= 1 << bit
        hashes.append(version)
    first = [hashes.index(one) for one in hashes]
    expected = {
        (i, j)
        for j in range(len(hashes))
        for i in range(j)
        if (first[j] == i if hashes[i] == hashes[j] else first[i] == i and first[j] == j)
        and distance(hashes[i], hashes[j]) <= max_bits
    }
    found = near_pairs(np.array(hashes, np.uint64), max_bits)
    assert found == sorted(expected)


def test_a_hundred_thousand_are_not_compared_with_each_other(monkeypatch: pytest.MonkeyPatch) -> None:
    """Of random hashes, fewer than two pairs in a hundred are compared, and none is found."""
    compared = 0
    count = np.bitwise_count

    def counted(bits: np.ndarray) -> np.ndarray:
        nonlocal compared
        compared += bits.size
        result: np.ndarray = count(bits)
        return result

    monkeypatch.setattr(np, "bitwise_count", counted)
    n = 20_000
    assert near_pairs(np.random.default_rng(0).integers(0, 2**64, n, dtype=np.uint64)) == []
    assert 0 < compared < 0.02 * n * n


def test_versions_of_a_picture_look_alike_and_others_do_not() -> None:
    """Half the size in bad quality, brighter, or grey: within the limit. 20 pictures: no pair of them is."""
    rng = np.random.default_rng(0)
    pictures = [
        Image.fromarray(rng.integers(0, 256, (6, 6, 3), dtype=np.uint8)).resize((120, 80), 3)
        for _ in range(20)
    ]
    for picture in pictures:
        file = io.BytesIO()
        picture.resize((60, 40)).save(file, "JPEG", quality=50)
        its = perceptual_hash(np.asarray(picture))
        for version in (
            Image.open(file),
            picture.point(lambda value: value * 0.8),
            picture.convert("L").convert("RGB"),
        ):
            assert distance(its, perceptual_hash(np.asarray(version))) <= MAX_BITS
    hashes = np.array([perceptual_hash(np.asarray(picture)) for picture in pictures], np.uint64)
    assert near_pairs(hashes) == []


def test_pairs_are_joined_to_groups() -> None:
    """Whatever their order."""
    assert joined([(5, 6), (1, 4), (2, 6), (0, 2)]) == [(0, 2, 5, 6), (1, 4)]
    assert joined([]) == []
