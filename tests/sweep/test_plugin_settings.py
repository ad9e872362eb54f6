"""The settings of a sweep are checked before any trial, and say what it is going to do."""

from dataclasses import replace
from typing import Any

import pytest
from omegaconf import DictConfig, OmegaConf

from flowersweep.errors import SweepError
from flowersweep.sweep.schema import PRUNERS, AutoSamplerConf, StudySweeperConf
from flowersweep.sweep.settings import Plan, Settings, make_plan, read_settings
from flowersweep.sweep.space.build_space import build_space
from hydra_plugins.hydra_optuna_sweeper import config as official

FINITE = build_space(["a=x,y", "b=range(3)"])
ENDLESS = build_space(["a=x,y", "lr=interval(0,1)"])


def _node(**values: Any) -> DictConfig:
    groups = {"sampler": official.TPESamplerConfig(), "pruner": PRUNERS["none"]()}
    node = OmegaConf.structured(StudySweeperConf(**{**groups, **values}))
    assert isinstance(node, DictConfig)
    return node


def _settings(**values: Any) -> Settings:
    return read_settings(_node(**values))


class TestSettings:
    """What `hydra.sweeper` says by itself."""

    def test_typed(self) -> None:
        """Values come as plain Python, directions always as a tuple."""
        settings = _settings(n_trials=7, timeout=60.5, params={"x": "1,2"}, enqueue=[{"x": 1}])
        assert (settings.n_trials, settings.timeout, settings.directions) == (7, 60.5, ("minimize",))
        assert (settings.params, settings.enqueue) == ({"x": "1,2"}, [{"x": 1}])

    def test_null_is_no_default(self) -> None:
        """No limit, where the default is one, stays no limit."""
        assert _settings().max_failures_in_a_row == 5
        assert _settings(max_failures_in_a_row=None).max_failures_in_a_row is None

    @pytest.mark.parametrize("name", ["sampler", "pruner"])
    @pytest.mark.parametrize("value", [None, "tpe", ["tpe"], "???"])
    def test_groups(self, name: str, value: Any) -> None:
        """A value in place of the keys of a sampler or pruner is refused in a sentence that says how to choose one."""
        with pytest.raises(
            SweepError, match=rf"^hydra.sweeper.{name} must be a choice.* hydra/sweeper/{name}=\w+, but is"
        ):
            _settings(**{name: value})

    def test_a_missing_option(self) -> None:
        """An option that is ??? is named."""
        with pytest.raises(
            SweepError, match=r"^hydra.sweeper.sampler.seed is \?\?\?, which stands for a missing"
        ):
            _settings(sampler=OmegaConf.create({"_target_": "optuna.samplers.TPESampler", "seed": "???"}))

    @pytest.mark.parametrize(
        ("direction", "expected"),
        [
            ("minimize", ("minimize",)),
            (["minimize", "maximize"], ("minimize", "maximize")),
            (official.Direction.minimize, ("minimize",)),
            ([official.Direction.maximize], ("maximize",)),
        ],
    )
    def test_directions(self, direction: Any, expected: tuple[str, ...]) -> None:
        """One direction or a list, as text or as the official sweeper's enum."""
        settings = _settings(direction=direction)
        assert (settings.directions, settings.names) == (expected, ())

    def test_named_directions(self) -> None:
        """A dict gives the objectives their names, in its order."""
        settings = _settings(direction={"loss": "minimize", "accuracy": "maximize"})
        assert settings.directions == ("minimize", "maximize")
        assert settings.names == ("loss", "accuracy")

    @pytest.mark.parametrize(
        ("values", "words"),
        [
            ({"n_trials": 0}, "hydra.sweeper.n_trials must be at least 1, but is 0"),
            ({"n_trials": -3}, "n_trials must be at least 1, but is -3"),
            ({"n_jobs": 0}, "n_jobs must be at least 1, but is 0"),
            ({"n_repeats": 0}, "n_repeats must be at least 1"),
            ({"timeout": 0.0}, "timeout must be more than 0, but is 0.0"),
            ({"max_failures": 0}, "max_failures must be at least 1"),
            ({"max_failure_rate": 1.5}, "max_failure_rate must be at least 0 and at most 1, but is 1.5"),
            ({"max_retries": -1}, "max_retries must be at least 0"),
            ({"trials_per_process": 0}, "trials_per_process must be at least 1"),
            ({"storage_patience": -1}, "storage_patience must be at least 0"),
            ({"on_mismatch": "ignore"}, "on_mismatch must be one of error, new, but is 'ignore'"),
            (
                {"direction": "up"},
                "direction must be minimize or maximize, or a list or a dict of these, but contains 'up'",
            ),
            ({"direction": ["minimize", "down"]}, "but contains 'down'"),
            ({"direction": []}, "but contains 'no entry'"),
            ({"direction": {}}, "but contains 'no entry'"),
            ({"direction": {"loss": "down"}}, "but contains 'down'"),
            ({"tracking": "wandb"}, "tracking must be one of mlflow, none, but is 'wandb'"),
            ({"study_name": "../x"}, "no empty parts, '.' or '..', but is '../x'"),
            ({"study_name": "/x"}, "but is '/x'"),
            ({"study_name": "ü" * 128}, "at most 255 bytes between slashes"),
            ({"enqueue": [1]}, "enqueue must be a list of points such as {model: cnn}, but contains 1"),
        ],
    )
    def test_bad_values(self, values: dict[str, Any], words: str) -> None:
        """A value out of range is one sentence with what is allowed."""
        with pytest.raises(SweepError) as raised:
            _settings(**values)
        assert words in str(raised.value)
        assert "\n" not in str(raised.value)

    def test_all_at_once(self) -> None:
        """Every problem has its line."""
        with pytest.raises(SweepError) as raised:
            _settings(n_trials=0, n_jobs=0, direction="up")
        assert len(str(raised.value).splitlines()) == 3


