"""The feature bank: its features are the prefix's, stored once, and training through it is training."""

import dataclasses
import logging
from collections.abc import Callable
from pathlib import Path
from typing import Any

import keras
import numpy as np
import numpy.typing as npt
import pytest
import tensorflow as tf

from flowersweep.augment import build, uniforms
from flowersweep.cache.draws import draw_path
from flowersweep.cache.rows import own_errors
from flowersweep.config.models import FineTunedConfig, FrozenConfig, HeadConfig
from flowersweep.data import fingerprint, open_pixel_store, read_folder
from flowersweep.data.stream import evaluation_stream, training_stream
from flowersweep.errors import ConfigError, DataError
from flowersweep.models import build_network
from flowersweep.models.bank import FeatureBank
from flowersweep.models.features import evaluation_features, feature_stream
from flowersweep.models.network import Network
from flowersweep.training.dataset import PictureSet
from small_files import files_of_at_most
from support import calibrated

SIZE, SOURCE = 32, 40
FLOAT16_ERROR = 2.0**-11  # relative, by rounding to eleven bits

MakeBank = Callable[..., FeatureBank]


def backbone() -> Network:
    """The narrowest MobileNetV2, fine-tuned from its last block on, without dropout."""
    keras.utils.set_random_seed(0)
    config = FineTunedConfig(
        name="tuned",
        learning_rate=1e-3,
        backbone="MobileNetV2",
        weights=None,
        alpha=0.35,
        dropout=0.0,
        fine_tune_at=145,
        init_from=None,
        head=HeadConfig(1, 1e-3),
    )
    return calibrated(build_network(config, num_classes=5, image_size=SIZE))


def plain() -> Network:
    """Two convolutions that are not trained and one layer that is: quick to build and to trace."""
    keras.utils.set_random_seed(0)
    pictures = keras.Input((SIZE, SIZE, 3))
    scaled = keras.layers.Rescaling(1 / 127.5, offset=-1)(pictures)
    shallow = keras.layers.Conv2D(8, 3, strides=2, activation="relu")(scaled)
    prefix = keras.Model(pictures, keras.layers.Conv2D(8, 3, strides=3, activation="relu")(shallow))
    prefix.trainable = False
    features = keras.Input(prefix.output.shape[1:])
    suffix = keras.Model(features, keras.layers.Dense(5)(keras.layers.Flatten()(features)))
    return Network(prefix, suffix, keras.Model(pictures, suffix(prefix(pictures))))


def part_of_size(size: int, seed: int = 0) -> PictureSet:
    """Thirty-seven of fifty pictures of noise, in an order of their own."""
    rng = np.random.default_rng(seed)
    images = rng.integers(0, 256, (50, size, size, 3), dtype=np.uint8)
    return PictureSet(images, rng.permutation(50)[:37], rng.integers(0, 5, 37).astype(np.int32))


@pytest.fixture(scope="module")
def network() -> Network:
    """One network for all tests; none of them trains it."""
    return plain()


@pytest.fixture(scope="module")
def part() -> PictureSet:
    """Training pictures."""
    return part_of_size(SIZE)


@pytest.fixture
def make_bank(network: Network, part: PictureSet, tmp_path: Path) -> MakeBank:
    """Open a bank of the network and the pictures; TensorFlow computes it, which needs no conversion."""

    def make(aug: str = "RandomRotation", **changes: Any) -> FeatureBank:
        arguments: dict[str, Any] = {
            "prefix": network.prefix,
            "part": part,
            "augmentation": build(aug),
            "image_size": SIZE,
            "fingerprint": "data",
            "cache": tmp_path,
            "dtype": "float32",
            "engine": "tensorflow",
            "max_bytes": 10**9,
        }
        return FeatureBank(**{**arguments, **changes})

    return make


def expected(network: Network, part: PictureSet, aug: str, epoch: int) -> npt.NDArray[np.float32]:
    """The prefix's features of the pictures under the draws of an epoch, by the shortest way."""
    augmentation = build(aug)
    drawn = uniforms(augmentation.seed, epoch, len(part.images), augmentation.n_uniforms)
    parameters = {
        name: tf.constant(values[part.indices]) for name, values in augmentation.parameters(drawn).items()
    }
    pictures = augmentation.apply(tf.constant(part.images[part.indices], tf.float32), parameters, SIZE)
    assert network.prefix is not None
    return np.asarray(network.prefix(pictures, training=False))


