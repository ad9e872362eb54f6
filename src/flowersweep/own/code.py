"""A class or function of the user's own: found without importing it, identified by content, imported if that is allowed."""

import functools
import hashlib
import importlib
import importlib.machinery
import importlib.util
import sys
from dataclasses import dataclass
from importlib.metadata import EntryPoint, entry_points
from pathlib import Path
from symtable import symtable
from typing import Any

from flowersweep.errors import ConfigError
from flowersweep.own.permission import VARIABLE, allow_file, as_variable, given_entries, permitted
from flowersweep.texts import nearest

# The groups of entry points by which an installed package offers its code.
AUGMENTATIONS = "flowersweep.augmentations"
MODELS = "flowersweep.models"
CALLBACKS = "flowersweep.callbacks"


@dataclass(frozen=True)
class Code:
    """A class or function that may be imported.

    Attributes:
        shown: How it was named, as in "model.build=my_module.build_model"; messages start with it.
        module: The name of its module.
        name: Its name in the module.
        root: The file of the module, or the folder of the package that contains it.
        given: Whether the machine's list has this path; otherwise Python finds the module.
        package: Name and version of the installed package that offers it; empty for code that is not offered.
    """

    shown: str
    module: str
    name: str
    root: Path
    given: bool
    package: str = ""

    @property
    def digest(self) -> str:
        """32 hex digits of the text of the module or, if it is in a package, of all Python files of the package."""
        return _digest(self.root)

    @property
    def described(self) -> str:
        """Module, name, the beginning of the digest and the package, for people."""
        return " ".join(filter(None, (f"{self.module}.{self.name}", self.digest[:12], self.package)))

    @property
    def file(self) -> Path:
        """The file of the module."""
        inner = self.root.joinpath(*self.module.split(".")[1:]) if self.root.is_dir() else self.root
        return inner / "__init__.py" if inner.is_dir() else inner.with_suffix(".py")

    def load(self) -> Any:
        """Import the module and return the class or function.

        Raises:
            ConfigError: The module cannot be imported, or has no such name.
        """
        _ = self.digest  # that of what is imported, even if the file is edited later
        module = import_module(self.module, self.root if self.given else None, self.shown)
        if not hasattr(module, self.name):
            raise ConfigError(self._no_name(vars(module)))
        return getattr(module, self.name)

    def check(self) -> "Code":
        """Return this code if its module has such a name, as far as the text of the module shows without importing it.

        Raises:
            ConfigError: The file is not Python, or has no such name.
        """
        try:
            text = self.file.read_text(encoding="utf-8")
            names = symtable(text, str(self.file), "exec").get_identifiers()
        except (OSError, UnicodeDecodeError, SyntaxError) as error:
            reason = f"{error.msg}, line {error.lineno}" if isinstance(error, SyntaxError) else error
            raise ConfigError(f"{self.shown}: {self.file} is not a Python module ({reason}).") from error
        if self.name not in names and "import *" not in text and "__getattr__" not in names:
            raise ConfigError(self._no_name(names))
        return self

    def _no_name(self, names: Any) -> str:
        public = [name for name in names if not name.startswith("_")]
        return f"{self.shown}, but {self.file} defines no {self.name}.{nearest(self.name, public)}"


