"""Labels that come in part from a model that was trained before."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import tensorflow as tf

from flowersweep.augment import AUGMENTATIONS
from flowersweep.config import Config
from flowersweep.data import decode
from flowersweep.data.stream import epoch_labels
from flowersweep.doors.tensorflow_api import functions_of_streams
from flowersweep.errors import ConfigError, TrackingError, TrainingError
from flowersweep.tracking.lookup import run_model
from flowersweep.tracking.mlflow_api import client
from flowersweep.tracking.store.store import Store, prepare_store
from flowersweep.training import train
from flowersweep.training.dataset import Pictures, PictureSet, load_pictures
from flowersweep.training.reuse.teacher import with_teacher

MakeConfig = Callable[..., Config]
FROZEN = ("model=mobilenet_frozen", "model.weights=null", "model.alpha=0.35", "tracking.log_figures=false")


def store_of(config: Config) -> Store:
    """The store a configuration logs to."""
    return prepare_store(Path(config.tracking.dir), config.tracking.uri)


def test_mixed_pictures_have_mixed_targets() -> None:
    """A picture that is mixed with another one has the shares of both targets, as class numbers have those of both classes."""
    rng = np.random.default_rng(0)
    labels = rng.integers(0, 4, 30).astype(np.int32)
    targets = rng.dirichlet(np.ones(4), 30).astype(np.float32)
    images = np.zeros((30, 8, 8, 3), np.uint8)
    plain, mixup = AUGMENTATIONS["none"](), AUGMENTATIONS["MixUp"]()

    def labels_of(targets: np.ndarray | None, augmentation: object) -> np.ndarray:
        part = PictureSet(images, np.arange(30), labels, targets)
        return epoch_labels(part, augmentation, 0, image_size=8, n_classes=4)  # type: ignore[arg-type]  # any augmentation

    np.testing.assert_array_equal(labels_of(targets, plain), targets)
    one_hot = np.eye(4, dtype=np.float32)[labels]
    np.testing.assert_array_equal(labels_of(one_hot, mixup), labels_of(None, mixup))
    mixed = labels_of(targets, mixup)
    assert mixed.dtype == np.float32
    np.testing.assert_allclose(mixed.sum(axis=1), 1, atol=1e-5)
    assert 0 < np.abs(mixed - targets).max() < 1


def test_a_run_is_named_by_its_id(make_config: MakeConfig) -> None:
    """Anything but 32 hex digits is refused while composing."""
    with pytest.raises(
        ConfigError,
        match=r"trainer\.teacher must be null or an MLflow run id of 32 hex digits, but is 'best'",
    ):
        make_config("trainer.teacher=best")


@pytest.mark.slow
class TestTeacher:
    @pytest.fixture(scope="class")
    @staticmethod
    def place(tmp_path_factory: pytest.TempPathFactory) -> list[str]:
        """The folder of the results, and the id of the one teacher when it has been trained."""
        return [f"tracking.dir={tmp_path_factory.mktemp('teacher')}"]

    @pytest.fixture
    def teacher(self, make_config: MakeConfig, place: list[str]) -> str:
        """A frozen network that was trained for one epoch."""
        if len(place) == 1:
            place.append(train(make_config(*FROZEN, place[0])).run_id)
        return place[1]

    def labelled(self, config: Config) -> Pictures:
        """The pictures of a configuration with its teacher's labels."""
        return with_teacher(config, load_pictures(config), store_of(config))

    def test_a_share_of_each_label_is_the_teachers(
        self, make_config: MakeConfig, place: list[str], teacher: str
    ) -> None:
        """The rest is the picture's class; the teacher sees the picture at its own size, without augmentation.

        The pictures that it has seen are not kept.
        """
        given = (*FROZEN, place[0], f"trainer.teacher={teacher}", "trainer.image_size=48", "aug=RandomCrop")
        known = len(functions_of_streams())
        pictures = self.labelled(make_config(*given, "trainer.teacher_share=0.25"))
        assert len(functions_of_streams()) == known
        part = pictures.train
        rows = np.stack(
            [decode(pictures.catalogue.root / pictures.catalogue.paths[index], 32) for index in part.indices]
        )
        answers = run_model(store_of(make_config(*given)), teacher).predict(
            rows.astype(np.float32), verbose=0
        )

        assert part.targets is not None
        assert part.targets.dtype == np.float32
        expected = 0.25 * answers + 0.75 * np.eye(5)[part.labels]
        np.testing.assert_allclose(part.targets, expected, atol=1e-4)
        assert pictures.validation.targets is None

    def test_exhausted_memory_is_one_message(
        self, make_config: MakeConfig, place: list[str], teacher: str, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """The teacher may need more memory than the pupil."""

        def exhausted(_images: object) -> None:
            raise tf.errors.ResourceExhaustedError(None, None, "Graph execution error:")

        monkeypatch.setattr("flowersweep.training.reuse.teacher.traced", lambda _model: exhausted)
        with pytest.raises(TrainingError, match=r"^The memory of the GPU or of the machine is exhausted;"):
            self.labelled(make_config(*FROZEN, place[0], f"trainer.teacher={teacher}"))

    def test_pupils_learn_from_it_with_and_without_a_bank(
        self, make_config: MakeConfig, place: list[str], teacher: str
    ) -> None:
        """With no share of their own classes, the training loss cannot fall below the entropy of the teacher's answers."""
        given = (
            *FROZEN,
            place[0],
            f"trainer.teacher={teacher}",
            "trainer.teacher_share=1",
            "trainer.epochs=2",
        )
        targets = self.labelled(make_config(*given)).train.targets
        assert targets is not None
        entropy = -(targets * np.log(targets)).sum(axis=1).mean()
        results = [train(make_config(*given, f"bank.enabled={bank}")) for bank in ("true", "false")]

        for result in results:
            run = client(result.tracking_uri).get_run(result.run_id)
            assert run.data.params["trainer.teacher"] == teacher
            losses = [
                metric.value
                for metric in client(result.tracking_uri).get_metric_history(result.run_id, "loss")
            ]
            assert min(losses) >= entropy - 1e-3
        first, second = (result.metrics["best/val_loss"] for result in results)
        assert first == pytest.approx(second, rel=1e-2)

    def test_one_that_does_not_fit_is_refused(
        self, make_config: MakeConfig, place: list[str], teacher: str
    ) -> None:
        """Another split would show the teacher pictures that validate the pupil; an unknown run has no model."""
        config = make_config(*FROZEN, place[0], f"trainer.teacher={teacher}", "data.split_seed=9")
        with pytest.raises(
            ConfigError,
            match=r"trainer\.teacher=.* has data\.split_seed=123, but this run has data\.split_seed=9",
        ):
            self.labelled(config)
        config = make_config(*FROZEN, place[0], f"trainer.teacher={'0' * 32}")
        with pytest.raises(TrackingError, match="0" * 32):
            self.labelled(config)
