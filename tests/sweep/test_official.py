"""A configuration written for hydra-optuna-sweeper works with `hydra/sweeper: study`, and nothing else, changed."""

import logging
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import optuna
import pytest
from omegaconf import DictConfig, OmegaConf

from flowersweep.errors import SweepError, SweepStoppedError
from flowersweep.sweep.official import tell_differences, write_results
from flowersweep.sweep.schema import PRUNERS, AutoSamplerConf, StudySweeperConf
from flowersweep.sweep.settings import Settings, make_plan, read_settings, sweep_settings, with_budget
from flowersweep.sweep.space.build_space import build_space
from flowersweep.sweep.storage.storage import open_storage

BOTH = pytest.mark.parametrize("sweeper", ["optuna", "study"])
Sweep = Callable[..., None]


@pytest.fixture
def sweep(official_app: Any, monkeypatch: pytest.MonkeyPatch) -> Sweep:
    """Run a sweep of the program in this process, with the named sweeper."""
    return lambda *arguments: official_app.sweep(monkeypatch, *arguments)


def study() -> optuna.Study:
    """The study of the current folder."""
    return optuna.load_study(study_name=None, storage=open_storage(None, Path("mlruns")))


def results() -> Any:
    """The file of results, with its content as plain values."""
    return OmegaConf.to_container(OmegaConf.load("sweep/optimization_results.yaml"))


def _loaded(found: Any) -> optuna.Study:
    return optuna.load_study(study_name=found.study_name, storage=open_storage(None, Path("mlruns")))


class TestResults:
    @pytest.mark.slow
    @BOTH
    def test_one_objective(self, sweep: Sweep, sweeper: str) -> None:
        """The file has the best trial; a deleted key and a fixed one are no params."""
        sweep(sweeper, "~z", "y=0", "x=choice(1,2,3)", "hydra.sweeper.n_trials=3")
        found = results()
        assert list(found) == ["name", "best_params", "best_value"]
        assert (found["name"], list(found["best_params"])) == ("optuna", ["x"])
        assert found["best_value"] == float(found["best_params"]["x"]) ** 2
        if sweeper == "study":
            trials = study().trials
            assert [(trial.params["x"], trial.value) for trial in trials] == [
                (trial.params["x"], trial.params["x"] ** 2) for trial in trials
            ]
            assert found["best_value"] == min(trial.value or 0.0 for trial in trials) == 1.0

    @pytest.mark.slow
    @BOTH
    def test_two_objectives(self, sweep: Sweep, sweeper: str) -> None:
        """The file has the Pareto set, in which no trial dominates another one."""
        several = "objectives=2", "hydra.sweeper.direction=[minimize,minimize]"
        sweep(sweeper, *several, "hydra/sweeper/sampler=random", "hydra.sweeper.n_trials=3")
        found = results()
        assert list(found) == ["name", "solutions"]
        for one in found["solutions"]:
            assert list(one) == ["params", "values"]
            assert list(one["params"]) == ["x", "y"]
            for other in found["solutions"]:
                assert one["values"] == other["values"] or not all(
                    map(float.__le__, one["values"], other["values"])
                )
        if sweeper == "study":
            assert len(found["solutions"]) == len(study().best_trials)

    @pytest.mark.slow
    @BOTH
    def test_a_function_adds_values(self, sweep: Sweep, sweeper: str) -> None:
        """What the function suggests reaches the trial and the file, under its own key, and sees the fixed values."""
        added = "hydra.sweeper.custom_search_space=official_app.configure"
        sweep(sweeper, added, "y=0", "hydra.sweeper.n_trials=2")
        found = results()
        best = found["best_params"]
        assert set(best) == {"x", "z", "+w"}
        assert abs(best["x"] - best["z"]) <= 0.3
        assert found["best_value"] == pytest.approx(sum(value**2 for value in best.values()))

    @pytest.mark.slow
    @pytest.mark.parametrize("launcher", ["basic", "joblib"])
    def test_several_workers(self, sweep: Sweep, launcher: str) -> None:
        """Without a launcher of processes and with one, two workers run all trials, with what the function adds."""
        added = "hydra.sweeper.custom_search_space=official_app.configure"
        sweep("study", added, f"hydra/launcher={launcher}", "hydra.sweeper.n_jobs=2")
        trials = study().trials
        assert [trial.state.name for trial in trials] == ["COMPLETE"] * 4
        assert {frozenset(trial.params) for trial in trials} == {frozenset({"x", "y", "z", "+w"})}

    def test_nothing_without_a_complete_trial(self, tmp_path: Path) -> None:
        """A sweep in which everything failed has no results."""
        empty = optuna.create_study()
        empty.tell(empty.ask(), state=optuna.trial.TrialState.FAIL)
        write_results(empty, build_space([]), tmp_path)
        assert list(tmp_path.iterdir()) == []

    def test_keys_as_in_an_override(self, tmp_path: Path) -> None:
        """A searched key that is added has its plus, so that the values can be given to a run."""
        space = build_space(["+w=1,2"])
        done = optuna.create_study()
        trial = done.ask()
        space.suggest(trial)
        done.tell(trial, 1.0)
        write_results(done, space, tmp_path)
        text = (tmp_path / "optimization_results.yaml").read_text(encoding="utf-8")
        assert text == f"name: optuna\nbest_params:\n  +w: {trial.params['w']}\nbest_value: 1.0\n"


