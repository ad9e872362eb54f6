"""What every storage takes, and what is refused before anything is stored."""

from pathlib import Path
from typing import Any

import pytest

from flowersweep.errors import SweepError
from flowersweep.sweep.storage.limits import MAX_STEP, is_name, is_step
from flowersweep.sweep.storage.storage import closing_storage, open_storage
from flowersweep.sweep.study.study import open_study

NOTHING: dict[str, Any] = {"searched": {}, "conditions": {}, "fixed": {}, "order": []}


@pytest.mark.parametrize(
    ("step", "taken"), [(0, True), (MAX_STEP, True), (-1, False), (MAX_STEP + 1, False), (2**70, False)]
)
def test_steps(step: int, *, taken: bool) -> None:
    """They have 31 bits."""
    assert is_step(step) is taken


@pytest.mark.parametrize(
    ("name", "taken"),
    [
        ("", True),
        ("rosé\n", True),
        ("a" * 512, True),
        ("a" * 513, False),
        ("a\0", False),
        ("a\ud800", False),
    ],
)
def test_names(name: str, *, taken: bool) -> None:
    """They are texts of at most 512 characters."""
    assert is_name(name) is taken


@pytest.mark.parametrize("kind", ["sqlite:///{}/optuna.db", "journal:{}/optuna.log"])
def test_what_is_refused(kind: str, tmp_path: Path) -> None:
    """One sentence, whatever the storage could do itself; the trial goes on."""
    with closing_storage(open_storage(kind.format(tmp_path), tmp_path)) as storage:
        study = open_study(storage, "s", NOTHING, ["maximize"])
        trial = study.ask()
        with pytest.raises(
            SweepError,
            match=r"^A value was reported for step 3000000000, but steps are from 0 to 2,147,483,647\.$",
        ):
            trial.report(0.5, 3_000_000_000)
        with pytest.raises(
            SweepError, match=r"^'a+' cannot be the name of a study, a param .*at most 512 .*; rename it\.$"
        ):
            trial.set_user_attr("a" * 600, 1)
        with pytest.raises(SweepError, match=r"^'p\\ud800' cannot be the name"):
            trial.suggest_float("p\ud800", 0, 1)
        with pytest.raises(SweepError, match=r"^'sss"):
            open_study(storage, "s" * 513, NOTHING, ["maximize"])
        trial.report(0.5, MAX_STEP)
        trial.set_user_attr("a" * 512, 1)
        study.tell(trial, 1.0)
    assert study.trials[0].intermediate_values == {MAX_STEP: 0.5}
    assert study.trials[0].user_attrs == {"a" * 512: 1}
