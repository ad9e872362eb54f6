"""A folded suffix: the same function and the same gradients on the same weights, in fewer operations."""

import keras
import numpy as np
import numpy.typing as npt
import pytest

from flowersweep.config.models import FineTunedConfig, HeadConfig
from flowersweep.models import build_network
from flowersweep.models.folded import FoldedConvolution, fold
from flowersweep.models.network import InferenceMode, Network
from support import calibrated

SIZE = 32


def network(fine_tune_at: int, backbone: str = "MobileNetV2", size: int = SIZE) -> Network:
    """A backbone with random weights whose BatchNorms have statistics, gammas and betas that change something."""
    # With other weights a value may lie on the bend of a ReLU, where rounding decides which way the gradient goes.
    keras.utils.set_random_seed(0)
    config = FineTunedConfig(
        name="fine_tuned",
        learning_rate=1e-3,
        backbone=backbone,
        weights=None,
        alpha=0.35 if backbone == "MobileNetV2" else None,
        dropout=0.0,
        fine_tune_at=fine_tune_at,
        init_from=None,
        head=HeadConfig(1, 1e-3),
    )
    built = calibrated(build_network(config, num_classes=5, image_size=size))
    assert built.base is not None
    rng = np.random.default_rng(2)
    for layer in built.base.layers:
        if isinstance(layer, keras.layers.BatchNormalization):
            layer.beta.assign(rng.uniform(-0.2, 0.2, layer.beta.shape))
            if layer.scale:
                layer.gamma.assign(rng.uniform(0.7, 1.3, layer.gamma.shape))
    return built


def features(suffix: keras.Model, count: int = 6) -> npt.NDArray[np.float32]:
    """Random features for a suffix."""
    return np.random.default_rng(1).normal(size=(count, *suffix.input.shape[1:])).astype(np.float32)


def folded_layers(suffix: keras.Model) -> list[FoldedConvolution]:
    """The convolutions of a folded suffix that have taken in a BatchNorm."""
    (inference,) = (layer for layer in suffix.layers if isinstance(layer, InferenceMode))
    return [layer for layer in inference.inner.layers if isinstance(layer, FoldedConvolution)]


def largest(values: npt.NDArray[np.float32]) -> float:
    """The largest absolute value."""
    return float(np.abs(values).max())


def trained_once(suffix: keras.Model, batch: npt.NDArray[np.float32]) -> list[npt.NDArray[np.float32]]:
    """How far one step of SGD at a rate of 1 moves each trained weight, by its path: the gradients."""
    variables = sorted(suffix.trainable_variables, key=lambda variable: variable.path)
    before = [np.array(variable) for variable in variables]
    suffix.compile(keras.optimizers.SGD(1.0), keras.losses.SparseCategoricalCrossentropy(from_logits=True))
    suffix.train_on_batch(batch, np.arange(len(batch)) % 5)
    moved = [np.array(variable) - old for variable, old in zip(variables, before, strict=True)]
    for variable, old in zip(variables, before, strict=True):
        variable.assign(old)
    return moved


@pytest.mark.slow
@pytest.mark.parametrize("fine_tune_at", [0, 50, 100, 140])
def test_gives_the_same_logits(fine_tune_at: int) -> None:
    """Wherever the network is cut, the folded suffix gives the suffix's logits to 1e-4 of the largest."""
    suffix = network(fine_tune_at).suffix
    batch = features(suffix)
    expected = np.asarray(suffix(batch, training=False))

    actual = np.asarray(fold(suffix, "float32")(batch, training=False))

    assert np.std(expected, axis=0).max() > 0.001  # the logits depend on the features
    assert actual == pytest.approx(expected, abs=1e-4 * largest(expected))


def test_takes_in_every_batch_norm() -> None:
    """Behind layer 97 of MobileNetV2 are 19 convolutions with a BatchNorm each, and all are folded."""
    suffix = fold(network(100).suffix, "float32")

    assert len(folded_layers(suffix)) == 19


@pytest.mark.slow
def test_has_the_same_gradients() -> None:
    """One step of SGD moves every kernel, gamma and beta as far as it moves them in the suffix itself."""
    suffix = network(100).suffix
    batch = features(suffix)
    folded = fold(suffix, "float32")

    expected, actual = trained_once(suffix, batch), trained_once(folded, batch)

    assert len(actual) == len(expected) == 56
    for one, other in zip(actual, expected, strict=True):
        assert one == pytest.approx(other, abs=1e-3 * largest(other) + 1e-9)


