"""Which run is meant: by id, as the best, or as the champion; and what cannot be meant."""

from pathlib import Path

import pytest

from flowersweep.commands.parsing.common import CHOICE_ARGUMENTS, chosen
from flowersweep.deploy.best_run import objective
from flowersweep.deploy.choose import ALIAS
from flowersweep.deploy.choose import MODEL_NAME as NAME
from flowersweep.deploy.model_registry import promote
from flowersweep.errors import ConfigError, FlowersweepError, TrackingError
from flowersweep.tracking.mlflow_api import client
from flowersweep.tracking.mlflow_tracker import MLflowTracker
from flowersweep.tracking.store.store import prepare_store
from winners import SIZE, Winners


def choose(results: Winners, **given: str) -> str:
    """The name of the run that is chosen."""
    values: dict[str, str | None] = {one.name: one.default for one in CHOICE_ARGUMENTS}
    found = chosen(values | {"tracking.dir": str(results.directory)} | given).run_id
    return next(name for name, run_id in results.runs.items() if run_id == found)


@pytest.mark.slow
def test_the_best_of_a_study_is_neither_pruned_nor_failed(results: Winners) -> None:
    """0.95 was pruned and 0.9 failed, so the first of the two trials with 0.8 wins."""
    assert choose(results, run="best", study="petals") == "petals/1"


@pytest.mark.slow
def test_without_a_name_the_latest_study_counts(results: Winners) -> None:
    """The study begun last is petals; to name a study or nothing at all means its best run."""
    assert choose(results, run="best") == "petals/1"
    assert choose(results, study="petals") == "petals/1"
    assert choose(results) == "petals/1"


def test_of_a_repeated_trial_the_best_repeat_counts(results: Winners) -> None:
    """The trial with the best mean wins (0.65 over 0.6), though a run of the other reached 0.9."""
    assert choose(results, study="repeated") == "repeated/1/1"


def test_a_repeated_trial_hands_on_to_its_best_repeat(results: Winners) -> None:
    """Named by its own id, which has no model."""
    assert choose(results, run=results.runs["repeated/1"]) == "repeated/1/1"


def test_where_there_is_no_study_only_comparable_runs_count(results: Winners) -> None:
    """0.99 was reached on other data than the latest run's."""
    assert choose(results, run="best", experiment="alone") == "alone/good"


def test_a_run_says_what_it_was_optimized_for(tmp_path: Path) -> None:
    """By its tag, also where the metric was set in a file and is none of its params."""
    store = prepare_store(tmp_path)
    made = MLflowTracker.start(store, "e", "run", tags={"objective": "best/val_loss"})
    made.metrics({"best/val_accuracy": 0.9, "best/val_loss": 0.25})
    assert objective(client(store.uri).get_run(made.run_id)) == ("best/val_loss", 0.25)


@pytest.mark.parametrize("digits", [8, 12, 32])
def test_an_id_may_be_shortened(results: Winners, digits: int) -> None:
    """From eight digits on."""
    assert choose(results, run=results.runs["petals/1"][:digits]) == "petals/1"


def test_a_choice_knows_its_model(results: Winners) -> None:
    """Classes, size and the data's fingerprint come from the model's own notes."""
    choice = chosen({"run": "best", "study": "petals", "tracking.dir": str(results.directory)})

    assert list(choice.info.class_names) == results.class_names
    assert choice.info.size == SIZE
    assert choice.info.fingerprint == results.digest
    assert (
        choice.about
        == f"run {results.runs['petals/1'][:8]} (trial 1 of study petals, best/val_accuracy 0.8000)"
    )


def test_a_champion_goes_before_the_best_run(results: Winners) -> None:
    """Once one is promoted it is meant by its alias and by nothing at all, but not by a study."""
    promote(chosen({"run": results.runs["alone/good"], "tracking.dir": str(results.directory)}), NAME, ALIAS)
    try:
        assert choose(results) == "alone/good"
        assert choose(results, run="champion") == "alone/good"
        assert choose(results, run="models:/flowersweep@champion") == "alone/good"
        assert choose(results, study="petals") == choose(results, run="best") == "petals/1"
    finally:  # the store is shared
        client(results.store.uri).delete_registered_model(NAME)


