"""Wrapper module for Hydra's private API: its source of files, completion, callbacks, results of jobs and error messages."""

import re
import traceback
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from hydra._internal import logging_config
from hydra._internal.callbacks import Callbacks
from hydra._internal.core_plugins import file_config_source
from hydra._internal.sources_registry import SourcesRegistry
from hydra.core.config_loader import ConfigLoader
from hydra.core.hydra_config import HydraConfig
from hydra.core.override_parser.types import Override
from hydra.core.singleton import Singleton
from hydra.core.utils import JobReturn, setup_globals
from hydra.types import HydraContext
from omegaconf import DictConfig
from omegaconf.basecontainer import BaseContainer

# Private: the logger of Hydra's default launcher, which has no option to stop it from announcing its jobs.
LOGGER = "hydra._internal.core_plugins.basic_launcher"

# Private: wording of messages. Hydra raises one type of error for all of these, without attributes.
UNKNOWN_KEY = re.compile(r"Could not override '([^']+)'")
NOT_MERGED = re.compile(r"Error merging override (.+)")
IN_A_FILE = re.compile(r"In '([^']+)': \w+ raised while composing config:\n(.*)", re.DOTALL)
NOT_ALLOWED = re.compile(r"(?:Target|Logging target|Reference) '([^']+)'")
NOT_A_CHOICE = "Config group override must be"

_GRAMMAR = ("LexerNoViable", "Error parsing", "Error when parsing", "See https:")
_DEFAULTS_LIST = "hydra._internal.defaults_list"
_CACHE = "_active_repository"
_RESOLVERS = "omegaconf_resolvers"


class FileSource(file_config_source.FileConfigSource):
    """Base class for a reader of files, derived from Hydra's.

    Private: its module, and the two methods that its base class provides to subclasses.
    """

    def file_of(self, config_path: str) -> Path:
        """Return where a file is.

        Args:
            config_path: Without its extension, relative to this source's folder.
        """
        return Path(self.path, self._normalize_file_name(config_path))

    def header_of(self, text: str) -> dict[str, str | None]:
        """Return the header comments of a file, as in `# @package _global_`.

        Raises:
            ValueError: They cannot be parsed.
        """
        return self._get_header_dict(text)


def read_files_with(source: type[FileSource]) -> None:
    """Let Hydra read files through our own class; it is safe to call this again.

    Private: `SourcesRegistry.types`. `Plugins.register()` is public, but keeps a source that is already registered.

    Args:
        source: It must have the name of Hydra's own class, by which Hydra finds it.
    """
    SourcesRegistry.instance().types["file"] = source


def completions(loader: ConfigLoader, words: Sequence[str]) -> list[str]:
    """Return what Hydra's completion offers for the last of some words.

    Private: `BashCompletion._query`. The public `query` reads the process's environment and prints.
    """
    from hydra._internal.core_plugins.bash_completion import BashCompletion

    return BashCompletion(loader)._query(config_name="config", line=" ".join(words))


def without_callbacks(context: HydraContext) -> HydraContext:
    """Return a context without the user's callbacks.

    Private: `Callbacks`. A context requires one, and there is no public way to create an empty one.
    """
    return replace(context, callbacks=Callbacks())


def returned(job: JobReturn) -> Any:
    """Return what a job returned or, if it failed, the exception.

    Private: `JobReturn._return_value`. The public property writes to standard error, and raises the exception.
    """
    return job._return_value


def with_value(override: Override, value: Any) -> Override:
    """Return an override with another value.

    Private: `Override._value`. The class has no public way to set it, though it is a public dataclass.
    """
    return replace(override, _value=value)


def state(*, with_resolvers: bool = True) -> Any:
    """Return this process's state of Hydra: its registered configurations and plugins, for `restore` in another process.

    Not documented: `Singleton.get_state`, which Hydra's own launchers hand to their processes.
    """
    known = Singleton.get_state()
    return known if with_resolvers else {**known, _RESOLVERS: {}}


