"""Finding stores, studies and trials, in a real store."""

from collections.abc import Mapping
from pathlib import Path

import pytest

from flowersweep.commands.parsing.common import results_store
from flowersweep.errors import TrackingError
from flowersweep.tracking.mlflow_tracker import MLflowTracker
from flowersweep.tracking.run import PROGRAM, RunStatus
from flowersweep.tracking.selection import children_of, find_study, search, trials_of
from flowersweep.tracking.store.store import Store, prepare_store


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Store:
    """A store with two studies in two experiments; the later one has three trials, one of them begun twice."""
    store = prepare_store(tmp_path_factory.mktemp("results"))
    written(store, "one", "first", {"kind": "study"})
    parent = written(store, "two", "second", {"kind": "study"})
    for trial, attempt in ((10, 0), (2, 0), (2, 1), (0, 0)):
        tags = {"kind": "trial", "trial": trial, "attempt": attempt}
        run = written(store, "two", f"trial-{trial}-{attempt}", tags, parent)
    for repeat in (0, 1):
        written(store, "two", f"repeat-{repeat}", {"kind": "repeat", "repeat": repeat}, run)
    return store


def written(
    store: Store, experiment: str, name: str, tags: Mapping[str, object], parent: str | None = None
) -> str:
    """Write a finished run; return its id."""
    tracker = MLflowTracker.start(store, experiment, name, parent_run_id=parent, tags=tags)
    tracker.end(RunStatus.FINISHED)
    return tracker.run_id


class TestStores:
    def test_a_folder(self, store: Store) -> None:
        """A folder with results is opened, whether it or its database is named."""
        assert store.artifact_root is not None
        folder = str(store.artifact_root.parent)
        assert results_store({"tracking.dir": folder}).uri == store.uri
        assert results_store({"tracking.dir": folder, "tracking.uri": store.uri}).uri == store.uri

    def test_in_the_home_folder(self, store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
        """Shells leave ~ as it is behind tracking.dir=."""
        assert store.artifact_root is not None
        folder = store.artifact_root.parent
        monkeypatch.setenv("HOME", str(folder.parent))

        assert results_store({"tracking.dir": f"~/{folder.name}"}).uri == store.uri

    def test_nothing_there(self, tmp_path: Path) -> None:
        """A folder without results, such as a new checkout's, is refused, and nothing is made in it."""
        about = tmp_path / "README.md"
        about.write_text("What lands here.")
        with pytest.raises(TrackingError, match=r"There are no results in .*; train a model first"):
            results_store({"tracking.dir": str(tmp_path)})
        assert list(tmp_path.iterdir()) == [about]


class TestStudies:
    def test_by_name_and_latest(self, store: Store) -> None:
        """A name finds its study; without one it is the one that was begun last, also within an experiment."""
        assert find_study(store, "first").info.run_name == "first"
        assert find_study(store).info.run_name == "second"
        assert find_study(store, experiment="one").info.run_name == "first"

    def test_of_another_program(self, store: Store) -> None:
        """The latest study is one of flowersweep's own trainings; one of another program is refused by its name."""
        written(store, "three", "other", {"kind": "study", PROGRAM: "python train.py"})
        assert find_study(store).info.run_name == "second"
        with pytest.raises(
            TrackingError, match=r"study 'other' are not .* those of `python train.py`, for which"
        ):
            find_study(store, "other")
        with pytest.raises(TrackingError, match="There is no study yet"):
            find_study(store, experiment="three")

    def test_refusals(self, store: Store, tmp_path: Path) -> None:
        """Unknown names are refused with those there are; a store without a study says how to make one."""
        with pytest.raises(
            TrackingError, match=r"no study 'frist'; choose one of second, first\. Did you mean first"
        ):
            find_study(store, "frist")
        with pytest.raises(TrackingError, match="no study 'second'; choose one of first"):
            find_study(store, "second", "one")
        with pytest.raises(TrackingError, match=r"no experiment 'tow'; choose one of .*Did you mean two"):
            find_study(store, experiment="tow")
        with pytest.raises(TrackingError, match="There is no study yet; a sweep creates one"):
            find_study(prepare_store(tmp_path))


def test_trials(store: Store) -> None:
    """They come by number, not by text or time, and only the last attempt at each."""
    trials = trials_of(store, find_study(store))
    assert [run.info.run_name for run in trials] == ["trial-0-0", "trial-2-1", "trial-10-0"]


def test_children(store: Store) -> None:
    """The runs below a run, in the order in which they began; none below a run without any."""
    first, _, last = trials_of(store, find_study(store))
    assert [run.info.run_name for run in children_of(store, first)] == ["repeat-0", "repeat-1"]
    assert children_of(store, last) == []


def test_search_reads_every_page(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    """However many runs there are, all are found, the latest first."""
    monkeypatch.setattr("flowersweep.tracking.selection.PAGE", 2)
    names = [run.info.run_name for run in search(store, "tags.kind = 'trial'")]
    assert len(names) == 4
    assert names[0] == "trial-0-0"
