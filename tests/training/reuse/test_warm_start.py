"""Starting from another run's weights, and heads that are trained once."""

import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest

from flowersweep.config import Config
from flowersweep.data import demo
from flowersweep.errors import ConfigError, TrackingError, TrainingError
from flowersweep.tracking.lookup import run_model
from flowersweep.tracking.mlflow_api import client
from flowersweep.tracking.mlflow_tracker import MLflowTracker
from flowersweep.tracking.store.store import Store, prepare_store
from flowersweep.training import Result, train
from flowersweep.training.callbacks import LearningRateGuard
from flowersweep.training.dataset import find_pictures, load_pictures
from flowersweep.training.logs.record import record_start
from flowersweep.training.phases import build
from flowersweep.training.reuse.heads import head_key
from flowersweep.training.reuse.warm_start import check_other_run

MakeConfig = Callable[..., Config]
SMALL = ("model.weights=null", "model.alpha=0.35", "tracking.log_figures=false")
FROZEN = ("model=mobilenet_frozen", *SMALL)
FINE_TUNED = ("model=mobilenet_ft", "model.fine_tune_at=140", "model.head.epochs=2", *SMALL)


def store_of(config: Config) -> Store:
    """The store a configuration logs to."""
    return prepare_store(Path(config.tracking.dir), config.tracking.uri)


def tags(config: Config, result: Result) -> dict[str, str]:
    """Tags of a finished run."""
    return dict(client(store_of(config).uri).get_run(result.run_id).data.tags)


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """The results' folder that `frozen` fills once."""
    return {"place": f"tracking.dir={tmp_path_factory.mktemp('frozen')}", "results": []}


@pytest.fixture
def frozen(make_config: MakeConfig, trained: dict[str, Any]) -> list[Result]:
    """Two runs of a frozen backbone, which the tests of this file share; they do not change them."""
    if not trained["results"]:
        configs = [make_config(*FROZEN, f"seed={seed}", trained["place"]) for seed in (0, 1)]
        trained["results"] = [train(config) for config in configs]
    return list(trained["results"])


class TestOtherRun:
    """A run whose weights or answers another one uses has trained on none of the pictures that validate that one."""

    def began(self, config: Config) -> str:
        """The id of a run that has recorded its settings and pictures."""
        tracker = MLflowTracker.start(store_of(config), "e", "run")
        record_start(tracker, config, load_pictures(config), [])
        return tracker.run_id

    def check(self, config: Config, run_id: str) -> None:
        """Compare the run with one of this configuration."""
        check_other_run("trainer.teacher", run_id, config, load_pictures(config), store_of(config))

    def test_has_the_same_pictures(self, make_config: MakeConfig, drawn: Path, tmp_path: Path) -> None:
        """With one more the same settings give another split; where the folder is does not matter."""
        run_id = self.began(make_config())
        shutil.copytree(drawn, tmp_path / "copy")
        copied = make_config(f"data.dir={tmp_path}/copy")
        self.check(copied, run_id)
        first = next(iter(sorted((tmp_path / "copy").rglob("*.jpg"))))
        shutil.copy(first, first.with_name("zz.jpg"))
        with pytest.raises(
            ConfigError,
            match=rf"^trainer\.teacher={run_id} was trained on other pictures \(fingerprint \w+, but",
        ):
            self.check(copied, run_id)

    @pytest.mark.slow
    def test_has_the_same_table(self, make_config: MakeConfig, tmp_path: Path) -> None:
        """The content of the CSV file at that time counts, wherever the file is now."""
        paths = find_pictures(make_config())[0].paths
        lines = [f"{path},{'val' if n % 4 == 0 else 'train'}\n" for n, path in enumerate(paths)]
        here, elsewhere = tmp_path / "here.csv", tmp_path / "elsewhere.csv"
        for file in (here, elsewhere):
            file.write_text("file,part\n" + "".join(lines))
        config, other = (
            make_config("data.split=csv", f"data.split_file={file}") for file in (here, elsewhere)
        )
        run_id = self.began(config)
        self.check(other, run_id)
        first, second, *rest = lines
        swapped = [first.replace("val", "train"), second.replace("train", "val"), *rest]
        here.write_text("file,part\n" + "".join(swapped))
        with pytest.raises(
            ConfigError, match=rf"^trainer\.teacher={run_id} has another data\.split_file than {here}"
        ):
            self.check(config, run_id)


