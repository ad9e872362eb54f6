"""The order of trials, and how they are shown."""

import io

import optuna
import pytest
from optuna.distributions import CategoricalDistribution, FloatDistribution
from optuna.study import StudyDirection
from optuna.trial import FrozenTrial, TrialState, create_trial
from rich.console import Console

from flowersweep.sweep.leaderboard import as_json, as_markdown, as_table, best_rows, cells, leaderboard

SPACE = {"lr": FloatDistribution(0, 1), "aug": CategoricalDistribution(("none", "flip"))}


def trial(
    *values: float, state: TrialState = TrialState.COMPLETE, lr: float = 0.5, reason: str = ""
) -> FrozenTrial:
    """A finished trial with two reports."""
    return create_trial(
        state=state,
        values=list(values) or None,
        params={"lr": lr, "aug": "flip"},
        distributions=dict(SPACE),
        intermediate_values={0: 0.1, 1: 0.2},
        user_attrs={"mlflow_run_id": f"run{lr}", **({"fail_reason": reason} if reason else {})},
    )


def study(*trials: FrozenTrial, directions: tuple[str, ...] = ("maximize",)) -> optuna.Study:
    """A study of these trials."""
    made = optuna.create_study(directions=[StudyDirection[name.upper()] for name in directions])
    made.add_trials(trials)
    return made


MIXED = (
    trial(0.5),
    trial(state=TrialState.FAIL, reason="no memory"),
    trial(0.9),
    trial(0.7, state=TrialState.PRUNED),
    trial(0.9, lr=0.25),
)


class TestOrder:
    @pytest.mark.parametrize(("direction", "order"), [("maximize", [2, 4, 0]), ("minimize", [0, 2, 4])])
    def test_best_first(self, direction: str, order: list[int]) -> None:
        """Complete trials by value, the earlier first on a tie; then pruned and failed ones without a rank."""
        rows = leaderboard(study(*MIXED, directions=(direction,)))
        assert [row.trial for row in rows] == [*order, 1, 3]
        assert [row.rank for row in rows] == [1, 2, 3, None, None]
        assert best_rows(rows) == rows[:1]

    def test_pareto_set_first(self) -> None:
        """With several objectives every trial that none beats in all has rank 1."""
        points = [(0.5, 10.0), (0.9, 30.0), (0.4, 20.0), (0.3, 5.0)]
        rows = leaderboard(study(*(trial(*point) for point in points), directions=("maximize", "minimize")))
        assert [(row.trial, row.rank) for row in rows] == [(0, 1), (1, 1), (3, 1), (2, 2)]
        assert len(best_rows(rows)) == 3

    def test_nothing_yet(self) -> None:
        """An empty study has no rows and no best one, whatever its objectives."""
        assert leaderboard(study()) == []
        assert best_rows(leaderboard(study(trial(state=TrialState.FAIL), directions=("minimize",) * 2))) == []


class TestShown:
    def test_json(self) -> None:
        """A row keeps numbers as they are."""
        first, *_, failed, pruned = as_json(leaderboard(study(*MIXED)))
        assert first["values"] == (0.9,)
        assert first["params"] == {"lr": 0.5, "aug": "flip"}
        assert (first["epochs"], first["run_id"]) == (2, "run0.5")
        assert (failed["reason"], failed["values"], pruned["values"]) == ("no memory", (), (0.7,))

    def test_markdown(self) -> None:
        """One line per trial, the number a link to its run; what does not fit is counted."""
        text = as_markdown(leaderboard(study(*MIXED)), ["best/val_accuracy"], link="#/runs/{}", limit=4)
        lines = text.splitlines()
        assert lines[0] == "| rank | trial | lr | aug | best/val_accuracy | epochs | seconds | state |"
        assert lines[2].startswith("| 1 | [2](#/runs/run0.5) | 0.5 | flip | 0.9000 | 2 | ")
        assert "| FAIL |" in lines[5]
        assert lines[-1] == "1 more in `study/leaderboard.json`."

    def test_table(self) -> None:
        """A terminal gets the last words of the keys, where these tell them apart."""
        console = Console(file=io.StringIO(), width=100, force_terminal=False)
        rows = leaderboard(study(*MIXED))
        console.print(as_table(rows, ["best/val_accuracy"], "Study", limit=2))
        shown = console.file.getvalue()  # type: ignore[attr-defined]  # it is a StringIO
        assert "val_accuracy" in shown
        assert "best/" not in shown
        assert "and 3 more" in shown

    def test_many_keys_share_a_column(self) -> None:
        """Five keys are one column of pairs, which 80 characters have room for."""
        space = {f"group.key{number}": FloatDistribution(0, 1) for number in range(5)}
        made = optuna.create_study(direction="maximize")
        made.add_trial(create_trial(value=0.5, params=dict.fromkeys(space, 0.25), distributions=dict(space)))
        console = Console(file=io.StringIO(), width=80, force_terminal=False)
        console.print(as_table(leaderboard(made), ["best/val_accuracy"], "Study"))
        shown = console.file.getvalue()  # type: ignore[attr-defined]  # it is a StringIO
        assert all(f"key{number}=0.25" in shown for number in range(5))
        assert "COMPLETE" in shown
        assert "val_accuracy" in shown

    def test_cells_of_large_numbers(self) -> None:
        """Counts are integers; a failed trial has empty cells for its values."""
        rows = leaderboard(study(trial(0.25, 2_257_984.0), directions=("maximize", "minimize")))
        assert cells(rows[0], ["lr"], 2)[2:5] == ["0.5", "0.2500", "2257984"]
        failed = leaderboard(study(trial(state=TrialState.FAIL)))[0]
        assert cells(failed, ["lr", "other"], 2)[2:6] == ["0.5", "", "", ""]
