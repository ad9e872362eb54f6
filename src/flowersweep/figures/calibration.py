"""How far probabilities can be trusted: reliability and expected calibration error."""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

BINS = 15


@dataclass(frozen=True, eq=False)
class Calibration:
    """Predictions in bins of equal width by the probability of the predicted class, its confidence.

    Attributes:
        pictures: int64, shape (BINS,): the number of predictions in each bin ((m - 1) / BINS, m / BINS].
        confidence: float64, shape (BINS,): their mean confidence; NaN for an empty bin.
        accuracy: float64, shape (BINS,): the correct fraction of them; NaN for an empty bin.
    """

    pictures: npt.NDArray[np.int64]
    confidence: npt.NDArray[np.float64]
    accuracy: npt.NDArray[np.float64]

    @property
    def error(self) -> float:
        """The expected calibration error, 0..1: sum over bins m of |B_m| / n * |accuracy(B_m) - confidence(B_m)|.

        B_m are the predictions in bin m, n is the number of all (Guo et al. 2017, "On calibration of modern neural
        networks", arXiv 1706.04599, equation 3).
        """
        some = self.pictures > 0
        gaps = np.abs(self.accuracy[some] - self.confidence[some])
        return float((self.pictures[some] * gaps).sum() / self.pictures.sum())


def calibration(true: npt.NDArray[np.integer], probabilities: npt.NDArray[np.floating]) -> Calibration:
    """Sort predictions into bins by their confidence.

    Args:
        true: Class numbers, shape (n,), n at least 1.
        probabilities: Shape (n, number of classes).
    """
    confidence = probabilities.max(axis=1).astype(np.float64)
    hit = probabilities.argmax(axis=1) == true
    bins = np.clip(np.ceil(confidence * BINS).astype(np.int64) - 1, 0, BINS - 1)
    pictures = np.bincount(bins, minlength=BINS)
    with np.errstate(invalid="ignore"):  # 0 of 0 is NaN here
        return Calibration(
            pictures,
            np.bincount(bins, weights=confidence, minlength=BINS) / pictures,
            np.bincount(bins, weights=hit, minlength=BINS) / pictures,
        )
