"""Which package may import which: the contracts in pyproject.toml hold, and would be seen to be broken."""

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]


def lint(folder: Path) -> subprocess.CompletedProcess[str]:
    """Check the contracts of a checkout."""
    command = [str(Path(sys.executable).with_name("lint-imports")), "--no-cache"]
    return subprocess.run(
        command,
        cwd=folder,
        env={"PYTHONPATH": str(folder / "src")},
        capture_output=True,
        text=True,
        check=False,
    )


@pytest.fixture
def copy(tmp_path: Path) -> Path:
    """The sources and their contracts, to be changed."""
    shutil.copytree(ROOT / "src", tmp_path / "src", ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copy(ROOT / "pyproject.toml", tmp_path)
    return tmp_path


def test_the_contracts_hold() -> None:
    """No package imports one above it, and none itself by way of another one."""
    done = lint(ROOT)
    assert done.returncode == 0, done.stdout
    assert "0 broken" in done.stdout


@pytest.mark.parametrize(
    ("module", "imported", "broken"),
    [
        ("data/split.py", "flowersweep.training.run", "flowersweep.data is not allowed to import"),
        ("sweep/space/values.py", "flowersweep.sweep.study.budget", "flowersweep.sweep.space is not allowed"),
        ("models/engine.py", "flowersweep.models.litert", "No cycles are allowed in flowersweep.models"),
        (
            "errors.py",
            "hydra_plugins.flowersweep_study",
            "The Hydra plugin is a thin layer on the sweep BROKEN",
        ),
    ],
)
def test_a_planted_import_is_found(copy: Path, module: str, imported: str, broken: str) -> None:
    """Upward, in a circle within a package, or of the plugin."""
    path = copy / "src/flowersweep" / module
    path.write_text(f"{path.read_text(encoding='utf-8')}\n\nimport {imported}\n", encoding="utf-8")
    done = lint(copy)
    assert done.returncode == 1
    assert broken in " ".join(done.stdout.split())


def test_no_package_is_crowded() -> None:
    """A reader finds a module by the names of the folders: at most 15 modules lie at one level."""
    folders = {path.parent for path in (ROOT / "src").rglob("*.py")}
    counts = {str(folder.relative_to(ROOT)): len(list(folder.glob("*.py"))) for folder in folders}
    assert {folder: count for folder, count in counts.items() if count > 15} == {}
