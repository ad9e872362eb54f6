"""Uniform random numbers addressed by (seed, epoch, picture index)."""

import hashlib

import numpy as np

from flowersweep.augment.base import Augmentation, Parameters, Uniforms


def uniforms(seed: int, epoch: int, n: int, k: int) -> Uniforms:
    """Draw `k` numbers for each of `n` pictures.

    Philox is counter-based: with the key derived from seed and epoch, number j of picture i is output i * k + j, so
    row i does not depend on `n`. Only the raw 64-bit stream is used, which NumPy guarantees not to change, so
    that stored features stay valid when NumPy is upgraded (Salmon et al. 2011, "Parallel random numbers: as
    easy as 1, 2, 3").

    Args:
        seed: The augmentation's seed.
        epoch: Epoch, from 0.
        n: Number of pictures.
        k: Numbers per picture.

    Returns:
        float64, shape (n, k), values in [0, 1) with 53 random bits.
    """
    digest = hashlib.blake2b(f"{seed}/{epoch}".encode(), digest_size=16).digest()
    raw = np.random.Philox(key=int.from_bytes(digest, "little")).random_raw(n * k)
    return (raw.reshape(n, k) >> np.uint64(11)).astype(np.float64) * 2.0**-53


def drawn(augmentation: Augmentation, epoch: int, n: int) -> Parameters:
    """The parameters of an augmentation for each of `n` pictures in an epoch, counted from 0, with its cycle applied.

    Returns:
        Named arrays of shape (n, ...), one row per picture, from `Augmentation.parameters`.
    """
    number = augmentation.draw_of(epoch)
    return augmentation.parameters(uniforms(augmentation.seed, number, n, augmentation.n_uniforms))
