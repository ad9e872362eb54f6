"""Turn Hydra's and OmegaConf's errors about a bad command line into one message each."""

import dataclasses
import shlex
import sys
import traceback
from collections.abc import Collection, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

from hydra.errors import HydraException, MissingConfigException, OverrideParseException
from omegaconf.errors import ConfigAttributeError, ConfigKeyError, OmegaConfBaseException

from flowersweep.config.describe import type_in_words
from flowersweep.config.models import BACKBONES
from flowersweep.config.pasting import pasted
from flowersweep.config.schema import NODES, Config
from flowersweep.doors import hydra_api, omegaconf_api
from flowersweep.errors import ConfigError, FlowersweepError
from flowersweep.streams import lead_nowhere
from flowersweep.texts import choose_one_of, nearest, nearest_of


def explain(error: Exception) -> str:
    """The message for a composition error: what was wrong, what was received, how to fix it.

    Args:
        error: A HydraException or OmegaConfBaseException raised while composing.
    """
    cause = error.__cause__ if isinstance(error.__cause__, OmegaConfBaseException) else None
    text = str(error).strip()
    if (target := hydra_api.refused_target(error)) is not None:
        return (
            f"The configuration lets Hydra or logging call {target}, but no configuration may call it; remove it from the file "
            "that names it."
        )
    if isinstance(error, MissingConfigException):
        return _unknown_choice(error)
    if isinstance(error, OverrideParseException):
        return _no_override(error.override, f"{error.__cause__ or ''}\n{text}")
    if match := hydra_api.UNKNOWN_KEY.match(text):
        return _unknown_key(match.group(1))
    if match := hydra_api.NOT_MERGED.match(text):
        return _bad_value(match.group(1), cause)
    if match := hydra_api.IN_A_FILE.match(text):
        text = f"In {match.group(1)}.yaml: {_in_a_file(match.group(2), error.__context__)}"
    return ": ".join(omegaconf_api.in_one_line(part) for part in (text, str(cause or "")) if part)


@contextmanager
def composing() -> Iterator[None]:
    """Raise errors of Hydra and OmegaConf in the block as ConfigError, with one message."""
    try:
        yield
    except FlowersweepError:
        raise
    except (HydraException, OmegaConfBaseException) as error:
        raise ConfigError(explain(error)) from error
    except Exception as error:
        if (told := explain_plain(error)) is None:
            raise
        if isinstance(error, BrokenPipeError):  # of --cfg and --info, whose reader has left
            lead_nowhere(sys.stdout)
            return
        raise ConfigError(told) from error


def explain_plain(error: Exception) -> str | None:
    """As `explain`, for an error of another type: Hydra raises ValueErrors and similar for some input; None for a bug elsewhere."""
    if isinstance(error, RecursionError):
        return (
            "The defaults list of a file is circular; remove one of the files that refer to each other from it."
            if hydra_api.is_circular(error)
            else None
        )
    if hydra_api.refused_target(error) is not None:
        return explain(error)
    *_, (frame, _) = traceback.walk_tb(error.__traceback__)
    if not str(frame.f_globals.get("__name__")).startswith(("hydra.", "omegaconf.", "yaml.", "codecs")):
        return None
    if str(error).startswith(hydra_api.NOT_A_CHOICE):
        return (
            "The choice of a group must be a name, as in GROUP=NAME, but one has another value; see --help for the "
            "choices of each group, and set a key of a group as in GROUP.KEY=VALUE."
        )
    return f"{omegaconf_api.in_one_line(str(error)).rstrip('.') or type(error).__name__}."


def explain_other(error: Exception, keys: Collection[str]) -> str:
    """As `explain`, for the configuration of another program, which has other keys and groups.

    Args:
        error: As for `explain`.
        keys: The dotted keys of that configuration.
    """
    if isinstance(error, MissingConfigException) and error.options:
        group, _, choice = str(error.missing_cfg_file).rpartition("/")
        return f"{group} has no choice {choice!r}; {choose_one_of(list(map(str, error.options)), choice)}"
    if match := hydra_api.UNKNOWN_KEY.match(str(error).strip()):
        known = [*keys, *dict.fromkeys(key.partition(".")[0] for key in keys if "." in key)]
        meant = nearest(match.group(1), known)
        return (
            f"There is no key {match.group(1)!r} in this configuration.{meant} See --cfg job for all of them."
        )
    parts = (str(error).strip(), str(error.__cause__ or ""))
    return ": ".join(omegaconf_api.in_one_line(part) for part in parts if part)


