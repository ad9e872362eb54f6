"""The examples of programs of one's own run as their pages say."""

import os
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

import pytest

from flowersweep.sweep.storage.storage import open_storage
from markdown import ROOT

EXAMPLES = ROOT / "examples"
if not EXAMPLES.is_dir():
    pytest.skip("an installed copy is tested, without its examples", allow_module_level=True)
# Run as a command, and tell which of these it has imported in the end.
TELLING = """
import runpy, sys
program, *sys.argv[1:] = sys.argv[1:]
sys.argv[0] = program
runpy.run_path(program, run_name="__main__")
print("imported:", *({"mlflow", "tensorflow", "keras"} & sys.modules.keys()))
"""


ASHA = "hydra/sweeper/pruner=asha"


def run(folder: Path, program: str, *arguments: str) -> str:
    """Run an example in a folder and return what it prints."""
    environment = {name: value for name, value in os.environ.items() if not name.startswith("MLFLOW_")}
    done = subprocess.run(
        [sys.executable, "-c", TELLING, str(EXAMPLES / program), *arguments],
        cwd=folder,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
        timeout=300,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def states(name: str) -> dict[int, tuple[str, int]]:
    """The state and the last step of each trial of a study of the current folder."""
    import optuna

    study = optuna.load_study(study_name=name, storage=open_storage(None, Path("mlruns")))
    return {trial.number: (trial.state.name, trial.last_step or 0) for trial in study.trials}


@pytest.mark.slow
def test_scikit_learn(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The sweep prunes at the first decision, names its objective, and imports neither MLflow nor TensorFlow."""
    monkeypatch.chdir(tmp_path)
    points = "hydra.sweeper.enqueue=[{learning_rate: 0.003, units: 64}, {learning_rate: 1e-5, units: 8}]"
    printed = run(tmp_path, "digits.py", "--multirun", "epochs=4", points, ASHA, "hydra.sweeper.n_trials=2")
    assert states("digits") == {0: ("COMPLETE", 4), 1: ("PRUNED", 3)}
    assert "│ accuracy │" in printed.replace("┃", "│")
    assert printed.splitlines()[-1] == "imported:"


@pytest.mark.slow
def test_scikit_learn_alone(tmp_path: Path) -> None:
    """Without a sweep, the same program trains once."""
    assert run(tmp_path, "digits.py", "epochs=3").startswith("3 epochs, accuracy 0.8")


@pytest.mark.slow
@pytest.mark.skipif(find_spec("torch") is None, reason="PyTorch is not installed")
def test_pytorch(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Every trial has a folder with its network."""
    monkeypatch.chdir(tmp_path)
    sizes = "hydra.sweep.dir=here", "epochs=2", "hydra.sweeper.n_trials=2"
    run(tmp_path, "digits_torch.py", "--multirun", *sizes)
    assert states("digits-torch") == {0: ("COMPLETE", 2), 1: ("COMPLETE", 2)}
    assert [(tmp_path / "here" / str(number) / "model.pt").exists() for number in (0, 1)] == [True, True]
