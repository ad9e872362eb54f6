"""Engines: LiteRT and TensorFlow give the same features, whatever the number of pictures, or one hears of it."""

import dataclasses
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import keras
import numpy as np
import numpy.typing as npt
import pytest
import tensorflow as tf

from flowersweep.config.models import FrozenConfig
from flowersweep.errors import ConfigError
from flowersweep.hardware import available_processors
from flowersweep.models import build_network, litert
from flowersweep.models.engine import Engine
from flowersweep.models.engine_choice import (
    choose_engine,
    engine_version,
    resolve_engine,
)
from flowersweep.models.network import Network

SIZE = 32
Floats = npt.NDArray[np.float32]

CONFIG = FrozenConfig(
    name="frozen", learning_rate=1e-3, backbone="MobileNetV2", weights=None, alpha=0.35, dropout=0.2
)


def calibrated(network: Network) -> Network:
    """Give every BatchNorm the statistics of some pictures: with others, random layers forget what they are shown."""
    assert network.base is not None
    norms = [one for one in network.base.layers if isinstance(one, keras.layers.BatchNormalization)]
    were = [(norm.trainable, norm.momentum) for norm in norms]
    for norm in norms:
        norm.trainable, norm.momentum = True, 0.0
    pictures = np.random.default_rng(9).uniform(-1, 1, (64, SIZE, SIZE, 3)).astype(np.float32)
    network.base(pictures, training=True)
    for norm, (trainable, momentum) in zip(norms, were, strict=True):
        norm.trainable, norm.momentum = trainable, momentum
    return network


def random_pictures(count: int, size: int = SIZE) -> Floats:
    """Pictures of noise, 0..255."""
    return np.random.default_rng(1).uniform(0, 255, (count, size, size, 3)).astype(np.float32)


def one_layer(function: Callable[[Any], Any]) -> keras.Model:
    """A prefix that does one thing."""
    inputs = keras.Input((SIZE, SIZE, 3))
    return keras.Model(inputs, keras.layers.Lambda(function)(inputs))


def pooled() -> keras.Model:
    """A small prefix with weights, quickly converted."""
    inputs = keras.Input((SIZE, SIZE, 3))
    features = keras.layers.Conv2D(64, 5, strides=4, activation="relu")(inputs)
    return keras.Model(inputs, keras.layers.Conv2D(64, 3)(features))


@pytest.fixture(scope="module")
def prefix() -> keras.Model:
    """The narrowest MobileNetV2."""
    return calibrated(build_network(CONFIG, num_classes=5, image_size=SIZE)).prefix


@pytest.fixture(scope="module")
def pictures() -> Floats:
    """Eleven pictures: no multiple of any engine's batch."""
    return random_pictures(11)


@pytest.fixture(scope="module")
def expected(prefix: keras.Model, pictures: Floats) -> Floats:
    """What Keras itself makes of them."""
    return np.asarray(prefix(pictures, training=False))


@pytest.fixture(scope="module")
def converted(tmp_path_factory: pytest.TempPathFactory, prefix: keras.Model, pictures: Floats) -> Path:
    """A cache in which the prefix is converted."""
    cache = tmp_path_factory.mktemp("converted")
    chosen(prefix, pictures, cache)
    return cache


@pytest.fixture(scope="module")
def engines(prefix: keras.Model, pictures: Floats, converted: Path) -> dict[str, Engine]:
    """Both engines."""
    return {name: chosen(prefix, pictures, converted, name) for name in ("litert", "tensorflow")}


def chosen(prefix: keras.Model, pictures: Floats, cache: Path, engine: str = "litert") -> Engine:
    """The engine of a prefix, compared with TensorFlow on the first eight pictures."""
    return choose_engine(prefix, engine=engine, threads=1, cache=cache, key="key", sample=pictures[:8])


def test_pictures_matter(expected: Floats) -> None:
    """The network used here tells pictures apart, or the other tests would say little."""
    assert expected.std(axis=0).mean() > 0.1


