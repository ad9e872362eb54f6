"""Which run is the best, and that no other one takes its place if it is gone."""

import json
import shlex
from collections.abc import Callable
from pathlib import Path

import pytest

from flowersweep.commands.parsing.common import CHOICE_ARGUMENTS, chosen
from flowersweep.commands.promote import main
from flowersweep.deploy.best_run import best_run
from flowersweep.errors import TrackingError
from flowersweep.tracking.mlflow_api import bare_client, client
from flowersweep.tracking.mlflow_tracker import MLflowTracker
from flowersweep.tracking.run import RunStatus
from flowersweep.tracking.selection import find_study
from flowersweep.tracking.store.store import Store, prepare_store

VALUES = {0: 0.7, 1: 0.9, 2: 0.8}


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Store:
    """The store of all studies here."""
    return prepare_store(tmp_path_factory.mktemp("gone"))


@pytest.fixture
def runs(store: Store, request: pytest.FixtureRequest) -> dict[int, str]:
    """A study of three trials, called as the test; the id of each trial's run by its number, that of the study as -1."""
    name = request.node.name
    tags = {"study": name, "kind": "study", "study.goal": "maximize best/val_accuracy"}
    parent = MLflowTracker.start(store, "e", name, tags=tags)
    found, rows = {-1: parent.run_id}, []
    for number, value in VALUES.items():
        run = started(store, parent.run_id, name, number)
        run.metrics({"best/val_accuracy": value})
        run.end(RunStatus.FINISHED)
        found[number] = run.run_id
        rows.append({"trial": number, "state": "COMPLETE", "values": [value], "run_id": run.run_id})
    parent.text(json.dumps(rows), "study/leaderboard.json")
    parent.end(RunStatus.FINISHED)
    return found


def started(store: Store, parent: str, study: str, number: int, **tags: object) -> MLflowTracker:
    """A run of a trial."""
    own = {"study": study, "kind": "trial", "trial": number, "attempt": 0, "objective": "best/val_accuracy"}
    return MLflowTracker.start(store, "e", f"trial-{number}", parent_run_id=parent, tags={**own, **tags})


@pytest.fixture
def study(request: pytest.FixtureRequest) -> str:
    """The name of the test's study."""
    return str(request.node.name)


@pytest.fixture
def lose(store: Store) -> Callable[[str], None]:
    """Remove a run for good, as MLflow's garbage collection does."""

    def remove(run_id: str) -> None:
        bare_client(store.uri)._tracking_client.store._hard_delete_run(run_id)

    return remove


def test_the_best_is_taken(store: Store, runs: dict[int, str], study: str) -> None:
    """While it is there, whatever became of worse ones."""
    client(store.uri).delete_run(runs[0])
    assert best_run(store, study).info.run_id == runs[1]


def test_a_deleted_best_run_is_not_replaced(store: Store, runs: dict[int, str], study: str) -> None:
    """It is said which one it was, how it comes back, and which is the best that is left; the command works."""
    client(store.uri).delete_run(runs[1])
    with pytest.raises(TrackingError, match="trial 1 of study") as raised:
        best_run(store, study)
    told = str(raised.value)
    assert f"best/val_accuracy 0.9000, but its run {runs[1]} was deleted in MLflow" in told
    assert f"trial 2 of study {study}, best/val_accuracy 0.8000, with run={runs[2][:8]}" in told
    command = told.partition("`")[2].partition("`")[0]
    assert shlex.split(command)[1:] == ["mlflow", "runs", "restore", "--run-id", runs[1]]
    client(store.uri).restore_run(runs[1])
    assert best_run(store, study).info.run_id == runs[1]


def test_all_deleted(store: Store, runs: dict[int, str], study: str) -> None:
    """Then nothing is left to take, and nobody is told to resume the sweep."""
    for number in VALUES:
        client(store.uri).delete_run(runs[number])
    with pytest.raises(TrackingError, match="there is no other finished one") as raised:
        best_run(store, study)
    assert "resume the sweep" not in str(raised.value)


@pytest.mark.slow
def test_a_deleted_study(store: Store, runs: dict[int, str], study: str) -> None:
    """It is not said that there is none; with the command that is told it is there again."""
    client(store.uri).delete_run(runs[-1])
    with pytest.raises(
        TrackingError, match=f"The study '{study}' was deleted in MLflow; restore it"
    ) as raised:
        best_run(store, study)
    assert f"runs restore --run-id {runs[-1]}`" in str(raised.value)
    client(store.uri).restore_run(runs[-1])
    assert best_run(store, study).info.run_id == runs[1]


def test_only_deleted_studies(tmp_path: Path) -> None:
    """Whoever means the latest one is told that it was deleted, not that nothing was ever trained."""
    store = prepare_store(tmp_path)
    parent = MLflowTracker.start(store, "e", "gone", tags={"study": "gone", "kind": "study"})
    client(store.uri).delete_run(parent.run_id)
    for look in (best_run, find_study):
        with pytest.raises(TrackingError, match="The study 'gone' was deleted in MLflow"):
            look(store)


def test_a_deleted_run_that_is_named(store: Store, runs: dict[int, str]) -> None:
    """By its whole id or the beginning of it."""
    assert store.artifact_root is not None
    client(store.uri).delete_run(runs[1])
    values = dict.fromkeys(argument.name for argument in CHOICE_ARGUMENTS)
    for digits in (8, 32):
        given = {"run": runs[1][:digits], "tracking.dir": str(store.artifact_root.parent)}
        with pytest.raises(TrackingError, match=f"The run {runs[1]} was deleted in MLflow; restore it"):
            chosen({**values, **given})


