"""One phase of training, on a network so small that its steps can be computed by hand."""

from collections.abc import Mapping

import keras
import numpy as np
import numpy.typing as npt
import pytest

from conftest import MakeConfig
from flowersweep.config import Config
from flowersweep.errors import TrainingError
from flowersweep.models.network import Network
from flowersweep.training.dataset import Pictures, PictureSet, load_pictures
from flowersweep.training.fit import Phase, fit
from flowersweep.training.history import RECALL, History
from flowersweep.training.loader import Loader

SGD = ("optimizer=sgd", "optimizer.momentum=0", "optimizer.nesterov=false", "trainer.precision=float32")
ALL_AT_ONCE = "trainer.batch_size=48"


class Linear:
    """A softmax regression of the pictures' pixels, and what `fit` makes of it."""

    def __init__(self, config: Config) -> None:
        keras.utils.set_random_seed(1)
        self.config = config
        self.pictures: Pictures = load_pictures(config)
        self.network = self.build()
        self.history = History.of(config.objective.metric)
        self.weights: list[list[npt.NDArray[np.float32]]] = []
        self.numbers: list[int] = []

    def build(self) -> Network:
        """The regression, all zeros."""
        inputs = keras.Input((32, 32, 3))
        pixels = keras.layers.Flatten()(keras.layers.Rescaling(1 / 255)(inputs))
        model = keras.Model(inputs, keras.layers.Dense(5, kernel_initializer="zeros")(pixels))
        return Network(None, model, model)

    def fit(self, name: str = "training", epochs: int | None = None) -> None:
        """Train a phase."""
        config = self.config
        phase = Phase(name, self.network, self.build, config.optimizer, epochs or config.trainer.epochs)
        fit(phase, config, Loader(None, self.pictures, config), self.history, self.heard)

    def heard(self, number: int, values: Mapping[str, float]) -> None:
        """Keep the weights that an epoch ends with."""
        assert values["val_loss"] == self.history.epochs[-1]["val_loss"]
        self.numbers.append(number)
        self.weights.append(self.network.suffix.get_weights())

    def rows(self, part: PictureSet) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.float64]]:
        """Pixels from 0 to 1 with a 1 behind them, and classes as rows of the unit matrix."""
        pixels = part.images[part.indices].reshape(len(part), -1) / 255
        return np.hstack([pixels, np.ones((len(part), 1))]), np.eye(5)[part.labels]


