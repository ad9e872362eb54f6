"""Read the configuration's files; errors name the file, the line and the fix."""

import io
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import yaml  # type: ignore[import-untyped] # OmegaConf's parser ships no types
from hydra.plugins.config_source import ConfigResult
from omegaconf import DictConfig, OmegaConf
from omegaconf.errors import GrammarParseError

from flowersweep.config.quoting import text_keys
from flowersweep.doors.hydra_api import FileSource, read_files_with
from flowersweep.errors import ConfigError

# Groups whose files change other groups; by default, Hydra would put their content under the group's own name.
_PRESETS = ("cluster", "experiment", "search")
_PRIMARY = "config"
_PACKAGE = "# @package _global_"
# As OmegaConf: libyaml's scanner accepts tabs that the one in Python refuses.
_LOADER = getattr(yaml, "CSafeLoader", yaml.SafeLoader)


def register() -> None:
    """Let Hydra read files through this module; it is safe to call this again."""
    read_files_with(FileConfigSource)


def flags(config: DictConfig) -> list[str]:
    """The arguments that name the user's own files; empty if there are none.

    These are `--config-dir=DIR`, `--config-name=NAME` and `hydra.searchpath=[FOLDER,...]`.

    Args:
        config: As Hydra composed it, with its `hydra` node.
    """
    sources = OmegaConf.select(config, "hydra.runtime.config_sources") or []
    name = OmegaConf.select(config, "hydra.job.config_name")
    return [
        *(f"--config-dir={source.path}" for source in sources if source.provider == "command-line"),
        *([f"--config-name={name}"] if name not in {None, _PRIMARY} else []),
        *([f"hydra.searchpath={found}"] if (found := _search_path(config)) else []),
    ]


def _search_path(config: DictConfig) -> str:
    """The value of `hydra.searchpath` as it was typed on the command line; empty if it was not."""
    node = OmegaConf.select(config, "hydra.overrides.hydra")
    # As typed: an interpolation, as in a folder of a trial, may have no value here.
    typed: Any = [] if node is None else OmegaConf.to_container(node, resolve=False)
    values = [one.partition("=")[2] for one in typed if one.lstrip("+").startswith("hydra.searchpath=")]
    return values[-1] if values else ""


class FileConfigSource(FileSource):
    """Hydra's source of files (with the same name, by which Hydra finds it), which raises ConfigError for invalid files."""

    def load_config(self, config_path: str) -> ConfigResult:
        """The content of a file.

        Args:
            config_path: Without its extension, relative to this source's folder.

        Raises:
            ConfigError: It is not valid YAML, or not a valid configuration.
            ConfigLoadError: There is no such file.
        """
        path = Path(os.path.realpath(self.file_of(config_path)))
        if not path.exists():
            return super().load_config(config_path)
        text = _text(path)
        config = _mapping(path, text)
        try:
            header = self.header_of(text)
        except ValueError as error:
            raise ConfigError(
                f"{path}, line 1: {error}; write it as in {_PACKAGE!r}, or remove it."
            ) from error
        if config_path.startswith(tuple(f"{group}/" for group in _PRESETS)) and header.get("package") is None:
            raise ConfigError(
                f"{path} does not start with the line {_PACKAGE!r}, which lets a preset set any key; add that line."
            )
        _refuse_packages(path, config)
        _keep_texts(config, text, _package(config_path, header.get("package")))
        return ConfigResult(
            config=config, path=f"{self.scheme()}://{self.path}", provider=self.provider, header=header
        )


def read(path: Path) -> tuple[str, DictConfig]:
    """The text of a file, and its content, with references as they are written.

    Raises:
        ConfigError: It is not a valid configuration.
    """
    text = _text(path)
    return text, _mapping(path, text)


def _text(path: Path) -> str:
    """The text of a file, without a byte order mark."""
    try:
        content = path.read_bytes()
        return content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = content[: error.start].count(b"\n") + 1
        raise ConfigError(
            f"{path}, line {line}: the byte 0x{content[error.start]:02x} is not UTF-8; save the file as UTF-8."
        ) from error
    except OSError as error:
        raise ConfigError(f"{path} cannot be read ({error.strerror}); make it readable.") from error


