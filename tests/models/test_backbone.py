"""Backbones: what is trained, that prefix and suffix make the whole, and that BatchNorm stands still."""

import warnings
from functools import cache
from pathlib import Path
from typing import Any, ClassVar

import h5py
import keras
import numpy as np
import numpy.typing as npt
import pytest
from keras.src.legacy.saving import legacy_h5_format

from flowersweep.config.models import BACKBONES, FineTunedConfig, FrozenConfig, HeadConfig
from flowersweep.errors import ConfigError
from flowersweep.models import build_network
from flowersweep.models.backbone import MINUS_ONE_TO_ONE, preprocessing
from flowersweep.models.bank_key import prefix_digest
from flowersweep.models.network import Network
from support import calibrated

SIZE = 32


def frozen(**changes: object) -> FrozenConfig:
    """The narrowest MobileNetV2 with random weights, frozen."""
    values = {
        "name": "frozen",
        "learning_rate": 1e-3,
        "backbone": "MobileNetV2",
        "weights": None,
        "alpha": 0.35,
    }
    return FrozenConfig(**{**values, "dropout": 0.2, **changes})  # type: ignore[arg-type]  # a test's shorthand


def fine_tuned(fine_tune_at: int, **changes: object) -> FineTunedConfig:
    """The same network, fine-tuned from a layer on."""
    base = frozen(**changes)
    return FineTunedConfig(**vars(base), fine_tune_at=fine_tune_at, init_from=None, head=HeadConfig(1, 1e-3))


def built(config: FrozenConfig) -> Network:
    """The network of a configuration, its random layers sensitive to what they are shown."""
    return calibrated(build_network(config, num_classes=5, image_size=SIZE))


@cache
def tuned_from(fine_tune_at: int) -> Network:
    """A network that is fine-tuned from a layer on, for tests that do not change it."""
    return built(fine_tuned(fine_tune_at))


@pytest.fixture
def pictures() -> npt.NDArray[np.float32]:
    """Eight random pictures, 0..255."""
    return np.random.default_rng(1).uniform(0, 255, (8, SIZE, SIZE, 3)).astype(np.float32)


def statistics(network: Network) -> list[npt.NDArray[np.float32]]:
    """Moving mean and variance of every BatchNorm of the backbone."""
    assert network.base is not None
    layers = [layer for layer in network.base.layers if isinstance(layer, keras.layers.BatchNormalization)]
    return [np.asarray(weight) for layer in layers for weight in layer.non_trainable_weights[-2:]]


def fit_once(model: keras.Model, pictures: npt.NDArray[np.float32]) -> None:
    """Two steps of SGD on pictures of class 0."""
    model.compile(keras.optimizers.SGD(0.1), keras.losses.SparseCategoricalCrossentropy(from_logits=True))
    model.fit(pictures, np.zeros(len(pictures), np.int32), batch_size=4, epochs=1, verbose=0)


class TestWhatIsTrained:
    def test_frozen_trains_the_new_layer_only(self) -> None:
        """Kernel and bias of the last layer are all that is trained; the prefix ends with the pooling."""
        network = build_network(frozen(), num_classes=5, image_size=SIZE)

        assert [v.path.split("/")[-1] for v in network.suffix.trainable_variables] == ["kernel", "bias"]
        assert network.prefix is not None
        assert network.prefix.output.shape == (None, 1280)

    @pytest.mark.slow
    @pytest.mark.parametrize(
        ("fine_tune_at", "expected"), [(0, 158), (50, 107), (97, 61), (100, 56), (120, 38), (154, 2)]
    )
    def test_weights_from_fine_tune_at_on(self, fine_tune_at: int, expected: int) -> None:
        """Counted on the backbone itself, every weight of layers[fine_tune_at:] is trained, and the new layer's two."""
        network = tuned_from(fine_tune_at)
        assert network.base is not None
        counted = sum(len(layer.trainable_variables) for layer in network.base.layers[fine_tune_at:]) + 2

        assert len(network.suffix.trainable_variables) == counted == expected
        assert len(network.trained().trainable_variables) == expected

    def test_beyond_the_last_layer_is_refused(self) -> None:
        """A fine_tune_at behind the last layer says how many there are."""
        with pytest.raises(ConfigError, match=r"at most 154, the number of MobileNetV2's layers, but is 155"):
            build_network(fine_tuned(155), num_classes=5, image_size=SIZE)


