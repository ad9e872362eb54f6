"""The sampler of a trial is reproducible, has Optuna's own defaults, and fits the space."""

import warnings
from importlib.util import find_spec
from typing import Any

import optuna
import pytest
from omegaconf import DictConfig, OmegaConf
from optuna.distributions import FloatDistribution
from optuna.samplers import (
    NSGAIIISampler,
    NSGAIISampler,
    QMCSampler,
    RandomSampler,
    TPESampler,
)

from flowersweep.errors import SweepError
from flowersweep.sweep.search.build import require
from flowersweep.sweep.search.sampler import is_grid, make_sampler, trial_seed
from flowersweep.sweep.space.build_space import build_space
from hydra_plugins.hydra_optuna_sweeper import config as official

NUMBERS = build_space(["x=interval(0,1)", "y=interval(0,1)"])
CHOICES = build_space(["a=x,y", "b=1,2"])
CONDITIONAL = build_space(["m=a,b", "k=interval(0,1)"], {}, {"k": {"m": "b"}})


def _node(cls: type[Any], **options: Any) -> DictConfig:
    node = OmegaConf.structured(cls(**options))
    assert isinstance(node, DictConfig)
    return node


def _run(node: DictConfig, numbers: range, study: optuna.Study | None = None) -> optuna.Study:
    """Ask and tell trials one by one, each with its own sampler, as workers do."""
    study = study or optuna.create_study()
    for number in numbers:
        study.sampler = make_sampler(node, trial_number=number, space=NUMBERS)
        trial = study.ask()
        params = NUMBERS.suggest(trial)
        study.tell(trial, (params["x"] - 0.3) ** 2 + params["y"])
    return study


class TestSeed:
    """Seeds of trials."""

    def test_depends_on_both(self) -> None:
        """Each trial of each seed has a number of its own, of 32 bits, and no seed stays none."""
        seeds = {trial_seed(seed, number) for seed in range(20) for number in range(50)}
        assert len(seeds) == 1000
        assert all(seed is not None and 0 <= seed < 2**32 for seed in seeds)
        assert trial_seed(0, 0) == trial_seed(0, 0)
        assert trial_seed(None, 3) is None

    @pytest.mark.parametrize("seed", [-1, 2**32, True, "a", 1.5])
    def test_bad_seeds(self, seed: Any) -> None:
        """A seed that is not a 32-bit integer is rejected."""
        with pytest.raises(
            SweepError, match=r"hydra.sweeper.sampler.seed must be an integer from 0 to 4294967295"
        ):
            trial_seed(seed, 0)

    @pytest.mark.parametrize(
        "node",
        [
            _node(official.TPESamplerConfig, seed=3, n_startup_trials=4),
            _node(official.RandomSamplerConfig, seed=3),
            _node(official.NSGAIISamplerConfig, seed=3, population_size=4),
            _node(official.QMCSamplerConfig, seed=3, scramble=True),
        ],
        ids=["tpe", "random", "nsgaii", "qmc"],
    )
    def test_a_resumed_sweep_goes_on_alike(self, node: DictConfig) -> None:
        """Twelve trials in one process, or five and then seven in another, are the same trials."""
        whole = _run(node, range(12))
        first = _run(node, range(5))
        halves = optuna.create_study()
        halves.add_trials(first.get_trials())
        for key, value in first._storage.get_study_system_attrs(first._study_id).items():
            halves._storage.set_study_system_attr(halves._study_id, key, value)
        _run(node, range(5, 12), halves)
        assert [trial.params for trial in halves.trials] == [trial.params for trial in whole.trials]
        assert len({trial.params["x"] for trial in whole.trials}) >= 5

    def test_qmc_is_one_sequence(self) -> None:
        """After the first trial, which is random, any eight in a row from the start have one point in each eighth."""
        study = _run(_node(official.QMCSamplerConfig, seed=3, scramble=True), range(9))
        assert sorted(int(8 * trial.params["x"]) for trial in study.trials[1:]) == list(range(8))

    def test_no_seed_differs(self) -> None:
        """Without a seed two sweeps differ."""
        node = _node(official.RandomSamplerConfig)
        assert _run(node, range(2)).trials[0].params != _run(node, range(2)).trials[0].params


def _fixing(base: dict[str, Any], **params: Any) -> DictConfig:
    """A sampler that fixes some values and asks another one for the rest."""
    target = "optuna.samplers.PartialFixedSampler"
    return OmegaConf.create({"_target_": target, "fixed_params": params, "base_sampler": base})


