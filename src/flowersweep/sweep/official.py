"""What a program that was written for hydra-optuna-sweeper finds or is told: its file of results, and what differs."""

import logging
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from omegaconf import OmegaConf
from optuna import Study
from optuna.trial import TrialState

from flowersweep.sweep.settings import Plan, Settings
from flowersweep.sweep.space.space import Space
from flowersweep.texts import counted

log = logging.getLogger(__name__)

RESULTS = "optimization_results.yaml"


def write_results(study: Study, space: Space, folder: Path) -> None:
    """Write the best trial, or the Pareto set, with the keys of hydra-optuna-sweeper; nothing without a complete trial.

    Args:
        study: The study.
        space: What is searched; its keys are written as in an override, `+w` for a key that is added.
        folder: Of the sweep.
    """
    if not study.get_trials(deepcopy=False, states=[TrialState.COMPLETE]):
        return

    def params(values: Mapping[str, Any]) -> dict[str, Any]:
        keys = {name: dimension.key for name, dimension in space.searched.items()}
        return {keys.get(name, name): value for name, value in values.items()}

    results: dict[str, Any] = {"name": "optuna"}
    if len(study.directions) > 1:
        best = study.best_trials
        results["solutions"] = [{"params": params(trial.params), "values": trial.values} for trial in best]
    else:
        results |= {"best_params": params(study.best_trial.params), "best_value": study.best_value}
    folder.mkdir(parents=True, exist_ok=True)
    (folder / RESULTS).write_text(OmegaConf.to_yaml(OmegaConf.create(results)), encoding="utf-8")


def tell_differences(given: Settings, settings: Settings, plan: Plan, space: Space) -> None:
    """Tell once what this sweep does in another way than hydra-optuna-sweeper did.

    Args:
        given: As configured.
        settings: With the default number of trials.
        plan: Of the sweep.
        space: What is searched.
    """
    if settings.search_space:
        lines = "".join(f"\n  {key}: {text}" for key, text in (settings.params or {}).items())
        log.warning(
            "hydra.sweeper.search_space is an old spelling; write hydra.sweeper.params instead:%s", lines
        )
    if given.n_trials is None and settings.n_trials is not None:
        log.info("hydra.sweeper.n_trials is not set; this study has %s.", counted(settings.n_trials, "trial"))
    if plan.is_grid and plan.n_trials < space.size:
        log.info(
            "The first %d of %d points of the grid are run, in their order; hydra/sweeper/sampler=tpe would search them.",
            plan.n_trials,
            space.size,
        )
    ranges = [
        one
        for one in space.searched.values()
        if one.text.startswith("range(") and one.name in (settings.params or {})
    ]
    if ranges:
        log.info(
            "The stop of a range is excluded; the largest values are %s (hydra-optuna-sweeper before 1.4 included it).",
            ", ".join(f"{one.name}={getattr(one.distribution, 'high', None)}" for one in ranges),
        )