@pytest.mark.parametrize(
    ("given", "kind", "message"),
    [
        ({"run": "1234567"}, ConfigError, "give its id or at least 8 digits"),
        ({"run": "bset"}, ConfigError, "run=bset is not a run"),
        ({"run": "models:/flowersweep"}, ConfigError, "is not a run"),
        ({"run": "00000000"}, TrackingError, "There is no run 00000000"),
        (
            {"run": "champion"},
            TrackingError,
            "no registered model models:/flowersweep@champion; register one",
        ),
        ({"run": "models:/a@b"}, TrackingError, "no registered model models:/a@b"),
        ({"run": "models:/a/3"}, TrackingError, "no registered model models:/a/3"),
        ({"run": "champion", "study": "petals"}, ConfigError, "study= selects the best run"),
        ({"study": "petal"}, TrackingError, "Did you mean petals"),
        ({"experiment": "swep"}, TrackingError, "Did you mean sweep"),
        ({"study": "open"}, TrackingError, "No trial of study 'open' has finished"),
    ],
)
def test_what_cannot_be_meant_is_told(
    results: Winners, given: dict[str, str], kind: type[FlowersweepError], message: str
) -> None:
    """One sentence each."""
    with pytest.raises(kind, match=message):
        choose(results, **given)


def test_a_study_is_no_run(results: Winners) -> None:
    """The id of a study's own run is answered with how to write it."""
    with pytest.raises(ConfigError, match="use run=best study=petals instead"):
        choose(results, run=results.runs["petals"])


def test_without_a_model_the_command_to_train_again_is_told(results: Winners) -> None:
    """A run that has saved no model says what to type for one that has."""
    with pytest.raises(TrackingError) as caught:
        choose(results, study="bare")

    assert "(trial 0 of study bare, best/val_accuracy 0.5000) has saved no model" in str(caught.value)
    assert "python -m flowersweep model=cnn model.dropout=0.5 tracking.log_model=true\n" in str(caught.value)


def test_a_repeat_is_trained_again_with_its_own_seed(results: Winners) -> None:
    """All repeats of a trial were typed alike but for the seed."""
    with pytest.raises(TrackingError, match=r"model=cnn model.dropout=0.\d+ seed=1 tracking.log_model=true"):
        choose(results, run=results.runs["repeated/0/1"])


def test_a_run_with_files_of_its_own_is_trained_again_with_them(results: Winners) -> None:
    """Without the folder of its groups, the command would not know them."""
    made = MLflowTracker.start(results.store, "own groups", "run", tags={"kind": "run"})
    made.text(
        "hydra.searchpath=[file:///groups]\nmodel=mine\n++tracking.log_model=false\n", "config/overrides.txt"
    )
    command = r"flowersweep 'hydra.searchpath=\[file:///groups\]' model=mine tracking.log_model=true\n"
    with pytest.raises(TrackingError, match=command):
        choose(results, run=made.run_id)


def test_a_trial_of_another_program_is_not_trained_again(results: Winners) -> None:
    """No command of flowersweep could do so, and there is no model that it could use."""
    tags = {"kind": "study", "study": "theirs", "program": "python train.py"}
    study = MLflowTracker.start(results.store, "theirs", "theirs", tags=tags)
    trial = MLflowTracker.start(
        results.store, "theirs", "0", parent_run_id=study.run_id, tags={"trial": 0, "study": "theirs"}
    )
    trial.text("lr=0.1\n", "config/overrides.txt")
    try:
        with pytest.raises(
            TrackingError, match=r"is not flowersweep's own training but one of `python train.py`"
        ):
            choose(results, run=trial.run_id)
    finally:  # the store is shared, and the latest study counts
        client(results.store.uri).delete_run(study.run_id)