@pytest.mark.parametrize("engine", ["litert", "tensorflow"])
class TestFeatures:
    @pytest.mark.slow
    def test_equal_those_of_keras(
        self, engines: dict[str, Engine], pictures: Floats, expected: Floats, engine: str
    ) -> None:
        """Both engines give the prefix's features in inference mode, to 5e-4 of numbers around 1."""
        features = engines[engine].run(pictures)

        assert features.shape == (11, 1280)
        assert features.dtype == np.float32
        np.testing.assert_allclose(features, expected, atol=5e-4)

    @pytest.mark.slow
    def test_do_not_depend_on_the_other_pictures(
        self, engines: dict[str, Engine], pictures: Floats, engine: str
    ) -> None:
        """One at a time or all at once, the features are the same bit for bit."""
        one_by_one = [engines[engine].run(pictures[i : i + 1]) for i in range(len(pictures))]

        np.testing.assert_array_equal(engines[engine].run(pictures), np.concatenate(one_by_one))

    @pytest.mark.parametrize("count", [0, 1, 3, 4, 5, 8])
    def test_of_any_number_of_pictures(
        self, engines: dict[str, Engine], pictures: Floats, count: int, engine: str
    ) -> None:
        """Whole batches, remainders and nothing at all give a row a picture."""
        whole = engines[engine].run(pictures)

        np.testing.assert_array_equal(engines[engine].run(pictures[:count]), whole[:count])


class TestLiteRT:
    def test_do_not_depend_on_the_number_of_threads(
        self, prefix: keras.Model, pictures: Floats, converted: Path
    ) -> None:
        """One and two threads give the same bits."""
        content = next(converted.glob("prefixes/*.tflite")).read_bytes()
        one, two = (
            litert.LiteRTEngine(prefix, content, batch=litert.BATCH, threads=threads) for threads in (1, 2)
        )

        np.testing.assert_array_equal(one.run(pictures), two.run(pictures))


class TestAgreement:
    def test_is_measured_and_small(self, engines: dict[str, Engine], expected: Floats) -> None:
        """The difference to TensorFlow is known, and less than a thousandth of the features' spread."""
        assert 0 < engines["litert"].disagreement < 1e-3 * expected.std()
        assert engines["tensorflow"].disagreement == 0

    @pytest.mark.parametrize("factor", [1.1, float("nan")])
    def test_is_required(
        self, pictures: Floats, tmp_path: Path, caplog: pytest.LogCaptureFixture, factor: float
    ) -> None:
        """If LiteRT's features are others, or no numbers, litert is an error and auto takes TensorFlow and says so."""
        prefix = one_layer(lambda inputs: inputs if tf.executing_eagerly() else inputs * factor)

        with pytest.raises(ConfigError, match=r"differ from TensorFlow's by up to .*choose the engine auto"):
            chosen(prefix, pictures, tmp_path)
        assert chosen(prefix, pictures, tmp_path, "auto").name == "tensorflow"
        assert "the features are computed by TensorFlow" in caplog.text

    def test_a_prefix_that_cannot_be_converted_is_computed_by_tensorflow(
        self, pictures: Floats, tmp_path: Path, caplog: pytest.LogCaptureFixture
    ) -> None:
        """An operation LiteRT does not know makes auto take TensorFlow, and litert an error."""
        prefix = one_layer(lambda inputs: tf.linalg.svd(inputs, compute_uv=False))

        with pytest.raises(ConfigError, match="cannot convert the prefix"):
            chosen(prefix, pictures, tmp_path)
        assert chosen(prefix, pictures, tmp_path, "auto").name == "tensorflow"
        assert "cannot convert the prefix" in caplog.text


