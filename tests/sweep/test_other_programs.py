"""Sweeps of a program that is not flowersweep: its runs in MLflow, its objectives, and what it cannot have."""

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import optuna
import pytest
from omegaconf import OmegaConf

from flowersweep.errors import SweepError, TrackingError
from flowersweep.sweep.runs import (
    Runs,
    experiment_name,
    open_store,
    other_runs,
    own_runs,
    results_folder,
    runs_of,
)
from flowersweep.sweep.settings import objectives
from flowersweep.sweep.storage.storage import open_storage
from flowersweep.tracking.mlflow_api import client
from flowersweep.tracking.selection import STUDIES, children_of, find_study, search
from flowersweep.tracking.store.store import Store, prepare_store

Sweep = Callable[..., None]
NAMED = "hydra.sweeper.direction={accuracy: maximize}"
TWO = """
import hydra

@hydra.main(config_path=None)
def main(cfg):
    return {result}

main()
"""
RESOLVERS = """
import hydra
import helper
from omegaconf import OmegaConf

OmegaConf.register_resolver("set", lambda: helper.number)

@hydra.main(config_path=None)
def main(cfg):
    return float(cfg.set + cfg.fixed)

if __name__ == "__main__":
    helper.number = 10
    main()
"""
HELPER = """
from omegaconf import OmegaConf
{more}
number, fixed = 1, 5
OmegaConf.register_resolver("fixed", {resolver})
"""
LOCK = "import threading\nlock = threading.Lock()"
CONFIG = OmegaConf.create({"hydra": {"job": {"name": "train"}}, "tracking": {"dir": "kept"}})


@pytest.fixture
def sweep(app: Any, monkeypatch: pytest.MonkeyPatch) -> Sweep:
    """Run a sweep of it in this process."""
    return lambda *arguments: app.sweep(monkeypatch, *arguments)


