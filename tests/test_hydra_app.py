"""Tests of flowersweep.hydra_app: what the configuration of somebody else can not do."""

import errno
import os
import pickle
import subprocess
import sys
from pathlib import Path

import pytest

from flowersweep import cli, hydra_app
from flowersweep.errors import EXIT_BAD_INPUT, ConfigError, TrainingError


class _Payload:
    """Runs a program when it is read from a pickle."""

    def __init__(self, mark: Path) -> None:
        self.mark = mark

    def __reduce__(self) -> tuple[object, ...]:
        return subprocess.call, (["touch", str(self.mark)],)


_CALLBACK = "hydra:\n  callbacks:\n    mine:\n      _target_: "
_HANDLER = "hydra:\n  job_logging:\n    root:\n      handlers: [console, mine]\n    handlers:\n      mine:\n        class: "
FOREIGN = {
    "a program": _CALLBACK
    + "hydra.test_utils.test_utils.run_process\n      _convert_: all\n      cmd: [touch, MARK]\n",
    "a pickle": _CALLBACK
    + "optuna.samplers.CmaEsSampler._restore_optimizer\n      self: {_target_: optuna.samplers.CmaEsSampler}\n"
    "      completed_trials: [{system_attrs: {'cma:optimizer:0': PICKLE}}]\n",
    "a launcher": _CALLBACK
    + "hydra_plugins.hydra_joblib_launcher._core.process_joblib_cfg\n      joblib_cfg: {pre_dispatch: MARK}\n",
    "a callback that writes a log": _CALLBACK + "logging.FileHandler\n      filename: MARK\n",
    "a log": _HANDLER + "logging.FileHandler\n        filename: MARK\n",
    "a rotating log": _HANDLER + "logging.handlers.RotatingFileHandler\n        filename: MARK\n",
    "a permission": "hydra:\n  job:\n    env_set: {FLOWERSWEEP_ALLOW: FOLDER/foreign_code.py}\n"
    "aug: {build: foreign_code.Augmentation}\ndefaults:\n- override /aug: own\n",
    "a program for other programs": "hydra:\n  job:\n    env_set: {PATH: FOLDER}\n",
}
# What is said about them.
_TARGET, _VARIABLE = "but no configuration may call it; remove it from the file", "hydra.job.env_set sets "


@pytest.mark.slow
@pytest.mark.parametrize(
    ("name", "multirun"),
    [*((name, False) for name in FOREIGN), ("a program", True), ("a permission", True)],
)
def test_a_foreign_preset_runs_and_writes_nothing(
    folder: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    name: str,
    *,
    multirun: bool,
) -> None:
    """Whatever it names is neither called nor opened, and the command ends with one sentence."""
    mark = folder / "mark"
    (folder / "foreign_code.py").write_text(f"open({str(mark)!r}, 'w')\n", encoding="utf-8")
    text = FOREIGN[name].replace("PICKLE", pickle.dumps(_Payload(mark)).hex())
    preset = folder / "experiment/foreign.yaml"
    preset.parent.mkdir()
    preset.write_text(
        "# @package _global_\n" + text.replace("MARK", str(mark)).replace("FOLDER", str(folder)),
        encoding="utf-8",
    )
    before = dict(os.environ)
    monkeypatch.delenv("HYDRA_FULL_ERROR", raising=False)
    monkeypatch.setattr(
        sys,
        "argv",
        [
            "flowersweep",
            f"--config-dir={folder}",
            "experiment=foreign",
            "data=demo",
            f"tracking.dir={folder}/results",
            f"paths.cache={folder}/cache",
            "optimizer.learning_rate=0",
            *(["--multirun"] * multirun),
        ],
    )

    code = cli.main()

    assert code == EXIT_BAD_INPUT
    said = capsys.readouterr().err
    assert (_TARGET in said) or (_VARIABLE in said), said
    assert said.count("\n") == 1
    assert not mark.exists()
    assert dict(os.environ) == before
    assert not (folder / "results").exists()


def test_a_path_without_permission_is_bad_input(no_permission: PermissionError) -> None:
    """Told with the path; after the start of a run it is a failure, and without a path something else."""
    found = hydra_app.explained(no_permission)
    assert isinstance(found, ConfigError)
    assert str(found) == (
        f"{no_permission.filename} cannot be used (Permission denied); change the permissions of it or of the folders above it, "
        "or name another path."
    )
    assert not found.ended_a_run
    no_permission.ended_a_run = True  # type: ignore[attr-defined] # as `closing` does
    assert hydra_app.explained(no_permission).ended_a_run
    assert isinstance(hydra_app.explained(PermissionError(errno.EPERM, "Not permitted")), TrainingError)


A_NAME = "the name of a group, a choice, a file or a folder"


@pytest.mark.parametrize(
    ("path", "message"),
    [
        (f"/{'a' * 300}/demo-1-140", f"{'a' * 40}... is too long for {A_NAME} (300 bytes)"),
        ("é\n" * 100, r"é\n" * 13 + f"é... is too long for {A_NAME} (300 bytes)"),
        ("ab/" * 2000, f"{('ab/' * 2000)[:40]}... is too long for a path (5,999 bytes)"),
    ],
)
def test_a_path_that_is_too_long(path: str, message: str) -> None:
    """The message has the part that is too long, wherever in the path it is, with its length in bytes."""
    with pytest.raises(OSError, match="too long") as caught:
        Path(path).stat()
    found = hydra_app.explained(caught.value)
    assert isinstance(found, ConfigError)
    assert str(found) == f"{message}; shorten it."
