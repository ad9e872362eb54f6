"""The database storage and its cache return what Optuna's own return, with fewer questions to the database."""

import math
import random
from collections.abc import Callable, Collection, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import optuna
import pytest
from optuna.storages import RDBStorage
from optuna.trial import FrozenTrial, TrialState

from flowersweep.doors.optuna_api import engine_storage, storage_of
from flowersweep.doors.optuna_cache import StudyCache
from flowersweep.doors.optuna_database import Database
from flowersweep.sweep.storage.lock import locked
from flowersweep.sweep.storage.patience import is_passing
from flowersweep.sweep.storage.storage import closing_storage, open_storage
from private_parts import Part, require

PARTS = (
    Part(
        "RDBStorage._get_trials",
        lambda: RDBStorage._get_trials,
        "doors.optuna_database.Database",
        "read trials as rows",
    ),
    Part(
        "RDBStorage._create_new_trial",
        lambda: RDBStorage._create_new_trial,
        "doors.optuna_cache.StudyCache",
        "know a new trial without reading it",
    ),
    Part(
        "_CachedStorage._add_trials_to_cache",
        lambda: optuna.storages._CachedStorage._add_trials_to_cache,
        "doors.optuna_cache.StudyCache",
        "keep finished trials",
    ),
)


@pytest.mark.parametrize("part", PARTS, ids=lambda part: part.name)
def test_the_parts_are_there(part: Part) -> None:
    """Optuna still has what the wrapper modules use."""
    require("optuna", part)


@contextmanager
def opened(folder: Path) -> Iterator[optuna.Study]:
    """A study in a file, with flowersweep's storage."""
    with closing_storage(open_storage(None, folder)) as storage:
        yield optuna.create_study(study_name="s", storage=storage, load_if_exists=True)


@contextmanager
def of_optuna(folder: Path) -> Iterator[Callable[[], list[FrozenTrial]]]:
    """A function that reads the trials with Optuna's own storage."""
    storage = RDBStorage(
        f"sqlite:///{folder}/optuna.db", skip_compatibility_check=True, skip_table_creation=True
    )
    yield lambda: storage.get_all_trials(1)
    storage.remove_session()
    storage.engine.dispose()


def change(study: optuna.Study, moment: random.Random) -> None:
    """Do something that a worker does to a study."""
    storage = storage_of(study)
    running = [trial._trial_id for trial in study.trials if trial.state is TrialState.RUNNING]
    what = moment.randrange(7) if running else 0
    if what == 0:
        trial = study.ask()
        trial.suggest_float("x", 1e-3, 1, log=True)
        trial.suggest_categorical("c", ["a", None, 3])
        return
    key = moment.choice(running)
    if what == 1:
        storage.set_trial_intermediate_value(
            key, moment.randrange(9), moment.choice([0.5, math.nan, math.inf])
        )
    elif what == 2:
        storage.set_trial_user_attr(key, "花", {"n": [moment.random()]})
    elif what == 3:
        storage.set_trial_system_attr(key, "s", moment.random())
    elif what == 4:
        storage.set_trial_state_values(key, TrialState.WAITING)
    elif what == 5:
        storage.set_trial_state_values(key, TrialState.COMPLETE, [moment.choice([1.5, -math.inf])])
    else:
        storage.set_trial_state_values(key, TrialState.FAIL)


@pytest.mark.parametrize("seed", range(2))
def test_trials_are_those_that_optuna_reads(tmp_path: Path, seed: int) -> None:
    """After each of 30 changes by two processes, within a step and outside, for any states, in any order of reading."""
    moment = random.Random(seed)  # noqa: S311 - it picks changes, not secrets
    with opened(tmp_path) as one, opened(tmp_path) as other, of_optuna(tmp_path) as reference:
        for _ in range(30):
            writer = moment.choice([one, other])

            def step(writer: optuna.Study = writer) -> None:
                read(writer, moment)
                change(writer, moment)
                read(writer, moment)

            locked(storage_of(writer), step) if moment.random() < 0.5 else step()
            expected = reference()
            states = some_states(moment)
            for study in moment.sample([one, other], moment.randrange(3)):
                found = study.get_trials(states=states)
                assert repr(found) == repr(
                    [trial for trial in expected if states is None or trial.state in states]
                )


