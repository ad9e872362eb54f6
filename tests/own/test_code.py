"""Tests of flowersweep.own.code: code is found, checked and identified without importing it."""

import os
import subprocess
import sys
from importlib.metadata import entry_points
from pathlib import Path
from types import ModuleType

import pytest

from flowersweep.errors import ConfigError
from flowersweep.own.code import MODELS, find
from own_modules import Modules

KEY = "model.build"


def refusal(build: str) -> str:
    """The message about code that is not usable."""
    with pytest.raises(ConfigError) as caught:
        find(KEY, build, MODELS)
    return str(caught.value)


def test_not_allowed(modules: Modules, monkeypatch: pytest.MonkeyPatch) -> None:
    """The message says how to allow it, beside what is allowed already; the module is not imported."""
    other = modules.add("own_other", "")
    path = modules.add("own_refused", "raise SystemExit(7)", allow=False)
    monkeypatch.chdir(path.parent)
    assert refusal("own_refused.build") == (
        "model.build=own_refused.build names Python code that this machine does not allow to run; if you trust it, set "
        f"FLOWERSWEEP_ALLOW={other},./own_refused.py in the environment, or write {path} into "
        f"{os.environ['XDG_CONFIG_HOME']}/flowersweep/allow.txt."
    )
    assert "FLOWERSWEEP_ALLOW=" in refusal("os.system")
    assert "own_refused" not in sys.modules


@pytest.mark.parametrize(
    ("build", "told"),
    [
        ("build_model", "must be MODULE.NAME, as in my_module.build_model, or a name that an installed"),
        ("a b.c", "must be MODULE.NAME"),
        ("own_named.buld", "own_named.py defines no buld. Did you mean build?"),
        ("own_broken.build", "own_broken.py is not a Python module (expected ':', line 1)"),
        ("own_gone.build", "own_gone.py is not a Python module ([Errno 2]"),
        ("own_nowhere.build", "Python finds no module own_nowhere; give the path of its file in"),
    ],
)
def test_bad_names(modules: Modules, monkeypatch: pytest.MonkeyPatch, build: str, told: str) -> None:
    """Each has one sentence, before anything is imported."""
    modules.add("own_named", "def build(): ...\nraise SystemExit(7)")
    modules.add("own_broken", "def build()")
    modules.add("own_gone", "").unlink()
    monkeypatch.setenv("FLOWERSWEEP_ALLOW", f"{os.environ['FLOWERSWEEP_ALLOW']},own_nowhere")
    assert told in refusal(build)


def test_exactly_the_file_is_imported(modules: Modules, monkeypatch: pytest.MonkeyPatch) -> None:
    """Its neighbours do not become importable, and a name that is already taken is refused."""
    modules.add("own_beside", "x = 1", allow=False)
    modules.add("own_alone", "import own_beside\nbuild = 1")
    modules.add("own_taken", "build = 2")
    with pytest.raises(
        ConfigError, match=r"own_alone cannot be imported \(ModuleNotFoundError: No module named 'own_b"
    ):
        find(KEY, "own_alone.build", MODELS).load()
    monkeypatch.setitem(sys.modules, "own_taken", ModuleType("own_taken"))
    with pytest.raises(ConfigError, match="has the name of another Python module, own_taken; rename it"):
        find(KEY, "own_taken.build", MODELS).load()


def test_a_module_that_exits(modules: Modules) -> None:
    """It does not end the program without a word."""
    modules.add("own_exits", "build = 1\nraise SystemExit(0)")
    with pytest.raises(ConfigError, match=r"the module own_exits cannot be imported \(SystemExit: 0\)"):
        find(KEY, "own_exits.build", MODELS).load()


def test_a_package(modules: Modules, monkeypatch: pytest.MonkeyPatch) -> None:
    """A folder is allowed with what is in it, and all its Python files count."""
    modules.add("own_folder/__init__", "")
    modules.add("own_folder/inner/__init__", "", allow=False)
    deep = modules.add("own_folder/inner/deep", "from ..base import VALUE", allow=False)
    base = modules.add("own_folder/base", "VALUE = 3", allow=False)
    monkeypatch.setenv("FLOWERSWEEP_ALLOW", str(modules.folder / "own_folder"))
    code = find(KEY, "own_folder.inner.deep.VALUE", MODELS)
    assert code.file == deep
    assert code.load() == 3
    program = (
        "from flowersweep.own.code import *; print(find('k', 'own_folder.inner.deep.VALUE', MODELS).digest)"
    )
    seen = [code.digest]
    for text in ("VALUE = 3", "VALUE = 4"):
        base.write_text(text, encoding="utf-8")
        seen.append(subprocess.check_output([sys.executable, "-c", program], text=True).strip())
    assert seen[0] == seen[1] != seen[2]
    for name in [name for name in sys.modules if name.startswith("own_folder")]:
        monkeypatch.delitem(sys.modules, name)


def test_the_digest_is_that_of_what_was_imported(modules: Modules) -> None:
    """A file that is edited during a run does not change what the run says of itself; a new process reads it again."""
    path = modules.add("own_edited", "build = 1")
    code = find(KEY, "own_edited.build", MODELS)
    code.load()
    before = code.digest
    path.write_text("build = 2", encoding="utf-8")
    assert find(KEY, "own_edited.build", MODELS).digest == before
    assert code.described == f"own_edited.build {before[:12]}"


def test_an_installed_package(modules: Modules, monkeypatch: pytest.MonkeyPatch) -> None:
    """Its entry points need no permission and have their version; other names in it do."""
    modules.add("own_installed", "def small(): return 5\nsecret = 1", allow=False)
    info = modules.folder / "own_dist-1.2.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: own-dist\nVersion: 1.2\n", encoding="utf-8")
    (info / "entry_points.txt").write_text(f"[{MODELS}]\nsmall = own_installed:small\n", encoding="utf-8")
    monkeypatch.syspath_prepend(modules.folder)
    assert "small" in entry_points(group=MODELS).names
    code = find(KEY, "small", MODELS)
    assert code.load()() == 5
    assert code.described.endswith(" own-dist 1.2")
    assert "does not allow" in refusal("own_installed.secret")
    assert refusal("smal").endswith("in flowersweep.models; they offer small. Did you mean small?")


def test_nothing_heavy_is_imported(tmp_path: Path) -> None:
    """Looking code up starts neither Keras nor TensorFlow."""
    program = "import sys, flowersweep.own.code; print({'keras', 'tensorflow', 'hydra'} & set(sys.modules))"
    told = subprocess.check_output([sys.executable, "-c", program], text=True, cwd=tmp_path)
    assert told == "set()\n"