@pytest.mark.slow
def test_trains_the_suffix_itself() -> None:
    """A step of the folded suffix changes what the network answers, and no BatchNorm's statistics."""
    whole = network(100)
    batch = features(whole.suffix)
    before = np.asarray(whole.suffix(batch, training=False))
    statistics = [np.array(weight) for weight in whole.suffix.non_trainable_weights]
    folded = fold(whole.suffix, "float32")
    folded.compile(keras.optimizers.SGD(0.1), keras.losses.SparseCategoricalCrossentropy(from_logits=True))

    folded.train_on_batch(batch, np.zeros(len(batch), np.int32))

    after = np.asarray(whole.suffix(batch, training=False))
    assert np.abs(after - before).max() > 1e-3
    assert np.asarray(folded(batch, training=False)) == pytest.approx(after, abs=1e-5 * largest(after))
    for weight, old in zip(whole.suffix.non_trainable_weights, statistics, strict=True):
        assert np.array_equal(np.asarray(weight), old)


@pytest.mark.slow
def test_in_bfloat16_is_close() -> None:
    """With activations in bfloat16 the logits stay float32 and within five per cent of the largest; weights stay float32."""
    suffix = network(100).suffix
    batch = features(suffix)
    expected = np.asarray(suffix(batch, training=False))
    folded = fold(suffix, "bfloat16")

    actual = np.asarray(folded(batch, training=False))

    assert actual.dtype == np.float32
    assert {layer.compute_dtype for layer in folded_layers(folded)} == {"bfloat16"}
    assert {weight.dtype for weight in folded.weights} == {"float32"}
    assert 0 < largest(actual - expected) < 0.05 * largest(expected)


def test_leaves_a_suffix_without_convolutions_alone() -> None:
    """Behind a frozen network there is nothing to fold: the suffix itself comes back."""
    suffix = network(154).suffix
    dense = keras.Sequential([keras.Input((4,)), keras.layers.Dense(2)])

    assert fold(dense, "float32") is dense
    assert fold(suffix, "float32").output.shape == suffix.output.shape


def test_leaves_what_is_between_alone() -> None:
    """A convolution with an activation, one with two followers and one used twice keep their BatchNorm."""
    inputs = keras.Input((8, 8, 3))
    x = keras.layers.Conv2D(4, 3, activation="relu")(inputs)
    x = keras.layers.BatchNormalization()(x)
    y = keras.layers.Conv2D(4, 3)(x)
    x = keras.layers.Add()([keras.layers.BatchNormalization()(y), y])
    twice = keras.layers.Conv2D(4, 3, padding="same")
    x = keras.layers.BatchNormalization()(twice(twice(x)))
    inner = keras.Model(inputs, x)
    features_in = keras.Input((8, 8, 3))
    suffix = keras.Model(features_in, InferenceMode(inner)(features_in))
    batch = features(suffix)

    folded = fold(suffix, "float32")

    assert folded_layers(folded) == []
    assert np.asarray(folded(batch)) == pytest.approx(np.asarray(suffix(batch)), abs=1e-6)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("backbone", "size"),
    [
        ("MobileNet", 32),
        ("MobileNetV3Small", 32),
        ("ResNet50V2", 32),
        ("EfficientNetB0", 32),
        ("Xception", 71),
    ],
)
def test_any_backbone_gives_the_same_logits(backbone: str, size: int) -> None:
    """Whatever a backbone is made of, folding what can be folded does not change its logits."""
    suffix = network(20, backbone, size).suffix
    batch = features(suffix, count=3)
    expected = np.asarray(suffix(batch, training=False))

    actual = np.asarray(fold(suffix, "float32")(batch, training=False))

    # Through hundreds of random layers the rounding of the first ones grows.
    assert actual == pytest.approx(expected, abs=2e-3 * largest(expected))
    rounded = np.asarray(fold(suffix, "bfloat16")(batch, training=False))
    assert rounded.dtype == np.float32
    assert np.isfinite(rounded).all()
