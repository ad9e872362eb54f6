"""What a phase is fed with: pictures, or the features of a small real network's prefix."""

from pathlib import Path
from typing import Any

import keras
import numpy as np
import numpy.typing as npt
import pytest

from conftest import MakeConfig
from flowersweep.cache import rows
from flowersweep.config import Config
from flowersweep.errors import DataError
from flowersweep.models.network import Network
from flowersweep.training.dataset import Pictures, load_pictures
from flowersweep.training.loader import open_loader

Floats = npt.NDArray[np.float32]


@pytest.fixture(scope="module")
def network() -> Network:
    """A convolution that is never trained, cut behind the base's third layer, and a dense layer that is."""
    keras.utils.set_random_seed(3)
    pictures = keras.Input((32, 32, 3))
    scaled = keras.layers.Rescaling(1 / 255)(pictures)
    features = keras.layers.GlobalAveragePooling2D()(keras.layers.Conv2D(6, 5, strides=4)(scaled))
    prefix = keras.Model(pictures, features)
    inputs = keras.Input((6,))
    suffix = keras.Model(inputs, keras.layers.Dense(5)(inputs))
    return Network(prefix, suffix, keras.Model(pictures, suffix(prefix(pictures))), cut=3)


@pytest.fixture
def config(make_config: MakeConfig) -> Config:
    """Features of TensorFlow's own in float32, so that nothing is rounded; every picture is flipped or not."""
    return make_config("aug=RandomFlip", "bank.engine=tensorflow", "bank.dtype=float32", "seed=4")


@pytest.fixture
def pictures(config: Config) -> Pictures:
    """48 drawn flowers to train with and 12 to validate."""
    return load_pictures(config)


def batches(dataset: Any) -> list[tuple[Floats, npt.NDArray[np.int32]]]:
    """All batches as arrays."""
    return [(np.asarray(x), np.asarray(y)) for x, y in dataset]


def test_stored_features_are_those_of_the_pictures_in_the_same_order(
    network: Network, config: Config, pictures: Pictures, make_config: MakeConfig
) -> None:
    """Two epochs of three batches: by way of the cache or not, the suffix is given the same numbers."""
    direct = make_config("aug=RandomFlip", "bank=off", "seed=4")
    with open_loader(network, config, pictures) as stored, open_loader(network, direct, pictures) as shown:
        assert (stored.bank is None, shown.bank is None) == (False, True)
        assert stored.model(network) is network.suffix
        features, images = batches(stored.training(2)), batches(shown.training(2))
        validating = batches(stored.evaluation(pictures.validation))
        shown_validating = batches(shown.evaluation(pictures.validation))

    assert [len(labels) for _, labels in features] == [16, 16, 16] * 2
    assert network.prefix is not None
    for (row, label), (picture, expected) in zip(
        features + validating, images + shown_validating, strict=True
    ):
        assert row.dtype == np.float32
        np.testing.assert_array_equal(label, expected)
        np.testing.assert_allclose(row, np.asarray(network.prefix(picture)), atol=1e-5)
    epochs = [np.concatenate([row for row, _ in features[begin : begin + 3]]) for begin in (0, 3)]
    assert not np.allclose(epochs[0], epochs[1])
    np.testing.assert_array_equal(np.concatenate([y for _, y in validating]), pictures.validation.labels)


def test_the_seed_decides_the_order(network: Network, pictures: Pictures, make_config: MakeConfig) -> None:
    """The same one gives the same labels one after the other, another one others."""
    orders = []
    for seed in (4, 4, 5):
        with open_loader(network, make_config("bank=off", f"seed={seed}"), pictures) as shown:
            orders.append(np.concatenate([labels for _, labels in batches(shown.training(1))]).tolist())

    assert orders[0] == orders[1] != orders[2]
    assert sorted(orders[0]) == sorted(orders[2]) == sorted(pictures.train.labels.tolist())


def test_without_a_prefix_worth_storing_pictures_are_fed(
    network: Network, config: Config, pictures: Pictures
) -> None:
    """A network without a prefix, and one that is cut before its first layer, see pictures as numbers from 0 to 255."""
    whole = network.whole
    for other in (Network(None, whole, whole), Network(network.prefix, network.suffix, whole, cut=0)):
        with open_loader(other, config, pictures) as shown:
            assert shown.bank is None
            ((images, labels),) = batches(shown.evaluation(pictures.validation))
            answers = np.asarray(shown.model(other)(images))

        np.testing.assert_array_equal(images, pictures.validation.images[pictures.validation.indices])
        np.testing.assert_array_equal(labels, pictures.validation.labels)
        np.testing.assert_allclose(answers, np.asarray(whole(images)), atol=1e-5)


def test_pictures_that_are_shortened_under_a_training_are_told(
    network: Network,
    make_config: MakeConfig,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The file of the decoded pictures is replaced by a shorter one: the process stays, and the error names the file."""
    monkeypatch.setattr(rows, "KEPT_BYTES", 0)
    alone = make_config("bank=off", f"paths.cache={tmp_path}/cache")
    pictures = load_pictures(alone)
    (stored,) = (tmp_path / "cache/pictures").glob("*.npy")
    with open_loader(network, alone, pictures) as shown:
        assert len(batches(shown.evaluation(pictures.validation))) == 1
    stored.write_bytes(b"another")

    with (
        pytest.raises(DataError, match=f"{stored} was changed by another program while it was in use"),
        open_loader(network, alone, pictures) as shown,
    ):
        batches(shown.training(1))
    with open_loader(network, alone, load_pictures(alone)) as again:
        assert len(batches(again.training(1))) == 3
