"""The stream: what a picture becomes depends on seed, epoch and picture, and on nothing else."""

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given
from hypothesis import strategies as st

from flowersweep.augment import AUGMENTATIONS, Augmentation
from flowersweep.augment.stack import Stack
from flowersweep.data.stream import epoch_order, evaluation_stream, steps_per_epoch, training_stream

SIZE = 16


@dataclass(frozen=True)
class Part:
    """Twelve random pictures, nine of which belong to the part."""

    images: npt.NDArray[np.uint8]
    indices: npt.NDArray[np.int64]
    labels: npt.NDArray[np.int32]
    targets: npt.NDArray[np.float32] | None = None


@pytest.fixture(scope="module")
def part() -> Part:
    """Nine of twelve pictures; a picture's label is its index."""
    rng = np.random.default_rng(0)
    indices = np.array([0, 2, 3, 5, 6, 7, 8, 9, 11])
    images = rng.integers(0, 256, (12, SIZE, SIZE, 3), dtype=np.uint8)
    return Part(images, indices, indices.astype(np.int32))


def epochs_of(
    part: Part, augmentation: Augmentation, batch_size: int, *, epochs: int = 3, seed: int = 0
) -> list[dict[int, npt.NDArray[np.float32]]]:
    """What each picture became in each epoch, by its label."""
    stream = training_stream(
        part, augmentation, image_size=SIZE, batch_size=batch_size, seed=seed, epochs=epochs
    )
    batches = list(stream.as_numpy_iterator())
    steps = steps_per_epoch(len(part.indices), batch_size)
    assert len(batches) == steps * epochs
    return [
        {
            int(label): image
            for images, labels in batches[start : start + steps]
            for image, label in zip(images, labels, strict=True)
        }
        for start in range(0, len(batches), steps)
    ]


def orders_of(part: Part, batch_size: int, seed: int = 0) -> list[list[int]]:
    """The order of the labels in each of three epochs."""
    stream = training_stream(
        part, AUGMENTATIONS["none"](), image_size=SIZE, batch_size=batch_size, seed=seed, epochs=3
    )
    labels = np.concatenate([labels for _, labels in stream.as_numpy_iterator()])
    return labels.reshape(3, -1).tolist()


class TestTrainingStream:
    def test_every_picture_once_per_epoch(self, part: Part) -> None:
        """Each epoch holds every picture of the part exactly once, in another order than the epoch before."""
        first, second, third = orders_of(part, batch_size=4)

        assert sorted(first) == sorted(second) == sorted(third) == part.indices.tolist()
        assert first != second != third

    def test_without_augmentation_pictures_are_themselves(self, part: Part) -> None:
        """aug=none hands the stored pixels on as float32, each with its own label."""
        for epoch in epochs_of(part, AUGMENTATIONS["none"](), batch_size=4):
            for label, image in epoch.items():
                assert image.dtype == np.float32
                np.testing.assert_array_equal(image, part.images[label])

    @pytest.mark.slow
    @pytest.mark.parametrize("name", ["RandomFlip", "RandomRotation", "RandomContrast", "RandAugment"])
    def test_batch_size_does_not_change_a_picture(self, part: Part, name: str) -> None:
        """Picture i in epoch e is bit-identical in batches of 1, 4 and 9."""
        augmentation = AUGMENTATIONS[name]()
        reference = epochs_of(part, augmentation, batch_size=1)

        for batch_size in (4, 9):
            for epoch, expected in zip(epochs_of(part, augmentation, batch_size), reference, strict=True):
                for label, image in expected.items():
                    np.testing.assert_array_equal(epoch[label], image)

    @pytest.mark.slow
    def test_order_of_the_pictures_does_not_change_a_picture(self, part: Part) -> None:
        """Another seed shuffles differently but leaves what happens to each picture alone."""
        augmentation = AUGMENTATIONS["RandomRotation"]()
        one, other = (epochs_of(part, augmentation, 4, seed=seed) for seed in (0, 1))

        assert orders_of(part, 4, seed=0) != orders_of(part, 4, seed=1)
        for left, right in zip(one, other, strict=True):
            for label, image in left.items():
                np.testing.assert_array_equal(right[label], image)

    def test_a_longer_stream_begins_alike(self, part: Part) -> None:
        """An epoch is the same whatever the number of epochs: its order, and what happens to each picture."""
        augmentation = AUGMENTATIONS["RandomRotation"]()
        short, long = (epochs_of(part, augmentation, 4, epochs=epochs) for epochs in (2, 3))

        for left, right in zip(short, long[:2], strict=True):
            assert list(left) == list(right)
            for label, image in left.items():
                np.testing.assert_array_equal(right[label], image)

    def test_augments_anew_in_every_epoch(self, part: Part) -> None:
        """A picture is rotated otherwise in each epoch."""
        first, second, _ = epochs_of(part, AUGMENTATIONS["RandomRotation"](), 4)

        assert all(np.abs(first[label] - second[label]).max() > 1 for label in first)

    def test_a_cycle_brings_the_draws_back_but_not_the_order(self, part: Part) -> None:
        """With a cycle of 2 each picture is rotated in the third epoch as in the first, in another order."""
        first, second, third = epochs_of(part, AUGMENTATIONS["RandomRotation"](cycle=2), 4)

        assert list(first) != list(third)
        for label, image in first.items():
            np.testing.assert_array_equal(third[label], image)
            assert np.abs(second[label] - image).max() > 1


