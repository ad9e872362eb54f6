"""Files of heads: what is written is read again, and what is no head is taken for absent."""

from pathlib import Path

import numpy as np
import pytest

from flowersweep.cache.atomic import locked
from flowersweep.cache.heads import Head, head_path, read_head, write_head


def test_what_was_written_is_read(tmp_path: Path) -> None:
    """Arrays and epochs come back as they were, from where the list of the cache's contents looks."""
    path = head_path(tmp_path, "a" * 32)
    kernel, bias = np.arange(15, dtype=np.float32).reshape(3, 5), np.arange(5, dtype=np.float32)
    with locked(path):
        write_head(path, Head([kernel, bias], [{"loss": 0.5}, {"loss": 0.25}], reused=False))

    found = read_head(path, 5)
    assert found is not None
    assert found.reused
    assert found.epochs == [{"loss": 0.5}, {"loss": 0.25}]
    assert [array.tolist() for array in found.weights] == [kernel.tolist(), bias.tolist()]
    assert path == tmp_path / "heads" / f"{'a' * 32}.npz"


@pytest.mark.parametrize(
    "stored",
    [
        {"kernel": np.zeros((3, 5), np.float32), "bias": np.zeros(5, np.float32)},
        {"kernel": np.zeros((3, 4), np.float32), "bias": np.zeros(4, np.float32), "epochs": "[]"},
        {"kernel": np.zeros(5, np.float32), "bias": np.zeros(5, np.float32), "epochs": "[]"},
        {"kernel": np.zeros((3, 5)), "bias": np.zeros(5, np.float32), "epochs": "[]"},
        {"kernel": np.full((3, 5), np.nan, np.float32), "bias": np.zeros(5, np.float32), "epochs": "[]"},
        {"kernel": np.zeros((3, 5), np.float32), "bias": np.zeros(5, np.float32), "epochs": "{}"},
        {"kernel": np.zeros((3, 5), np.float32), "bias": np.zeros(5, np.float32), "epochs": "[1]"},
    ],
)
def test_what_is_no_head_is_taken_for_absent(stored: dict[str, object], tmp_path: Path) -> None:
    """Missing arrays, other shapes and types, numbers that are none, epochs that are no list of values."""
    np.savez(tmp_path / "head.npz", **stored)  # type: ignore[arg-type]  # NumPy takes texts too
    assert read_head(tmp_path / "head.npz", 5) is None
