"""Check of Python and packages against the requirements of the project, by their metadata, without imports."""

import platform
import tomllib
from collections.abc import Iterator
from importlib import metadata
from pathlib import Path

from packaging.requirements import Requirement
from packaging.specifiers import SpecifierSet

from flowersweep.doctor.finding import Finding, Verdict

# In a checkout the file is newer than the metadata, which were written at installation.
_PYPROJECT = Path(__file__).resolve().parents[3] / "pyproject.toml"
# Training and its records need them; other extras are a choice.
_EXTRAS = ("keras", "mlflow")


def check_packages() -> Iterator[Finding]:
    """Check the version of Python and of all packages; each problem is a separate finding."""
    python, requirements = wanted()
    here = platform.python_version()
    if SpecifierSet(python).contains(here):
        yield Finding("Python", here)
    else:
        fix = f"create an environment with Python {python}"
        yield Finding("Python", f"{here}, but {python} is required", Verdict.FIX, fix)
    problems = [problem for one in requirements if (problem := _problem(one)) is not None]
    yield from problems
    good = len(requirements) - len(problems)
    others = ", the others are listed above" if problems else ""
    yield Finding("packages", f"{good} of {len(requirements)} meet the requirements{others}")


def wanted() -> tuple[str, list[Requirement]]:
    """The required Python, for example ">=3.11,<3.14", and the packages required on this platform."""
    if _PYPROJECT.is_file():
        project = tomllib.loads(_PYPROJECT.read_text(encoding="utf-8"))["project"]
        extras = project.get("optional-dependencies", {})
        python = project["requires-python"]
        named = [*project["dependencies"], *(line for extra in _EXTRAS for line in extras.get(extra, ()))]
    else:
        python = metadata.metadata("flowersweep")["Requires-Python"]
        named = metadata.requires("flowersweep") or []
    everything = [one for one in map(Requirement, named) if one.name != "flowersweep"]
    # In the metadata, packages of extras have a marker that is true only if the extra is requested.
    return python, [
        one
        for one in everything
        if one.marker is None or any(one.marker.evaluate({"extra": extra}) for extra in ("", *_EXTRAS))
    ]


def _problem(requirement: Requirement) -> Finding | None:
    """The problem of a package, if any."""
    wish = str(requirement.specifier)
    fix = f"pip install '{requirement.name}{wish}'"
    try:
        version = metadata.version(requirement.name)
    except metadata.PackageNotFoundError:
        return Finding(requirement.name, "not installed", Verdict.FIX, fix)
    if requirement.specifier.contains(version, prereleases=True):
        return None
    return Finding(requirement.name, f"{version}, but {wish} is required", Verdict.FIX, fix)