@pytest.mark.slow
class TestJoining:
    @pytest.mark.parametrize("fine_tune_at", [0, 50, 97, 100, 120, 154])
    def test_prefix_and_suffix_make_the_whole(
        self, pictures: npt.NDArray[np.float32], fine_tune_at: int
    ) -> None:
        """Features of the prefix through the suffix are the whole's logits, to 1e-5."""
        network = tuned_from(fine_tune_at)
        assert network.prefix is not None
        features = network.prefix(pictures, training=False)
        logits = np.asarray(network.whole(pictures, training=False))

        assert logits.std(axis=0).min() > 1e-2, (
            "the pictures make no difference, so the comparison would say nothing"
        )
        np.testing.assert_allclose(network.suffix(features, training=False), logits, atol=1e-5)

    def test_training_the_suffix_changes_the_whole(self, pictures: npt.NDArray[np.float32]) -> None:
        """Weights are shared: what the suffix learns, the saved model knows."""
        network = built(fine_tuned(120))
        before = np.asarray(network.whole(pictures, training=False))
        fit_once(network.trained(), pictures)
        after = np.asarray(network.whole(pictures, training=False))

        assert np.abs(after - before).max() > 1e-3
        assert network.prefix is not None
        through_parts = network.suffix(network.prefix(pictures, training=False), training=False)
        np.testing.assert_allclose(through_parts, after, atol=1e-5)


class TestBatchNorm:
    @pytest.mark.slow
    def test_statistics_stand_still_while_gamma_and_beta_learn(
        self, pictures: npt.NDArray[np.float32]
    ) -> None:
        """A fit moves gamma and beta of the fine-tuned layers and no statistics at all."""
        network = built(fine_tuned(100))
        assert network.base is not None
        norm = network.base.get_layer("Conv_1_bn")
        before, gamma, beta = statistics(network), np.asarray(norm.gamma), np.asarray(norm.beta)
        fit_once(network.trained(), pictures)

        for left, right in zip(before, statistics(network), strict=True):
            np.testing.assert_array_equal(left, right)
        assert np.abs(np.asarray(norm.gamma) - gamma).max() > 0
        assert np.abs(np.asarray(norm.beta) - beta).max() > 0

    @pytest.mark.slow
    def test_train_mode_equals_inference_mode(self, pictures: npt.NDArray[np.float32]) -> None:
        """With dropout off, the trained model gives the same logits in both modes."""
        model = built(fine_tuned(100, dropout=0.0)).trained()

        np.testing.assert_allclose(model(pictures, training=True), model(pictures, training=False), atol=1e-5)

    @pytest.mark.slow
    def test_the_usual_recipe_moves_them(self, pictures: npt.NDArray[np.float32]) -> None:
        """Calling the base with training=False inside a functional graph, as guides do, moves the statistics."""
        network = built(fine_tuned(100, dropout=0.0))
        assert network.base is not None
        inputs = keras.Input((SIZE, SIZE, 3))
        pooled = keras.layers.GlobalAveragePooling2D()(network.base(inputs, training=False))
        naive = keras.Model(inputs, keras.layers.Dense(5)(pooled))
        before = statistics(network)
        difference = np.abs(
            np.asarray(naive(pictures, training=True) - naive(pictures, training=False))
        ).max()
        fit_once(naive, pictures)

        assert difference > 1e-2
        assert any(np.abs(a - b).max() > 1e-3 for a, b in zip(before, statistics(network), strict=True))


class TestWeights:
    @pytest.mark.slow
    def test_are_loaded_from_a_file(self, tmp_path: Path) -> None:
        """A file of the same network's weights is what the backbone begins with."""
        network = built(frozen())
        assert network.base is not None
        path = tmp_path / "base.weights.h5"
        network.base.save_weights(path)
        loaded = build_network(frozen(weights=str(path)), num_classes=5, image_size=64).base
        assert loaded is not None

        for left, right in zip(network.base.get_weights(), loaded.get_weights(), strict=True):
            np.testing.assert_array_equal(left, right)

    def test_of_another_kind_are_refused_without_a_flood(self, tmp_path: Path) -> None:
        """Keras' warning for each of 150 layers would hide the one sentence."""
        other = keras.Sequential([keras.Input((8,)), keras.layers.Dense(3)])
        path = tmp_path / "other.weights.h5"
        other.save_weights(path)

        with warnings.catch_warnings(record=True) as told, pytest.raises(ConfigError, match="does not fit"):
            build_network(frozen(weights=str(path)), num_classes=5, image_size=SIZE)
        assert told == []

    @pytest.mark.slow
    def test_of_another_network_are_refused(self, tmp_path: Path) -> None:
        """Weights of another width are refused with the file's name and what it must be."""
        other = keras.applications.MobileNetV2(
            input_shape=(32, 32, 3), include_top=False, weights=None, alpha=0.5
        )
        path = tmp_path / "other.weights.h5"
        other.save_weights(path)

        with pytest.raises(ConfigError, match=r"does not fit MobileNetV2 with alpha 0\.35"):
            build_network(frozen(weights=str(path)), num_classes=5, image_size=SIZE)


