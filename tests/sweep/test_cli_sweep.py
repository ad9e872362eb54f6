"""`python -m flowersweep --multirun` with bad input: a sentence before any trial."""

import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import optuna
import pytest

from flowersweep import cli
from flowersweep.errors import EXIT_BAD_INPUT
from flowersweep.sweep.storage.storage import open_storage
from flowersweep.tracking.mlflow_api import client
from flowersweep.tracking.store.store import experiment_id, prepare_store, sqlite_uri

Outcome = tuple[int, str]
TYPED = "hydra.sweeper."
LR = "optimizer.learning_rate=interval(0.0001,0.01)"
FIVE = f"{TYPED}n_trials=5"

# What is typed after --multirun, and what the one sentence about it must say.
BAD_INPUT = {
    "nothing ends an interval": ([LR], "hydra.sweeper.n_trials=30"),
    "empty range": (["trainer.epochs=range(5,5)"], "trainer.epochs=range(5,5) cannot be searched"),
    "interval upside down": (["model.dropout=interval(0.5,0.1)", FIVE], "model.dropout=interval(0.5,0.1)"),
    "log of zero": (["optimizer.learning_rate=tag(log,interval(0,1))", FIVE], "tag(log,interval(0,1))"),
    "unknown key": (["trainer.epcohs=1,2"], "Did you mean trainer.epochs?"),
    "unknown choice": (["aug=none,RandomFlp"], "Did you mean RandomFlip?"),
    "unknown preset": (["+experiment=articl_cnn"], "Did you mean article_cnn?"),
    "value out of range": (["model.dropout=0.2,1.5"], "must be at least 0 and less than 1, but is 1.5"),
    "end of an interval out of range": (
        ["model.dropout=interval(0.0,1.0)", FIVE],
        "must be at least 0 and less than 1, but is 1.0",
    ),
    "word among numbers": (["trainer.epochs=1,many"], "must be an integer, but is 'many'"),
    "key of one choice only": (
        ["optimizer=adam,sgd", "optimizer.momentum=0.5,0.9"],
        "hydra.sweeper.conditions",
    ),
    "value for one choice only": (
        ["optimizer=adam,sgd,adamw,rmsprop", "optimizer.momentum=0.5"],
        "adam and adamw have no such key; to give it only to the others, add '+hydra.sweeper.conditions={optimizer.",
    ),
    "value for a choice that is not searched": (
        ["optimizer=adam", "optimizer.momentum=0.5", "aug=none,RandomFlip"],
        "with the chosen optimizer; it belongs to optimizer=sgd or rmsprop.\n",
    ),
    "lists in quotes": (['model.filters=choice("[8,16]","[16,32]")'], "remove the quotes around [8,16]"),
    "no trials": ([LR, f"{TYPED}n_trials=0"], "n_trials must be at least 1, but is 0"),
    "no workers": (["aug=none,RandomFlip", f"{TYPED}n_jobs=0"], "n_jobs must be at least 1, but is 0"),
    "unknown setting": ([LR, f"{TYPED}n_trial=5"], "n_trial"),
    "sampler that needs numbers": (
        ["aug=none,RandomFlip", FIVE, "hydra/sweeper/sampler=cmaes"],
        "sampler=tpe",
    ),
    "unknown sampler": ([LR, FIVE, "hydra/sweeper/sampler=tpa"], "Did you mean tpe?"),
    "seed of a sampler": ([LR, FIVE, f"{TYPED}sampler.seed=-1"], "must be an integer from 0"),
    "unknown pruner": ([LR, FIVE, "hydra/sweeper/pruner=mean"], "choose one of asha"),
    "no such storage": ([LR, FIVE, f"{TYPED}storage=mangodb://x"], "is not a storage"),
    "storage that does not answer": (
        [LR, FIVE, f"{TYPED}storage='postgresql+psycopg://u@127.0.0.1:1/x'"],
        "cannot be opened",
    ),
    "point of an unknown key": ([LR, FIVE, f"{TYPED}enqueue=[{{dropout: 0.1}}]"], "dropout is not searched"),
    "point out of range": (
        [LR, FIVE, f"{TYPED}enqueue=[{{optimizer.learning_rate: 1}}]"],
        "must be a number from 0.0001 to 0.01, but is 1",
    ),
    "more points than trials": (
        [LR, f"{TYPED}n_trials=1", f"{TYPED}enqueue=[{{}}, {{}}]"],
        "has 2 points, but hydra.sweeper.n_trials is 1",
    ),
    "points of a grid": (["aug=none,RandomFlip", f"{TYPED}enqueue=[{{aug: none}}]"], "a grid has all points"),
    "condition on an unknown key": (
        [LR, FIVE, "aug=none,RandomFlip", f"+{TYPED}conditions={{optimizer.learning_rate: {{agu: none}}}}"],
        "Did you mean aug?",
    ),
    "direction": ([LR, FIVE, f"{TYPED}direction=up"], "must be minimize or maximize"),
    "the other direction": (
        [LR, FIVE, f"{TYPED}direction=minimize"],
        "direction=minimize contradicts best/val_accuracy, for which it is maximize",
    ),
    "directions for one objective": (
        [LR, FIVE, f"{TYPED}direction=[maximize,minimize]"],
        "must have one entry for each of best/val_accuracy, but has 2",
    ),
    "unknown further objective": (["objective.also=[seconds]", "aug=none,RandomFlip"], "best/val_accuracy"),
    "objective twice": (
        ["objective.also=[best/val_accuracy]", "aug=none,RandomFlip"],
        "already an objective",
    ),
    "pruner with two objectives": (
        [LR, FIVE, "objective.also=[total/seconds]", "hydra/sweeper/pruner=median"],
        "hydra/sweeper/pruner=none",
    ),
    "key twice": (["aug=none,RandomFlip", "aug=RandomZoom"], "aug is given twice"),
    "sweep of hydra's own": (["hydra.verbose=true,false"], "hydra.verbose"),
    "not in the grammar": (["aug=choice(none"], "'aug=choice(none'"),
    "name of another program's study": ([LR, FIVE, f"{TYPED}study_name=theirs"], "stored no definition"),
    "tracking in plain files": ([LR, FIVE, "tracking.uri=./runs"], "tracking.uri must start with"),
}
RESEMBLING = (
    "interval upside down",
    "word among numbers",
    "end of an interval out of range",
    "no workers",
    "unknown sampler",
    "seed of a sampler",
    "unknown pruner",
    "storage that does not answer",
    "more points than trials",
    "points of a grid",
    "directions for one objective",
    "objective twice",
    "pruner with two objectives",
    "sweep of hydra's own",
    "name of another program's study",
    "tracking in plain files",
)


