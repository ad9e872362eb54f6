"""The settings of a sweep: `hydra.sweeper`, typed and checked, and what follows from them for a space."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, fields, replace
from enum import Enum
from typing import Any

from hydra.core.config_loader import ConfigLoader
from omegaconf import DictConfig, ListConfig, OmegaConf, flag_override

from flowersweep import config as configuration
from flowersweep.config.schema import OBJECTIVES
from flowersweep.errors import SweepError
from flowersweep.sweep.schema import StudySweeperConf
from flowersweep.sweep.search.build import broken_rules
from flowersweep.sweep.search.pruner import make_pruner
from flowersweep.sweep.search.sampler import is_grid, make_sampler, wants_grid
from flowersweep.sweep.space.build_space import build_space
from flowersweep.sweep.space.custom import Extension
from flowersweep.sweep.space.search_space import as_params
from flowersweep.sweep.space.space import Space
from flowersweep.sweep.space.values import own_value
from flowersweep.sweep.storage.limits import NAMES, is_name

_MAX_NAME = 255  # bytes of the name of a file or folder
DIRECTIONS = ("minimize", "maximize")
# As many as hydra-optuna-sweeper runs if it is not told.
OFFICIAL_TRIALS = 20
# The nodes of Optuna's objects keep their types, which distinguish options that were set from defaults; with a choice of each.
_NODES = {"sampler": "tpe", "pruner": "none"}


@dataclass
class Settings(StudySweeperConf):
    """`hydra.sweeper`, checked: its fields as plain values, except the nodes of sampler and pruner, which keep their types.

    Attributes:
        directions: minimize or maximize for each objective, from `direction`.
        names: The names of the objectives, from the same; empty if they have none.
        explicit: The options of the sampler that were set, with any value; see `flowersweep.sweep.search.explicit`.
    """

    directions: tuple[str, ...] = ("minimize",)
    names: tuple[str, ...] = ()
    explicit: frozenset[str] = frozenset()


@dataclass(frozen=True)
class Plan:
    """What a sweep will do.

    Attributes:
        is_grid: Whether the points of the grid are run in order; otherwise a sampler suggests them.
        n_trials: Total number of trials.
        enqueue: Points of the enqueued trials, as the study stores them.
    """

    is_grid: bool
    n_trials: int
    enqueue: tuple[dict[str, Any], ...]


def read_settings(node: DictConfig) -> Settings:
    """Check `hydra.sweeper` alone.

    Args:
        node: `hydra.sweeper`; the direction is minimize if it has none, as in Optuna.

    Raises:
        SweepError: Values are out of range; all of them in one message, one per line.
    """
    problems = list(broken_rules(node, "hydra.sweeper"))
    problems += [
        f"hydra.sweeper.{name} must be a choice of its group, as in hydra/sweeper/{name}={choice}, but is {node.get(name)!r}."
        for name, choice in _NODES.items()
        if not isinstance(node.get(name), DictConfig)
    ]
    problems += [
        f"hydra.sweeper.{name}.{key} is ???, which stands for a missing value; give it one, or leave it out."
        for name in _NODES
        if isinstance(node.get(name), DictConfig)
        for key in node[name]
        if OmegaConf.is_missing(node[name], key)
    ]
    directions = ("minimize",) if node.direction is None else _directions(node)
    problems += [
        f"hydra.sweeper.direction must be minimize or maximize, or a list or a dict of these, but contains {direction!r}."
        for direction in directions or ("no entry",)
        if direction not in DIRECTIONS
    ]
    plain: dict[str, Any] = {
        field.name: node.get(field.name) if field.name in _NODES else _plain(node[field.name])
        for field in fields(StudySweeperConf)
        if field.name in node
    }
    problems += [
        f"hydra.sweeper.enqueue must be a list of points such as {{model: cnn}}, but contains {point!r}."
        for point in plain["enqueue"]
        if not isinstance(point, dict)
    ]
    if plain.get("params") and plain.get("search_space"):
        problems.append(
            "hydra.sweeper.search_space is an older spelling of hydra.sweeper.params; leave one of the two out."
        )
    problems += _problems_of_name(plain["study_name"])
    if problems:
        raise SweepError("\n".join(problems))
    plain["params"] = plain.get("params") or as_params(plain.get("search_space") or {})
    named = plain["direction"]
    names = tuple(map(str, named)) if isinstance(named, dict) else ()
    return Settings(**plain, directions=directions, names=names)


def _problems_of_name(name: str | None) -> Iterator[str]:
    """Why a study cannot have a name, with which the name of the sweep's folder usually ends."""
    parts = (name or "-").split("/")
    is_stored = name is None or is_name(name)
    if not is_stored or {"", ".", ".."} & set(parts) or any(len(part.encode()) > _MAX_NAME for part in parts):
        yield (
            f"hydra.sweeper.study_name must be a text {NAMES}; it is also the name of a folder and has at most {_MAX_NAME} bytes "
            f"between slashes, and no empty parts, '.' or '..', but is {str(name)[:60]!r}."
        )


def objectives(config: DictConfig) -> list[str]:
    """The metrics that trials return, in order; empty for an application that does not name them."""
    metric = own_value(config, "objective.metric", str)
    return [] if metric is None else [metric, *(own_value(config, "objective.also", ListConfig) or ())]