class TestConversion:
    def test_happens_once(self, prefix: keras.Model, pictures: Floats, converted: Path) -> None:
        """A second engine reads the file of the first."""
        path = next(converted.glob("prefixes/*.tflite"))
        before = path.stat().st_mtime_ns
        chosen(prefix, pictures, converted)

        assert path.stat().st_mtime_ns == before

    @pytest.mark.parametrize("damage", ["truncated", "empty", "other weights"])
    def test_is_repeated_for_a_damaged_file(
        self, pictures: Floats, tmp_path: Path, caplog: pytest.LogCaptureFixture, damage: str
    ) -> None:
        """A file that is no model or another one is replaced, with a line in the log."""
        prefix = pooled()
        chosen(prefix, pictures, tmp_path)
        path = next(tmp_path.glob("prefixes/*.tflite"))
        whole = path.read_bytes()
        middle = len(whole) // 2
        path.write_bytes(
            {
                "truncated": whole[:middle],
                "empty": b"",
                "other weights": whole[:middle] + bytes(20_000) + whole[middle + 20_000 :],
            }[damage]
        )
        chosen(prefix, pictures, tmp_path)

        assert "converted again" in caplog.text
        assert path.read_bytes() == whole

    def test_no_changed_byte_reaches_litert(
        self, pictures: Floats, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """LiteRT may crash on what is no model, so that a file with a wrong checksum is not given to it."""
        prefix = pooled()
        chosen(prefix, pictures, tmp_path)
        path = next(tmp_path.glob("prefixes/*.tflite"))
        whole, chance = path.read_bytes(), np.random.default_rng(0)
        for place in chance.integers(len(whole), size=20):
            path.write_bytes(whole[:place] + bytes([whole[place] ^ 1]) + whole[place + 1 :])
            assert litert._stored(path) is None
        path.write_bytes(chance.bytes(1000))
        assert litert._stored(path) is None
        monkeypatch.setattr(litert, "convert", lambda *_given: whole[: -litert._TRAILER])
        chosen(prefix, pictures, tmp_path)
        assert path.read_bytes() == whole

    def test_is_silent(self, pictures: Floats, tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
        """Neither the converter nor LiteRT writes to standard output or standard error."""
        chosen(pooled(), pictures, tmp_path)
        captured = capfd.readouterr()

        assert (captured.out, captured.err) == ("", "")


class TestResolving:
    def test_auto_is_litert_without_a_gpu(self) -> None:
        """This machine has no GPU and has LiteRT."""
        if tf.config.list_physical_devices("GPU"):
            pytest.skip("this machine has a GPU")
        assert resolve_engine("auto") == "litert"
        assert engine_version("litert").startswith("litert 2.")

    @pytest.mark.parametrize(("has_gpu", "ending"), [(False, ""), (True, " GPU")])
    def test_features_of_a_gpu_have_a_key_of_their_own(
        self, monkeypatch: pytest.MonkeyPatch, ending: str, *, has_gpu: bool
    ) -> None:
        """They differ in the last digits, and a cache may be shared; the GPU here is a pretended one."""
        monkeypatch.setattr("flowersweep.models.engine_choice.has_gpu", lambda: has_gpu)
        assert engine_version("tensorflow") == f"tensorflow {tf.__version__}{ending}"

    def test_without_litert(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """Where LiteRT is not installed auto is TensorFlow, and litert says how to install it."""
        monkeypatch.setattr("flowersweep.models.engine_choice.find_spec", lambda _: None)

        assert resolve_engine("auto") == "tensorflow"
        with pytest.raises(ConfigError, match="pip install ai-edge-litert"):
            resolve_engine("litert")

    def test_another_name_is_refused(self) -> None:
        """An unknown engine is answered with the known ones."""
        with pytest.raises(ConfigError, match="one of auto, tensorflow, litert, but is 'onnx'"):
            resolve_engine("onnx")

    @pytest.mark.skipif(not hasattr(os, "sched_setaffinity"), reason="this system binds no process to CPUs")
    def test_processors(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """Those that this process may use, or all where the system binds no process to some."""
        all_usable = os.sched_getaffinity(0)
        assert available_processors() == len(all_usable)
        os.sched_setaffinity(0, {min(all_usable)})
        try:
            assert available_processors() == 1
        finally:
            os.sched_setaffinity(0, all_usable)
        monkeypatch.delattr(os, "sched_getaffinity")
        monkeypatch.setattr(os, "cpu_count", lambda: 7)
        assert available_processors() == 7


@pytest.mark.slow
@pytest.mark.parametrize("backbone", ["MobileNetV3Small", "EfficientNetV2B0"])
def test_other_backbones_agree(tmp_path: Path, backbone: str) -> None:
    """LiteRT gives TensorFlow's features for other backbones too, at 96 pixels."""
    config = dataclasses.replace(CONFIG, backbone=backbone, alpha=None)
    prefix = build_network(config, num_classes=5, image_size=96).prefix
    assert prefix is not None
    pictures = random_pictures(8, 96)

    assert chosen(prefix, pictures, tmp_path).disagreement < 1e-3