def test_removed_for_good(
    store: Store, runs: dict[int, str], study: str, lose: Callable[[str], None]
) -> None:
    """The leaderboard still knows of a run that cannot come back."""
    lose(runs[1])
    with pytest.raises(TrackingError, match="deleted permanently") as raised:
        best_run(store, study)
    assert f"is trial 1, best/val_accuracy 0.9000, but its run {runs[1]} is not in" in str(raised.value)
    assert f"run={runs[2][:8]}" in str(raised.value)
    lose(runs[0])
    lose(runs[2])
    with pytest.raises(TrackingError, match="there is no other finished one"):
        best_run(store, study)


def test_an_earlier_attempt_is_no_loss(store: Store, runs: dict[int, str], study: str) -> None:
    """A trial that was begun twice has lost nothing if its first run was deleted."""
    again = started(store, runs[-1], study, 1, attempt=1)
    again.metrics({"best/val_accuracy": 0.85})
    again.end(RunStatus.FINISHED)
    client(store.uri).delete_run(runs[1])
    assert best_run(store, study).info.run_id == again.run_id


@pytest.mark.slow
@pytest.mark.parametrize("way", ["deleted", "removed"])
def test_the_best_repeat(store: Store, runs: dict[int, str], lose: Callable[[str], None], way: str) -> None:
    """A trial with repeats does not hand on to another one than its best."""
    trial = started(store, runs[-1], "study", 3, n_repeats=2)
    trial.metrics({"best/val_accuracy": 0.95})
    repeats = []
    for repeat, value in enumerate((0.94, 0.96)):
        run = started(store, trial.run_id, "study", 3, kind="repeat", repeat=repeat)
        run.metrics({"best/val_accuracy": value})
        run.end(RunStatus.FINISHED)
        repeats.append(run.run_id)
    trial.end(RunStatus.FINISHED)
    values: dict[str, str | None] = {one.name: one.default for one in CHOICE_ARGUMENTS}
    values |= {"tracking.uri": store.uri, "run": trial.run_id}
    if way == "deleted":
        client(store.uri).delete_run(repeats[1])
        message = f"its run {repeats[1]} was deleted in MLflow"
    else:
        lose(repeats[1])
        message = "1 cannot be found any more"
    with pytest.raises(TrackingError, match=message) as raised:
        chosen(values)
    assert repeats[0][:8] in str(raised.value)


def test_promote_says_so(
    store: Store, runs: dict[int, str], study: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """In one sentence, with exit code 2, and nothing is registered."""
    client(store.uri).delete_run(runs[1])
    directory = Path(store.uri.removeprefix("sqlite:///")).parent
    assert main([f"study={study}", f"tracking.dir={directory}", "name=never"]) == 2
    assert "was deleted in MLflow; restore it" in capsys.readouterr().err
    assert not client(store.uri).search_registered_models("name = 'never'")


class TestAlone:
    """Runs that are no part of a study."""

    @pytest.fixture
    def runs(self, tmp_path: Path) -> tuple[Store, dict[float, str]]:
        """A store with three runs; the id of each by its accuracy."""
        store, found = prepare_store(tmp_path), {}
        for value in VALUES.values():
            run = MLflowTracker.start(store, "e", f"run-{value}", tags={"objective": "best/val_accuracy"})
            run.metrics({"best/val_accuracy": value})
            run.end(RunStatus.FINISHED)
            found[value] = run.run_id
        return store, found

    @pytest.mark.slow
    def test_a_deleted_best_run_is_not_replaced(self, runs: tuple[Store, dict[float, str]]) -> None:
        """As little as a trial is; a worse one that was deleted makes no difference."""
        store, ids = runs
        client(store.uri).delete_run(ids[0.7])
        assert best_run(store).info.run_id == ids[0.9]
        client(store.uri).delete_run(ids[0.9])
        with pytest.raises(
            TrackingError, match=r"The best run is run-0\.9, best/val_accuracy 0\.9000, but"
        ) as raised:
            best_run(store)
        assert f"with run={ids[0.8][:8]}" in str(raised.value)
        client(store.uri).restore_run(ids[0.9])
        assert best_run(store).info.run_id == ids[0.9]

    def test_all_deleted(self, runs: tuple[Store, dict[float, str]]) -> None:
        """It is not said that nothing was ever trained."""
        store, ids = runs
        for run_id in ids.values():
            client(store.uri).delete_run(run_id)
        with pytest.raises(TrackingError, match="there is no other finished one"):
            best_run(store)

    def test_studies_of_other_programs_are_no_obstacle(self, runs: tuple[Store, dict[float, str]]) -> None:
        """Their trials cannot be promoted, so the best single run still counts; there or deleted."""
        store, ids = runs
        tags = {"study": "theirs", "kind": "study", "program": "python train.py"}
        parent = MLflowTracker.start(store, "e", "theirs", tags=tags)
        assert best_run(store).info.run_id == ids[0.9]
        client(store.uri).delete_run(parent.run_id)
        assert best_run(store).info.run_id == ids[0.9]
        for run_id in ids.values():
            bare_client(store.uri)._tracking_client.store._hard_delete_run(run_id)
        with pytest.raises(TrackingError, match="No run has finished yet"):
            best_run(store)