@pytest.mark.slow
class TestInitFrom:
    @pytest.fixture
    def make_config(self, make_config: MakeConfig, trained: dict[str, Any]) -> MakeConfig:
        """In the results' folder of the frozen runs."""
        return lambda *overrides: make_config(*overrides, trained["place"])

    def test_begins_with_the_other_runs_weights(self, make_config: MakeConfig, frozen: list[Result]) -> None:
        """The network has the weights that the named run saved, and the lineage is a tag of the new run."""
        first = frozen[0]
        config = make_config(*FINE_TUNED, f"model.init_from={first.run_id}", "trainer.epochs=1")
        network, lineage = build(config, load_pictures(config), store_of(config))
        saved = run_model(store_of(config), first.run_id)

        for ours, theirs in zip(network.whole.get_weights(), saved.get_weights(), strict=True):
            np.testing.assert_array_equal(ours, theirs)
        assert lineage["init_from.run_id"] == first.run_id
        assert tags(config, train(config))["init_from.run_id"] == first.run_id

    def test_best_is_the_best_frozen_run(self, make_config: MakeConfig, frozen: list[Result]) -> None:
        """init_from=best takes the frozen run with the best objective on the same data."""
        best = max(frozen, key=lambda result: result.objective)
        config = make_config(*FINE_TUNED, "model.init_from=best")
        _, lineage = build(config, load_pictures(config), store_of(config))

        assert lineage["init_from.run_id"] in {r.run_id for r in frozen if r.objective == best.objective}

    def test_what_does_not_fit_is_refused(
        self, make_config: MakeConfig, frozen: list[Result], cache: Path, tmp_path: Path
    ) -> None:
        """Another width, another picture size or shape, another split, other classes and an unknown run each give one sentence."""
        run_id = frozen[0].run_id
        other = tmp_path / "other"
        for name in ("daisy", "roses"):
            (other / name).parent.mkdir(exist_ok=True)
            (other / name).symlink_to(demo(cache, per_class=12) / name)
        cases = {
            "model.alpha=0.5": r"model\.alpha=0\.35, but this run has model\.alpha=0\.5",
            "trainer.image_size=64": r"trainer\.image_size=32, but this run has trainer\.image_size=64",
            "data.split_seed=9": r"data\.split_seed=123, but this run has data\.split_seed=9",
            "data.split=stratified": r"data\.split=keras, but this run has data\.split=stratified",
            "data.resize=crop": r"data\.resize=stretch, but this run has data\.resize=crop",
            f"data.dir={other}": r"but the data has daisy, roses",
        }
        for change, words in cases.items():
            config = make_config(*FINE_TUNED, f"model.init_from={run_id}", change)
            with pytest.raises(ConfigError, match=words):
                build(config, load_pictures(config), store_of(config))
        config = make_config(*FINE_TUNED, f"model.init_from={'0' * 32}")
        with pytest.raises(TrackingError, match="0" * 32):
            build(config, load_pictures(config), store_of(config))


class TestLearningRate:
    def test_a_loaded_model_would_bring_its_own(self, tmp_path: Path) -> None:
        """The usual warm start, loading a compiled model, brings the old rate along, and the guard notices."""
        inputs = keras.Input((1,))
        trained = keras.Model(inputs, keras.layers.Dense(1)(inputs))
        trained.compile(keras.optimizers.Adam(1e-5), "mse")
        trained.fit(np.zeros((2, 1)), np.zeros((2, 1)), verbose=0)
        trained.save(tmp_path / "trained.keras")
        naive = keras.models.load_model(tmp_path / "trained.keras")
        guard = LearningRateGuard(1e-4)
        guard.set_model(naive)

        assert float(naive.optimizer.learning_rate) == pytest.approx(1e-5)
        with pytest.raises(TrainingError, match=r"1e-05, but optimizer\.learning_rate is 0\.0001"):
            guard.on_train_begin()


@pytest.mark.slow
class TestHeads:
    def test_are_trained_once(self, make_config: MakeConfig, caplog: pytest.LogCaptureFixture) -> None:
        """A second trial with the same head takes it from the cache; both log all epochs on one axis with both rates."""
        one = make_config(*FINE_TUNED, "seed=5")
        other = make_config(*FINE_TUNED, "seed=5", "optimizer.learning_rate=3e-4", "model.fine_tune_at=150")
        results = [train(one)]
        with caplog.at_level("INFO"):
            results.append(train(other))
        rates = [
            [point.value for point in client(store_of(one).uri).get_metric_history(r.run_id, "learning_rate")]
            for r in results
        ]
        losses = [
            [point.value for point in client(store_of(one).uri).get_metric_history(r.run_id, "loss")][:2]
            for r in results
        ]

        assert "is taken from the cache" in caplog.text
        assert rates[0] == pytest.approx([1e-3, 1e-3, 1e-4, 1e-4])
        assert rates[1] == pytest.approx([1e-3, 1e-3, 3e-4, 3e-4])
        assert losses[0] == losses[1]

    @pytest.mark.parametrize(
        ("change", "same"),
        [
            ("optimizer.learning_rate=3e-4", True),
            ("model.fine_tune_at=120", True),
            ("trainer.epochs=7", True),
            ("seed=1", False),
            ("aug=RandomFlip", False),
            ("model.head.learning_rate=1e-2", False),
            ("model.dropout=0.5", False),
            ("trainer.batch_size=8", False),
            ("data.test_split=0.2", False),
        ],
    )
    def test_are_the_same_only_where_they_must(
        self, make_config: MakeConfig, change: str, *, same: bool
    ) -> None:
        """What comes after the head does not change it; everything it depends on does."""
        configs = make_config(*FINE_TUNED), make_config(*FINE_TUNED, change)
        keys = [head_key(config, load_pictures(config)) for config in configs]

        assert (keys[0] == keys[1]) is same
