"""How the leaderboard is shown in MLflow and on terminals."""

import datetime as dt
import io
from collections.abc import Mapping
from typing import Any

import optuna
import pytest
from optuna.distributions import CategoricalDistribution, FloatDistribution, IntDistribution
from optuna.trial import TrialState, create_trial
from rich.console import Console

from flowersweep.sweep.leaderboard import leaderboard
from flowersweep.sweep.leaderboard_view import answer, as_listings, as_markdown
from flowersweep.sweep.study.attributes import EPOCHS, REPEATS, SEEDS, TAKEN_FROM
from flowersweep.sweep.study.study import metric_names, name_metrics
from tables_read import broken_words

METRIC = "best/val_accuracy"
SPACE = {
    "optimizer.learning_rate": FloatDistribution(1e-5, 1, log=True),
    "model.dropout": FloatDistribution(0, 1),
    "optimizer": CategoricalDistribution(("adam", "sgd")),
    "aug": CategoricalDistribution(("none", "RandomTranslation_prob")),
    "model.fine_tune_at": CategoricalDistribution((100, 120)),
}


def study(n_keys: int, *, n_trials: int = 12, attrs: Mapping[str, Any] | None = None) -> optuna.Study:
    """A study over some of the keys; its last trials were pruned, failed, and copied."""
    made = optuna.create_study(direction="maximize")
    name_metrics(made, [METRIC])
    space = dict(list(SPACE.items())[:n_keys])
    for number in range(n_trials):
        params = {
            "optimizer.learning_rate": 0.000490850123 * (number + 1),
            "model.dropout": 0.17057105 + number / 100,
            "optimizer": ("adam", "sgd")[number % 2],
            "aug": "RandomTranslation_prob",
            "model.fine_tune_at": 120,
        }
        state = {n_trials - 1: TrialState.PRUNED, n_trials - 2: TrialState.FAIL}.get(
            number, TrialState.COMPLETE
        )
        copied = {TAKEN_FROM: 0} if number == n_trials - 3 and n_trials > 3 else {}
        one = create_trial(
            state=state,
            value=None if state is TrialState.FAIL else 0.9 - number / 100,
            params={key: params[key] for key in space},
            distributions=space,
            user_attrs={EPOCHS: 36, "mlflow_run_id": f"run{number}", **(attrs or {}), **copied},
        )
        one.datetime_start = dt.datetime(2026, 1, 1)  # noqa: DTZ001 (Optuna's have no zone)
        one.datetime_complete = one.datetime_start + dt.timedelta(seconds=1234.5)
        made.add_trial(one)
    return made


def printed(made: optuna.Study, width: int, limit: int = 10) -> str:
    """The leaderboard on a terminal, or in a pipe, of that width."""
    console = Console(file=io.StringIO(), width=width, force_terminal=False)
    full, narrow = as_listings(leaderboard(made), made.metric_names or ["value"], "Study x", limit)
    full.show(console, narrow)
    return str(console.file.getvalue())  # type: ignore[attr-defined]  # it is a StringIO


def test_markdown() -> None:
    """One line per trial, the number a link to its run; what does not fit is counted, and the ranks are explained."""
    text = as_markdown(leaderboard(study(1)), [METRIC], link="#/runs/{}", limit=4)
    lines = text.splitlines()
    assert (
        lines[0]
        == "| rank | trial | optimizer.learning_rate | best/val_accuracy | epochs | seconds | state |"
    )
    assert lines[2].startswith("| 1 | [0](#/runs/run0) | 0.0004909 | 0.9000 | 36 | ")
    assert lines[-3] == "8 more in `study/leaderboard.json`."
    assert lines[-1] == "Ranked by value: only equal values share a rank."


def test_a_mean_is_said_to_be_one() -> None:
    """With repeats, the value is a mean with its standard deviation and the number of seeds, not of epochs."""
    text = as_markdown(leaderboard(study(1, attrs={REPEATS: [0.5, 0.6, 0.7], SEEDS: [0, 1, 2]})), [METRIC])
    assert "| best/val_accuracy | mean of seeds | seeds | epochs |" in text
    assert "| 0.6000 ± 0.1000 | 3 | 36 |" in text
    made = optuna.create_study(direction="maximize")
    own = {REPEATS: [0.5, 0.6, 0.7], SEEDS: [0, 1, 2], EPOCHS: 36}
    made.add_trial(create_trial(value=0.6, user_attrs=own))
    assert "| 1 | 0 | 0.6000 ± 0.1000 | 3 | 36 |" in as_markdown(leaderboard(made), ["value"])