def find(key: str, build: str, group: str) -> Code:
    """The code that a configuration names, if it may be imported.

    Args:
        key: The key of the configuration, as in "model.build".
        build: MODULE.NAME, or the name of an entry point.
        group: The group of entry points.

    Raises:
        ConfigError: It is not allowed, or there is no such module or name.
    """
    shown = f"{key}={build}"
    offers = {offer.name: offer for offer in entry_points(group=group)}
    if build in offers:
        offer = offers[build]
        root = _root(shown, offer.module)
        return Code(shown, offer.module, offer.attr, root, given=False, package=_package(offer)).check()
    module, _, name = build.replace(":", ".").rpartition(".")
    if not all(part.isidentifier() for part in (*module.split("."), name)):
        offered = f"; they offer {', '.join(offers)}" if offers else ""
        raise ConfigError(
            f"{shown} must be MODULE.NAME, as in my_module.{name if name.isidentifier() else 'Name'}, or a name that an "
            f"installed package offers in {group}{offered}.{nearest(build, offers)}"
        )
    top, allowed = module.partition(".")[0], permitted()
    if not any(module == entry or module.startswith(f"{entry}.") for entry in allowed):
        here = Path.cwd() / f"{top}.py"
        entry = as_variable([*given_entries(), f"./{top}.py" if here.is_file() else top])
        raise ConfigError(
            f"{shown} names Python code that this machine does not allow to run; if you trust it, set {VARIABLE}={entry} in the "
            f"environment, or write {here if here.is_file() else top} into {allow_file()}."
        )
    given = allowed.get(top)
    return Code(shown, module, name, given or _root(shown, top), given=given is not None).check()


def import_module(module: str, path: Path | None, shown: str) -> Any:
    """Import a module.

    Args:
        module: Its name.
        path: The file or folder of its first part; None if Python finds it.
        shown: The beginning of a message.

    Raises:
        ConfigError: It raises an exception, or has the name of another module that was imported before.
    """
    try:
        if path is not None:
            _import_path(module.partition(".")[0], path)
        return importlib.import_module(module)
    except ConfigError:
        raise
    except (Exception, SystemExit) as error:
        reason = (str(error).strip() or "no message").splitlines()[0]
        raise ConfigError(
            f"{shown}: the module {module} cannot be imported ({type(error).__name__}: {reason})."
        ) from error


def _import_path(name: str, path: Path) -> None:
    """Import exactly this file or folder: nothing next to it becomes importable."""
    file = path / "__init__.py" if path.is_dir() else path
    known = sys.modules.get(name)
    if known is not None:
        if Path(str(getattr(known, "__file__", ""))) != file and str(path) not in getattr(
            known, "__path__", ()
        ):
            raise ConfigError(f"{path} has the name of another Python module, {name}; rename it.")
        return
    inside = [str(path)] if path.is_dir() else None
    if inside and not file.exists():  # a package without __init__.py
        whole = importlib.machinery.ModuleSpec(name, None, is_package=True)
        whole.submodule_search_locations = inside
        sys.modules[name] = importlib.util.module_from_spec(whole)
        return
    spec = importlib.util.spec_from_file_location(name, file, submodule_search_locations=inside)
    assert spec is not None  # noqa: S101 (a .py file has a loader)
    assert spec.loader is not None  # noqa: S101 (as above)
    module = sys.modules[name] = importlib.util.module_from_spec(spec)
    try:
        spec.loader.exec_module(module)
    except BaseException:
        del sys.modules[name]
        raise


def _root(shown: str, module: str) -> Path:
    """Where Python finds a module, or the package that contains it."""
    top = module.partition(".")[0]
    try:
        spec = importlib.util.find_spec(top)
    except (ImportError, ValueError):
        spec = None
    if spec is None:
        raise ConfigError(
            f"{shown}: Python finds no module {top}; give the path of its file in {VARIABLE}, install it, or add its folder to "
            "PYTHONPATH."
        )
    places = [*(spec.submodule_search_locations or ()), spec.origin or ""]
    return Path(places[0]).resolve()


def _package(offer: EntryPoint) -> str:
    return f"{offer.dist.name} {offer.dist.version}" if offer.dist is not None else ""


@functools.cache  # the digest of what this process has imported
def _digest(root: Path) -> str:
    hashed = hashlib.blake2b(digest_size=16)
    for file in sorted(root.rglob("*.py")) if root.is_dir() else [root]:
        content = file.read_bytes()
        hashed.update(f"{file.relative_to(root)}\0{len(content)}\0".encode())
        hashed.update(content)
    return hashed.hexdigest()
