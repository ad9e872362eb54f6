"""The command that joins a study: the command it becomes, and what it refuses."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import optuna
import pytest
from hydra.core.override_parser.overrides_parser import OverridesParser
from hypothesis import given
from hypothesis import strategies as st

from flowersweep import hydra_app
from flowersweep.commands.study import join
from flowersweep.commands.study.join import _quoted
from flowersweep.errors import SweepError
from flowersweep.sweep.storage.storage import closing_storage, open_storage
from flowersweep.sweep.study.attributes import COMMAND

GIVEN = {"storage": None, "n_jobs": "1", "tracking.dir": None, "tracking.uri": None}
GIVEN |= dict.fromkeys(("data.dir", "data.split_file", "model.weights", "paths.cache", "paths.checkpoints"))


@pytest.fixture
def study(tmp_path: Path) -> Iterator[optuna.Study]:
    """A study in the default storage of a folder of results."""
    with closing_storage(open_storage(None, tmp_path)) as storage:
        yield optuna.create_study(study_name="petals", storage=storage)


def keep(study: optuna.Study, *arguments: str, deadline: float | None = None) -> None:
    """Store a command as a sweep of flowersweep does."""
    program = hydra_app._job.__module__
    study.set_user_attr(COMMAND, {"program": program, "arguments": list(arguments), "deadline": deadline})


def test_it_is_the_sweeps_command_in_other_places(study: optuna.Study) -> None:
    """What is searched and how is kept; where things are is this machine's, and the time ends with that of the sweep."""
    searched = [
        "--config-dir=/mine",
        "aug=none,RandomFlip",
        "hydra/sweeper/pruner=asha",
        "hydra.sweeper.n_trials=9",
    ]
    places = [
        "data.dir=/a",
        "tracking.dir=/b",
        "+paths.cache=/c",
        "hydra.sweeper.timeout=60",
        "hydra/launcher=ray",
    ]
    keep(study, *searched, *places, "hydra.sweeper.n_jobs=8", "hydra.mode=MULTIRUN", deadline=1030.0)
    given = GIVEN | {"storage": "postgresql://u@/x?host=/s", "n_jobs": "2", "data.dir": "/my pictures"}
    given |= {"tracking.uri": "http://server:5000"}

    assert join.arguments_of(study, given, now=1000.0) == [
        "--multirun",
        *searched,
        "hydra.sweeper.study_name=petals",
        "hydra.sweeper.storage='postgresql://u@/x?host=/s'",
        "hydra.sweeper.n_jobs=2",
        "hydra.sweeper.timeout=30",
        "hydra.sweeper.join=true",
        "tracking.uri=http://server:5000",
        "data.dir=/my pictures",
    ]


@pytest.mark.parametrize(
    ("kept", "said"),
    [
        (None, "was not started by this version of flowersweep's own command"),
        ({"program": "__main__", "arguments": [], "deadline": None}, "hydra.sweeper.join=true"),
        (
            {"program": join.PROGRAM, "arguments": [], "deadline": 999.0},
            "The time of the study 'petals' is up",
        ),
        (
            {"program": join.PROGRAM, "arguments": [], "deadline": None, "version": "0.0.9"},
            r"The sweep of the study 'petals' runs with flowersweep 0\.0\.9, and this is 0\.1\.0; install the same",
        ),
    ],
)
def test_what_is_refused(study: optuna.Study, kept: Any, said: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Studies of other programs and versions, and those whose time is up, in one sentence."""
    monkeypatch.setattr("flowersweep.sweep.study.study.own_version", lambda: "0.1.0")
    if kept is not None:
        study.set_user_attr(COMMAND, kept)
    with pytest.raises(SweepError, match=said):
        join.arguments_of(study, GIVEN, now=1000.0)


def test_the_process_becomes_the_command(
    study: optuna.Study, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Signals then reach it as any sweep."""
    keep(study, "aug=none,RandomFlip")
    called: list[list[str]] = []
    monkeypatch.setattr("os.execv", lambda _program, command: called.append(command))
    join.main([f"tracking.dir={tmp_path}"])

    assert called[0][1:5] == ["-m", "flowersweep", "--multirun", "aug=none,RandomFlip"]
    assert called[0][-2:] == ["hydra.sweeper.join=true", f"tracking.dir={tmp_path}"]


def test_a_finished_study_is_not_joined(
    study: optuna.Study,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """One sentence says so, and a job that starts too late has not failed."""
    monkeypatch.setattr("os.execv", lambda _program, command: pytest.fail(f"{command}"))
    study.set_user_attr(COMMAND, {"program": join.PROGRAM, "arguments": [], "deadline": None, "trials": 1})
    study.tell(study.ask(), 1.0)

    assert join.main([f"tracking.dir={tmp_path}"]) == 0
    assert "The study 'petals' is finished (1 complete); there is nothing to run." in capsys.readouterr().err


@given(
    st.one_of(
        st.text("ab\\'\"$ {}:/,1e", max_size=8), st.sampled_from(["null", "true", "sqlite:////a b/c.db"])
    )
)
def test_every_text_arrives_as_it_was_given(value: str) -> None:
    """Hydra parses what is written for a name, an address or a path to the same text, of the same type."""
    assert OverridesParser.create().parse_override(f"key={_quoted(value)}").value() == value
