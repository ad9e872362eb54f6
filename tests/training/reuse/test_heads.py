"""Heads that are kept: what their names depend on, and what becomes of damaged files."""

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from conftest import MakeConfig
from flowersweep.cache.heads import Head, read_head
from flowersweep.config import Config
from flowersweep.config.own_code import own_digests
from flowersweep.own import code
from flowersweep.training.dataset import Pictures, load_pictures
from flowersweep.training.reuse import heads
from flowersweep.training.reuse.heads import head_key, reuse_or_train
from own_modules import WARMTH, Modules

FINE_TUNED = ("model=mobilenet_ft", "model.weights=null", "model.alpha=0.35")


@pytest.fixture
def config(make_config: MakeConfig, tmp_path: Path) -> Config:
    """A fine-tuned network whose cache is empty."""
    return make_config(*FINE_TUNED, f"paths.cache={tmp_path}/cache")


@pytest.fixture
def pictures(config: Config) -> Pictures:
    """The drawn flowers."""
    return load_pictures(config)


def head(number: float = 1.0) -> Head:
    """A head for five classes."""
    return Head(
        [np.full((3, 5), number, np.float32), np.arange(5, dtype=np.float32)], [{"loss": 0.1}], reused=False
    )


def equal(one: Head, other: Head) -> bool:
    """Whether two heads hold the same weights and epochs."""
    pairs = zip(one.weights, other.weights, strict=True)
    return one.epochs == other.epochs and all(np.array_equal(a, b) for a, b in pairs)


class TestKey:
    @pytest.mark.slow
    @pytest.mark.parametrize(
        "change",
        [
            "trainer.label_smoothing=0.1",
            "trainer.class_weight=balanced",
            "trainer.class_weight={daisy: 2}",
            "bank.enabled=false",
            "bank.dtype=float32",
            "bank.engine=tensorflow",
            "trainer.precision=bfloat16",
            "data.resize=crop",
        ],
    )
    def test_depends_on_what_changes_its_numbers(self, change: str, make_config: MakeConfig) -> None:
        """The loss, the stored type, the engine and the precision change the numbers, so they change the name."""
        one, other = make_config(*FINE_TUNED), make_config(*FINE_TUNED, change)
        found = load_pictures(one)
        assert head_key(one, found) != head_key(other, found)

    @pytest.mark.slow
    def test_depends_on_how_long_it_may_be_trained(self, make_config: MakeConfig) -> None:
        """By default that is trainer.epochs; with a limit of its own, the epochs of fine-tuning do not matter."""
        given = {"followed": "model.head.epochs=${trainer.epochs}", "own": "model.head.epochs=2"}
        found = load_pictures(make_config(*FINE_TUNED))
        keys = {
            name: {head_key(make_config(*FINE_TUNED, limit, f"trainer.epochs={n}"), found) for n in (3, 4)}
            for name, limit in given.items()
        }
        assert {name: len(found) for name, found in keys.items()} == {"followed": 2, "own": 1}

    def test_does_not_depend_on_how_much_may_be_stored(self, make_config: MakeConfig) -> None:
        """The bank's size changes no number."""
        one, other = make_config(*FINE_TUNED), make_config(*FINE_TUNED, "bank.max_gigabytes=3")
        found = load_pictures(one)
        assert head_key(one, found) == head_key(other, found)

    def test_depends_on_the_program(
        self, config: Config, pictures: Pictures, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """An edited augmentation, another version of Keras or TensorFlow, another CPU's precision: another head."""
        names = {head_key(config, pictures)}
        for name, value in (
            ("code_digest", lambda *_rooms: "edited"),
            ("version", lambda name: f"{name} 99"),
            ("engine_version", lambda _engine: "litert 99"),
            ("resolve_precision", lambda _config: "float8"),
        ):
            with monkeypatch.context() as patched:
                patched.setattr(heads, name, value)
                names.add(head_key(config, pictures))
        assert len(names) == 5

    @pytest.mark.slow
    def test_depends_on_code_of_ones_own(self, make_config: MakeConfig, modules: Modules) -> None:
        """An augmentation and callbacks by their text, also if two files define the same; callbacks also by their arguments."""
        modules.add("own_head_a", WARMTH)
        modules.add("own_head_b", f"{WARMTH}# edited\n")
        found = load_pictures(make_config(*FINE_TUNED))
        stack = "aug.layers=[{build: own_head_%s.RandomWarmth}]"
        changes: list[tuple[str, ...]] = [("aug=stack", stack % "a"), ("aug=stack", stack % "b")]
        call = "{build: own_head_a.RandomWarmth, arguments: {factor: %s}}"
        changes += [(f"trainer.callbacks=[{call % number}]",) for number in (1, 2)]
        configs = [make_config(*FINE_TUNED, *change) for change in changes]
        assert len({head_key(config, found) for config in configs}) == 4
        assert own_digests(configs[0]).keys() == {"own_head_a"}
        # What is in the key beside the configuration: the same names with other text.
        before = head_key(configs[2], found)
        code._digest.cache_clear()
        modules.add("own_head_a", f"{WARMTH}# edited\n")
        assert head_key(configs[2], found) != before
        code._digest.cache_clear()

    def test_is_the_same_in_another_process_and_imports_no_network(self) -> None:
        """Importing the module starts neither Keras nor TensorFlow."""
        code = (
            "import sys, flowersweep.training.reuse.heads; print({'keras', 'tensorflow'} & set(sys.modules))"
        )
        told = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
        assert told.stdout == "set()\n"


class TestDamage:
    def test_every_beginning_of_a_file_is_taken_for_absent(
        self, config: Config, pictures: Pictures, caplog: pytest.LogCaptureFixture
    ) -> None:
        """A file cut at any length is trained again and then read again."""
        reuse_or_train(config, pictures, head)
        (path,) = Path(str(config.paths.cache), "heads").glob("*.npz")
        whole = path.read_bytes()
        for length in range(0, len(whole), 7):
            path.write_bytes(whole[:length])
            assert read_head(path, 5) is None
        assert not reuse_or_train(config, pictures, head).reused
        assert "is damaged and will be trained again" in caplog.text
        assert reuse_or_train(config, pictures, head).reused

    def test_no_random_bytes_are_taken_for_another_head(self, config: Config, pictures: Pictures) -> None:
        """One byte changed, or all of them: the head that was kept, or none."""
        kept = reuse_or_train(config, pictures, head)
        (path,) = Path(str(config.paths.cache), "heads").glob("*.npz")
        whole, chance = path.read_bytes(), np.random.default_rng(0)
        for place in range(0, len(whole), 3):
            path.write_bytes(
                whole[:place] + bytes([whole[place] ^ 1 << chance.integers(8)]) + whole[place + 1 :]
            )
            found = read_head(path, 5)
            assert found is None or equal(found, kept)
        path.write_bytes(chance.bytes(1000))
        assert read_head(path, 5) is None
