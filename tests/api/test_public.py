"""What `import flowersweep` offers, and what it costs."""

import json
import os
import pty
import signal
import subprocess
import sys
from pathlib import Path
from types import ModuleType

import cloudpickle  # type: ignore[import-untyped] # it ships no types
import pytest

import flowersweep as fs
from flowersweep import api
from flowersweep.errors import ConfigError

LOADED = """
import json, sys
import flowersweep as fs
import flowersweep.sweep.space  # whatever is imported first
light = sorted({name.partition('.')[0] for name in sys.modules})
calls = [fs.train, fs.sweep, fs.load_run, fs.load_study]
print(json.dumps([light, [callable(call) for call in calls], 'tensorflow' in sys.modules, 'mlflow' in sys.modules]))
"""


def test_the_import_is_light() -> None:
    """It imports no other package; the functions import neither TensorFlow nor MLflow."""
    done = subprocess.run([sys.executable, "-c", LOADED], capture_output=True, text=True, check=True)
    light, are_callable, tensorflow, mlflow = json.loads(done.stdout)
    assert {"hydra", "optuna", "pandas", "rich", "numpy"}.isdisjoint(light)
    assert are_callable == [True] * 4
    assert not tensorflow
    assert not mlflow


def test_the_names() -> None:
    """They are listed, and others do not exist."""
    names = ["Result", "Study", "load_run", "load_study", "sweep", "train"]
    assert set(names) <= set(dir(fs))
    assert [getattr(fs, name) is getattr(api, name) for name in names] == [name != "sweep" for name in names]
    with pytest.raises(AttributeError, match="module 'flowersweep' has no attribute 'tran'"):
        fs.tran  # noqa: B018 - looked up


def test_sweep_is_a_package_that_is_called() -> None:
    """It passes everything on, and remains a package for pickles."""
    package = sys.modules["flowersweep.sweep"]
    assert isinstance(package, ModuleType)
    assert cloudpickle.loads(cloudpickle.dumps(package)) is package
    with pytest.raises(ConfigError, match="a list of texts"):
        fs.sweep("aug=none,RandomFlip", n_jobs=2)


def test_without_the_packages_for_training() -> None:
    """An installation for sweeps of other programs says in one sentence what to install."""
    code = "import sys; sys.modules['tensorflow'] = None; import flowersweep as fs; fs.train"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.stderr.splitlines()[-1] == (
        "flowersweep.errors.ConfigError: this needs packages that are not installed (tensorflow); install them with "
        "pip install 'flowersweep[keras]'."
    )


@pytest.mark.slow
def test_on_a_terminal(tmp_path: Path, drawn: Path, cache: Path) -> None:
    """Progress is drawn on the terminal itself, and Ctrl-C there ends the training once, with how to go on."""
    overrides = [
        "data=folder",
        f"data.dir={drawn}",
        f"paths.cache={cache}",
        "trainer=quick",
        "trainer.epochs=100000",
    ]
    call = f"import flowersweep as fs; fs.train({[*overrides, 'tracking.dir=results']!r})"
    pid, terminal = pty.fork()
    if pid == 0:
        os.chdir(tmp_path)
        os.execv(sys.executable, [sys.executable, "-c", call])  # noqa: S606 - this interpreter
    shown = b""
    while b"epoch      2/100000" not in shown:
        shown += os.read(terminal, 1 << 16)
    os.write(terminal, b"\x03")
    while True:
        try:
            shown += os.read(terminal, 1 << 16)
        except OSError:
            break
    _, status = os.waitpid(pid, 0)
    text = shown.decode()
    assert "\x1b[" in text
    assert "\nKeyboardInterrupt: interrupted by SIGINT; " in text.replace("\r", "")
    assert text.count("Traceback") == 1
    assert os.waitstatus_to_exitcode(status) == -signal.SIGINT  # as of any program that Ctrl-C ends