def softmax(logits: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    """Probabilities."""
    powers: npt.NDArray[np.float64] = np.exp(logits - logits.max(axis=1, keepdims=True))
    return np.asarray(powers / powers.sum(axis=1, keepdims=True))


def test_steps_are_those_of_gradient_descent(make_config: MakeConfig) -> None:
    """Two epochs of one batch: weights, losses and accuracies are what NumPy computes from the gradient."""
    linear = Linear(
        make_config(*SGD, ALL_AT_ONCE, "optimizer.learning_rate=1e-3", "objective.metric=best/val_loss")
    )
    linear.fit()
    rows, classes = linear.rows(linear.pictures.train)
    checked, truth = linear.rows(linear.pictures.validation)
    weights = np.zeros((rows.shape[1], 5))
    for epoch, (kernel, bias) in zip(linear.history.epochs, linear.weights, strict=True):
        probabilities = softmax(rows @ weights)
        assert epoch["loss"] == pytest.approx(-np.log(probabilities[classes == 1]).mean(), rel=1e-4)
        weights -= 1e-3 * rows.T @ (probabilities - classes) / len(rows)
        np.testing.assert_allclose(np.vstack([kernel, bias]), weights, atol=1e-6)
        validated = softmax(checked @ weights)
        assert epoch["val_loss"] == pytest.approx(-np.log(validated[truth == 1]).mean(), rel=1e-4)
        hits = (validated.argmax(axis=1) == truth.argmax(axis=1)).mean()
        assert epoch["val_accuracy"] == pytest.approx(hits)
        hit = validated.argmax(axis=1) == truth.argmax(axis=1)
        recalls = [hit[own == 1].mean() if own.any() else np.nan for own in truth.T]
        names = linear.pictures.catalogue.class_names
        found = [epoch[f"{RECALL}{name}"] for name in names]
        assert found == pytest.approx(recalls, nan_ok=True)
        assert epoch["val_balanced_accuracy"] == pytest.approx(np.nanmean(recalls))
        assert epoch["learning_rate"] == pytest.approx(1e-3)
    assert linear.history.epochs[0]["loss"] == pytest.approx(np.log(5), rel=1e-5)
    assert linear.numbers == [1, 2]


def test_smoothing_and_class_weights_change_the_steps_and_not_the_validation(make_config: MakeConfig) -> None:
    """One step of gradient descent on smoothed, weighted labels; val_loss is the plain cross-entropy of its weights."""
    smoothing = ("trainer.label_smoothing=0.2", "trainer.class_weight={daisy: 3, roses: 0}")
    config = make_config(*SGD, ALL_AT_ONCE, "optimizer.learning_rate=1e-3", "trainer.epochs=1", *smoothing)
    linear = Linear(config)
    linear.fit()
    rows, classes = linear.rows(linear.pictures.train)
    names = linear.pictures.catalogue.class_names
    weight = (classes @ [{"daisy": 3.0, "roses": 0.0}.get(name, 1.0) for name in names])[:, None]
    weights = -1e-3 * rows.T @ (weight * (0.2 - (0.8 * classes + 0.04))) / len(rows)
    np.testing.assert_allclose(np.vstack(linear.weights[0]), weights, atol=1e-6)
    (epoch,) = linear.history.epochs
    assert epoch["loss"] == pytest.approx(weight.mean() * np.log(5), rel=1e-5)
    checked, truth = linear.rows(linear.pictures.validation)
    assert epoch["val_loss"] == pytest.approx(
        -np.log(softmax(checked @ weights)[truth == 1]).mean(), rel=1e-4
    )


@pytest.mark.slow
@pytest.mark.parametrize("weights", ["none", "{daisy: 3, roses: 0}"])
def test_mixed_labels_are_learned_and_the_own_class_is_counted(make_config: MakeConfig, weights: str) -> None:
    """A step on mixed labels is that of their cross-entropy; the weight of a mixed picture is the mean of its classes'."""
    mixing = ("aug=MixUp", "aug.alpha=1", f"trainer.class_weight={weights}", "trainer.epochs=1")
    linear = Linear(make_config(*SGD, ALL_AT_ONCE, "optimizer.learning_rate=1e-3", *mixing))
    ((pictures, labels),) = Loader(None, linear.pictures, linear.config).training(1).as_numpy_iterator()
    linear.fit()
    rows = np.hstack([pictures.reshape(48, -1) / 255, np.ones((48, 1))])
    names = linear.pictures.catalogue.class_names
    by_class = {} if weights == "none" else {"daisy": 3.0, "roses": 0.0}
    weight = (labels @ [by_class.get(name, 1.0) for name in names])[:, None]
    step = -1e-3 * rows.T @ (weight * (0.2 - labels)) / 48
    np.testing.assert_allclose(np.vstack(linear.weights[0]), step, atol=1e-6)
    (epoch,) = linear.history.epochs
    assert epoch["loss"] == pytest.approx(weight.mean() * np.log(5), rel=1e-5)
    assert epoch["accuracy"] == pytest.approx(
        (labels.argmax(axis=1) == 0).mean()
    )  # of equal logits the first


def test_the_network_ends_with_the_weights_of_its_best_epoch(make_config: MakeConfig) -> None:
    """A rate at which training jumps about: the best epoch is not the last one, and its figures are the network's."""
    linear = Linear(make_config(*SGD, "optimizer.learning_rate=0.05", "trainer.epochs=6"))
    linear.fit()
    best = linear.history.best_epoch
    accuracies = linear.history.column("val_accuracy")

    assert accuracies[best - 1] == max(accuracies) > accuracies[-1]
    for kept, left in zip(linear.weights[best - 1], linear.network.suffix.get_weights(), strict=True):
        np.testing.assert_array_equal(kept, left)
    part = linear.pictures.validation
    logits = np.asarray(linear.network.whole(part.images[part.indices].astype(np.float32)))
    assert (logits.argmax(axis=1) == part.labels).mean() == pytest.approx(max(accuracies))


@pytest.mark.slow
def test_the_average_of_the_weights_is_validated_and_kept(make_config: MakeConfig) -> None:
    """Validation and best weights are those of the average, computed by hand; the training goes on from the weights themselves."""
    given = (
        "optimizer=adamw",
        "trainer.precision=float32",
        "optimizer.learning_rate=3e-3",
        "trainer.epochs=4",
        "schedule=constant",
        "objective.metric=best/val_loss",
        ALL_AT_ONCE,
    )
    plain, averaged = Linear(make_config(*given)), Linear(make_config(*given, "optimizer.ema=0.8"))
    plain.fit()
    averaged.fit()

    checked, truth = plain.rows(plain.pictures.validation)
    average = np.vstack(plain.weights[0]).astype(np.float64)  # one step per epoch
    for trained, validated, epoch in zip(
        plain.weights, averaged.weights, averaged.history.epochs, strict=True
    ):
        average = 0.8 * average + 0.2 * np.vstack(trained)
        np.testing.assert_allclose(np.vstack(validated), average, atol=1e-6)
        probabilities = softmax(checked @ average)
        assert epoch["val_loss"] == pytest.approx(-np.log(probabilities[truth == 1]).mean(), rel=1e-4)
        hits = probabilities.argmax(axis=1) == truth.argmax(axis=1)
        assert epoch["val_accuracy"] == pytest.approx(hits.mean())
    for name in ("loss", "accuracy"):
        assert averaged.history.column(name) == plain.history.column(name)
    assert averaged.history.column("val_loss")[1:] != plain.history.column("val_loss")[1:]
    best = averaged.weights[averaged.history.best_epoch - 1]
    for kept, left in zip(best, averaged.network.suffix.get_weights(), strict=True):
        np.testing.assert_array_equal(kept, left)


@pytest.mark.slow
def test_it_stops_when_nothing_improves(make_config: MakeConfig) -> None:
    """With a rate of next to nothing and a patience of two, after three epochs of five; without patience after all."""
    slow = (*SGD, ALL_AT_ONCE, "optimizer.learning_rate=1e-9", "trainer.epochs=5")
    for patience, epochs in (("2", 3), ("null", 5)):
        linear = Linear(make_config(*slow, f"trainer.patience={patience}"))
        linear.fit()
        assert len(linear.history.epochs) == epochs


@pytest.mark.slow
def test_the_rate_falls_on_a_plateau(make_config: MakeConfig) -> None:
    """After every second epoch without improvement to a tenth, and not below the least rate."""
    linear = Linear(
        make_config(
            *SGD,
            ALL_AT_ONCE,
            "schedule=plateau",
            "schedule.factor=0.1",
            "schedule.patience=2",
            "schedule.min_lr=2e-9",
            "optimizer.learning_rate=1e-7",
            "trainer.epochs=8",
            "trainer.patience=null",
        )
    )
    linear.fit()
    expected = [1e-7] * 3 + [1e-8] * 2 + [2e-9] * 3
    assert linear.history.column("learning_rate") == pytest.approx(expected, rel=1e-4)


def test_phases_follow_each_other_on_one_axis_with_an_optimizer_each(make_config: MakeConfig) -> None:
    """The second phase counts on, and begins at its own rate with none of the first one's momentum."""
    config = make_config(
        "optimizer=sgd",
        "optimizer.momentum=0.9",
        "optimizer.nesterov=false",
        "optimizer.learning_rate=1e-3",
        "trainer.precision=float32",
        "objective.metric=best/val_loss",
        ALL_AT_ONCE,
    )
    linear = Linear(config)
    linear.fit("head", epochs=2)
    before = np.vstack(linear.network.suffix.get_weights())
    linear.fit("fine-tuning", epochs=1)
    rows, classes = linear.rows(linear.pictures.train)
    step = 1e-3 * rows.T @ (softmax(rows @ before) - classes) / len(rows)

    assert linear.numbers == [1, 2, 3]
    assert linear.history.phases == [("head", 1), ("fine-tuning", 3)]
    np.testing.assert_allclose(np.vstack(linear.weights[-1]), before - step, atol=1e-6)


def test_a_loss_that_is_lost_ends_it(make_config: MakeConfig) -> None:
    """Numbers that overflow are an error with the epoch, not a result."""
    linear = Linear(make_config(*SGD, "trainer.epochs=5"))
    kernel, bias = linear.network.suffix.get_weights()
    linear.network.suffix.set_weights([kernel + 3e38, bias])
    with pytest.raises(TrainingError, match="epoch 1"):
        linear.fit()
    assert not linear.history.epochs
