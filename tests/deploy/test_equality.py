"""Two models are equal if they say the same of the same pictures."""

from pathlib import Path

import numpy as np
import pytest

from flowersweep.data.decode import Numbers
from flowersweep.deploy.equality import (
    Agreement,
    UnequalError,
    compare,
    compare_accuracy,
    shown_pictures,
)
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


def test_a_comparison_on_no_pictures_is_refused(tmp_path: Path) -> None:
    """It would accept any model: of unreadable pictures, none is left."""
    (tmp_path / "broken.jpg").write_bytes(b"no picture")
    with pytest.raises(UnequalError, match=r"None of the pictures could be read.*nothing was written"):
        compare(mean, lambda pictures: 1 - mean(pictures), shown_pictures([tmp_path / "broken.jpg"], 8))


def test_another_number_of_classes_is_refused() -> None:
    """It could not be compared."""
    with pytest.raises(UnequalError, match="numbers"):
        compare(mean, lambda pictures: mean(pictures)[:, :1], shown_pictures(None, 8))


def right_of(n: int, of: int = 100) -> tuple[Floats, Floats]:
    """Probabilities of two classes for `of` pictures of class 0, `n` of them right; those of a source that is always right."""
    certain = np.tile(np.array([[0.75, 0.25]], np.float32), (of, 1))
    worse = certain.copy()
    worse[n:] = worse[n:, ::-1]
    return worse, certain


@pytest.mark.parametrize(
    ("n_wrong", "of", "is_accepted"),
    [(0, 100, True), (5, 100, True), (6, 100, False), (1, 4, True), (2, 4, False)],
)
def test_a_lower_accuracy_is_refused_beyond_a_limit(n_wrong: int, of: int, *, is_accepted: bool) -> None:
    """At a limit of 5 %, five of a hundred pictures may be lost and six not; one picture always may."""
    export, source = right_of(of - n_wrong, of)
    shown = [(np.zeros((of, 2, 2, 3), np.uint8), np.zeros(of, np.int64))]
    if is_accepted:
        found = compare_accuracy(lambda _: source, lambda _: export, shown, 0.05)
        assert found == Agreement(of, of, of - n_wrong, n_wrong, 0.5 if n_wrong else 0.0)
    else:
        with pytest.raises(
            UnequalError,
            match=r"accuracy is 0\.\d+ \(source: 1\), the predicted class differs for \d of",
        ):
            compare_accuracy(lambda _: source, lambda _: export, shown, 0.05)


def test_a_model_that_becomes_better_is_accepted() -> None:
    """Rounding may also correct a prediction; what changed is counted in any case."""
    source, export = right_of(90)
    shown = [(np.zeros((100, 2, 2, 3), np.uint8), np.zeros(100, np.int64))]
    found = compare_accuracy(lambda _: source, lambda _: export, shown, 0.0)
    assert (found.source, found.export, found.changed) == (90, 100, 10)


def test_no_numbers_and_no_pictures_are_refused() -> None:
    """NaN is no prediction of the first class, and an accuracy on no pictures is none."""
    export, source = right_of(4, 4)
    export[2] = np.nan
    shown = [(np.zeros((4, 2, 2, 3), np.uint8), np.zeros(4, np.int64))]
    with pytest.raises(UnequalError, match="returns NaN"):
        compare_accuracy(lambda _: source, lambda _: export, shown, 1.0)
    with pytest.raises(UnequalError, match="No validation picture could be read"):
        compare_accuracy(lambda _: source, lambda _: export, [], 1.0)