def _mapping(path: Path, text: str) -> DictConfig:
    try:
        config = OmegaConf.load(io.StringIO(text))
    except yaml.MarkedYAMLError as error:
        raise ConfigError(f"{path}{_explained(error, text.splitlines())}") from error
    except yaml.reader.ReaderError as error:
        line = text[: error.position].count("\n") + 1
        raise ConfigError(
            f"{path}, line {line}: the character {_character(error)} is not allowed in YAML; remove it."
        ) from error
    except GrammarParseError as error:
        raise ConfigError(
            f"{path} has a reference that is not of the form '${{seed}}' ({str(error).splitlines()[0]}); correct it, or write "
            "'\\${' for the characters themselves."
        ) from error
    except Exception as error:  # YAML's constructors of numbers, dates and keys raise any error
        reason = (str(error).strip() or type(error).__name__).splitlines()[0]
        raise ConfigError(
            f"{path} is not a configuration ({reason}); it must contain keys and their values, as in 'seed: 1'."
        ) from error
    if not isinstance(config, DictConfig) or _is_a_word(config, text):
        kind = "words" if isinstance(config, DictConfig) else "a list"
        raise ConfigError(f"{path} contains {kind}; it must contain keys and their values, as in 'seed: 1'.")
    own = config.get("hydra") if not OmegaConf.is_interpolation(config, "hydra") else "a reference"
    if "hydra" in config and not isinstance(own, DictConfig):
        raise ConfigError(f"{path}: hydra is a group of keys, but is {own!r}; set its keys, or remove it.")
    return config


def _refuse_packages(path: Path, config: DictConfig) -> None:
    """Let a file name further folders of presets, but no Python packages, which Hydra imports to read theirs."""
    places = OmegaConf.select(config, "hydra.searchpath")
    for place in map(str, places or ()):
        scheme, colon, _ = place.partition("://")
        if colon and scheme != "file":
            raise ConfigError(
                f"{path}: hydra.searchpath names {place!r}, but a file may only name folders, because reading presets of a Python "
                f"package imports it; if you trust it, type it: 'hydra.searchpath=[{place}]'."
            )


def _package(config_path: str, package: str | None) -> tuple[str, ...]:
    """Where in the configuration the content of a file belongs."""
    group = tuple(config_path.split("/")[:-1])
    return {None: group, "_group_": group, "_global_": ()}.get(package, tuple((package or "").split(".")))


def _keep_texts(config: DictConfig, text: str, package: tuple[str, ...]) -> None:
    """Read `dir: 1e5` as a string, as on the command line; YAML reads it as a number."""
    for path, typed in _scalars(yaml.compose(text, Loader=_LOADER)):
        key = ".".join((*package, *path)).removeprefix("hydra.sweeper.params.")
        if key not in text_keys() or "${" in typed:
            continue
        *parents, leaf = path
        node: Any = config
        for name in parents:
            node = node[name]
        if isinstance(node.get(leaf), bool | int | float):
            node[leaf] = typed


def _scalars(node: yaml.Node | None) -> Iterator[tuple[tuple[str, ...], str]]:
    """The positions of the values without quotes in a mapping, and their original spelling."""
    for key, value in node.value if isinstance(node, yaml.MappingNode) else ():
        if isinstance(value, yaml.ScalarNode):
            if not value.style:  # libyaml's is empty, Python's None
                yield (key.value,), value.value
        else:
            yield from (((key.value, *path), typed) for path, typed in _scalars(value))


def _character(error: yaml.reader.ReaderError) -> str:
    return f"U+{error.character:04X}" if isinstance(error.character, int) else repr(error.character)


def _is_a_word(config: DictConfig, text: str) -> bool:
    """Whether a file contains only text, which becomes a key without a value."""
    return len(config) == 1 and ":" not in text and "?" not in text


def _explained(error: yaml.MarkedYAMLError, lines: list[str]) -> str:
    """The line of an error in a file, and how to fix it."""
    problem, context = error.problem or "", error.context or ""
    mark = error.problem_mark or error.context_mark
    if "quoted scalar" in context and "escape" not in problem:
        mark = error.context_mark
        fault = "the quote that starts here is not closed; close it"
    elif mark is not None and "\t" in "".join(lines[mark.line : mark.line + 1]):
        fault = "there is a tab, which YAML does not allow here; use spaces"
    elif "duplicate key" in problem:
        fault = f"{problem.removeprefix('found duplicate key ')} occurs twice; keep one"
    elif "flow" in context:
        mark = error.context_mark
        fault = f"the {'list' if 'sequence' in context else 'mapping'} that starts here is not closed; close its bracket"
    else:
        fault = f"this is not valid YAML ({' '.join(problem.split())}); correct it, or put quotes around a string with special characters"
    return f"{f', line {mark.line + 1}' if mark is not None else ''}: {fault}."
