"""Two models are equal if they say the same of the same pictures."""

from pathlib import Path

import numpy as np
import pytest

from flowersweep.data.decode import Numbers
from flowersweep.deploy.equality import UnequalError, compare, shown_pictures
from flowersweep.models.engine import Floats


def mean(pictures: Numbers) -> Floats:
    """A model of two classes: how bright a picture is, and how dark."""
    light = pictures.reshape(len(pictures), -1).mean(axis=1) / 255
    return np.stack([light, 1 - light], axis=1).astype(np.float32)


def test_equal_models_are_equal_on_all_pictures() -> None:
    """Noise and drawn flowers: 18 pictures, no difference."""
    equality = compare(mean, mean, shown_pictures(None, 16))

    assert equality.pictures == 18
    assert equality.difference < 1e-6


def test_pictures_are_always_the_same_and_flowers_are_among_them() -> None:
    """Noise in the first batch, drawings in the second, both alike every time."""
    for first, second in zip(shown_pictures(None, 12), shown_pictures(None, 12), strict=True):
        assert first.shape[1:] == (12, 12, 3)
        np.testing.assert_array_equal(first, second)


def test_pictures_of_a_folder(drawn: Path) -> None:
    """All of them, in batches."""
    assert sum(map(len, shown_pictures(sorted(drawn.rglob("*.jpg"))[:20], 8))) == 20


@pytest.mark.parametrize(("error", "is_equal"), [(0.9e-4, True), (1.2e-4, False), (np.nan, False)])
def test_a_difference_beyond_rounding_is_refused(error: float, *, is_equal: bool) -> None:
    """The limit is 1e-4; what is no number is a difference, also if the other pictures agree."""

    def other(pictures: Floats) -> Floats:
        answer = mean(pictures)
        answer[0, 0] += np.float32(error)
        return answer

    if is_equal:
        assert compare(mean, other, shown_pictures(None, 8)).difference == pytest.approx(error, rel=0.01)
    else:
        with pytest.raises(UnequalError, match="nothing was written"):
            compare(mean, other, shown_pictures(None, 8))


def test_another_number_of_classes_is_refused() -> None:
    """It could not be compared."""
    with pytest.raises(UnequalError, match="numbers"):
        compare(mean, lambda pictures: mean(pictures)[:, :1], shown_pictures(None, 8))