@pytest.mark.slow
class TestEfficientNet:
    """Keras builds one layer more for weights="imagenet"; the file of its weights is put where it would be downloaded to."""

    OPTIONS: ClassVar[dict[str, Any]] = {"include_top": False, "input_shape": (SIZE, SIZE, 3)}

    def saved(self, folder: Path) -> Path:
        """Weights as those of ImageNet: the statistics of the Normalization are not the initial ones."""
        base = keras.applications.EfficientNetB0(weights=None, **self.OPTIONS)
        normalization = next(one for one in base.layers if isinstance(one, keras.layers.Normalization))
        statistics = [np.array([0.485, 0.456, 0.406]), np.array([0.229, 0.224, 0.225]), np.array(0)]
        normalization.set_weights(statistics)
        base.save_weights(folder / "without.weights.h5")
        return folder / "without.weights.h5"

    def imagenet(self, weights: Path, monkeypatch: pytest.MonkeyPatch) -> Network:
        """The network with weights="imagenet", which are in this file."""
        monkeypatch.setattr("keras.src.utils.file_utils.get_file", lambda *_, **__: str(weights))
        return self.network("imagenet")

    def network(self, weights: str | None) -> Network:
        """The network with these weights."""
        keras.utils.set_random_seed(0)
        config = frozen(backbone="EfficientNetB0", alpha=None, weights=weights)
        return build_network(config, num_classes=5, image_size=SIZE)

    def test_a_file_of_imagenet_weights_gives_the_same_network(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, pictures: npt.NDArray[np.float32]
    ) -> None:
        """To the last bit, with the same layers and the same key of its features, also in the old format."""
        expected = self.imagenet(self.saved(tmp_path), monkeypatch)
        assert expected.base is not None
        assert expected.prefix is not None
        expected.base.save_weights(tmp_path / "with.weights.h5")
        legacy = tmp_path / "efficientnetb0_notop.h5"
        with h5py.File(legacy, "w") as file:
            legacy_h5_format.save_weights_to_hdf5_group(file, expected.base)
        for path in (tmp_path / "with.weights.h5", legacy):
            network = self.network(str(path))
            assert network.base is not None
            assert network.prefix is not None
            kinds = [[type(one) for one in base.layers] for base in (network.base, expected.base)]
            assert kinds[0] == kinds[1]
            assert prefix_digest(network.prefix) == prefix_digest(expected.prefix)
            assert np.array_equal(network.whole(pictures), expected.whole(pictures))

    def test_a_file_of_a_network_without_the_layer_keeps_its_function(
        self, tmp_path: Path, pictures: npt.NDArray[np.float32]
    ) -> None:
        """Its pictures are not scaled, and its layers are counted as with other weights."""
        path = self.saved(tmp_path)
        base = keras.applications.EfficientNetB0(weights=None, **self.OPTIONS)
        base.load_weights(path)
        network = self.network(str(path))
        assert network.base is not None
        assert len(network.base.layers) == len(base.layers) + 1 == 238
        assert np.array_equal(network.base(pictures), base(pictures))

    @pytest.mark.parametrize("backbone", BACKBONES)
    def test_only_these_have_other_layers_without_weights(
        self, backbone: str, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """The layers that Keras builds for ImageNet are those of the table of layers, which are built without weights."""
        monkeypatch.setattr("keras.src.utils.file_utils.get_file", lambda *_, **__: "")
        monkeypatch.setattr(keras.Model, "load_weights", lambda *_, **__: None)
        kinds = []
        for weights in ("imagenet", None):
            config = frozen(backbone=backbone, alpha=None, weights=weights)
            base = build_network(config, num_classes=5, image_size=224).base
            assert base is not None
            kinds.append([type(one) for one in base.layers])
        assert kinds[0] == kinds[1]


class TestPreprocessing:
    @pytest.mark.parametrize("backbone", sorted(MINUS_ONE_TO_ONE))
    def test_equals_the_backbones_own(self, pictures: npt.NDArray[np.float32], backbone: str) -> None:
        """Pixels become what keras.applications' preprocess_input makes of them."""
        modules = {"MobileNetV2": "mobilenet_v2", "MobileNet": "mobilenet", "InceptionV3": "inception_v3"}
        module = getattr(
            keras.applications, modules.get(backbone, "xception" if backbone == "Xception" else "resnet_v2")
        )

        np.testing.assert_allclose(
            preprocessing(backbone)(pictures), module.preprocess_input(pictures.copy()), atol=1e-5
        )

    def test_of_densenet_equals_its_own(self, pictures: npt.NDArray[np.float32]) -> None:
        """DenseNet wants ImageNet's mean and deviation."""
        expected = keras.applications.densenet.preprocess_input(pictures.copy())

        np.testing.assert_allclose(preprocessing("DenseNet121")(pictures), expected, atol=1e-4)


@pytest.mark.slow
@pytest.mark.parametrize("name", ["ResNet50V2", "EfficientNetV2B0", "MobileNetV3Small"])
def test_other_backbones_are_cut_and_joined_the_same_way(
    pictures: npt.NDArray[np.float32], name: str
) -> None:
    """Cut in the middle of its layers, another backbone's prefix and suffix make its whole."""
    layers = len(build_network(frozen(backbone=name, alpha=None), num_classes=5, image_size=SIZE).base.layers)  # type: ignore[union-attr]  # a backbone has one
    network = built(fine_tuned(layers // 2, backbone=name, alpha=None))
    assert network.prefix is not None
    features = network.prefix(pictures, training=False)

    np.testing.assert_allclose(
        network.suffix(features, training=False), network.whole(pictures, training=False), atol=1e-4
    )
