"""Read the configuration's files; what is wrong with one is told with its name, the line, and what to do."""

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

# Groups whose files change others; Hydra would look for a key of the group's own name.
_PRESETS = ("experiment", "search")
_PRIMARY = "config"
_PACKAGE = "# @package _global_"


def register() -> None:
    """Let Hydra read files through this module; it has no other place for it. Harmless when called again."""
    read_files_with(FileConfigSource)


def flags(config: DictConfig) -> list[str]:
    """What names a user's own files on the command line, `--config-dir=DIR` and `--config-name=NAME`; nothing without any.

    Args:
        config: As Hydra composed it, with its `hydra` node.
    """
    sources = OmegaConf.select(config, "hydra.runtime.config_sources") or []
    name = OmegaConf.select(config, "hydra.job.config_name")
    return [
        *(f"--config-dir={source.path}" for source in sources if source.provider == "command-line"),
        *([f"--config-name={name}"] if name not in {None, _PRIMARY} else []),
    ]


class FileConfigSource(FileSource):
    """Hydra's source of files (its name too, by which Hydra knows it), which raises ConfigError for a faulty one."""

    def load_config(self, config_path: str) -> ConfigResult:
        """The content of a file.

        Args:
            config_path: Without its ending, relative to this source's folder.

        Raises:
            ConfigError: It is no YAML, or not what a configuration must be.
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
                f"{path}, line 1: {error}; write it as in {_PACKAGE!r}, or leave it out."
            ) from error
        if config_path.startswith(tuple(f"{group}/" for group in _PRESETS)) and header.get("package") is None:
            raise ConfigError(
                f"{path} does not begin with the line {_PACKAGE!r}, by which a preset may set any key; add that line."
            )
        _keep_texts(config, text, _package(config_path, header.get("package")))
        return ConfigResult(
            config=config, path=f"{self.scheme()}://{self.path}", provider=self.provider, header=header
        )


def _text(path: Path) -> str:
    """The text of a file, without the mark that some editors put before it."""
    try:
        content = path.read_bytes()
        return content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = content[: error.start].count(b"\n") + 1
        raise ConfigError(
            f"{path}, line {line}: the byte 0x{content[error.start]:02x} is not UTF-8; save the file as UTF-8."
        ) from error
    except OSError as error:
        raise ConfigError(f"{path} cannot be read ({error.strerror}); give the right to read it.") from error


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
            f"{path} has a reference that is not as in '${{seed}}' ({str(error).splitlines()[0]}); correct it, or write "
            "'\\${' for the characters themselves."
        ) from error
    except Exception as error:  # YAML's constructors of numbers, dates and keys raise whatever comes
        reason = (str(error).strip() or type(error).__name__).splitlines()[0]
        raise ConfigError(
            f"{path} is no configuration ({reason}); it must hold keys and their values, as in 'seed: 1'."
        ) from error
    if not isinstance(config, DictConfig) or _is_a_word(config, text):
        kind = "words" if isinstance(config, DictConfig) else "a list"
        raise ConfigError(f"{path} holds {kind}; it must hold keys and their values, as in 'seed: 1'.")
    own = config.get("hydra") if not OmegaConf.is_interpolation(config, "hydra") else "a reference"
    if "hydra" in config and not isinstance(own, DictConfig):
        raise ConfigError(f"{path}: hydra has keys of its own, but is {own!r}; set these, or leave it out.")
    return config


def _package(config_path: str, package: str | None) -> tuple[str, ...]:
    """Where in the configuration the content of a file goes."""
    group = tuple(config_path.split("/")[:-1])
    return {None: group, "_group_": group, "_global_": ()}.get(package, tuple((package or "").split(".")))


def _keep_texts(config: DictConfig, text: str, package: tuple[str, ...]) -> None:
    """Read `dir: 1e5` as the text that it is meant to be, as on the command line; to YAML it is a number."""
    for path, typed in _scalars(yaml.compose(text, Loader=yaml.SafeLoader)):
        if ".".join((*package, *path)) not in text_keys() or "${" in typed:
            continue
        *parents, leaf = path
        node: Any = config
        for name in parents:
            node = node[name]
        if isinstance(node.get(leaf), bool | int | float):
            node[leaf] = typed


def _scalars(node: yaml.Node | None) -> Iterator[tuple[tuple[str, ...], str]]:
    """Where in a mapping a value without quotes is, and how it was typed."""
    for key, value in node.value if isinstance(node, yaml.MappingNode) else ():
        if isinstance(value, yaml.ScalarNode):
            if value.style is None:
                yield (key.value,), value.value
        else:
            yield from (((key.value, *path), typed) for path, typed in _scalars(value))


def _character(error: yaml.reader.ReaderError) -> str:
    return f"U+{error.character:04X}" if isinstance(error.character, int) else repr(error.character)


def _is_a_word(config: DictConfig, text: str) -> bool:
    """A text alone becomes a key without a value."""
    return len(config) == 1 and ":" not in text and "?" not in text


def _explained(error: yaml.MarkedYAMLError, lines: list[str]) -> str:
    """Where in the file the fault is, and what to do."""
    problem, context = error.problem or "", error.context or ""
    mark = error.problem_mark or error.context_mark
    if "quoted scalar" in context:
        mark = error.context_mark
        fault = "the quote that begins here is not closed; close it"
    elif mark is not None and "\t" in "".join(lines[mark.line : mark.line + 1]):
        fault = "there is a tab, which YAML does not allow here; use spaces"
    elif "duplicate key" in problem:
        fault = f"{problem.removeprefix('found duplicate key ')} is there twice; keep one"
    elif "flow" in context:
        mark = error.context_mark
        fault = f"the {'list' if 'sequence' in context else 'mapping'} that begins here is not closed; close its bracket"
    else:
        fault = f"this is no YAML ({' '.join(problem.split())}); correct it, or put quotes around a text with special characters"
    return f"{f', line {mark.line + 1}' if mark is not None else ''}: {fault}."