class TestFeatures:
    @pytest.mark.slow
    @pytest.mark.parametrize("aug", ["none", "RandomFlip", "RandomFlip_prob", "RandomRotation"])
    @pytest.mark.parametrize("epoch", [0, 3])
    def test_are_the_prefix_of_the_augmented_pictures(
        self, make_bank: MakeBank, network: Network, part: PictureSet, aug: str, epoch: int
    ) -> None:
        """Row j is picture indices[j] under the draws of the epoch, through the prefix, to 1e-4."""
        features = make_bank(aug).draw(epoch)

        np.testing.assert_allclose(features, expected(network, part, aug, epoch), atol=1e-4)

    @pytest.mark.slow
    def test_of_a_backbone_in_litert(self, make_bank: MakeBank, part: PictureSet) -> None:
        """LiteRT's features of MobileNetV2 are the prefix's to 5e-4 of numbers around 1, and tell pictures apart."""
        network = backbone()
        features = np.asarray(make_bank(prefix=network.prefix, engine="litert").draw(1))

        np.testing.assert_allclose(features, expected(network, part, "RandomRotation", 1), atol=5e-4)
        assert features.std(axis=0).mean() > 0.1

    def test_of_different_engines_lie_in_different_banks(self, make_bank: MakeBank) -> None:
        """They differ in the last bits, so that neither is taken for the other."""
        assert make_bank(engine="litert").key.digest != make_bank(engine="tensorflow").key.digest

    def test_in_float16(self, make_bank: MakeBank) -> None:
        """Half the size, the relative error at most 2**-11 where float16 is normal."""
        whole, half = (np.asarray(make_bank(dtype=dtype).draw(0)) for dtype in ("float32", "float16"))
        normal = np.abs(whole) > 2.0**-14

        assert half.dtype == np.float16
        assert half.nbytes == whole.nbytes / 2
        error = np.abs(half.astype(np.float64) - whole)
        assert (error[normal] / np.abs(whole[normal])).max() <= FLOAT16_ERROR
        assert error[~normal].max(initial=0) <= 2.0**-25

    def test_of_crops_are_of_the_image_size(self, make_bank: MakeBank, network: Network) -> None:
        """RandomCrop takes larger pictures; the prefix is given windows of them."""
        augmentation = build("RandomCrop")
        part = part_of_size(augmentation.source_size(SIZE))
        bank = make_bank(augmentation=augmentation, part=part)

        np.testing.assert_allclose(bank.draw(1), expected(network, part, "RandomCrop", 1), atol=1e-4)

    def test_of_different_epochs_differ(self, make_bank: MakeBank) -> None:
        """Each epoch has draws of its own."""
        bank = make_bank()

        difference = np.abs(bank.draw(0)[:] - bank.draw(1)[:])
        assert np.median(difference.reshape(37, -1).max(axis=1)) > 0.1

    def test_of_a_cycle_come_again(self, make_bank: MakeBank, tmp_path: Path) -> None:
        """With a cycle of 2 the third epoch has the first one's features, those that are drawn without a cycle too."""
        endless = make_bank(augmentation=build("RandomRotation"))
        bank = make_bank(augmentation=dataclasses.replace(build("RandomRotation"), cycle=2))
        expected = [np.array(endless.draw(epoch)) for epoch in range(2)]

        draws = [np.array(bank.draw(epoch)) for epoch in range(5)]

        for epoch, draw in enumerate(draws):
            assert np.array_equal(draw, expected[epoch % 2])
        assert bank.key == endless.key
        assert [path.exists() for path in (draw_path(tmp_path, bank.key.digest, n) for n in range(3))] == [
            True,
            True,
            False,
        ]

    def test_of_few_outcomes_are_computed_once(self, make_bank: MakeBank, tmp_path: Path) -> None:
        """What flips can make of the pictures is four files, whatever the epoch, the seed or the way of drawing."""
        flips = make_bank("RandomFlip")
        first = [np.array(flips.draw(epoch)) for epoch in range(6)]
        others = (
            make_bank("RandomFlip_prob"),
            make_bank(augmentation=dataclasses.replace(build("RandomFlip"), seed=3)),
        )
        drawn = [other.draw(epoch) for other in others for epoch in range(3)]

        files = sorted(tmp_path.rglob("*.npy"))
        assert len(files) == 4
        assert make_bank("none").draw(0) is not None
        assert sorted(tmp_path.rglob("*.npy")) == files  # one of the four leaves the pictures as they are
        assert all(np.abs(one - first[0]).max() > 0.01 for one in [*first[1:], *drawn])

    def test_without_augmentation_serve_every_epoch(self, make_bank: MakeBank, tmp_path: Path) -> None:
        """There is one file, whatever the epoch and the seed."""
        bank = make_bank("none")
        other_seed = make_bank(augmentation=dataclasses.replace(build("none"), seed=5))

        assert bank.draw(0) is bank.draw(7)
        np.testing.assert_array_equal(other_seed.draw(3), bank.draw(0))
        assert len(list(tmp_path.glob("features/*/*.npy"))) == 1

    def test_of_evaluation_have_no_augmentation(self, make_bank: MakeBank, network: Network) -> None:
        """Validation pictures are whole and in float32, whatever training does."""
        validation = part_of_size(SIZE, seed=1)
        features = make_bank("RandomRotation", dtype="float16").evaluation(validation)

        assert features.dtype == np.float32
        np.testing.assert_allclose(features, expected(network, validation, "none", 0), atol=1e-4)

    def test_too_large_for_float16_are_refused(self, make_bank: MakeBank) -> None:
        """What float16 cannot hold is an error that names float32."""
        inputs = keras.Input((SIZE, SIZE, 3))
        large = keras.Model(inputs, keras.layers.Rescaling(1000.0)(inputs))
        bank = make_bank("none", prefix=large, dtype="float16")

        with pytest.raises(
            ConfigError, match=r"the largest float16 is 65504; store them with bank\.dtype=float32"
        ):
            bank.draw(0)

    def test_of_another_type_are_refused(self, make_bank: MakeBank) -> None:
        """Only two types are stored."""
        with pytest.raises(ConfigError, match="float16 or float32, but 'int8'"):
            make_bank(dtype="int8")


