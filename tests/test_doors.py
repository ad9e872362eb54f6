"""Private parts of other packages are used behind their doors only."""

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

from private_parts import Part, require

ROOT = Path(__file__).resolve().parents[1]
SRC = ROOT / "src"
DOORS = ("flowersweep/doors/", "flowersweep/tracking/mlflow_api.py")
OURS = ("flowersweep", "hydra_plugins.flowersweep_study")
# Named like public parts, but not documented as such.
UNDOCUMENTED = (
    "hydra.core.singleton",
    "hydra_plugins.hydra_joblib_launcher.joblib_launcher",
    "hydra_plugins.hydra_joblib_launcher.config",
    "keras.src",
    "mlflow.store",
    "mlflow.utils",
    "mlflow.tracking",
    "tensorflow.python",
)
PUBLIC = frozenset({"os._exit"})  # Python documents it


def is_private(name: str) -> bool:
    """Tell `_name` from `name`, `__name__`, and `_target_`, as Hydra calls its documented keys."""
    return name.startswith("_") and not name.endswith("_")


def is_within(module: str, packages: tuple[str, ...]) -> bool:
    """Tell whether a module is one of these packages, or in one."""
    return any(module == one or module.startswith(f"{one}.") for one in packages)


def own_names(tree: ast.AST) -> set[str]:
    """The private names that a module gives: functions, classes, variables, attributes and fields."""
    names = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
            names.add(node.name)
        elif isinstance(node, ast.Name | ast.Attribute) and isinstance(node.ctx, ast.Store):
            on_self = isinstance(node, ast.Name) or ast.unparse(node.value) in {"self", "cls"}
            names |= {node.id if isinstance(node, ast.Name) else node.attr} if on_self else set()
    return {name for name in names if is_private(name)}


def callables(tree: ast.AST) -> set[str]:
    """The functions and classes that a module defines, and those that it has from this project."""
    names = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.FunctionDef | ast.ClassDef):
            names.add(node.name)
        elif isinstance(node, ast.ImportFrom) and is_within(node.module or "", OURS):
            names |= {alias.asname or alias.name for alias in node.names}
    return names


def foreign(source: str, everywhere: set[str]) -> Iterator[tuple[int, str]]:
    """Line and text of each use of a private part of another package.

    Args:
        source: Of a module.
        everywhere: The private names of the whole project, which a class may have from a base class elsewhere.
    """
    tree = ast.parse(source)
    own, ours = own_names(tree), callables(tree)
    for node in ast.walk(tree):
        if isinstance(node, ast.Import | ast.ImportFrom):
            yield from ((node.lineno, module) for module in _foreign_modules(node))
        elif isinstance(node, ast.Attribute) and is_private(node.attr):
            known = everywhere if ast.unparse(node.value) in {"self", "cls", "super()"} else own
            if node.attr not in known and ast.unparse(node) not in PUBLIC:
                yield node.lineno, ast.unparse(node)
        elif isinstance(node, ast.Call):
            yield from ((node.lineno, text) for text in _foreign_arguments(node, ours))
        elif isinstance(node, ast.Constant) and isinstance(node.value, str):
            parts = node.value.split(".")
            dotted = len(parts) > 1 and all(part.isidentifier() for part in parts)
            if dotted and any(map(is_private, parts)) and not is_within(node.value, OURS):
                yield node.lineno, repr(node.value)


def _foreign_arguments(node: ast.Call, ours: set[str]) -> Iterator[str]:
    """Private names that go to getattr() and its like, or to what is not of this project as keywords."""
    called = node.func.id if isinstance(node.func, ast.Name) else ""
    if called in {"getattr", "hasattr", "setattr", "delattr"}:
        name = node.args[1]
        if isinstance(name, ast.Constant) and is_private(str(name.value)):
            yield ast.unparse(node)
    elif called not in ours:
        private = (keyword.arg for keyword in node.keywords if keyword.arg and is_private(keyword.arg))
        yield from (f"{ast.unparse(node.func)}({name}=...)" for name in private)