class TestNested:
    """Samplers in samplers."""

    @pytest.mark.parametrize("name", ["RandomSampler", "TPESampler"])
    def test_have_another_seed_in_each_trial(self, name: str) -> None:
        """As a sampler with the same seed that is not in another one."""
        base = {"_target_": f"optuna.samplers.{name}", "seed": 3}
        study, again = (_run(_fixing(base, y=0.5), range(6)) for _ in range(2))
        assert [trial.params for trial in study.trials] == [trial.params for trial in again.trials]
        assert len({trial.params["x"] for trial in study.trials}) == 6
        assert {trial.params["y"] for trial in study.trials} == {0.5}

    def test_are_those_of_the_space(self) -> None:
        """TPE in another sampler models conditional keys in groups, and what cannot search a space is refused."""
        base: dict[str, Any] = {"_target_": "optuna.samplers.TPESampler"}
        sampler = make_sampler(_fixing(base, k=0.5), trial_number=0, space=CONDITIONAL)
        assert vars(vars(sampler)["_base_sampler"])["_group"] is True
        base = {"_target_": "optuna.samplers.CmaEsSampler"}
        with pytest.raises(SweepError, match=r"cmaes cannot search keys under"):
            make_sampler(_fixing(base, k=0.5), trial_number=0, space=CONDITIONAL)

    def test_fixed_values_are_checked(self) -> None:
        """They are values of the space, and of keys that are searched; Optuna would fail during the sweep, or ignore them."""
        base = {"_target_": "optuna.samplers.RandomSampler"}
        with pytest.raises(
            SweepError, match=r"^hydra.sweeper.sampler.fixed_params: b must be one of 1, 2, but"
        ):
            make_sampler(_fixing(base, b=3), trial_number=0, space=CHOICES)
        with pytest.raises(
            SweepError, match=r"^hydra.sweeper.sampler.fixed_params names c, which is not sear"
        ):
            make_sampler(_fixing(base, c=3), trial_number=0, space=CHOICES)


class TestDefaults:
    """Options that are passed on, and those that are not."""

    def test_optunas_own(self) -> None:
        """The official dataclass would switch off multivariate TPE and the constant liar; neither happens."""
        sampler = make_sampler(_node(official.TPESamplerConfig), trial_number=0, space=NUMBERS)
        assert isinstance(sampler, TPESampler)
        assert (sampler._multivariate, sampler._constant_liar, sampler._group) == (None, True, False)

    def test_set_on_purpose(self) -> None:
        """Another value than the dataclass's is passed on, and so is the same one if it was set explicitly."""
        node = _node(official.TPESamplerConfig, n_startup_trials=3, multivariate=True)
        sampler = make_sampler(node, trial_number=0, space=NUMBERS)
        assert isinstance(sampler, TPESampler)
        assert (sampler._n_startup_trials, sampler._multivariate, sampler._constant_liar) == (3, True, True)
        sampler = make_sampler(node, trial_number=0, space=NUMBERS, explicit={"constant_liar"})
        assert isinstance(sampler, TPESampler)
        assert sampler._constant_liar is False

    def test_conditions_are_grouped(self) -> None:
        """TPE models conditional keys in groups, unless multivariate is switched off or there are two objectives."""
        node = _node(official.TPESamplerConfig)
        grouped = make_sampler(node, trial_number=0, space=CONDITIONAL)
        plain = make_sampler(node, trial_number=0, space=CONDITIONAL, explicit={"multivariate"})
        several = make_sampler(node, trial_number=0, space=CONDITIONAL, n_directions=2)
        assert [vars(sampler)["_group"] for sampler in (grouped, plain, several)] == [True, False, False]

    @pytest.mark.parametrize(
        ("node", "expected"),
        [
            (_node(official.RandomSamplerConfig), RandomSampler),
            (_node(official.NSGAIISamplerConfig, population_size=8), NSGAIISampler),
            (_node(official.NSGAIIISamplerConfig), NSGAIIISampler),
            (_node(official.QMCSamplerConfig), QMCSampler),
            (_node(official.GridSamplerConfig), RandomSampler),
            (
                OmegaConf.create({"_target_": "optuna.samplers.BruteForceSampler"}),
                optuna.samplers.BruteForceSampler,
            ),
        ],
    )
    def test_every_sampler(self, node: DictConfig, expected: type[Any]) -> None:
        """Each official sampler is made without a warning; a grid needs none; any of Optuna's may be named."""
        assert isinstance(make_sampler(node, trial_number=0, space=CHOICES), expected)

    def test_grid(self) -> None:
        """Only hydra/sweeper/sampler=grid is the grid."""
        assert is_grid(_node(official.GridSamplerConfig))
        assert not is_grid(_node(official.TPESamplerConfig))