def test_the_answer() -> None:
    """The best trial, its spread, and how many others are as good, in one sentence."""
    made = optuna.create_study(direction="maximize")
    assert answer(leaderboard(made)) == ""
    space = {"aug": CategoricalDistribution(("none", "flip", "zoom"))}
    for aug, values in {
        "none": [0.71, 0.69, 0.72],
        "flip": [0.40, 0.42, 0.411],
        "zoom": [0.70, 0.72, 0.71],
    }.items():
        own = {REPEATS: values, SEEDS: [0, 1, 2]}
        made.add_trial(
            create_trial(
                value=sum(values) / 3, params={"aug": aug}, distributions=dict(space), user_attrs=own
            )
        )
    assert answer(leaderboard(made)) == (
        "Best: **trial 2 (aug=zoom)**, 0.7100 ± 0.0100 over 3 seeds; 1 more with rank 1, which cannot be distinguished "
        "from it.\n\n"
    )


@pytest.mark.parametrize("width", [30, 80, 100, 120])
@pytest.mark.parametrize("n_keys", [1, 3, 5])
def test_no_word_is_broken(width: int, n_keys: int) -> None:
    """Whatever the width, every number and every name is on one line."""
    made = study(n_keys)
    words = {"0.0004909", "RandomTranslation_prob", "0.9000", "PRUNED", "learning_rate", "val_accuracy"}
    keys = list(SPACE)[:n_keys]
    expected = words - ({"RandomTranslation_prob"} if "aug" not in keys else set())
    assert broken_words(printed(made, width, limit=12), expected) == set()


def test_columns_are_left_out_before_lines_are_shown() -> None:
    """At 80 characters the seconds give way; a column without content never has a place."""
    assert "seconds" in printed(study(1), 100)
    assert "seconds" not in printed(study(3), 70)
    made = optuna.create_study(direction="maximize")
    made.add_trial(create_trial(value=0.6))
    assert printed(made, 80).splitlines()[1].split()[::2] == ["rank", "trial", "value"]
    assert "state" not in printed(made, 80)
    assert max(map(len, printed(study(3), 80).splitlines())) <= 80


def test_many_keys_share_a_column() -> None:
    """Five keys are one column of pairs, which 80 characters have room for."""
    shown = printed(study(5), 80)
    assert "searched" in shown
    assert "learning_rate=0.0004909" in shown
    assert "fine_tune_at=120" in shown


def test_no_column_takes_the_place_of_another() -> None:
    """A searched key and an objective that are called as a fixed column is have columns of their own, here and in MLflow."""
    made = optuna.create_study(directions=["minimize", "minimize"])
    name_metrics(made, ["loss", "seconds"])
    values = {"trainer.epochs": 50, "rank": 16, "loss": 3}
    one = create_trial(
        values=[0.5, 11.25],
        params=values,
        distributions={key: IntDistribution(1, 100) for key in values},
        user_attrs={EPOCHS: 8},
    )
    one.datetime_start = dt.datetime(2026, 1, 1)  # noqa: DTZ001 (Optuna's have no zone)
    one.datetime_complete = one.datetime_start + dt.timedelta(seconds=99)
    made.add_trial(one)
    cells = ["1", "0", "50", "16", "3", "0.5000", "11.25", "8", "99.0"]
    heads = [
        "rank",
        "trial",
        "trainer.epochs",
        "searched/rank",
        "searched/loss",
        "objective/loss",
        "objective/seconds",
    ]
    board = leaderboard(made)
    full, _ = as_listings(board, metric_names(made), "Study x")
    assert dict(zip(full.headings, full.rows[0], strict=True)) == dict(
        zip([*heads, "epochs", "seconds"], cells, strict=True)
    )
    head, _, row, *_ = as_markdown(board, metric_names(made)).splitlines()
    assert [head, row] == [f"| {' | '.join(line)} |" for line in ([*heads, "epochs", "seconds"], cells)]


def test_what_is_not_shown_is_counted() -> None:
    """The first ten trials are shown, and how many there are more."""
    assert printed(study(1), 100).splitlines()[-1] == "and 2 more"