def resolvers() -> dict[str, Any]:
    """Return the registered resolvers of OmegaConf, for `restore` in another process.

    Private: `BaseContainer._resolvers`, which is a part of the state that Hydra's own launchers hand to their processes.
    """
    return dict(BaseContainer._resolvers)


@contextmanager
def sendable_resolvers() -> Iterator[None]:
    """Let Hydra's launchers start processes in the block although a resolver is bound to this one, as by a lock in its module.

    Private: as `resolvers`.
    """
    known = dict(BaseContainer._resolvers)
    BaseContainer._resolvers.update(
        {name: _Bound(name, one) for name, one in known.items() if not _is_sent(one)}
    )
    try:
        yield
    finally:
        BaseContainer._resolvers.update(known)


def _is_sent(resolver: Any) -> bool:
    import cloudpickle  # type: ignore[import-untyped] # it has no types

    try:
        cloudpickle.dumps(resolver)
    except Exception:  # noqa: BLE001 - objects that cannot be pickled raise errors of any type
        return False
    return True


@dataclass(frozen=True)
class _Bound:
    """A resolver that another process does not get."""

    name: str
    resolver: Any = None

    def __call__(self, *arguments: Any, **named: Any) -> Any:
        if self.resolver is None:
            raise ValueError(f"the resolver {self.name!r} is bound to the process that registered it")
        return self.resolver(*arguments, **named)

    def __reduce__(self) -> tuple[Any, ...]:
        return _Bound, (self.name,)


@contextmanager
def configured(config: DictConfig, loader: ConfigLoader) -> Iterator[None]:
    """Let another configuration be this process's during the block, in `HydraConfig` and thus in `state`.

    Private: the attribute `cfg`, which has no public way back to what it was; and a cache in the loader, only for listing
    choices, that refers to the configuration.

    Args:
        config: With the `hydra` node.
        loader: That of the process.
    """
    known = HydraConfig.instance()
    before, cache = known.cfg, getattr(loader, _CACHE, None)
    known.set_config(config)
    setattr(loader, _CACHE, None)
    try:
        yield
    finally:
        known.cfg = before
        setattr(loader, _CACHE, cache)


def restore(known: Any, resolvers: Mapping[str, Any] | None = None) -> None:
    """Set the state of Hydra in this process, and register Hydra's resolvers.

    Not documented: `setup_globals` and `Singleton.set_state`, which processes of Hydra's own launchers call first.

    Args:
        known: From `state`.
        resolvers: From `resolvers`; None for those in the state.
    """
    setup_globals()
    Singleton.set_state(known if resolvers is None else {**known, _RESOLVERS: dict(resolvers)})


def is_circular(error: RecursionError) -> bool:
    """Tell whether Hydra failed on a circular defaults list.

    Private: the name of a module. Hydra does not detect such a circle, so there is no specific error.
    """
    frames = (frame.f_globals.get("__name__") for frame, _ in traceback.walk_tb(error.__traceback__))
    return _DEFAULTS_LIST in frames


def forbid_log_files() -> None:
    """Let no configuration open files for log lines in this process, in which it could write anything anywhere.

    Private: `logging_config._BUILTIN_LOGGING_TARGETS`, which Hydra adds to every whitelist.
    """
    known = logging_config._BUILTIN_LOGGING_TARGETS
    logging_config._BUILTIN_LOGGING_TARGETS = tuple(one for one in known if one != "logging.FileHandler")


def refused_target(error: BaseException | None) -> str | None:
    """Return what a configuration names and may not call; None if that is not why Hydra, or logging with it, failed."""
    while error is not None:
        if match := NOT_ALLOWED.match(str(error)):
            return match.group(1)
        error = error.__cause__
    return None


def fault_of_grammar(text: str) -> str | None:
    """Return the line of a rejected override's message that says what is wrong; None if all lines only repeat the override.

    Private: the words that these other lines start with.
    """
    told = (line.partition(" expecting {")[0] for line in text.splitlines() if not line.startswith(_GRAMMAR))
    return next((line for line in told if line.strip(" ^")), None)