def _no_override(override: str, text: str) -> str:
    """The message for an override that Hydra cannot parse, with a quoted version if it is a string without quotes."""
    if odd := [character for character in override if not character.isprintable()]:
        return f"{override!r} is not a valid override; remove the character U+{ord(odd[0]):04X}, which is not visible."
    key, equals, value = override.partition("=")
    expected = _expected_type(key.lstrip("+"))
    is_text = expected.startswith("a string") if expected else not set("()[]{}") & set(value)
    is_whole = value[:1] not in {"", "'", '"'} and "${" not in value
    if equals and is_text and is_whole and (quoted := pasted(key, value)) != shlex.quote(override):
        return f"{override!r} is not a valid override, because Hydra's grammar requires quotes around this value; type: {quoted}"
    fault = hydra_api.fault_of_grammar(text)
    reason = "an invalid character" if equals else "it has no ="
    return (
        f"{override!r} is not a valid override ({omegaconf_api.in_one_line(fault) if fault else reason}); "
        "write key=value, close every bracket and quote, and quote values with spaces or commas."
    )


def _in_a_file(text: str, error: BaseException | None) -> str:
    """The message for OmegaConf's error about a key in a file, from Hydra's text and the original error."""
    first, key = text.splitlines()[0], str(getattr(error, "full_key", None) or "")
    if isinstance(error, ConfigKeyError | ConfigAttributeError):
        meant = omegaconf_api.MEANT.search(first)
        return f"There is no key {key!r}. Did you mean {meant.group(1)}?" if meant else _unknown_key(key)
    value, expected = omegaconf_api.NOT_CONVERTED.match(first), _expected_type(key)
    if value and expected:
        return f"{key} must be {expected}, but is {value.group(1)}."
    if match := omegaconf_api.NOT_A_GROUP.match(first):
        return _no_keys(match.group(1), match.group(2))
    if omegaconf_api.NULL.match(first):
        if key in _GROUPS:
            return _set_its_keys(key, "null")
        return f"{key} must be {expected or 'given a value'}, but is null."
    return omegaconf_api.in_one_line(text)


def _no_keys(kind: str, value: str) -> str:
    """The message for a value where a group has keys."""
    for field in dataclasses.fields(Config):
        nodes = [field.type, *NODES.get(field.name, {}).values()]
        if kind in {getattr(node, "__name__", "") for node in nodes}:
            return _set_its_keys(field.name, repr(value))
    return f"a {kind} cannot be {value!r}."


def _set_its_keys(group: str, value: str) -> str:
    return (
        f"{group} is a group of keys, but is {value} here; set its keys, or choose it as a group in the file's defaults list, "
        f"as in '- override /{group}: NAME'."
    )


def _unknown_choice(error: MissingConfigException) -> str:
    group, _, choice = str(error.missing_cfg_file).rpartition("/")
    options = [str(option) for option in error.options or ()]
    if not group:
        return (
            f"There is no configuration file {choice}.yaml; give the name of a file in the folder of --config-dir, without its "
            "extension."
        )
    if "/" in group and (absolute := group.rpartition("/")[2]) in _GROUPS:
        return f"There is no group {group!r}; in a defaults list write '- override /{absolute}: {choice}'."
    if not options and group not in _GROUPS:
        return f"There is no group {group!r}; choose one of {', '.join(_GROUPS)}.{nearest(group, _GROUPS)}"
    listed = f"; choose one of {', '.join(options)}." if options else "."
    backbones = BACKBONES if group == "model" and not _begun(choice, options) else ()
    if group == "hydra/launcher" and (extra := _EXTRAS.get(choice)) is not None:
        return f"{group}={choice} needs a package that is not installed: pip install 'flowersweep[{extra}]'."
    meant = nearest_of(choice, [*options, *backbones])
    if meant in backbones:
        meant = f"model=backbone model.name={meant}"
    return f"{group} has no choice {choice!r}{listed}{f' Did you mean {meant}?' if meant else ''}"


