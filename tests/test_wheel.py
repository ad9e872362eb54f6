"""What a user of the wheel needs is in it, and nothing else."""

import subprocess
import sys
import tomllib
from importlib.util import find_spec
from pathlib import Path
from typing import Any
from zipfile import ZipFile

import pytest

from conftest import ROOT

PACKAGES = ["src/flowersweep", "src/hydra_plugins"]

pytestmark = pytest.mark.skipif(
    not (ROOT / "src").is_dir(), reason="an installed copy is tested, without src"
)


def files(folder: str) -> set[str]:
    """The files of a folder with all below it, as paths in it, without what Python leaves there."""
    here = ROOT / folder
    return {
        path.relative_to(here).as_posix()
        for path in here.rglob("*")
        if path.is_file() and "__pycache__" not in path.parts
    }


@pytest.fixture(scope="module")
def settings() -> dict[str, Any]:
    """pyproject.toml."""
    return tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))


def test_the_settings_take_all_along(settings: dict[str, Any]) -> None:
    """The packages with their templates and the mark of types, and the configuration as flowersweep/conf."""
    wheel = settings["tool"]["hatch"]["build"]["targets"]["wheel"]
    assert wheel == {"packages": PACKAGES, "force-include": {"conf": "flowersweep/conf"}}
    assert {f"src/{name.split('/')[0]}" for name in files("src")} == set(PACKAGES)
    assert {"flowersweep/py.typed", "flowersweep/report/templates/page.html"} <= files("src")
    assert settings["project"]["scripts"] == {"flowersweep": "flowersweep.cli:main"}


@pytest.mark.slow
@pytest.mark.skipif(
    find_spec("hatchling") is None, reason="pip install hatchling to build the wheel without a network"
)
def test_the_wheel_holds_what_the_checkout_does(settings: dict[str, Any], tmp_path: Path) -> None:
    """Every file of src and conf; no tests, no results, no caches."""
    code = "import sys; from hatchling.build import build_wheel; build_wheel(sys.argv[1])"
    subprocess.run([sys.executable, "-c", code, str(tmp_path)], cwd=ROOT, check=True, capture_output=True)
    (built,) = tmp_path.glob("*.whl")
    with ZipFile(built) as archive:
        names = {name for name in archive.namelist() if ".dist-info/" not in name}
        (entry_points,) = (name for name in archive.namelist() if name.endswith("/entry_points.txt"))
        assert b"flowersweep = flowersweep.cli:main" in archive.read(entry_points)

    assert names == files("src") | {f"flowersweep/conf/{name}" for name in files("conf")}
    assert built.name.startswith(f"{settings['project']['name']}-")
