"""The pruners of the group hydra/sweeper/pruner."""

from typing import Any

import optuna
import pytest
from omegaconf import DictConfig, OmegaConf

from flowersweep.errors import SweepError
from flowersweep.sweep.schema import PRUNERS
from flowersweep.sweep.search.pruner import make_pruner

EXPECTED = {
    "none": optuna.pruners.NopPruner,
    "median": optuna.pruners.MedianPruner,
    "asha": optuna.pruners.SuccessiveHalvingPruner,
    "hyperband": optuna.pruners.HyperbandPruner,
    "wilcoxon": optuna.pruners.WilcoxonPruner,
}


def _node(name: str, **options: Any) -> DictConfig:
    node = OmegaConf.structured(PRUNERS[name](**options))
    assert isinstance(node, DictConfig)
    return node


@pytest.mark.parametrize("name", list(PRUNERS))
def test_every_pruner(name: str) -> None:
    """Each choice of the group makes Optuna's pruner without a warning."""
    assert type(make_pruner(_node(name))) is EXPECTED[name]


def test_any_of_optunas() -> None:
    """A pruner around another, from a file of the user's, works too."""
    node = OmegaConf.create(
        {
            "_target_": "optuna.pruners.PatientPruner",
            "wrapped_pruner": {"_target_": "optuna.pruners.MedianPruner"},
            "patience": 2,
        }
    )
    assert isinstance(make_pruner(node), optuna.pruners.PatientPruner)


def _prunes_after(
    pruner: optuna.pruners.BasePruner, collapses_after: int = 0, n_epochs: int = 30
) -> int | None:
    """The epoch after which a trial ends that leads for some epochs and is hopeless then; None if it never does.

    Ten good trials come before it. Epochs are counted from 1, as trials report them.
    """
    study = optuna.create_study(direction="maximize", pruner=pruner, study_name="fixed")
    for number in range(10):
        trial = study.ask()
        for epoch in range(1, n_epochs + 1):
            trial.report(0.8 - number / 100 + epoch / 1000, epoch)
            # Some pruners take note of a trial only when asked.
            trial.should_prune()
        study.tell(trial, 0.9)
    trial = study.ask()
    for epoch in range(1, n_epochs + 1):
        trial.report(0.95 if epoch <= collapses_after else 0.1, epoch)
        if trial.should_prune():
            return epoch
    return None


@pytest.mark.parametrize(
    ("name", "options", "collapses_after", "expected"),
    [
        ("none", {}, 0, None),
        # n_warmup_steps epochs are trained before the first look, which comes right after them.
        ("median", {}, 0, 3),
        ("median", {"n_warmup_steps": 5}, 0, 5),
        ("median", {"n_warmup_steps": 1}, 0, 1),
        ("median", {"n_warmup_steps": 0}, 0, 1),
        # ASHA decides after 3, 9 and 27 epochs, and at no other time.
        ("asha", {}, 0, 3),
        ("asha", {}, 3, 9),
        ("asha", {}, 9, 27),
        ("asha", {}, 27, None),
        ("asha", {"min_resource": 1}, 0, 1),
        ("asha", {"min_resource": 4, "reduction_factor": 2}, 4, 8),
        ("asha", {"min_early_stopping_rate": 1}, 0, 9),
        ("asha", {"min_early_stopping_rate": 2}, 0, 27),
    ],
)
def test_first_epoch_that_ends_a_trial(
    name: str, options: dict[str, Any], collapses_after: int, expected: int | None
) -> None:
    """Each pruner ends a trial after the epochs that its options name, of thirty."""
    assert _prunes_after(make_pruner(_node(name, **options)), collapses_after) == expected


def test_hyperband_decides_as_asha_does() -> None:
    """Whichever group of Hyperband's a trial belongs to, its first decision comes after 3, 9 or 27 epochs."""
    seen = set()
    for number in range(40):
        study = optuna.create_study(
            direction="maximize",
            study_name=f"study-{number}",
            pruner=make_pruner(_node("hyperband", max_resource=30)),
        )
        trial = study.ask()
        looked = [epoch for epoch in range(1, 31) if _looked_at(trial, epoch)]
        seen.add(tuple(looked))

    assert seen == {(3, 9, 27), (9, 27), (27,)}


def _looked_at(trial: optuna.Trial, epoch: int) -> bool:
    """Whether the pruner decided on a trial after an epoch: it notes that it let it pass."""
    before = len(trial.storage.get_trial(trial._trial_id).system_attrs)
    trial.report(0.5, epoch)
    assert not trial.should_prune()
    return len(trial.storage.get_trial(trial._trial_id).system_attrs) > before


@pytest.mark.parametrize(("collapses_after", "expected"), [(4, 7), (1, 4), (0, None)])
def test_patience_counts_epochs_without_gain(collapses_after: int, expected: int | None) -> None:
    """A patience of 2 ends a trial with the third epoch that is worse than what it once had."""
    target = "optuna.pruners.PatientPruner"
    node = OmegaConf.create({"_target_": target, "wrapped_pruner": None, "patience": 2})
    assert _prunes_after(make_pruner(node), collapses_after) == expected


def test_wilcoxon_pairs_repeats() -> None:
    """The fourth of several trainings that are all worse than the best trial's ends a trial; three prove too little."""
    study = optuna.create_study(direction="maximize", pruner=make_pruner(_node("wilcoxon")))
    best = study.ask()
    for repeat in range(1, 6):
        best.report(0.9 + repeat / 100, repeat)
    study.tell(best, 0.93)
    trial = study.ask()
    verdicts = []
    for repeat in range(1, 6):
        trial.report(0.5 + repeat / 50, repeat)
        verdicts.append(trial.should_prune())

    assert verdicts == [False, False, False, True, True]


@pytest.mark.parametrize(
    ("name", "options", "words"),
    [
        ("median", {"n_warmup_steps": -1}, "pruner.n_warmup_steps must be at least 0, but is -1"),
        ("asha", {"reduction_factor": 1}, "pruner.reduction_factor must be at least 2, but is 1"),
        (
            "hyperband",
            {"max_resource": "all"},
            "pruner.max_resource must be auto, or at least 1, but is 'all'",
        ),
        ("hyperband", {"max_resource": 0}, "but is 0"),
        ("wilcoxon", {"p_threshold": 2.0}, "pruner.p_threshold must be at least 0 and at most 1, but is 2.0"),
    ],
)
def test_bad_values(name: str, options: dict[str, Any], words: str) -> None:
    """A value out of range is one sentence with the range."""
    with pytest.raises(SweepError, match=words):
        make_pruner(_node(name, **options))


def test_bad_targets() -> None:
    """Only Optuna's pruners are called."""
    with pytest.raises(
        SweepError, match=r"hydra/sweeper/pruner names os.getcwd, which a configuration may not call"
    ):
        make_pruner(OmegaConf.create({"_target_": "os.getcwd"}))


def test_several_objectives() -> None:
    """With two objectives Optuna cannot prune, so that only none is accepted."""
    assert isinstance(make_pruner(_node("none"), n_directions=2), optuna.pruners.NopPruner)
    with pytest.raises(SweepError, match=r"MedianPruner compares one objective.*hydra/sweeper/pruner=none"):
        make_pruner(_node("median"), n_directions=2)
