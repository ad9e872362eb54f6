"""What makes a study this study: its name, the configuration all its trials share, and what its values are."""

import hashlib
import json
import warnings
from collections.abc import Mapping, Sequence
from typing import Any

from omegaconf import DictConfig, OmegaConf
from optuna import Study
from optuna.exceptions import ExperimentalWarning

from flowersweep.sweep.space.definition import CONTENT
from flowersweep.sweep.space.overrides import as_typed
from flowersweep.sweep.space.space import Space

# What of a configuration says where things are kept, and nothing about what a trial comes to.
PLACES = ("tracking", "paths", "hydra", "bank")
# The same, where the content of what is read from there is known instead.
READ_FROM = ("data.dir", "model.weights")


def definition_of(
    space: Space,
    config: DictConfig,
    n_repeats: int = 1,
    content: Mapping[str, Sequence[str]] | None = None,
) -> dict[str, Any]:
    """What a study searches, as it is stored with it and compared with what a later command searches.

    Args:
        space: Of the sweep.
        config: The sweep's own configuration.
        n_repeats: Of the sweep.
        content: What its trials read, see `flowersweep.sweep.study.content.Content.listed`; where it lies is then no part of the
            definition. None for an application of which that is not known.
    """
    places = PLACES if content is None else (*PLACES, *READ_FROM)
    given = space.definition()
    fixed = {key: text for key, text in given["fixed"].items() if not _is_place(key.lstrip("+~"), places)}
    definition = {**given, "fixed": fixed, "config": base_config(config, n_repeats, places)}
    return definition if content is None else {**definition, CONTENT: dict(content)}


def _is_place(key: str, places: Sequence[str]) -> bool:
    return any(f"{key}.".startswith(f"{place}.") for place in places)


def base_config(config: DictConfig, n_repeats: int = 1, places: Sequence[str] = PLACES) -> dict[str, Any]:
    """The configuration that all trials of a sweep share, as JSON has it, without the places on this machine.

    Args:
        config: The sweep's own; searched keys have their defaults in it.
        n_repeats: A mean of three trainings is not to be compared with a single one.
        places: The keys that are left out.
    """
    plain = OmegaConf.to_container(config, resolve=False)
    assert isinstance(plain, dict)  # noqa: S101 (a DictConfig is a mapping)
    kept = _without_places(plain, places)
    kept["hydra.sweeper.n_repeats"] = n_repeats
    return dict(json.loads(json.dumps(kept, default=str)))


def _without_places(node: Mapping[Any, Any], places: Sequence[str], prefix: str = "") -> dict[str, Any]:
    return {
        str(key): _without_places(value, places, f"{prefix}{key}.") if isinstance(value, dict) else value
        for key, value in node.items()
        if not _is_place(f"{prefix}{key}", places)
    }


def typed(config: DictConfig, whose: str) -> list[str]:
    """The overrides of the command line as they were typed, interpolations unresolved.

    Args:
        config: With the `hydra` node.
        whose: "hydra" for Hydra's own, "task" for the application's.
    """
    plain = OmegaConf.to_container(config.hydra.overrides[whose], resolve=False)
    assert isinstance(plain, list)  # noqa: S101 (Hydra's own list)
    return [as_typed(str(line)) for line in plain]


def derived_name(space: Space, definition: Mapping[str, Any], directions: Sequence[str]) -> str:
    """The name of a study that was given none: the same command has the same one.

    What is searched is readable in it; a hash of the whole definition tells apart what reads alike.
    """
    keys = "-".join(name.rpartition(".")[2] for name in space.searched) or "single"
    text = json.dumps([definition, list(directions)], sort_keys=True)
    return f"{keys[:40].rstrip('-')}-{hashlib.sha256(text.encode()).hexdigest()[:6]}"


def name_metrics(study: Study, metrics: Sequence[str]) -> None:
    """Store what the values of the study's trials are called, for plots, tables and the dashboard."""
    if metrics and study.metric_names != list(metrics):
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", ExperimentalWarning)
            study.set_metric_names(list(metrics))