@pytest.mark.slow
class TestStudies:
    def test_a_name_without_a_storage(self, sweep: Sweep, capsys: pytest.CaptureFixture[str]) -> None:
        """With another search, a study that is named but not stored by its user is a new one; each can be continued."""
        for arguments in (("x=1", "y=0"), ("x=2", "y=0"), ("x=2", "y=0")):
            sweep("study", *arguments, "hydra.sweeper.n_trials=1")
        storage = open_storage(None, Path("mlruns"))
        found = {one.study_name: one.trials for one in map(_loaded, storage.get_all_studies())}
        assert {name: [trial.value for trial in trials] for name, trials in found.items()} == {
            "sphere": [2.0],
            "sphere-2": [5.0],
        }
        assert capsys.readouterr().out.count("Study sphere-2: 1 complete") == 2

    def test_a_name_in_a_storage(self, sweep: Sweep) -> None:
        """A study in a storage of its user is never replaced by another one."""
        sweep("study", "x=1", "y=0", "hydra.sweeper.storage=sqlite:///own.db")
        with pytest.raises(SweepError, match=r"x was 1, and is now 2\."):
            sweep("study", "x=2", "y=0", "hydra.sweeper.storage=sqlite:///own.db")


class TestRefused:
    @pytest.mark.parametrize(
        ("arguments", "said"),
        [
            (("z=3",), "suggests z, which has the fixed value 3; leave out one of the two."),
            (("hydra/sweeper/sampler=grid",), "sampler=grid requires a choice or a range for every key"),
            (("hydra.sweeper.params.x=null",), "custom_search_space failed: KeyError: 'x'"),
        ],
    )
    def test_functions(self, sweep: Sweep, arguments: tuple[str, ...], said: str) -> None:
        """A function that does not fit the search is refused before there is a study."""
        with pytest.raises(SweepError) as raised:
            sweep("study", "hydra.sweeper.custom_search_space=official_app.configure", *arguments)
        assert said in str(raised.value)
        assert not Path("mlruns/optuna.db").exists()

    @pytest.mark.parametrize(
        ("name", "said"), [("official_app.missing", "missing"), ("os.system", "not allowed|not in|os.system")]
    )
    def test_names(self, sweep: Sweep, name: str, said: str) -> None:
        """A function that does not exist, or that the program does not allow, is one sentence."""
        with pytest.raises(SweepError, match=said) as raised:
            sweep("study", f"hydra.sweeper.custom_search_space={name}")
        assert f"hydra.sweeper.custom_search_space={name} cannot be used" in str(raised.value)
        assert "\n" not in str(raised.value)


@pytest.mark.slow
class TestFailures:
    def test_no_failure_is_allowed(self, sweep: Sweep) -> None:
        """The first failure ends a sweep that allows none, and there are no results."""
        with pytest.raises(SweepStoppedError, match=r"RuntimeError: cfg.fails is True"):
            sweep("study", "fails=true", "x=1")
        assert [trial.state.name for trial in study().trials] == ["FAIL"]
        assert not Path("sweep/optimization_results.yaml").exists()


def _config(**values: Any) -> DictConfig:
    nodes = {"sampler": AutoSamplerConf(), "pruner": PRUNERS["none"]()}
    node = OmegaConf.structured(StudySweeperConf(**{**nodes, **values}))
    return OmegaConf.create({"hydra": {"sweeper": node}})


