"""The doctor as a person meets it: the table, JSON, exit codes."""

import builtins
import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from flowersweep.commands.doctor import main
from flowersweep.console import stderr_console
from flowersweep.doctor import checks
from flowersweep.doctor.finding import Finding, Verdict
from tables_read import broken_words

Type = Callable[..., "subprocess.CompletedProcess[str]"]


@pytest.fixture
def good(drawn: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Overrides that are fine; starting TensorFlow is left to slow tests."""
    monkeypatch.setattr(checks, "check_tensorflow", lambda *_: iter([Finding("TensorFlow", "2.21.0")]))
    monkeypatch.setattr(checks, "check_ports", lambda: iter([Finding("ports", "free")]))
    monkeypatch.setenv("COLUMNS", "200")
    places = [f"data.dir={drawn}", f"tracking.dir={tmp_path}/r", f"paths.cache={tmp_path}/c"]
    return ["data=folder", "data.split_seed=2", "trainer.batch_size=4", *places]


def test_good_input_ends_with_0(good: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    """Every line is fine, and the last one says so."""
    assert main(good) == 0

    said = capsys.readouterr().out.splitlines()
    assert said[-1] == "11 fine, nothing to fix."
    named = [line.split("│")[0].strip() for line in said if "│" in line]
    places = ["cache", "pictures", "results", "studies"]
    programs = ["ports", "LiteRT", "TensorFlow"]
    assert [name for name in named if name] == [
        "Python",
        "packages",
        "processors",
        "memory",
        *places,
        *programs,
    ]


@pytest.mark.slow
@pytest.mark.parametrize("width", ["60", "80", "100", "120", None])
def test_no_word_is_broken(
    width: str | None,
    good: list[str],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """Paths and commands can be copied at any width, and from a pipe."""
    monkeypatch.delenv("COLUMNS")
    if width is not None:
        monkeypatch.setenv("COLUMNS", width)
    fix = f"rm --recursive {tmp_path}/a-folder-with-a-long-name, then python -m flowersweep"
    monkeypatch.setattr(
        checks, "check_ports", lambda: iter([Finding("ports", "5001 is used", Verdict.FIX, fix)])
    )
    assert main(good) == 1
    expected = {"verdict", "Python", "processors", "TensorFlow", f"{tmp_path}/a-folder-with-a-long-name,"}
    assert broken_words(capsys.readouterr().out, expected) == set()


def test_a_sweep_has_a_line_of_its_own(good: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    """The command of a sweep is taken as it is, wherever its flag stands."""
    assert main([*good, "--multirun", "aug=none,RandomFlip", "--json"]) == 0

    sweep = next(one for one in json.loads(capsys.readouterr().out) if one["check"] == "sweep")
    assert sweep["found"] == "2 trials as a grid over aug; every option can be composed"


def test_json_is_for_programs(good: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    """The same lines with the same names."""
    assert main([*good, "--json"]) == 0

    told = json.loads(capsys.readouterr().out)
    assert told[0]["check"] == "Python"
    assert {one["verdict"] for one in told} == {"fine"}
    assert set(told[0]) == {"check", "found", "verdict", "fix"}


def test_several_faults_are_all_found(
    good: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """A folder without classes, a store that is no database and weights that are none: exit code 1."""
    (tmp_path / "r").mkdir()
    (tmp_path / "r/mlflow.db").write_text("these are not the pages of a database\n" * 100)
    (tmp_path / "w.weights.h5").write_text("nothing")
    (tmp_path / "empty").mkdir()
    wrong = ["model=mobilenet_frozen", f"model.weights={tmp_path}/w.weights.h5", f"data.dir={tmp_path}/empty"]

    assert main([*good, *wrong, "--json"]) == 1

    told = json.loads(capsys.readouterr().out)
    assert [one["check"] for one in told if one["verdict"] == "fix"] == ["pictures", "results", "weights"]


def test_a_fix_is_all_that_is_done(good: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    """Nothing else is looked at."""
    assert main([*good, "--fix", "--json"]) == 0

    told = json.loads(capsys.readouterr().out)
    assert {one["check"]: one["found"] for one in told} == dict.fromkeys(
        ("results", "studies", "cache"), "nothing to fix"
    )


@pytest.mark.parametrize(
    ("override", "expected"),
    [
        ("aug=RandomFlp", "Did you mean RandomFlip?"),
        ("trainer.epochs=0", "trainer.epochs must be at least 1"),
        ("trainer", "write key=value"),
    ],
)
def test_bad_input_ends_with_2(
    good: list[str], capsys: pytest.CaptureFixture[str], override: str, expected: str
) -> None:
    """In the sentence that a run would say, without a table."""
    assert main([*good, override]) == 2

    told = capsys.readouterr()
    assert told.out == ""
    assert told.err.startswith("flowersweep: ")
    assert expected in told.err


def test_a_missing_package_is_a_line(
    good: list[str], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Where a package is missing without which nothing can be checked, plain lines say so."""
    real = builtins.__import__

    def without_rich(name: str, *rest: Any) -> Any:
        if name.startswith(("rich", "flowersweep.doctor.table")):
            raise ModuleNotFoundError(f"No module named {name!r}", name="rich")
        return real(name, *rest)

    stderr_console.cache_clear()  # an earlier test may have made it
    monkeypatch.setattr(builtins, "__import__", without_rich)

    assert main(good) == 1

    said = capsys.readouterr().out.splitlines()
    assert said[0].startswith("fine  Python: 3.")
    assert (
        said[-1]
        == "fix   everything else: not checked, because rich is missing. Fix: fix the lines above first."
    )


@pytest.mark.slow
class TestInAProcess:
    @pytest.fixture
    def run(self, tmp_path: Path) -> Type:
        """Run the command as a person would."""

        def type_in(*overrides: str) -> "subprocess.CompletedProcess[str]":
            places = [f"tracking.dir={tmp_path}/r", f"paths.cache={tmp_path}/c"]
            return subprocess.run(
                [sys.executable, "-m", "flowersweep", "doctor", *places, *overrides],
                env={**os.environ, "COLUMNS": "250"},
                cwd=tmp_path,
                capture_output=True,
                text=True,
                check=False,
                timeout=300,
            )

        return type_in

    def test_a_good_installation_ends_with_0(self, run: Type, tmp_path: Path) -> None:
        """TensorFlow really starts; nothing is written anywhere, to standard error neither."""
        done = run("data=demo")

        assert (done.returncode, done.stderr) == (0, "")
        assert "with Keras 3." in done.stdout
        assert "nothing to fix." in done.stdout
        assert list(tmp_path.iterdir()) == []