class TestPlan:
    """What the settings mean for a space."""

    GRID = official.GridSamplerConfig()

    @pytest.mark.parametrize(
        ("values", "plan"),
        [
            ({}, Plan(is_grid=True, n_trials=6, enqueue=())),
            ({"n_trials": 4}, Plan(is_grid=False, n_trials=4, enqueue=())),
            ({"n_trials": 40}, Plan(is_grid=False, n_trials=40, enqueue=())),
            ({"sampler": GRID}, Plan(is_grid=True, n_trials=6, enqueue=())),
            ({"sampler": GRID, "n_trials": 4}, Plan(is_grid=True, n_trials=4, enqueue=())),
            ({"sampler": GRID, "n_trials": 40}, Plan(is_grid=True, n_trials=6, enqueue=())),
        ],
    )
    def test_finite(self, values: dict[str, Any], plan: Plan) -> None:
        """Without n_trials a finite space is a grid; the grid sampler makes it one anyway, cut short by n_trials."""
        assert make_plan(_settings(**values), FINITE) == plan

    @pytest.mark.parametrize(
        ("sampler", "more", "explicit", "expected"),
        [
            (AutoSamplerConf(), {}, (), True),
            (AutoSamplerConf(), {}, ("seed",), False),
            (AutoSamplerConf(), {}, ("n_startup_trials",), False),
            (AutoSamplerConf(n_startup_trials=3), {}, (), False),
            (AutoSamplerConf(), {"enqueue": [{"b": 1}]}, (), False),
            (official.TPESamplerConfig(), {}, (), False),
            (official.RandomSamplerConfig(), {}, (), False),
            (official.GridSamplerConfig(), {}, (), True),
        ],
    )
    def test_a_sampler_that_was_chosen(
        self, sampler: Any, more: dict[str, Any], explicit: tuple[str, ...], expected: Any
    ) -> None:
        """n_trials makes a sampler of a grid only if a sampler, one of its options or points to try first are named."""
        plan = make_plan(
            replace(_settings(sampler=sampler, n_trials=40, **more), explicit=frozenset(explicit)), FINITE
        )
        assert (plan.is_grid, plan.n_trials) == ((True, 6) if expected else (False, 40))

    def test_endless(self) -> None:
        """An interval needs n_trials, and the message says how to give it."""
        assert make_plan(_settings(n_trials=9), ENDLESS) == Plan(is_grid=False, n_trials=9, enqueue=())
        with pytest.raises(SweepError, match=r"lr is searched in an interval.*hydra.sweeper.n_trials=30"):
            make_plan(_settings(), ENDLESS)

    def test_nothing_searched(self) -> None:
        """A sweep without a search is one trial."""
        assert make_plan(_settings(), build_space(["a=1"])).n_trials == 1

    def test_points(self) -> None:
        """Points are stored as the study knows them; a bad one is named by its number before any trial."""
        space = build_space(["a=[1],[2]", "lr=interval(0,1)"])
        plan = make_plan(_settings(n_trials=3, enqueue=[{"a": [2]}, {"lr": 1}]), space)
        assert plan.enqueue == ({"a": "[2]"}, {"lr": 1.0})
        with pytest.raises(SweepError) as raised:
            make_plan(_settings(n_trials=3, enqueue=[{"a": [2]}, {"lr": 3}, {"b": 1}]), space)
        assert [line.partition(":")[0] for line in str(raised.value).splitlines()] == [
            "hydra.sweeper.enqueue, point 2",
            "hydra.sweeper.enqueue, point 3",
        ]

    def test_sampler_and_pruner_are_tried(self) -> None:
        """What cannot be made is told before any trial."""
        with pytest.raises(SweepError, match="grid requires a choice or a range"):
            make_plan(_settings(sampler=self.GRID), ENDLESS)
        with pytest.raises(SweepError, match="MedianPruner compares one objective"):
            make_plan(_settings(pruner=PRUNERS["median"](), direction=["minimize", "maximize"]), FINITE)
