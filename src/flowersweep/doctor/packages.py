"""Python and packages against what the project asks for, by their metadata: nothing of them is imported."""

import platform
import tomllib
from collections.abc import Iterator
from importlib import metadata
from pathlib import Path

from packaging.requirements import Requirement
from packaging.specifiers import SpecifierSet

from flowersweep.doctor.finding import Finding, Verdict

# In a checkout the file is newer than the metadata, which date from the installation.
_PYPROJECT = Path(__file__).resolve().parents[3] / "pyproject.toml"


def check_packages() -> Iterator[Finding]:
    """Python's version, then one line for all packages that are as they should be and one for each that is not."""
    python, requirements = wanted()
    here = platform.python_version()
    if SpecifierSet(python).contains(here):
        yield Finding("Python", here)
    else:
        fix = f"make an environment with a Python that is {python}"
        yield Finding("Python", f"{here}, but {python} is needed", Verdict.FIX, fix)
    problems = [problem for one in requirements if (problem := _problem(one)) is not None]
    yield from problems
    good = len(requirements) - len(problems)
    others = ", the others are in the lines above" if problems else ""
    yield Finding("packages", f"{good} of {len(requirements)} are as the project asks for{others}")


def wanted() -> tuple[str, list[Requirement]]:
    """Which Python is needed, as in ">=3.11,<3.14", and which packages on this platform."""
    if _PYPROJECT.is_file():
        project = tomllib.loads(_PYPROJECT.read_text(encoding="utf-8"))["project"]
        python, named = project["requires-python"], project["dependencies"]
    else:
        python = metadata.metadata("flowersweep")["Requires-Python"]
        named = metadata.requires("flowersweep") or []
    everything = [Requirement(text) for text in named]
    # Extras have a marker that holds only where one is asked for.
    return python, [one for one in everything if one.marker is None or one.marker.evaluate({"extra": ""})]


def _problem(requirement: Requirement) -> Finding | None:
    """What is wrong with a package, if anything."""
    wish = str(requirement.specifier)
    fix = f"pip install '{requirement.name}{wish}'"
    try:
        version = metadata.version(requirement.name)
    except metadata.PackageNotFoundError:
        return Finding(requirement.name, "not installed", Verdict.FIX, fix)
    if requirement.specifier.contains(version, prereleases=True):
        return None
    return Finding(requirement.name, f"{version}, but {wish} is needed", Verdict.FIX, fix)
