"""The input of a sweep: the command line and `hydra.sweeper.params`, parsed and merged as Hydra does."""

import dataclasses
import inspect
import re
from collections.abc import Mapping, Sequence
from typing import Any

from hydra.core.config_loader import ConfigLoader
from hydra.core.override_parser.overrides_parser import OverridesParser, create_functions
from hydra.core.override_parser.types import Override
from hydra.errors import HydraException
from omegaconf import DictConfig, OmegaConf

from flowersweep.config.schema import NODES
from flowersweep.errors import SweepError
from flowersweep.sweep.space.values import leaves, plain, text_of

PARAMS = "hydra.sweeper.params"
_MULTIRUN = ("-m", "--multirun", "hydra.mode=MULTIRUN")
_SHOWS = ("-c", "--cfg", "--info", "-i", "--help", "-h")
_OTHERS = re.compile(r"hydra/sweeper=(?!study$)")
_FOR_TRIALS = re.compile(r"([^=]+)=tag\(fixed,choice\(\[(.*)\]\)\)", re.DOTALL)


def left_to_trials(arguments: Sequence[str]) -> list[str]:
    """The arguments of a sweep, with values whose keys need not exist in the sweep's own configuration.

    That configuration is composed with the default choice of every searched group, which may lack a key that all
    searched choices have. Written as a search of one value, the key is left out there; `as_typed` reverts this.

    Args:
        arguments: Of the command line, including flags.
    """
    is_sweep = any(argument in _MULTIRUN for argument in arguments)
    if not is_sweep or any(argument in _SHOWS or _OTHERS.match(argument) for argument in arguments):
        return list(arguments)
    return [_left_to_trials(argument) for argument in arguments]


def _left_to_trials(argument: str) -> str:
    key, equals, _ = argument.partition("=")
    group, _, leaf = key.partition(".")
    nodes = NODES.get(group, {}).values()
    names = [{field.name for field in dataclasses.fields(node)} for node in nodes]
    leaf = leaf.partition(".")[0]
    if not equals or all(leaf in known for known in names) or not any(leaf in known for known in names):
        return argument
    try:
        override = OverridesParser.create().parse_override(argument)
        if override.is_sweep_override():
            return argument
        return f"{key}=tag(fixed,choice([{text_of(plain(override.value()))}]))"
    except (HydraException, SweepError):
        return argument  # Hydra reports what is wrong with it


def as_typed(line: str) -> str:
    """An override as it was before `left_to_trials`."""
    match = _FOR_TRIALS.fullmatch(line)
    return f"{match.group(1)}={match.group(2)}" if match else line


def typed_overrides(config: DictConfig, whose: str) -> list[str]:
    """The overrides of the command line as they were typed, interpolations unresolved.

    Args:
        config: With the `hydra` node.
        whose: "hydra" for Hydra's own, "task" for the application's.
    """
    plain = OmegaConf.to_container(config.hydra.overrides[whose], resolve=False)
    assert isinstance(plain, list)  # noqa: S101 (Hydra's own list)
    return [as_typed(str(line)) for line in plain]


def name_of(override: Override) -> str:
    """The key of an override without its + or ++, as in conditions and in the study."""
    return override.get_key_element().lstrip("+")


def read_arguments(arguments: Sequence[str], config_loader: ConfigLoader | None) -> list[Override]:
    """The command line's overrides.

    Raises:
        SweepError: One cannot be parsed, or a key is given twice and one of the two is a sweep.
    """
    parsed = [_parse(argument, argument, config_loader) for argument in map(as_typed, arguments)]
    _refuse_twice(parsed, "on the command line")
    return parsed


def read_params(params: Mapping[str, Any], config_loader: ConfigLoader | None) -> list[Override]:
    """The overrides of `hydra.sweeper.params`.

    Args:
        params: Sweeps or fixed values by key: text in Hydra's grammar, or any other YAML value, which is then a
            fixed one. A nested mapping means dotted keys.
        config_loader: Looks up the options of a `glob`.

    Raises:
        SweepError: One cannot be parsed, a key is given twice, or it belongs to Hydra itself.
    """
    parsed = []
    for key, value in leaves(params):
        text = value if isinstance(value, str) else text_of(value)
        override = _parse(f"{key}={text}", f"{PARAMS}.{key}: {text}", config_loader)
        if override.is_hydra_override():
            raise SweepError(
                f"{PARAMS} names {key}, but Hydra's own keys cannot be searched; set it outside params."
            )
        parsed.append(override)
    _refuse_twice(parsed, f"in {PARAMS}")
    return parsed


def merge(params: Sequence[Override], arguments: Sequence[Override]) -> list[Override]:
    """Params first, each replaced in its position by an argument with the same key; then the other arguments."""
    merged = list(params)
    for argument in arguments:
        places = [place for place, old in enumerate(merged) if _replaces(argument, old, params)]
        if places:
            merged[places[0]] = argument
        else:
            merged.append(argument)
    return merged


def _replaces(new: Override, old: Override, params: Sequence[Override]) -> bool:
    if any(old is param for param in params) and not new.is_delete():
        return name_of(new) == name_of(old)
    return new.get_key_element() == old.get_key_element()


def _parse(line: str, shown: str, config_loader: ConfigLoader | None) -> Override:
    try:
        override = _parser().parse_rule(line, "override")
    except (HydraException, ValueError) as error:  # Python's limit on the digits of an integer
        reason = str(error).strip().splitlines()[0]
        raise SweepError(
            f"{shown[:200]!r} is not in Hydra's grammar ({reason}); write key=value, key=a,b, choice(...), range(...) or "
            "interval(...), and quote values with spaces or commas."
        ) from None
    assert isinstance(override, Override)  # noqa: S101 (the rule's type)
    override.config_loader = config_loader
    return override


def _parser() -> OverridesParser:
    """Hydra's parser, whose `choice` also accepts null: choice(null,a) means the same as null,a."""
    functions = create_functions()
    choice = functions.functions["choice"]

    def choice_with_null(*args: Any) -> Any:
        return choice(*args)

    functions.functions["choice"] = choice_with_null
    functions.definitions["choice"] = inspect.signature(choice_with_null)
    return OverridesParser(functions)


def _refuse_twice(overrides: Sequence[Override], where: str) -> None:
    seen: dict[str, Override] = {}
    for override in overrides:
        if override.is_delete():
            continue
        other = seen.setdefault(name_of(override), override)
        if other is not override and (other.is_sweep_override() or override.is_sweep_override()):
            raise SweepError(
                f"{name_of(override)} is given twice {where}, as {other.input_line} and {override.input_line}, "
                "and at least one of them is a sweep; keep one."
            )