def _settings(**values: Any) -> Settings:
    return sweep_settings(_config(**values))


class TestDefaults:
    def test_direction(self) -> None:
        """A program that names no objective minimizes."""
        assert _settings().directions == ("minimize",)

    def test_trials(self) -> None:
        """Without a number of trials, a search of such a program has twenty, and a grid all its points."""
        endless, finite = build_space(["x=interval(0,1)"]), build_space(["x=1,2"])
        config = _config()
        settings = sweep_settings(config)
        assert with_budget(settings, endless, config).n_trials == 20
        assert with_budget(settings, finite, config).n_trials is None
        named = OmegaConf.merge(config, {"objective": {"metric": "best/val_accuracy", "also": []}})
        assert isinstance(named, DictConfig)
        assert with_budget(settings, endless, named).n_trials is None

    def test_no_params(self) -> None:
        """Params may be null, as in the official sweeper's configuration."""
        assert read_settings(_config(params=None).hydra.sweeper).params == {}

    def test_old_spelling(self) -> None:
        """search_space becomes params; both together are refused."""
        old = {"x": {"type": "float", "low": 0, "high": 1}}
        assert _settings(search_space=old).params == {"x": "interval(0.0,1.0)"}
        with pytest.raises(SweepError, match=r"older spelling of hydra.sweeper.params; leave one"):
            _settings(search_space=old, params={"x": "1,2"})


class TestMessages:
    def test_what_differs_is_told(self, caplog: pytest.LogCaptureFixture) -> None:
        """The old spelling, the default number of trials and the excluded stop are told, one line each."""
        old = {
            "x": {"type": "float", "low": 0, "high": 1, "step": 0.5},
            "y": {"type": "float", "low": 0, "high": 1},
        }
        config = _config(search_space=old)
        given = sweep_settings(config)
        space = build_space([], given.params)
        settings = with_budget(given, space, config)
        with caplog.at_level(logging.INFO):
            tell_differences(given, settings, make_plan(settings, space), space)
        assert [record.getMessage() for record in caplog.records] == [
            "hydra.sweeper.search_space is an old spelling; write hydra.sweeper.params instead:\n  x: range(0.0,1.5,0.5)\n  y: interval(0.0,1.0)",
            "hydra.sweeper.n_trials is not set; this study has 20 trials.",
            "The stop of a range is excluded; the largest values are x=1.0 (hydra-optuna-sweeper before 1.4 included it).",
        ]

    def test_a_part_of_the_grid(self, caplog: pytest.LogCaptureFixture) -> None:
        """Where the official sweeper would search, the order of the grid is told; where nothing differs, nothing is."""
        space = build_space(["a=1,2,3"])
        with caplog.at_level(logging.INFO):
            for n_trials in (2, 3):
                settings = _settings(n_trials=n_trials)
                tell_differences(settings, settings, make_plan(settings, space), space)
        assert [record.getMessage() for record in caplog.records] == [
            "The first 2 of 3 points of the grid are run, in their order; hydra/sweeper/sampler=tpe would search them."
        ]


@pytest.mark.slow
def test_neither_tensorflow_nor_mlflow_is_imported(tmp_path: Path, official_app: Any) -> None:
    """Neither a sweep of another program nor its training process imports Keras, TensorFlow or, untracked, MLflow."""
    environment = {**os.environ, "PYTHONPROFILEIMPORTTIME": "1"}
    command = [sys.executable, official_app.__file__, "--multirun", "x=1", "y=0", "hydra.sweeper.n_trials=1"]
    done = subprocess.run(
        command, cwd=tmp_path, env=environment, capture_output=True, text=True, check=True, timeout=120
    )
    trainings = Path("sweep/training.log").read_text(encoding="utf-8")
    for log in (done.stderr, trainings):
        imported = {line.rpartition("|")[2].strip() for line in log.splitlines() if "import time:" in line}
        assert "hydra.core.utils" in imported  # the log is of the process that is meant
        top = {name.partition(".")[0] for name in imported}
        assert not top & {"tensorflow", "keras", "mlflow", "ai_edge_litert", "matplotlib", "plotly", "scipy"}
    assert "optuna" not in {line.rpartition("|")[2].strip() for line in trainings.splitlines()}