def read(study: optuna.Study, moment: random.Random) -> None:
    """Read trials within a step, of which the cache may remember something."""
    states = some_states(moment)
    assert all(states is None or trial.state in states for trial in study.get_trials(states=states))


def some_states(moment: random.Random) -> tuple[TrialState, ...] | None:
    """Some states, or all of them."""
    chosen = tuple(moment.sample(list(TrialState), moment.randrange(1, 4)))
    return moment.choice([None, chosen])


@pytest.fixture
def counted(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """How many trials each question to a database asked for."""
    counts: list[int] = []
    read = Database.trials

    def counting(self: Database, ids: Collection[int]) -> Any:
        counts.append(len(ids))
        return read(self, ids)

    monkeypatch.setattr(Database, "trials", counting)
    return counts


def test_a_step_reads_each_trial_once(tmp_path: Path, counted: list[int]) -> None:
    """However often it asks for all of them; what it writes itself is read again."""
    with opened(tmp_path) as study:
        keys = [study.ask()._trial_id for _ in range(20)]
        counted.clear()

        def step() -> None:
            for _ in range(5):
                assert len(study.get_trials(deepcopy=False)) == 20
            assert counted == [20]
            storage_of(study).set_trial_user_attr(keys[3], "n", 1)
            assert study.get_trials(deepcopy=False)[3].user_attrs == {"n": 1}
            assert counted == [20, 1]

        locked(storage_of(study), step)
        assert [trial.user_attrs for trial in study.trials].count({"n": 1}) == 1
        assert counted == [20, 1, 20]


def test_running_trials_are_not_read_for_finished_ones(tmp_path: Path, counted: list[int]) -> None:
    """A pruner that asks for complete trials reads each of them once, and none of those that run."""
    with opened(tmp_path) as study:
        trials = [study.ask() for _ in range(20)]
        study.tell(trials[0], 1.0)
        complete = (TrialState.COMPLETE,)
        counted.clear()

        assert [len(study.get_trials(states=complete)) for _ in range(3)] == [1, 1, 1]
        assert counted == [1]
        study.tell(trials[1], 1.0)
        counted.clear()
        assert len(study.get_trials(states=complete)) == 2
        assert counted == [1]


def test_what_a_failed_step_had_read_is_forgotten(tmp_path: Path) -> None:
    """What it wrote may be undone, so that the cache must not keep it."""
    with opened(tmp_path) as study:
        study.ask()
        cache = getattr(storage_of(study), "backend", None)
        assert isinstance(cache, StudyCache)
        assert isinstance(engine_storage(storage_of(study)), Database)

        def step() -> None:
            assert len(study.trials) == 1
            raise ValueError("no")

        with pytest.raises(ValueError, match="no"):
            locked(storage_of(study), step)
        assert cache._known == {}
        assert len(study.trials) == 1


@pytest.mark.slow
def test_a_step_knows_the_trials_of_each_study(tmp_path: Path) -> None:
    """Looking at one study in a step does not make another one look empty."""
    with closing_storage(open_storage(None, tmp_path)) as storage:
        studies = [optuna.create_study(study_name=name, storage=storage) for name in ("s", "t")]
        for study in studies:
            study.tell(study.ask(), 1.0)
    with closing_storage(open_storage(None, tmp_path)) as storage:
        studies = [optuna.load_study(study_name=name, storage=storage) for name in ("s", "t")]
        assert locked(storage, lambda: [len(study.trials) for study in studies]) == [1, 1]


def test_a_connection_that_is_lost_in_a_step_is_a_passing_failure(tmp_path: Path) -> None:
    """Whatever Optuna and SQLAlchemy raise after that, the step can be repeated with another connection."""
    with opened(tmp_path) as study:
        cache = engine_storage(storage_of(study))
        backend = study._storage.backend  # type: ignore[attr-defined] # flowersweep's wrapper has it
        assert isinstance(cache, Database)

        def lose() -> None:
            with cache.engine.connect() as connection:
                connection.begin()
                with backend.step(connection, alone=True):
                    connection.invalidate()
                    study.ask()

        with pytest.raises(ConnectionError, match="was lost") as caught:
            lose()
        assert is_passing(caught.value)
        assert study.ask().number == 0