def sweep_settings(config: DictConfig) -> Settings:
    """Check `hydra.sweeper`, with the directions of the objectives if it has none.

    Args:
        config: The sweep's configuration, with the `hydra` node.

    Raises:
        SweepError: As for `read_settings`, or the numbers of directions and objectives differ.
    """
    settings, metrics = read_settings(config.hydra.sweeper), objectives(config)
    if metrics and settings.direction is None:
        settings = replace(settings, directions=tuple(map(configuration.direction_of, metrics)))
    if metrics and settings.names and list(settings.names) != metrics:
        raise SweepError(
            f"hydra.sweeper.direction names {', '.join(settings.names)}, but the objectives are {', '.join(metrics)}; "
            "give their directions in this order, or leave it out."
        )
    if metrics and len(settings.directions) != len(metrics):
        raise SweepError(
            f"hydra.sweeper.direction must have one entry for each of {', '.join(metrics)}, but has "
            f"{len(settings.directions)}; leave it out to use the default direction of each."
        )
    for metric, direction in zip(metrics, settings.directions, strict=False):  # a program may name none
        # What else reads the results, as `promote`, knows only the metric.
        if metric in OBJECTIVES and direction != configuration.direction_of(metric):
            raise SweepError(
                f"hydra.sweeper.direction={direction} contradicts {metric}, for which it is {configuration.direction_of(metric)}; "
                "leave it out."
            )
    return replace(settings, names=settings.names or tuple(metrics))


def searched_space(
    arguments: Sequence[str], settings: Settings, config: DictConfig, loader: ConfigLoader
) -> Space:
    """The search space of a sweep.

    Args:
        arguments: The overrides of the command line that are not Hydra's own.
        settings: Of the sweep.
        config: The sweep's configuration, with the `hydra` node.
        loader: Has the options of config groups.

    Raises:
        SweepError: The input is invalid.
    """
    name = settings.custom_search_space
    extension = Extension.named(name, config) if name else None
    params = settings.params or {}
    if OmegaConf.get_type(config) is configuration.Config:
        params = {key: _text_quoted(key, value) for key, value in params.items()}
    return build_space(arguments, params, settings.conditions, config_loader=loader, extension=extension)


def _text_quoted(key: str, value: Any) -> Any:
    """A value of `params` as on the command line, where texts that look like numbers are texts."""
    return configuration.texts_quoted(f"{key}={value}").partition("=")[2] if isinstance(value, str) else value


def with_budget(settings: Settings, space: Space, config: DictConfig) -> Settings:
    """The settings with the number of trials of hydra-optuna-sweeper, for a search of a program that names no objective.

    Args:
        settings: Of the sweep.
        space: What is searched; a grid has its own number.
        config: The sweep's configuration.
    """
    is_given = settings.n_trials is not None or space.finite or objectives(config)
    return settings if is_given else replace(settings, n_trials=OFFICIAL_TRIALS)


def seeded(settings: Settings, config: DictConfig) -> Settings:
    """The settings with the seed of the runs for the sampler, unless it has one."""
    seed, sampler = OmegaConf.select(config, "seed"), settings.sampler
    if isinstance(seed, int) and sampler.get("seed", 0) is None and "seed" not in settings.explicit:
        sampler = sampler.copy()
        with flag_override(sampler, ["readonly"], [False]):
            sampler.seed = seed
        settings = replace(settings, sampler=sampler)
    return settings


def make_plan(settings: Settings, space: Space) -> Plan:
    """What these settings mean for a space, after checking that sampler, pruner and points work with it.

    A space of choices and ranges is a grid, of which n_trials may run only the first points, unless it has n_trials
    and an explicitly chosen sampler, or enqueued trials; everything else is n_trials suggestions of the sampler.

    Args:
        settings: As given, without the seed of the runs.
        space: What is searched.

    Raises:
        SweepError: A trial would fail with these settings, or the sweep would have no end.
    """
    n_directions = len(settings.directions)
    make_sampler(
        settings.sampler, trial_number=0, space=space, n_directions=n_directions, explicit=settings.explicit
    )
    make_pruner(settings.pruner, n_directions=n_directions)
    unchosen = wants_grid(settings.sampler, space, settings.explicit) and not settings.enqueue
    grid = is_grid(settings.sampler) or unchosen or (space.finite and settings.n_trials is None)
    if not grid and settings.n_trials is None:
        raise SweepError(
            f"{space.why_endless}, which has no end; set the number of trials, "
            "hydra.sweeper.n_trials=30, or search a choice or a range."
        )
    size = space.size if grid else 0
    n_trials = min(settings.n_trials or size, size) if grid else settings.n_trials or 0
    points = _points(settings, space)
    if points and grid:
        raise SweepError(
            "hydra.sweeper.enqueue puts points before those of a sampler, but a grid has all points in its own order; "
            "set hydra.sweeper.n_trials, or leave enqueue out."
        )
    if len(points) > n_trials:
        raise SweepError(
            f"hydra.sweeper.enqueue has {len(points)} points, but hydra.sweeper.n_trials is {n_trials}; "
            "raise it, or leave points out."
        )
    return Plan(grid, n_trials, points)


def _points(settings: Settings, space: Space) -> tuple[dict[str, Any], ...]:
    problems = [
        f"hydra.sweeper.enqueue, point {number}: {problem}"
        for number, point in enumerate(settings.enqueue, start=1)
        for problem in space.check_point(space.stored(point))
    ]
    if problems:
        raise SweepError("\n".join(problems))
    return tuple(space.point(point) for point in settings.enqueue)


def _plain(value: Any) -> Any:
    return OmegaConf.to_container(value, resolve=True) if OmegaConf.is_config(value) else value


def _directions(node: DictConfig) -> tuple[str, ...]:
    given = node.direction
    if OmegaConf.is_dict(given):
        given = list(given.values())
    several = [given] if isinstance(given, (str, Enum)) else list(given)
    return tuple(direction.name if isinstance(direction, Enum) else str(direction) for direction in several)
