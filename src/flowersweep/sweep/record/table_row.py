"""A study in MLflow's table and charts: what it searches, its best value, and its course from trial to trial."""

from collections.abc import Sequence

from omegaconf import DictConfig, OmegaConf
from optuna import Study
from optuna.study import StudyDirection
from optuna.trial import FrozenTrial, TrialState

from flowersweep.sweep.settings import Plan
from flowersweep.sweep.space.space import Space
from flowersweep.sweep.study.attributes import REPEATS, TAKEN_FROM
from flowersweep.texts import counted
from flowersweep.tracking.store.summary import rounded, study_summary

_FINISHED = (TrialState.COMPLETE, TrialState.PRUNED, TrialState.FAIL)


def params(config: DictConfig, plan: Plan, space: Space, experiment: str) -> dict[str, object]:
    """What the study's row tells in addition to its tags.

    Args:
        config: The sweep's configuration, with the `hydra` node.
        plan: Whether it is a grid.
        space: What is searched.
        experiment: The name of the experiment, which ends with the name of the data set.
    """
    searched = space.definition()["searched"]
    target = str(OmegaConf.select(config, "hydra.sweeper.sampler._target_") or "")
    return {
        "space": "; ".join(f"{key}: {text}" for key, text in searched.items()) or "one configuration",
        "sampler": "grid" if plan.is_grid else target.rpartition(".")[2] or "default",
        "budget": counted(plan.n_trials, "trial"),
        "data": experiment.rpartition("/")[2],
    }


def course(study: Study) -> list[dict[str, float]]:
    """The metrics after each finished trial, in the order in which the trials ended.

    These are the number of finished trials and, for a single objective, the trial's own value, the best value so far, its
    trial, and the mean, standard deviation and number of seeds of that one. Earlier entries do not change when more trials end.
    """
    trials = study.get_trials(deepcopy=False, states=_FINISHED)
    trials.sort(key=lambda trial: (trial.datetime_complete or trial.datetime_start or 0, trial.number))
    best: FrozenTrial | None = None
    steps = []
    for number, trial in enumerate(trials, start=1):
        step = {"trials/finished": float(number)}
        if len(study.directions) == 1 and trial.state is TrialState.COMPLETE:
            step["trials/value"] = rounded(trial.values[0])
            if best is None or _better(study, trial, best):
                best = trial
        if best is not None:
            step |= {
                "best/value": best.values[0],
                "best/trial": float(best.number),
                **study_summary(seeds(best), maximize=_maximizes(study)),
            }
        steps.append(step)
    return steps


def ranked(study: Study) -> list[FrozenTrial]:
    """The complete trials that were trained, by their first objective, the best one first."""
    trials = study.get_trials(deepcopy=False, states=(TrialState.COMPLETE,))
    trained = [trial for trial in trials if TAKEN_FROM not in trial.user_attrs]
    sign = -1 if _maximizes(study) else 1
    return sorted(trained, key=lambda trial: (sign * trial.values[0], trial.number))


def seeds(trial: FrozenTrial) -> Sequence[float]:
    """The first objective of a complete trial for each of its seeds."""
    repeats: Sequence[float] = trial.user_attrs.get(REPEATS) or trial.values[:1]
    return repeats


def _maximizes(study: Study) -> bool:
    return study.directions[0] is StudyDirection.MAXIMIZE


def _better(study: Study, trial: FrozenTrial, best: FrozenTrial) -> bool:
    value, known = trial.values[0], best.values[0]
    return bool(value > known if _maximizes(study) else value < known)