REFUSED = [
    (_node(official.CmaEsSamplerConfig), CHOICES, 1, "cmaes searches numbers, but there are only choices"),
    (_node(official.CmaEsSamplerConfig), NUMBERS, 2, "cmaes supports one objective, but there are 2"),
    (
        _node(official.CmaEsSamplerConfig),
        CONDITIONAL,
        1,
        "cmaes cannot search keys under hydra.sweeper.conditions",
    ),
    (_node(official.GPSamplerConfig), CONDITIONAL, 1, "gp cannot search keys under"),
    (_node(official.QMCSamplerConfig), CONDITIONAL, 1, "qmc cannot search keys under"),
    (_node(official.QMCSamplerConfig, scramble=True), NUMBERS, 1, "requires hydra.sweeper.sampler.seed"),
    (_node(official.GridSamplerConfig), NUMBERS, 1, "grid requires a choice or a range for every key"),
    (_node(official.MOTPESamplerConfig), NUMBERS, 2, "the sampler was removed in Optuna 4.0"),
    (_node(official.TPESamplerConfig, seed=-1), NUMBERS, 1, "seed must be an integer"),
    (
        _node(official.QMCSamplerConfig, qmc_type="nets"),
        NUMBERS,
        1,
        "cannot be created from optuna.samplers.QMCSampler",
    ),
    (
        OmegaConf.create({"_target_": "os.system", "command": "true"}),
        NUMBERS,
        1,
        "names os.system, which a configuration may not call",
    ),
    (
        OmegaConf.create({"_target_": "optuna.samplers.CmaEsSampler._restore_optimizer"}),
        NUMBERS,
        1,
        "names optuna.samplers.CmaEsSampler._restore_optimizer, which a configuration may not call",
    ),
    (
        OmegaConf.create({"_target_": "optuna.samplers.No"}),
        NUMBERS,
        1,
        "names optuna.samplers.No, which a configuration may not call",
    ),
    (
        OmegaConf.create({"_target_": "optuna.samplers.TPESampler", "n": 1}),
        NUMBERS,
        1,
        "unexpected keyword argument 'n'",
    ),
]


@pytest.mark.parametrize(("node", "space", "n_directions", "words"), REFUSED)
def test_refused_before_any_trial(node: DictConfig, space: Any, n_directions: int, words: str) -> None:
    """A sampler that could not search the space, or cannot be made, is one sentence before any trial."""
    with pytest.raises(SweepError, match=words) as raised:
        make_sampler(node, trial_number=0, space=space, n_directions=n_directions)
    assert "\n" not in str(raised.value)
    assert str(raised.value).startswith("hydra")


@pytest.mark.parametrize(
    ("node", "packages"),
    [(_node(official.CmaEsSamplerConfig), ["cmaes"]), (_node(official.GPSamplerConfig), ["scipy", "torch"])],
)
def test_packages(node: DictConfig, packages: list[str]) -> None:
    """A sampler whose package is missing names it and the way to get it; with it, it is made."""
    missing = [package for package in packages if find_spec(package) is None]
    if missing:
        with pytest.raises(SweepError, match=rf"needs the package {missing[0]}.*pip install {missing[0]}"):
            make_sampler(node, trial_number=0, space=NUMBERS)
    else:
        assert type(make_sampler(node, trial_number=0, space=NUMBERS)).__name__ in node["_target_"]


def test_require() -> None:
    """An installed package is enough; one that is not is named."""
    require("optuna", "this", "that")
    with pytest.raises(
        SweepError, match=r"this needs the package no_such_package, which is not installed.*use that"
    ):
        require("no_such_package", "this", "that")


def test_two_objectives() -> None:
    """TPE takes two objectives and a conditional space without a word."""
    study = optuna.create_study(directions=["minimize", "maximize"])
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        for number in range(13):
            study.sampler = make_sampler(
                _node(official.TPESamplerConfig, seed=1),
                trial_number=number,
                space=CONDITIONAL,
                n_directions=2,
            )
            trial = study.ask()
            params = CONDITIONAL.suggest(trial)
            study.tell(trial, [params.get("k", 0.5), number])
    assert all(("k" in trial.params) == (trial.params["m"] == "b") for trial in study.trials)
    assert isinstance(CONDITIONAL.dimensions["k"], FloatDistribution)