class TestMixing:
    @pytest.mark.slow
    @pytest.mark.parametrize(
        "layers",
        [[{"name": "MixUp", "alpha": 1.0}], ["CutMix"], ["RandomRotation", {"name": "MixUp", "alpha": 1.0}]],
    )
    def test_partners_are_drawn_and_not_taken_from_the_batch(self, part: Part, layers: list[Any]) -> None:
        """In batches of 1, 4 and 9 and in any order, pictures and labels are the same to the last bit."""
        augmentation = Stack(layers=layers)
        reference = mixed_epochs(part, augmentation, batch_size=1)
        for batch_size, seed in ((4, 0), (9, 0), (4, 1)):
            found = mixed_epochs(part, augmentation, batch_size, seed=seed)
            for epoch, expected in zip(found, reference, strict=True):
                assert epoch.keys() == expected.keys()
                for own, (image, label) in expected.items():
                    np.testing.assert_array_equal(epoch[own][0], image)
                    np.testing.assert_array_equal(epoch[own][1], label)
        assert any((reference[0][own][1] != reference[1][own][1]).any() for own in reference[0])

    def test_a_picture_is_mixed_with_that_of_its_label(self, part: Part) -> None:
        """Another picture of the part, in the shares of the label; the largest share is the picture's own."""
        augmentation = Stack(layers=["none", {"name": "MixUp", "alpha": 1.0}])
        for epoch in mixed_epochs(part, augmentation, 4):
            for own, (image, label) in epoch.items():
                shares = label[:, None, None, None]
                expected = (part.images * shares).sum(axis=0)
                np.testing.assert_allclose(image, expected, atol=1e-3)
                assert label[own] == label.max() >= 0.5
                assert set(np.flatnonzero(label)) <= set(part.indices.tolist())


def mixed_epochs(
    part: Part, augmentation: Augmentation, batch_size: int, *, seed: int = 0
) -> list[dict[int, tuple[npt.NDArray[np.float32], npt.NDArray[np.float32]]]]:
    """Picture and label of each picture in each of three epochs, by its own label."""
    stream = training_stream(
        part, augmentation, image_size=SIZE, batch_size=batch_size, seed=seed, epochs=3, n_classes=12
    )
    orders = [epoch_order(seed, epoch, len(part.indices)) for epoch in range(3)]
    batches = list(stream.as_numpy_iterator())
    images, labels = (np.concatenate([batch[place] for batch in batches]) for place in (0, 1))
    owns = np.concatenate([part.labels[order] for order in orders])
    rows = list(zip(owns.tolist(), zip(images, labels, strict=True), strict=True))
    count = len(part.indices)
    return [dict(rows[epoch * count : (epoch + 1) * count]) for epoch in range(3)]


class TestEvaluationStream:
    def test_keeps_order_and_pixels(self, part: Part) -> None:
        """Evaluation sees the part's pictures in their order, unchanged."""
        batches = list(evaluation_stream(part, batch_size=4).as_numpy_iterator())
        images = np.concatenate([images for images, _ in batches])
        labels = np.concatenate([labels for _, labels in batches])

        assert [len(batch) for batch, _ in batches] == [4, 4, 1]
        np.testing.assert_array_equal(labels, part.labels)
        np.testing.assert_array_equal(images, part.images[part.indices])


@given(st.integers(0, 2**31), st.integers(0, 1000), st.integers(1, 200))
def test_order_is_a_permutation_that_depends_on_seed_and_epoch_only(
    seed: int, epoch: int, count: int
) -> None:
    """The same seed and epoch give the same permutation of all pictures."""
    order = epoch_order(seed, epoch, count)

    assert sorted(order.tolist()) == list(range(count))
    np.testing.assert_array_equal(order, epoch_order(seed, epoch, count))