def _begun(choice: str, options: Sequence[str]) -> bool:
    """Whether a choice is the beginning of one of the options, as mobilenet is."""
    return any(option.startswith(choice) for option in options)


def _unknown_key(key: str) -> str:
    keys = [*known_keys(), *_GROUPS]
    group, _, leaf = key.partition(".")
    choices = [choice for choice, node in NODES.get(group, {}).items() if _has_key(node, leaf)]
    if choices:
        return (
            f"There is no key {key!r} with the chosen {group}; it belongs to {group}={' or '.join(choices)}."
        )
    parent = key.rpartition(".")[0]
    siblings = [known.rpartition(".")[2] for known in keys if parent and known.rpartition(".")[0] == parent]
    listed = f" {parent} has {', '.join(siblings)}." if siblings else ""
    meant = nearest(key, keys) or _same_leaf(key, keys)
    more = f"python -m flowersweep help {group}" if group in _GROUPS else "--help"
    return f"There is no key {key!r} in this configuration.{meant}{listed} See {more} for all of them."


def _same_leaf(key: str, keys: Sequence[str]) -> str:
    """Where a key is that was looked for in the wrong group, as in trainer.learning_rate."""
    leaf = key.rpartition(".")[2]
    same = [known for known in keys if "." in known and known.rpartition(".")[2] == leaf]
    return f" Another group has it: {' or '.join(same)}." if 0 < len(same) <= 3 else ""


def _has_key(node: type[Any], key: str) -> bool:
    """Whether a dataclass has a key, which may be one of a dataclass in it, or any of its `arguments`."""
    name, _, rest = key.partition(".")
    types = {field.name: field.type for field in dataclasses.fields(node)}
    if name not in types or not rest:
        return name in types
    inner = types[name]
    return name == "arguments" or (
        isinstance(inner, type) and dataclasses.is_dataclass(inner) and _has_key(inner, rest)
    )


def _bad_value(override: str, cause: OmegaConfBaseException | None) -> str:
    key, _, value = override.partition("=")
    bare = value.replace("\\", "").strip("'\"")
    reason = omegaconf_api.in_one_line(str(cause)) if cause is not None else ""
    if override.startswith("~") and key.lstrip("~") in known_keys():
        return f"{key.lstrip('~')} cannot be removed from the configuration; give it a value."
    if isinstance(cause, ConfigKeyError | ConfigAttributeError):
        return _unknown_key(key.lstrip("+~"))
    expected = _expected_type(key.lstrip("+~"))
    if (
        bare.startswith("[")
        and value != bare
        and ("list" in (expected or "") or omegaconf_api.NOT_A_LIST in reason)
    ):
        return f"{key} must be {expected or 'a list'}, but is the string {bare!r}; remove the quotes around {bare}."
    if expected is None:
        return f"{key}={value} is not valid: {reason or 'see --cfg job for the current value'}."
    return f"{key} must be {expected}, but is {value!r}."


# Launchers that come with an extra of this package.
_EXTRAS = {"ray": "ray", "submitit_local": "slurm", "submitit_slurm": "slurm"}
_GROUPS = (
    "data",
    "model",
    "aug",
    "optimizer",
    "schedule",
    "trainer",
    "bank",
    "tracking",
    "paths",
    "experiment",
    "search",
    "cluster",
)


def known_keys() -> Iterator[str]:
    """Every dotted key that any choice of groups has."""
    seen: dict[str, None] = {}
    for field in dataclasses.fields(Config):
        nodes: list[Any] = [field.type, *NODES.get(field.name, {}).values()]
        inner = [node for node in nodes if dataclasses.is_dataclass(node)]
        seen |= {f"{field.name}.{leaf.name}": None for node in inner for leaf in dataclasses.fields(node)}
        if not inner:
            seen[field.name] = None
    yield from seen


def _expected_type(key: str) -> str | None:
    """The type of a key in words, from the dataclass that declares it."""
    group, _, leaf = key.partition(".")
    for field in dataclasses.fields(Config):
        if field.name != group:
            continue
        if not leaf:
            return type_in_words(field.type)
        for node in [field.type, *NODES.get(group, {}).values()]:
            for inner in dataclasses.fields(node) if dataclasses.is_dataclass(node) else ():
                if inner.name == leaf:
                    return type_in_words(inner.type)
    return None
