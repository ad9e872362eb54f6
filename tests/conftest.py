"""What tests share: the real photographs, a small drawn data set, and composed configurations."""

import os
import signal
import sys
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import nullcontext
from pathlib import Path
from typing import TYPE_CHECKING

import absl.logging
import hypothesis
import pytest
from hydra import compose, initialize_config_dir
from hydra._internal import logging_config

from flowersweep import config
from flowersweep.config import Config
from flowersweep.data import demo
from flowersweep.hardware import available_processors
from own_modules import Modules
from stores import copied
from warm import warm_programs

_LOGGING_TARGETS = logging_config._BUILTIN_LOGGING_TARGETS

if TYPE_CHECKING:  # it imports Keras
    from ensemble_study import SmallStudy
    from winners import Winners

ROOT = Path(__file__).resolve().parents[1]
WEIGHTS = ROOT.parent / "shared/weights/mobilenet_v2_1.0_no_top.weights.h5"
# TensorFlow reads these once, at import; a run sets them itself, but tests may import TensorFlow first.
os.environ.setdefault("TF_ENABLE_ONEDNN_OPTS", "1")
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")
# A shell's background jobs ignore SIGINT and so would the processes that tests start and interrupt.
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)
# Hydra closes all log handlers, and the one that comes with TensorFlow closes what standard error was when it was imported,
# if it is another file by then: that in which pytest captures.
absl.logging.get_absl_handler().python_handler.stream = sys.__stderr__
# A busy machine is not a failing test.
# Examples are others in every session. The second profile is for `--hypothesis-profile`.
hypothesis.settings.register_profile("flowersweep", deadline=None, max_examples=20)
hypothesis.settings.register_profile("thorough", deadline=None, max_examples=50)
hypothesis.settings.load_profile("flowersweep")

MakeConfig = Callable[..., Config]


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Begin with the files of most slow tests, so that none of them is left for one worker at the end."""
    n_slow = Counter(item.path for item in items if item.get_closest_marker("slow"))
    items.sort(key=lambda item: -n_slow[item.path])


def pytest_xdist_auto_num_workers(config: pytest.Config) -> int:
    """One more than there are processors, because slow tests wait: for servers, for signals, and for processes to start."""
    return available_processors() + ("not slow" not in config.option.markexpr)


def _found_or_skip(name: str, variable: str, candidate: Path) -> Path:
    path = Path(os.environ.get(variable) or candidate)
    if path.exists():
        return path
    if os.environ.get("FLOWERSWEEP_REQUIRE_PHOTOS"):
        pytest.fail(f"FLOWERSWEEP_REQUIRE_PHOTOS is set, but {name} is not at {path}")
    pytest.skip(f"{name} is not on disk; set {variable} to where it is to run this test")


@pytest.fixture(scope="session")
def photos_dir() -> Path:
    """The folder of the real flower_photos; the test is skipped where it is not on disk."""
    return _found_or_skip(
        "flower_photos", "FLOWERSWEEP_TEST_PHOTOS", ROOT.parent / "shared/data/flower_photos"
    )


@pytest.fixture
def some_photos(photos_dir: Path, tmp_path: Path) -> Path:
    """A folder of 40 real photographs of each class."""
    for folder in filter(Path.is_dir, photos_dir.iterdir()):
        (chosen := tmp_path / "photos" / folder.name).mkdir(parents=True)
        for photo in sorted(folder.glob("*.jpg"))[:40]:
            (chosen / photo.name).symlink_to(photo.resolve())
    return tmp_path / "photos"


@pytest.fixture(scope="session")
def mobilenet_weights() -> Path:
    """ImageNet weights of MobileNetV2 without its top; the test is skipped where they are not on disk."""
    return _found_or_skip("the weights file of MobileNetV2", "FLOWERSWEEP_TEST_WEIGHTS", WEIGHTS)


@pytest.fixture(scope="session")
def cache(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A cache folder that all tests of a session share: decoding is tested elsewhere."""
    return tmp_path_factory.mktemp("cache")


@pytest.fixture(autouse=True)
def log_files(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """Other programs may write log files, although the import of the command forbids them in its own process."""
    if request.path.name != "test_hydra_app.py":
        monkeypatch.setattr(logging_config, "_BUILTIN_LOGGING_TARGETS", _LOGGING_TARGETS)


@pytest.fixture(scope="module", autouse=True)
def _stores(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """New stores are copies of one, but where making them is what is tested."""
    if Path(__file__).parent / "tracking/store" in request.path.parents:
        yield
        return
    with copied(tmp_path_factory.getbasetemp() / "empty.db"):
        yield


@pytest.fixture(scope="session")
def drawn(cache: Path) -> Path:
    """A folder of 5 classes with 12 drawn flowers each."""
    return demo(cache, per_class=12)


@pytest.fixture
def make_config(drawn: Path, cache: Path, tmp_path: Path) -> MakeConfig:
    """Compose a configuration and shrink everything: 60 drawn flowers of 32 pixels, two epochs, a store of its own."""

    def make(*overrides: str) -> Config:
        small = [
            "data=folder",
            f"data.dir={drawn}",
            f"paths.cache={cache}",
            f"tracking.dir={tmp_path}/results",
            "trainer.image_size=32",
            "trainer.batch_size=16",
            "trainer.epochs=2",
        ]
        config.prepare()
        with initialize_config_dir(str(config.conf_dir())):
            return config.settings(compose("config", overrides=[*small, *overrides]))

    return make


@pytest.fixture(scope="session")
def results(tmp_path_factory: pytest.TempPathFactory, drawn: Path, cache: Path) -> "Winners":
    """Finished runs with models."""
    from winners import winners

    return winners(tmp_path_factory.getbasetemp(), drawn, cache)


@pytest.fixture
def small(tmp_path: Path, drawn: Path, cache: Path, monkeypatch: pytest.MonkeyPatch) -> "SmallStudy":
    """A study without trials, to which a test adds some with models."""
    from ensemble_study import SmallStudy

    monkeypatch.setenv("FLOWERSWEEP_CACHE", str(cache))
    return SmallStudy(tmp_path / "results", drawn, cache)


@pytest.fixture
def warm() -> Iterator[None]:
    """Programs that the test starts have imported TensorFlow already, unless FLOWERSWEEP_COLD is set."""
    with nullcontext() if os.environ.get("FLOWERSWEEP_COLD") else warm_programs():
        yield


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder of its own, which is the current one."""
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.fixture
def no_permission(tmp_path: Path) -> PermissionError:
    """The error about a file in a folder that this user, or somebody else in the case of root, may not enter."""
    place = tmp_path / "locked"
    place.mkdir(mode=0)
    is_root = os.geteuid() == 0
    if is_root:
        os.seteuid(65534)
    try:
        with pytest.raises(PermissionError) as caught:
            (place / "x.weights.h5").stat()
    finally:
        if is_root:
            os.seteuid(0)
        place.chmod(0o700)
    return caught.value


@pytest.fixture
def modules(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Modules:
    """Modules of a user, in a folder of their own."""
    return Modules(tmp_path / "modules", monkeypatch)
