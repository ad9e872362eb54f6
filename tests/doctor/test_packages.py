"""Python and packages against what the project asks for."""

import platform
from importlib import metadata
from pathlib import Path

import pytest
from packaging.requirements import Requirement

from flowersweep.doctor import packages
from flowersweep.doctor.finding import Finding, Verdict
from flowersweep.doctor.packages import check_packages, wanted


def _write(path: Path, python: str, *dependencies: str) -> Path:
    path.write_text(f"[project]\nrequires-python = {python!r}\ndependencies = {list(dependencies)}\n")
    return path


def test_this_installation_is_as_it_should_be() -> None:
    """Python and all packages in two lines, pre-releases that the project names included."""
    number = len(wanted()[1])

    assert list(check_packages()) == [
        Finding("Python", platform.python_version()),
        Finding("packages", f"{number} of {number} meet the requirements"),
    ]
    assert number >= 19


def test_what_is_missing_or_too_old_has_a_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each with the command that fixes it; what is for another platform is not missed."""
    rules = _write(
        tmp_path / "pyproject.toml",
        ">=3.10",
        "numpy>=99,<100",
        "no-such-flower>=1",
        "rich>=1",
        "no-such-os; sys_platform == 'plan9'",
    )
    monkeypatch.setattr(packages, "_PYPROJECT", rules)

    assert list(check_packages())[1:] == [
        Finding(
            "numpy",
            f"{metadata.version('numpy')}, but <100,>=99 is required",
            Verdict.FIX,
            "pip install 'numpy<100,>=99'",
        ),
        Finding("no-such-flower", "not installed", Verdict.FIX, "pip install 'no-such-flower>=1'"),
        Finding("packages", "1 of 3 meet the requirements, the others are listed above"),
    ]


def test_another_python_is_to_be_mended(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """It says which is there and which is required."""
    monkeypatch.setattr(packages, "_PYPROJECT", _write(tmp_path / "pyproject.toml", ">=4"))

    first = next(check_packages())

    assert first.verdict is Verdict.FIX
    assert first.found == f"{platform.python_version()}, but >=4 is required"


def test_without_a_checkout_the_installed_metadata_count(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """They name what the package was installed with, without its extras."""
    monkeypatch.setattr(packages, "_PYPROJECT", tmp_path / "none")

    python, requirements = wanted()

    assert ">=3.11" in python
    names = {one.name for one in requirements}
    assert "tensorflow" in names
    assert not {"pytest", "keras-tuner"} & names
    assert isinstance(requirements[0], Requirement)
