"""Create the sampler of a trial from its node of the configuration.

It is recreated for each trial, so that a resumed sweep suggests the same values as an uninterrupted one.
"""

import dataclasses
from collections.abc import Collection, Mapping
from typing import Any

import numpy as np
from omegaconf import DictConfig, OmegaConf
from optuna.distributions import CategoricalDistribution
from optuna.samplers import BaseSampler, RandomSampler

from flowersweep.errors import SweepError
from flowersweep.own.targets import SAMPLERS
from flowersweep.sweep.schema import AutoSamplerConf
from flowersweep.sweep.search.build import build, require
from flowersweep.sweep.search.distinct import MAX_ASKED, DistinctSampler
from flowersweep.sweep.search.explicit import defaults_of
from flowersweep.sweep.space.space import Space
from flowersweep.texts import nearest

GROUP = "hydra/sweeper/sampler"
PREFIX = "hydra.sweeper.sampler."
MAX_SEED = 2**32 - 1
# Fixes some values, and asks another sampler for the others.
_FIXING = "PartialFixedSampler"


def make_sampler(
    cfg: DictConfig,
    *,
    trial_number: int,
    space: Space,
    n_directions: int = 1,
    explicit: Collection[str] = (),
    attempt: int = 0,
) -> BaseSampler:
    """The sampler for a trial.

    Options that have the value of hydra-optuna-sweeper's dataclass are not passed on, so that Optuna's own defaults
    apply where they have changed since (TPE is multivariate and considers running trials); those in `explicit` are.

    Args:
        cfg: `hydra.sweeper.sampler`.
        trial_number: Number of the trial, from 0; the seed is derived from it and from `cfg.seed`.
        space: What is searched.
        n_directions: How many objectives the study has.
        explicit: The options that were set explicitly, from `flowersweep.sweep.search.explicit.explicit_options`.
        attempt: Number of previous attempts for this trial that gave nothing new; each attempt has another seed.

    Raises:
        SweepError: The sampler cannot search this space, an option is not legal, or a package is missing.
    """
    if is_grid(cfg):
        _refuse_misfit(cfg, space, n_directions)
        # The points of a grid are enqueued by number; this sampler's values are never used.
        return RandomSampler(trial_seed(cfg.get("seed"), trial_number, attempt))

    def of_trial(node: Mapping[str, Any]) -> dict[str, Any]:
        """A node, and those of samplers in it, as they are for this trial."""
        _refuse_misfit(node, space, n_directions)
        name = _name(node)
        made = {key: of_trial(value) if _is_sampler(value) else value for key, value in node.items()}
        seed = trial_seed(node.get("seed"), trial_number, attempt)
        if name != "QMCSampler" and seed is not None:
            # A low-discrepancy sequence is a single sequence: all its trials share the configured seed.
            made["seed"] = seed
        joint = space.conditional and n_directions == 1 and made.get("multivariate") is not False
        if name == "TPESampler" and joint:
            # Conditional dimensions are modelled together with those they occur with, not separately.
            made.setdefault("group", True)
        if name == _FIXING and isinstance(made.get("fixed_params"), dict):
            made["fixed_params"] = _fixed(made["fixed_params"], space)
        return made

    node = of_trial({**_options(cfg, explicit), "_target_": cfg["_target_"]})
    sampler: BaseSampler = build(OmegaConf.create(node), GROUP, SAMPLERS)
    return sampler


def distinct_sampler(
    cfg: DictConfig, *, trial_number: int, space: Space, n_directions: int, explicit: Collection[str]
) -> BaseSampler:
    """The sampler for a trial, asked again if it would suggest what was trained already; see `make_sampler`.

    One that repeats itself, as TPE does if few values are promising, is replaced by a random one after half of the attempts;
    values that it keeps fixed stay fixed.
    """

    def asked(attempt: int) -> BaseSampler:
        return make_sampler(
            _random(cfg) if attempt >= MAX_ASKED // 2 else cfg,
            trial_number=trial_number,
            space=space,
            n_directions=n_directions,
            explicit=explicit,
            attempt=attempt,
        )

    return DistinctSampler(space, asked)


def wants_grid(cfg: DictConfig, space: Space, explicit: Collection[str] = ()) -> bool:
    """Whether the sampler is the default, over a space that has a grid.

    With hydra/sweeper/sampler=auto, the default, this holds unless an option is set: options are those of TPE.

    Args:
        cfg: `hydra.sweeper.sampler`, before it gets the seed of the runs.
        space: What is searched.
        explicit: As for `make_sampler`.
    """
    return space.finite and OmegaConf.get_type(cfg) is AutoSamplerConf and not _options(cfg, explicit)


def is_grid(cfg: Mapping[Any, Any]) -> bool:
    """Whether the node is hydra/sweeper/sampler=grid, which uses Hydra's own order of points."""
    return _name(cfg) == "GridSampler"


