"""Hydra's own test suites for launchers and sweepers, and the other sweepers under this project's configuration.

The suites look at what `sweep()` returns: lists of `JobReturn`, one list per batch. A study has no batches and its
trials run in processes of their own, so what the suites get here is read from the folders those left, which are all the
evidence there is: each trial's `.hydra/config.yaml`, `hydra.yaml` and `overrides.yaml`. Two tests of the launcher suite
are replaced, as an objective is a number here and a failure's traceback is kept as text.
"""

import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, Self

import cloudpickle  # type: ignore[import-untyped]  # it ships no types
import optuna
import pytest
from hydra.core.plugins import Plugins
from hydra.core.utils import JobReturn, JobStatus
from hydra.test_utils.launcher_common_tests import (
    BatchedSweeperTestSuite,
    IntegrationTestSuite,
    LauncherTestSuite,
)
from hydra.test_utils.test_utils import SweepTaskFunction
from omegaconf import DictConfig, OmegaConf

from flowersweep.errors import SweepStoppedError
from flowersweep.sweep.storage.storage import open_storage
from flowersweep.tracking.store.store import prepare_store

pytestmark = pytest.mark.slow

STUDY = "hydra/sweeper=study"


class Trials(SweepTaskFunction):
    """A sweep whose returns are read from its trials' folders."""

    batch_size = 100

    def __enter__(self) -> Self:
        super().__enter__()
        folders = sorted(path for path in Path(str(self.temp_dir)).iterdir() if path.name.isdigit())
        jobs = [self._job(folder) for folder in folders]
        batches = [jobs[start : start + self.batch_size] for start in range(0, len(jobs), self.batch_size)]
        self.returns = batches  # type: ignore[assignment]  # declared without its type
        return self

    @staticmethod
    def _job(folder: Path) -> JobReturn:
        cfg, hydra_cfg = (OmegaConf.load(folder / ".hydra" / name) for name in ("config.yaml", "hydra.yaml"))
        assert isinstance(cfg, DictConfig)
        assert isinstance(hydra_cfg, DictConfig)
        return JobReturn(
            overrides=list(OmegaConf.load(folder / ".hydra/overrides.yaml")),
            cfg=cfg,
            hydra_cfg=hydra_cfg,
            working_dir=str(folder),
            task_name=hydra_cfg.hydra.job.name,
            status=JobStatus.COMPLETED,
        )


@pytest.fixture(scope="module", autouse=True)
def _plugins() -> Iterator[None]:
    """The suites restore Hydra's state to what it was, which must not be the state before its plugins registered."""
    Plugins.instance()
    module = sys.modules[__name__]
    cloudpickle.register_pickle_by_value(module)  # training processes cannot import tests by name
    yield
    cloudpickle.unregister_pickle_by_value(module)


@pytest.fixture
def hydra_sweep_runner(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., Trials]:
    """Hydra's fixture with `Trials`; the study is kept in a folder of its own."""
    monkeypatch.chdir(tmp_path)

    def runner(**settings: Any) -> Trials:
        sweep = Trials()
        for name, value in settings.items():
            setattr(sweep, name, value)
        sweep.temp_dir = str(tmp_path / "sweep")
        sweep.overrides = [*(sweep.overrides or []), "hydra/job_logging=default"]
        return sweep

    return runner


@pytest.mark.parametrize(("launcher_name", "overrides"), [("basic", [STUDY])])
class TestLauncherSuite(LauncherTestSuite):
    # Replaced by the two functions below.
    test_failure_preserves_task_traceback = None  # type: ignore[assignment]
    test_sweep_with_custom_resolver = None  # type: ignore[assignment]