class TestPlace:
    """Where the runs of another program are."""

    @pytest.mark.parametrize(
        ("variables", "tracking", "found"),
        [
            ({}, None, None),
            ({"MLFLOW_TRACKING_URI": ""}, None, None),
            ({"MLFLOW_EXPERIMENT_NAME": "mine"}, None, None),
            ({"MLFLOW_TRACKING_URI": "http://h:5"}, "none", None),
            ({}, "mlflow", (None, "train", None)),
            ({"MLFLOW_TRACKING_URI": "http://h:5"}, None, ("http://h:5", "train", None)),
            (
                {"MLFLOW_TRACKING_URI": "http://h:5", "MLFLOW_EXPERIMENT_NAME": "m"},
                None,
                ("http://h:5", "m", None),
            ),
            ({"MLFLOW_EXPERIMENT_ID": "7"}, "mlflow", (None, "", "7")),
        ],
    )
    def test_comes_from_the_environment(
        self,
        variables: dict[str, str],
        tracking: str | None,
        found: tuple[str | None, str, str | None] | None,
        monkeypatch: pytest.MonkeyPatch,
    ) -> None:
        """Runs are recorded if MLFLOW_TRACKING_URI has an address, or if it is asked for; the experiment is the program's name."""
        for name in ("MLFLOW_TRACKING_URI", "MLFLOW_EXPERIMENT_NAME", "MLFLOW_EXPERIMENT_ID"):
            monkeypatch.delenv(name, raising=False)
        for name, value in variables.items():
            monkeypatch.setenv(name, value)
        runs = other_runs(CONFIG, tracking)
        assert (runs and (runs.uri, runs.experiment, runs.experiment_id)) == found
        assert runs is None or runs.directory == Path.cwd() / "kept"

    @pytest.mark.parametrize(
        ("tracking", "wanted"), [("mlflow", "hydra.sweeper.tracking=mlflow"), (None, "MLFLOW_TRACKING_URI")]
    )
    def test_needs_mlflow(self, tracking: str | None, wanted: str, monkeypatch: pytest.MonkeyPatch) -> None:
        """Without the package, the message says what asks for it, how to install it, and how to do without."""
        monkeypatch.setitem(sys.modules, "mlflow", None)
        monkeypatch.setenv("MLFLOW_TRACKING_URI", "http://h:5")
        with pytest.raises(
            SweepError, match=rf"^{wanted} needs MLflow, .* pip install 'flowersweep\[mlflow\]', or"
        ):
            other_runs(CONFIG, tracking)
        assert other_runs(CONFIG, "none") is None

    def test_an_address_that_is_none(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        """The message names the variable and how to do without."""
        monkeypatch.setenv("MLFLOW_TRACKING_URI", "ftp://nowhere")
        monkeypatch.chdir(tmp_path)
        with pytest.raises(
            TrackingError, match=r"store of MLFLOW_TRACKING_URI; with hydra.sweeper.tracking=none"
        ):
            open_store(other_runs(CONFIG, None))

    @pytest.mark.parametrize(
        "node", ["x", ["x"], 3, None, {}, {"dir": ["x"], "metric": {"name": "x"}, "experiment": 1}]
    )
    def test_is_the_usual_one_if_the_program_calls_something_else_so(self, node: Any) -> None:
        """What it has under the names of flowersweep's own keys is not mistaken for these."""
        config = OmegaConf.create({"tracking": node, "objective": node, "hydra": {"job": {"name": "train"}}})
        assert results_folder(config) == Path("mlruns")
        assert own_runs(config) is None
        assert objectives(config) == []

    def test_is_that_of_the_configuration_for_trainings_of_its_own(self) -> None:
        """Flowersweep's own program has groups for this, and refuses the setting."""
        config = OmegaConf.create({"tracking": {"dir": "kept", "uri": None, "experiment": "e"}})
        assert runs_of(config, None, {"e"}) == Runs(Path("kept"), None, "e")
        with pytest.raises(SweepError, match=r"^hydra.sweeper.tracking=none is for programs of your own"):
            runs_of(config, "none", {"e"})

    @pytest.mark.parametrize(
        ("name", "why"),
        [
            ("f1 @ 5", "has a name of 1 to 250 letters"),
            ("a" * 251, "has a name of 1 to 250 letters"),
            ("a, b", "has a name of 1 to 250 letters"),
            ("mean", "another metric of that name"),
            ("rank", "another metric of that name"),
            ("searched/x", "another metric of that name"),
        ],
    )
    def test_objectives_that_cannot_be_recorded(self, name: str, why: str) -> None:
        """They are refused in one sentence, unless no runs are stored."""
        with pytest.raises(
            SweepError, match=rf"^The objective '.*' of hydra.sweeper.direction .*{why}.*tracking=none.$"
        ):
            runs_of(CONFIG, "mlflow", set(), ["accuracy", name])
        assert runs_of(CONFIG, "none", set(), [name]) is None


def _runs(store: Store) -> tuple[Any, list[Any]]:
    (study,) = search(store, STUDIES)
    return study, children_of(store, study)


@pytest.mark.slow
def test_trials_in_mlflow(sweep: Sweep, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each trial has a run below that of the study, with params, reports, objective and state; the program logs to the same."""
    store = prepare_store(tmp_path / "store")
    monkeypatch.setenv("MLFLOW_TRACKING_URI", store.uri)
    sweep(
        "kind=with_mlflow",
        "x=0.1,0.2,0.3,0.4",
        NAMED,
        "seed=0",
        "hydra.sweeper.study_name=other",
        "+tracking.log_figures=false",
    )

    study, runs = _runs(store)
    assert study.info.status == "FINISHED"
    assert study.data.tags["study.goal"] == "maximize accuracy"
    assert client(store.uri).get_experiment(study.info.experiment_id).name == "small_app"
    assert (
        "    python small_app.py kind=with_mlflow x=0.2 seed=0 +tracking.log_figures=false\n"
        in study.data.tags["mlflow.note.content"]
    )
    ends = [(run.info.status, run.data.tags["trial.state"]) for run in runs]
    assert ends == [
        ("FINISHED", "COMPLETE"),
        ("FINISHED", "COMPLETE"),
        ("FAILED", "FAIL"),
        ("FINISHED", "PRUNED"),
    ]
    assert [run.data.params["x"] for run in runs] == ["0.1", "0.2", "0.3", "0.4"]
    assert [run.data.metrics["mine"] for run in runs] == [7, 8, 8, 8]
    assert [run.data.metrics.get("accuracy") for run in runs] == [0.1, 0.2, None, None]
    assert [run.data.metrics.get("rank") for run in runs] == [2, 1, None, None]
    reported = client(store.uri).get_metric_history(runs[3].info.run_id, "reported")
    assert [(one.step, one.value) for one in reported] == [(1, 0.4), (2, 0.8)]
    assert runs[2].data.tags["failure"] == "ValueError: no such layer"
    assert len(client(store.uri).search_runs([study.info.experiment_id])) == 5
    with pytest.raises(TrackingError, match=r"study 'other' are not .* `python small_app.py`, for which"):
        find_study(store, "other")


@pytest.mark.slow
def test_without_tracking(app: Any, sweep: Sweep, monkeypatch: pytest.MonkeyPatch) -> None:
    """No package that the program does not need is imported, its variables are its own, and nothing is stored in MLflow."""
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "http://nowhere.invalid")
    sweep("kind=without_mlflow", "x=0.1,0.2", "hydra.sweeper.tracking=none")
    assert [trial.state.name for trial in app.study().trials] == ["COMPLETE", "COMPLETE"]


def test_the_official_sweeper(app: Any, sweep: Sweep, capsys: pytest.CaptureFixture[str]) -> None:
    """Under it, a program has no trial of flowersweep's: it can switch without a change."""
    Path("results").mkdir()
    app.configure(hydra={key: value for key, value in app.NODE["hydra"].items() if key != "sweeper"})
    sweep("hydra/sweeper=optuna", "kind=plain", "x=0.1,0.2", "hydra.sweeper.n_trials=2")
    assert [mark[0] for mark in app.beginnings()] == [-1, -1]
    assert "Traceback" not in capsys.readouterr().err


def test_repeats_are_refused(app: Any, sweep: Sweep) -> None:
    """Flowersweep can repeat its own trainings only; nothing is started."""
    with pytest.raises(SweepError, match=r"n_repeats=3 repeats flowersweep's own trainings; .* seed=0,1,2"):
        sweep("x=0.1,0.2", "hydra.sweeper.n_repeats=3")
    assert app.beginnings() == []


def test_an_experiment_given_by_its_id(tmp_path: Path) -> None:
    """Its name is looked up."""
    store = prepare_store(tmp_path)
    key = client(store.uri).create_experiment("mine")
    assert experiment_name(Runs(tmp_path, None, "", key), store) == "mine"
    assert experiment_name(None, None) is None


@pytest.mark.slow
@pytest.mark.parametrize("n_jobs", [1, 2])
@pytest.mark.parametrize(
    ("more", "resolver", "value"),
    [("", "lambda: number + fixed", 16.0), (LOCK, "lambda: fixed + lock.locked()", 6.0)],
    ids=["by value", "by module"],
)
def test_resolvers(tmp_path: Path, n_jobs: int, more: str, resolver: str, value: float) -> None:
    """They know what the start has set; if one of them cannot be sent, as with a lock, all are those of the imported modules."""
    (tmp_path / "program.py").write_text(RESOLVERS, encoding="utf-8")
    (tmp_path / "helper.py").write_text(HELPER.format(more=more, resolver=resolver), encoding="utf-8")
    keys = ["+set=${set:}", "+fixed=${fixed:}", "+x=1,2"]
    assert _values("program", tmp_path, *keys, f"hydra.sweeper.n_jobs={n_jobs}") == [[value, value]]


@pytest.mark.slow
def test_two_programs_in_a_folder(tmp_path: Path) -> None:
    """The same command of another program is another study, although their configurations are equal."""
    for name, result in (("svm", "1.0"), ("forest", "2.0")):
        (tmp_path / f"{name}.py").write_text(TWO.format(result=result), encoding="utf-8")
    assert _values("svm", tmp_path, "+x=1,2") == [[1.0, 1.0]]
    assert _values("forest", tmp_path, "+x=1,2") == [[1.0, 1.0], [2.0, 2.0]]
    assert _values("svm", tmp_path, "+x=1,2") == [[1.0, 1.0], [2.0, 2.0]]


def _values(program: str, folder: Path, *arguments: str) -> list[list[float | None]]:
    """Run a sweep of a program, and return the values of the trials of each study in its folder."""
    command = [sys.executable, f"{program}.py", "--multirun", "hydra/sweeper=study", *arguments]
    subprocess.run(command, cwd=folder, check=True)
    storage = open_storage(None, folder / "mlruns")
    names = optuna.get_all_study_names(storage)
    studies = [optuna.load_study(study_name=name, storage=storage) for name in names]
    return sorted([trial.value for trial in study.trials] for study in studies)


@pytest.mark.parametrize(
    ("searched", "said"),
    [
        (
            "kindd=plain,two",
            r"There is no key 'kindd' in this configuration. Did you mean kind\? See --cfg job for",
        ),
        ("learning_rate=1,2", r"There is no key 'learning_rate' in this configuration. See --cfg job for"),
        ("bank.engine=1,2", r"There is no key 'bank.engine' in this configuration. See --cfg job for"),
    ],
)
def test_suggestions_are_its_own_keys(sweep: Sweep, searched: str, said: str) -> None:
    """What flowersweep's own configuration has is of no use to another program."""
    with pytest.raises(SweepError, match=said):
        sweep(searched, NAMED)


@pytest.mark.slow
def test_only_what_can_go_on_is_said_to_go_on(sweep: Sweep, caplog: pytest.LogCaptureFixture) -> None:
    """More trials than a grid has points are none; the first points of one are followed by the others."""
    command = ["x=0.1,0.2", "hydra.sweeper.direction=maximize", "hydra.sweeper.study_name=g"]
    command.append("hydra.sweeper.storage=sqlite:///g.db")
    caplog.set_level("INFO", "flowersweep.sweep.run")
    for more in (["hydra.sweeper.n_trials=1"], [], ["hydra.sweeper.n_trials=9"]):
        for _ in range(2):
            sweep(*command, *more)
    assert list(dict.fromkeys(text for text in caplog.messages if "is done" in text)) == [
        "Study 'g' is done: 1 trial. A larger hydra.sweeper.n_trials continues it; another hydra.sweeper.study_name starts a new one.",
        "Study 'g' is done: 2 trials. These are all points of the grid; another hydra.sweeper.study_name starts a new one.",
    ]