@pytest.fixture
def flags(drawn: Path, cache: Path, tmp_path: Path) -> list[str]:
    """Where everything lies."""
    places = [f"data.dir={drawn}", f"tracking.dir={tmp_path}/results", f"paths.cache={cache}"]
    return ["data=folder", *places]


@pytest.fixture
def run(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path, flags: list[str]
) -> Callable[..., Outcome]:
    """Run the command line in this process, from an empty folder; give exit code and standard error."""

    def type_in(*arguments: str) -> Outcome:
        monkeypatch.chdir(tmp_path)
        monkeypatch.delenv("HYDRA_FULL_ERROR", raising=False)
        quiet = ["hydra/job_logging=none", "hydra/hydra_logging=none"]
        monkeypatch.setattr(sys, "argv", ["flowersweep", "--multirun", *arguments, *flags, *quiet])
        code = cli.main()
        monkeypatch.delenv("HYDRA_FULL_ERROR", raising=False)
        return code, capsys.readouterr().err

    return type_in


@pytest.mark.slow
def test_a_deleted_experiment_is_refused_before_there_is_a_study(
    run: Callable[..., Outcome], tmp_path: Path, drawn: Path
) -> None:
    """Nothing but the tracking store is there afterwards."""
    store = prepare_store(tmp_path / "results")
    client(store.uri).delete_experiment(experiment_id(store, f"flowersweep/{drawn.name}"))
    before = sorted((tmp_path / "results").iterdir())

    code, said = run("aug=none,RandomFlip")

    assert (code, said.count("\n")) == (EXIT_BAD_INPUT, 1)
    assert f"Experiment 'flowersweep/{drawn.name}' is deleted" in said
    assert sorted((tmp_path / "results").iterdir()) == before


@pytest.mark.slow
def test_moved_results_are_refused_before_there_is_a_study(
    run: Callable[..., Outcome], tmp_path: Path
) -> None:
    """The sentence names the command that corrects them."""
    prepare_store(tmp_path / "old")
    (tmp_path / "old").rename(tmp_path / "results")
    before = sorted((tmp_path / "results").iterdir())

    code, said = run("aug=none,RandomFlip")

    assert (code, said.count("\n")) == (EXIT_BAD_INPUT, 1)
    assert said.endswith(f"python -m flowersweep doctor --fix tracking.dir={tmp_path}/results\n")
    assert sorted((tmp_path / "results").iterdir()) == before
    assert not (tmp_path / "old").exists()


def cases() -> list[Any]:
    """All kinds; those that resemble others in which part refuses them are slow, for want of time."""
    return [pytest.param(case, marks=pytest.mark.slow if case in RESEMBLING else ()) for case in BAD_INPUT]


@pytest.mark.slow
@pytest.mark.parametrize("case", cases())
def test_bad_input_is_refused_in_a_sentence(run: Callable[..., Outcome], tmp_path: Path, case: str) -> None:
    """A bad sweep ends with code 2 before any trial, says how to fix it, and leaves neither study nor run behind."""
    arguments, expected = BAD_INPUT[case]
    theirs = "theirs" in arguments[-1]
    if theirs:
        storage = open_storage(None, tmp_path / "results")
        optuna.create_study(study_name="theirs", storage=storage, direction="maximize").ask()

    code, said = run(*arguments)

    assert expected in said
    assert code == EXIT_BAD_INPUT
    assert all(line.startswith("flowersweep: ") for line in said.splitlines())
    assert said.count("\n") == 1 or theirs
    assert not (tmp_path / "results" / "sweeps").exists()
    assert not (tmp_path / "mlruns").exists()
    if (tmp_path / "results" / "optuna.db").exists():
        studies = open_storage(None, tmp_path / "results").get_all_studies()
        assert [study.study_name for study in studies] == ["theirs"][:theirs]
    if (tmp_path / "results" / "mlflow.db").exists():
        assert client(sqlite_uri(tmp_path / "results" / "mlflow.db")).search_runs(["0", "1"]) == []