@pytest.mark.parametrize(("launcher_name", "overrides"), [("basic", [STUDY])])
class TestBatchedSuite(BatchedSweeperTestSuite):
    """Of the batches only the order of their jobs applies: the returns are cut into the three pairs it expects."""

    @pytest.fixture(autouse=True)
    def _pairs(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(Trials, "batch_size", 2)


def test_failure_keeps_its_traceback(
    hydra_sweep_runner: Callable[..., Trials], monkeypatch: pytest.MonkeyPatch
) -> None:
    """A failed trial keeps its traceback, causes included, as text in the study."""
    monkeypatch.setenv("HYDRA_FULL_ERROR", "1")  # otherwise the sweep ends this process, as a command

    def task(_: DictConfig) -> None:
        try:
            raise ValueError("launcher cause")  # noqa: TRY301 (its traceback is what is tested)
        except ValueError as cause:
            raise RuntimeError("launcher failure") from cause

    sweep = hydra_sweep_runner(
        calling_file=None,
        calling_module="hydra.test_utils.a_module",
        task_function=task,
        config_path="configs",
        config_name="compose.yaml",
        overrides=[STUDY],
    )
    with pytest.raises(SweepStoppedError, match="RuntimeError: launcher failure"), sweep:
        pass
    (trial,) = optuna.load_study(study_name=None, storage=open_storage(None, Path("mlruns"))).trials
    text = trial.user_attrs["traceback"]
    for part in (
        "ValueError: launcher cause",
        "was the direct cause",
        "in task",
        "RuntimeError: launcher failure",
    ):
        assert part in text


def test_resolvers_of_the_application(hydra_sweep_runner: Callable[..., Trials]) -> None:
    """A resolver registered before the sweep works in its trials."""
    OmegaConf.register_resolver("my_custom_resolver", lambda: "foo", replace=True)
    sweep = hydra_sweep_runner(
        calling_file=None,
        calling_module="hydra.test_utils.a_module",
        task_function=lambda cfg: float(cfg.x == "foo"),
        config_path="configs",
        config_name="custom_resolver",
        overrides=[STUDY],
    )
    with sweep:
        (trial,) = optuna.load_study(study_name=None, storage=open_storage(None, Path("mlruns"))).trials
    assert trial.value == 1.0


@pytest.mark.parametrize(("task_launcher_cfg", "extra_flags"), [({}, ["-m", STUDY])])
class TestIntegrationSuite(IntegrationTestSuite):
    """Its applications return nothing, which is no objective: a number is written into them."""

    def generate_custom_cmd(self) -> Callable[..., list[str]]:
        """Make the application return a number before it is started."""

        def returning(command: list[str], filename: str) -> list[str]:
            # A second application of the same name in the same folder would find its trials done.
            shutil.rmtree("mlruns", ignore_errors=True)
            file = Path(filename)
            text = file.read_text(encoding="utf-8")
            file.write_text(
                text.replace("\n\nif __name__", "\n    return 0.0\n\nif __name__"), encoding="utf-8"
            )
            return command

        return returning


def test_the_official_sweeper(tmp_path: Path, drawn: Path, cache: Path) -> None:
    """The official Optuna sweeper runs this project's trainings, in one process."""
    sweeper = ["hydra/sweeper=optuna", "hydra.sweeper.n_trials=2", "hydra.sweeper.direction=maximize"]
    small = [
        "data=folder",
        f"data.dir={drawn}",
        "trainer.image_size=16",
        "trainer.epochs=1",
        "model.filters=[4]",
        "model.dense_units=4",
    ]
    places = [f"tracking.dir={tmp_path}/results", f"paths.cache={cache}"]
    quick = ["tracking.log_model=false", "tracking.log_figures=false"]
    prepare_store(tmp_path / "results")  # a copy, which another process would take seconds to make
    done = subprocess.run(
        [
            sys.executable,
            "-m",
            "flowersweep",
            "--multirun",
            *sweeper,
            "aug=none,RandomFlip",
            *small,
            *places,
            *quick,
        ],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
        timeout=240,
    )
    assert done.returncode == 0, done.stderr
    assert done.stderr.count("epoch 1/1") + done.stdout.count("epoch 1/1") == 2