def _foreign_modules(node: ast.Import | ast.ImportFrom) -> Iterator[str]:
    names = [alias.name for alias in node.names]
    modules = (
        names if isinstance(node, ast.Import) else [node.module or "", *(f"{node.module}.{n}" for n in names)]
    )
    for module in modules:
        if not is_within(module, OURS) and (
            any(map(is_private, module.split("."))) or is_within(module, UNDOCUMENTED)
        ):
            yield module


def uses(folder: Path) -> list[str]:
    """File, line and text of each use outside the doors."""
    modules = {
        path.relative_to(folder).as_posix(): path.read_text(encoding="utf-8") for path in folder.rglob("*.py")
    }
    everywhere = set().union(*(own_names(ast.parse(source)) for source in modules.values()))
    return [
        f"{name}:{line}: {text}"
        for name, source in sorted(modules.items())
        if not name.startswith(DOORS)
        for line, text in sorted(set(foreign(source, everywhere)))
    ]


@pytest.mark.slow
def test_private_parts_are_behind_the_doors() -> None:
    """A name that begins with an underscore, or a module without documentation, of another package is used nowhere else."""
    found = uses(SRC)
    assert not found, (
        "Use a public part instead, or a function of flowersweep.doors (of tracking/mlflow_api.py for MLflow):\n"
        + "\n".join(found)
    )


def test_no_exception_is_made_for_the_linter() -> None:
    """Its rule on private members is off in the doors, and nobody switches it off elsewhere."""
    marked = [path for path in SRC.rglob("*.py") if "SLF001" in path.read_text(encoding="utf-8")]
    assert marked == []


@pytest.mark.parametrize(
    ("planted", "line", "told"),
    [
        ("def lock(study):\n    return study._storage\n", 2, "study._storage"),
        ("import optuna.storages._rdb.models\n", 1, "optuna.storages._rdb.models"),
        ("from optuna.storages import BaseStorage, _CachedStorage\n", 1, "optuna.storages._CachedStorage"),
        ("from hydra._internal import utils\n", 1, "hydra._internal"),
        ("from mlflow.store.tracking import sqlalchemy_store\n", 1, "mlflow.store.tracking"),
        ("from keras.src import ops\n", 1, "keras.src"),
        ("import logging\n\nlogging.getLogger('hydra._internal.x')\n", 3, "'hydra._internal.x'"),
        (
            "def f(graph):\n    return getattr(graph, '_functions', [])\n",
            2,
            "getattr(graph, '_functions', [])",
        ),
        ("from dataclasses import replace\n\nreplace(1, _value=2)\n", 3, "replace(_value=...)"),
        ("class Mine(object):\n    def f(self):\n        return self._theirs()\n", 3, "self._theirs"),
    ],
)
def test_a_planted_use_is_found(tmp_path: Path, planted: str, line: int, told: str) -> None:
    """Wherever it stands, with its file and line; in a door it is none."""
    for name in ("flowersweep/sweep/planted.py", "flowersweep/doors/planted_api.py"):
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(planted)
    assert f"flowersweep/sweep/planted.py:{line}: {told}" in uses(tmp_path)
    assert not [one for one in uses(tmp_path) if not one.startswith("flowersweep/sweep/planted.py")]


def test_ones_own_private_parts_are_left_alone(tmp_path: Path) -> None:
    """Of a module's own classes, of a base class in another module, and what Python documents."""
    path = tmp_path / "flowersweep"
    path.mkdir()
    (path / "base.py").write_text("class Base:\n    def _run(self): ...\n")
    (path / "mine.py").write_text(
        "import os\nfrom flowersweep.base import Base\n\nclass Mine(Base):\n    def __init__(self):\n        self._x = 1\n"
        "    def f(self, other):\n        self._run()\n        os._exit(other._x)\n        return Base(_x=other.__dict__)\n"
    )
    assert uses(tmp_path) == []


def test_what_is_gone_is_told_in_one_sentence() -> None:
    """The package with its version, the part, and what needs it."""
    gone = Part("Trial._gone", lambda: object()._gone, "doors.optuna_api.gone", "do something")  # type: ignore[attr-defined]
    with pytest.raises(pytest.fail.Exception) as caught:
        require("optuna", gone)
    said = str(caught.value)
    assert said.startswith("optuna 5.")
    assert "no longer has Trial._gone, which flowersweep.doors.optuna_api.gone needs to do something;" in said