def trial_seed(seed: object, trial_number: int, attempt: int = 0) -> int | None:
    """The seed of one trial: a 32-bit number that depends on all arguments; None if the sweep has no seed.

    Raises:
        SweepError: The seed is not an integer from 0 to 2**32 - 1.
    """
    if seed is None:
        return None
    if isinstance(seed, bool) or not isinstance(seed, int) or not 0 <= seed <= MAX_SEED:
        raise SweepError(f"{PREFIX}seed must be an integer from 0 to {MAX_SEED}, or null, but is {seed!r}.")
    entropy = (seed, trial_number, attempt) if attempt else (seed, trial_number)
    return int(np.random.SeedSequence(entropy).generate_state(1)[0])


def _random(cfg: DictConfig) -> DictConfig:
    """The node of a sampler that draws at random what the given one suggests, and keeps what it keeps fixed."""
    if _name(cfg) == _FIXING and isinstance(base := cfg.get("base_sampler"), DictConfig):
        return OmegaConf.create(
            {**_options(cfg, ()), "_target_": cfg["_target_"], "base_sampler": _random(base)}
        )
    return OmegaConf.create({"_target_": "optuna.samplers.RandomSampler", "seed": cfg.get("seed")})


def _fixed(params: Mapping[str, Any], space: Space) -> dict[str, Any]:
    """The values of a PartialFixedSampler as the study stores them; a condition need not hold in all trials."""
    unknown = [] if space.extension else [name for name in params if name not in space.searched]
    if unknown:
        raise SweepError(
            f"{PREFIX}fixed_params names {unknown[0]}, which is not searched in this sweep; searched keys: "
            f"{', '.join(space.searched) or 'none'}.{nearest(unknown[0], list(space.searched))}"
        )
    try:
        return {
            name: space.searched[name].label(value) if name in space.searched else value
            for name, value in space.stored(params).items()
        }
    except SweepError as error:
        raise SweepError(f"{PREFIX}fixed_params: {error}") from None


def _is_sampler(value: Any) -> bool:
    return isinstance(value, dict) and _name(value).endswith("Sampler")


def _options(cfg: DictConfig, explicit: Collection[str]) -> dict[str, Any]:
    """The node as plain values, without its target and without values that only repeat the dataclass's defaults."""
    defaults = defaults_of(cfg)
    options = {
        str(key): OmegaConf.to_container(value, resolve=True) if OmegaConf.is_config(value) else value
        for key, value in cfg.items()
        if key not in {"_target_", "_partial_"}
    }
    return {
        name: value
        for name, value in options.items()
        if name in explicit or value != defaults.get(name, dataclasses.MISSING)
    }


def _refuse_misfit(cfg: Mapping[Any, Any], space: Space, n_directions: int) -> None:
    """Reject what Optuna would handle by drawing at random, with a warning, or by failing during the sweep."""
    name, choice = _name(cfg), f"{GROUP}={_choice(cfg)}"
    otherwise = f"use {GROUP}=tpe."
    if name == "raise_motpe_removed":
        raise SweepError(
            f"{GROUP}=motpe cannot be used: the sampler was removed in Optuna 4.0; {GROUP}=tpe supports several objectives."
        )
    if name == "GridSampler" and not space.finite:
        raise SweepError(
            f"{choice} requires a choice or a range for every key, but {space.why_endless}; {otherwise}"
        )
    if name in {"CmaEsSampler", "GPSampler", "QMCSampler"} and space.conditional:
        raise SweepError(f"{choice} cannot search keys under hydra.sweeper.conditions; {otherwise}")
    if name == "CmaEsSampler":
        numbers = [
            d
            for d in space.dimensions.values()
            if not isinstance(d, CategoricalDistribution) and not d.single()
        ]
        if not numbers:
            raise SweepError(f"{choice} searches numbers, but there are only choices here; {otherwise}")
        if n_directions > 1:
            raise SweepError(f"{choice} supports one objective, but there are {n_directions}; {otherwise}")
        require("cmaes", choice, f"{GROUP}=tpe")
    if name == "GPSampler":
        for package in ("scipy", "torch"):
            require(package, choice, f"{GROUP}=tpe")
    if name == "QMCSampler" and cfg.get("scramble") and cfg.get("seed") is None:
        raise SweepError(
            f"{choice} with scramble=true requires {PREFIX}seed, because otherwise each trial would be scrambled differently."
        )


def _name(cfg: Mapping[Any, Any]) -> str:
    return str(cfg.get("_target_")).rpartition(".")[2]


def _choice(cfg: Mapping[Any, Any]) -> str:
    """The approximate name of the sampler in its group, for messages."""
    return {"CmaEsSampler": "cmaes", "GPSampler": "gp", "QMCSampler": "qmc", "GridSampler": "grid"}.get(
        _name(cfg), _name(cfg)
    )
