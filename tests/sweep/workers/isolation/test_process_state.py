"""Tests of what a trial leaves behind in its process: nothing that the next one sees."""

import gc
import locale
import logging
import os
import random
import resource
import signal
import socket
import sys
import warnings
from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest

from flowersweep.sweep.workers.isolation import process_state
from flowersweep.sweep.workers.isolation.process_state import restored
from flowersweep.tracking.mlflow_api import chosen

LOGGER = logging.getLogger("a.library")


def state() -> dict[str, Any]:
    """All that a trial may change."""
    umask = os.umask(0o022)
    os.umask(umask)
    return {
        "folder": Path.cwd(),
        "environment": dict(os.environ),
        "handlers": [signal.getsignal(number) for number in (signal.SIGTERM, signal.SIGUSR1, signal.SIGALRM)],
        "timer": signal.getitimer(signal.ITIMER_REAL),
        "locale": locale.setlocale(locale.LC_ALL),
        "umask": umask,
        "lists": (list(sys.path), list(sys.argv)),
        "limits": (resource.getrlimit(resource.RLIMIT_CPU), resource.getrlimit(resource.RLIMIT_NOFILE)),
        "streams": (sys.stdin, sys.stdout, sys.stderr, sys.excepthook),
        "logging": (LOGGER.level, list(LOGGER.handlers), list(logging.root.handlers), logging.root.level),
        "disabled": logging.root.manager.disable,
        "warnings": list(warnings.filters),
        "interpreter": (gc.isenabled(), sys.getrecursionlimit(), socket.getdefaulttimeout()),
        "keras": (keras.config.floatx(), keras.config.image_data_format(), keras.config.dtype_policy().name),
    }


def poison(folder: Path) -> None:
    """Change all of it."""
    os.chdir(folder)
    os.environ["PATH"] = "/nowhere"
    os.environ["OF_ONE_TRIAL"] = "1"
    os.environ.pop("HOME", None)
    for number in (signal.SIGTERM, signal.SIGUSR1, signal.SIGALRM):
        signal.signal(number, signal.SIG_IGN)
    signal.setitimer(signal.ITIMER_REAL, 600)
    locale.setlocale(locale.LC_ALL, "C")
    os.umask(0o777)
    sys.path.insert(0, "/nowhere")
    sys.argv[:] = ["other"]
    sys.stdout = sys.stderr = sys.stdin
    sys.excepthook = lambda *_: None
    resource.setrlimit(resource.RLIMIT_CPU, (86_400, resource.getrlimit(resource.RLIMIT_CPU)[1]))
    resource.setrlimit(resource.RLIMIT_NOFILE, (200, resource.getrlimit(resource.RLIMIT_NOFILE)[1]))
    LOGGER.setLevel(logging.CRITICAL)
    LOGGER.addHandler(logging.NullHandler())
    logging.root.handlers.clear()
    logging.disable(logging.CRITICAL)
    warnings.simplefilter("error")
    gc.disable()
    sys.setrecursionlimit(5000)
    socket.setdefaulttimeout(0.001)
    keras.config.set_floatx("float16")
    keras.config.set_image_data_format("channels_first")
    keras.config.set_dtype_policy("mixed_bfloat16")


def test_the_state_is_restored_after_a_failure(tmp_path: Path) -> None:
    """Folder, environment, handlers, timers, locale, logging and the like are as before, also if the folder was removed."""
    (removed := tmp_path / "removed").mkdir()
    before = state()

    def trial() -> None:
        with restored():
            poison(removed)
            removed.rmdir()
            assert [name for name, value in state_without_folder().items() if value == before[name]] == []
            raise RuntimeError

    def state_without_folder() -> dict[str, Any]:
        os.chdir(tmp_path)
        return state()

    with pytest.raises(RuntimeError):
        trial()

    assert state() == before


def test_what_tensorflow_reads_once_stays() -> None:
    """Variables that TensorFlow and Keras read at their import are not removed: a later trial does not import them again."""
    with restored():
        os.environ["TF_OF_A_TEST"] = "1"

    assert os.environ.pop("TF_OF_A_TEST") == "1"


def test_the_store_and_the_experiment_of_mlflow(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What a trial sets as MLflow's address and experiment is not that of the next one, nor where its open run is looked for."""
    monkeypatch.setenv("MLFLOW_TRACKING_URI", f"sqlite:///{tmp_path}/ours.db")
    monkeypatch.setenv("MLFLOW_ALLOW_FILE_STORE", "true")  # a new database takes seconds
    before = dict(os.environ)
    import mlflow

    with restored():
        mlflow.set_tracking_uri((tmp_path / "theirs").as_uri())
        mlflow.set_experiment("theirs")
        run = mlflow.start_run()

    assert mlflow.active_run() is None
    assert mlflow.get_tracking_uri() == f"sqlite:///{tmp_path}/ours.db"
    assert chosen() == (None, None)
    assert dict(os.environ) == before
    assert (
        mlflow.MlflowClient((tmp_path / "theirs").as_uri()).get_run(run.info.run_id).info.status == "FINISHED"
    )


def test_random_numbers_do_not_go_on() -> None:
    """A trial that sets a seed does not set that of the next one."""
    drawn = []
    for _ in range(2):
        with restored():
            random.seed(1)
            np.random.seed(1)  # noqa: NPY002 - this is what programs do
        drawn.append((random.random(), np.random.random()))  # noqa: NPY002, S311

    assert drawn[0][0] != drawn[1][0]
    assert drawn[0][1] != drawn[1][1]


def test_keras_imported_by_a_trial_is_as_its_file_says(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """If a trial imports Keras and changes its configuration, the next one has that of keras.json."""
    (tmp_path / "keras.json").write_text('{"floatx": "float64", "image_data_format": "channels_first"}')
    with restored():
        monkeypatch.setenv("KERAS_HOME", str(tmp_path))
        process_state._set_keras(None)

        assert state()["keras"] == ("float64", "channels_first", "float64")
        monkeypatch.setenv("KERAS_HOME", str(tmp_path / "missing"))
        process_state._set_keras(None)

        assert state()["keras"] == ("float32", "channels_last", "float32")