class TestStored:
    def test_are_computed_once(self, make_bank: MakeBank, caplog: pytest.LogCaptureFixture) -> None:
        """A second bank, as another trial opens it, reads what the first computed, without an engine."""
        caplog.set_level(logging.INFO)
        first, second = make_bank(), make_bank()
        before = np.array(first.draw(0))

        np.testing.assert_array_equal(second.draw(0), before)
        assert caplog.text.count("Computing the features of 37 pictures, draw 0") == 1
        assert second._engine is None

    @pytest.mark.slow
    @pytest.mark.parametrize("damage", ["flipped bit", "truncated", "deleted"])
    def test_are_computed_anew_when_damaged(
        self, make_bank: MakeBank, tmp_path: Path, caplog: pytest.LogCaptureFixture, damage: str
    ) -> None:
        """A damaged or missing file is replaced by an equal one; a damaged one is logged."""
        bank = make_bank()
        before = np.array(bank.draw(0))
        bank.close()
        path = draw_path(tmp_path, bank.key.digest, 0)
        content = bytearray(path.read_bytes())
        content[len(content) // 2] ^= 4
        if damage == "flipped bit":
            path.write_bytes(content)
        elif damage == "truncated":
            path.write_bytes(content[: len(content) // 2])
        else:
            path.unlink()

        np.testing.assert_array_equal(make_bank().draw(0), before)
        assert ("damaged" in caplog.text) == (damage != "deleted")

    def test_stay_in_memory_on_a_full_disk(
        self, make_bank: MakeBank, tmp_path: Path, caplog: pytest.LogCaptureFixture
    ) -> None:
        """Without space for them they are the same, which is said once; no half file stays."""
        with files_of_at_most(200), make_bank() as bank:
            drawn = [np.asarray(bank.draw(epoch)) for epoch in (0, 1)]
            evaluated = np.asarray(bank.evaluation(bank.part))
        assert not list(tmp_path.glob("features/*/*.npy*[!k]"))
        told = [record.getMessage() for record in caplog.records if "stay in memory" in record.getMessage()]
        assert len(told) == 1
        assert "on the disk at" in told[0]
        with make_bank() as bank:
            for epoch, features in enumerate(drawn):
                np.testing.assert_array_equal(bank.draw(epoch), features)
            np.testing.assert_array_equal(bank.evaluation(bank.part), evaluated)

    def test_keep_to_the_limit(self, make_bank: MakeBank, tmp_path: Path) -> None:
        """With room for three draws, six epochs leave the first one and the two open ones; a second pass is the same."""
        size = make_bank("none").draw(0)[:].nbytes
        with make_bank(max_bytes=3 * size + 1000) as bank:
            drawn = [np.array(bank.draw(epoch)) for epoch in range(6)]
            kept = sorted(path.stem for path in tmp_path.glob(f"features/{bank.key.digest}/*.npy"))
            again = [np.array(bank.draw(epoch)) for epoch in range(6)]

        assert kept == ["00000", "00004", "00005"]
        np.testing.assert_array_equal(drawn, again)

    def test_a_closed_bank_stops_computing(self, make_bank: MakeBank, tmp_path: Path) -> None:
        """After `close` nothing more is computed, and nothing half written is left."""
        bank = make_bank()
        bank.close()

        with pytest.raises(DataError, match="was closed during a computation"):
            bank.draw(0)
        assert not list(tmp_path.glob("features/*/*.npy*[!k]"))


class TestStream:
    @pytest.mark.slow
    @pytest.mark.parametrize(
        ("batch_size", "aug"),
        [(8, "RandomRotation"), (37, "RandomRotation"), (50, "RandomRotation"), (8, "MixUp"), (37, "CutMix")],
    )
    def test_has_the_order_of_the_pictures(
        self, make_bank: MakeBank, network: Network, part: PictureSet, batch_size: int, aug: str
    ) -> None:
        """Batch by batch it is the training stream through the prefix: same labels, same boundaries, to 1e-4."""
        options: dict[str, Any] = {"batch_size": batch_size, "seed": 5, "epochs": 3, "n_classes": 5}
        stored = feature_stream(make_bank(aug), **options)
        direct = training_stream(part, build(aug), image_size=SIZE, **options)

        assert stored.cardinality() == direct.cardinality()
        assert network.prefix is not None
        for (features, labels), (pictures, expected_labels) in zip(stored, direct, strict=True):
            np.testing.assert_array_equal(labels, expected_labels)
            np.testing.assert_allclose(features, network.prefix(pictures, training=False), atol=1e-4)

    @pytest.mark.parametrize("dtype", ["float16", "float32"])
    def test_gives_float32(self, make_bank: MakeBank, dtype: str) -> None:
        """Whatever is stored, training gets float32 of a known shape."""
        bank = make_bank(dtype=dtype)
        features, labels = feature_stream(bank, batch_size=8, seed=0, epochs=1).element_spec

        assert features.dtype == tf.float32
        assert features.shape == (None, *bank.feature_shape)
        assert labels.dtype == tf.int32

    def test_for_evaluation_keeps_the_parts_order(
        self, make_bank: MakeBank, network: Network, part: PictureSet
    ) -> None:
        """One pass in the part's own order, as the evaluation stream has it."""
        stored = evaluation_features(make_bank(), part, batch_size=10)
        direct = evaluation_stream(part, batch_size=10)

        assert network.prefix is not None
        for (features, labels), (pictures, expected_labels) in zip(stored, direct, strict=True):
            np.testing.assert_array_equal(labels, expected_labels)
            np.testing.assert_allclose(features, network.prefix(pictures, training=False), atol=1e-4)

    def test_raises_the_banks_own_error(self, make_bank: MakeBank) -> None:
        """What goes wrong inside TensorFlow's threads is told in the bank's own words."""
        with (
            make_bank(max_bytes=1000) as bank,
            pytest.raises(ConfigError, match="or turn the feature bank off with bank=off"),
            own_errors(bank),
        ):
            list(feature_stream(bank, batch_size=8, seed=0, epochs=1))


def losses(
    network: Network,
    batches: Any,
    *,
    stored: bool,
    optimizer: keras.optimizers.Optimizer,
    steps: int,
) -> list[float]:
    """Train a network for two epochs, its suffix on stored features or all of it on pictures."""
    model = network.suffix if stored else network.trained()
    model.compile(optimizer, keras.losses.SparseCategoricalCrossentropy(from_logits=True))
    history = model.fit(batches, steps_per_epoch=steps, epochs=2, shuffle=False, verbose=0)
    found: list[float] = history.history["loss"]
    return found


OPTIONS: dict[str, Any] = {"batch_size": 8, "seed": 3, "epochs": 2}


def plain_losses(part: PictureSet, bank: Callable[[Network], FeatureBank] | None) -> list[float]:
    """Losses of the plain network, through a bank or through its prefix."""
    network = plain()
    batches = (
        feature_stream(bank(network), **OPTIONS)
        if bank
        else training_stream(part, build("RandomFlip"), image_size=SIZE, **OPTIONS)
    )
    sgd = keras.optimizers.SGD(1.0, momentum=0.9)
    return losses(network, batches, stored=bank is not None, optimizer=sgd, steps=5)


@pytest.mark.slow
class TestTraining:
    @pytest.mark.parametrize(("dtype", "tolerance"), [("float32", 1e-5), ("float16", 2e-4)])
    def test_through_the_bank_equals_training_through_the_prefix(
        self, make_bank: MakeBank, part: PictureSet, dtype: str, tolerance: float
    ) -> None:
        """Two epochs of the suffix on stored features have the losses of the whole network on pictures."""
        through_bank = plain_losses(
            part, lambda network: make_bank("RandomFlip", prefix=network.prefix, dtype=dtype, engine="litert")
        )
        through_prefix = plain_losses(part, None)

        np.testing.assert_allclose(through_bank, through_prefix, rtol=tolerance)
        assert abs(through_bank[1] / through_bank[0] - 1) > 0.05

    def test_on_other_draws_differs(self, make_bank: MakeBank, part: PictureSet) -> None:
        """The comparison above can tell: with another augmentation seed the losses are more than 1e-3 apart."""
        other = dataclasses.replace(build("RandomFlip"), seed=1)
        through_bank = plain_losses(
            part, lambda network: make_bank(prefix=network.prefix, augmentation=other)
        )

        assert abs(through_bank[1] / plain_losses(part, None)[1] - 1) > 1e-3


def photographs(photos_dir: Path, cache: Path, every: int) -> PictureSet:
    """Some of the real photographs, evenly chosen, at 96 pixels."""
    catalogue = read_folder(photos_dir)
    chosen = np.arange(0, len(catalogue.paths), every)
    catalogue = dataclasses.replace(
        catalogue, paths=tuple(catalogue.paths[i] for i in chosen), labels=catalogue.labels[chosen]
    )
    digest = fingerprint(catalogue, cache)
    images = open_pixel_store(catalogue, fingerprint=digest, size=96, cache=cache).images
    return PictureSet(images, np.arange(len(images)), catalogue.labels)


@pytest.mark.slow
@pytest.mark.photos
def test_fine_tuning_on_real_photographs(photos_dir: Path, mobilenet_weights: Path, tmp_path: Path) -> None:
    """ImageNet's backbone, fine-tuned through a bank of float16, has the losses of training without, to 3e-3.

    The two engines round differently, and training carries that on: float16 adds nothing one could see. (Random
    weights would not do here: their training is not stable, and rounding grows to percents.)
    """
    part = photographs(photos_dir, tmp_path, every=15)
    options: dict[str, Any] = {"batch_size": 64, "seed": 3, "epochs": 2}
    found = []
    for stored in (True, False):
        keras.utils.set_random_seed(1)
        head = HeadConfig(1, 1e-3)
        weights = str(mobilenet_weights)
        config = FineTunedConfig("tuned", 1e-4, "MobileNetV2", weights, 1.0, 0.0, 100, None, head)
        network = build_network(config, num_classes=5, image_size=96)
        augmentation = build("RandomRotation")
        bank = FeatureBank(
            network.prefix,
            part=part,
            augmentation=augmentation,
            image_size=96,
            fingerprint="photographs",
            cache=tmp_path,
            dtype="float16",
            engine="litert",
            max_bytes=10**9,
        )
        batches = (
            feature_stream(bank, **options)
            if stored
            else training_stream(part, augmentation, image_size=96, **options)
        )
        found.append(losses(network, batches, stored=stored, optimizer=keras.optimizers.Adam(1e-4), steps=4))

    np.testing.assert_allclose(found[0], found[1], rtol=3e-3)
    assert found[0][1] < 0.8 * found[0][0]


@pytest.mark.slow
@pytest.mark.photos
def test_real_photographs_through_litert(photos_dir: Path, mobilenet_weights: Path, tmp_path: Path) -> None:
    """ImageNet's features of forty photographs, augmented, stored in float16: within its rounding of TensorFlow's."""
    part = photographs(photos_dir, tmp_path, every=92)
    config = FrozenConfig("frozen", 1e-3, "MobileNetV2", str(mobilenet_weights), 1.0, 0.2)
    prefix = build_network(config, num_classes=5, image_size=96).prefix
    arguments: dict[str, Any] = {
        "part": part,
        "augmentation": build("RandomRotation"),
        "image_size": 96,
        "fingerprint": "photographs",
        "cache": tmp_path,
        "max_bytes": 10**9,
    }
    choices: list[dict[str, Any]] = [
        {"engine": "litert", "dtype": "float16"},
        {"engine": "tensorflow", "dtype": "float32"},
    ]
    features = [FeatureBank(prefix, **arguments, **choice).draw(2) for choice in choices]

    np.testing.assert_allclose(features[0], features[1], rtol=2 * FLOAT16_ERROR, atol=1e-4)
