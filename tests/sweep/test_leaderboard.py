"""The order and the ranks of trials."""

from collections.abc import Mapping
from typing import Any

import optuna
import pytest
from optuna.distributions import CategoricalDistribution, FloatDistribution, IntDistribution
from optuna.study import StudyDirection
from optuna.trial import FrozenTrial, TrialState, create_trial

from flowersweep.sweep.leaderboard import as_json, leaderboard
from flowersweep.sweep.study.attributes import EPOCHS, N_VALIDATION, REPEATS, SEEDS, TAKEN_FROM
from flowersweep.sweep.study.study import name_metrics

SPACE = {"lr": FloatDistribution(0, 1), "aug": CategoricalDistribution(("none", "flip"))}


def trial(
    *values: float,
    state: TrialState = TrialState.COMPLETE,
    lr: float = 0.5,
    attrs: Mapping[str, Any] | None = None,
) -> FrozenTrial:
    """A finished trial with two reports."""
    return create_trial(
        state=state,
        values=list(values) or None,
        params={"lr": lr, "aug": "flip"},
        distributions=dict(SPACE),
        intermediate_values={1: 0.1, 2: 0.2},
        user_attrs={"mlflow_run_id": f"run{lr}", **(attrs or {})},
    )


def repeated(*values: float, lr: float, n_pictures: int | None = None) -> FrozenTrial:
    """A trial that was trained with several seeds, 30 epochs each."""
    own = {REPEATS: list(values), SEEDS: list(range(len(values))), EPOCHS: 30 * len(values)}
    size = {} if n_pictures is None else {N_VALIDATION: n_pictures}
    return trial(sum(values) / len(values), lr=lr, attrs={**own, **size})


def study(
    *trials: FrozenTrial, directions: tuple[str, ...] = ("maximize",), metric: str | None = None
) -> optuna.Study:
    """A study of these trials."""
    made = optuna.create_study(directions=[StudyDirection[name.upper()] for name in directions])
    if metric is not None:
        name_metrics(made, [metric])
    made.add_trials(trials)
    return made


MIXED = (
    trial(0.5, lr=0.1),
    trial(state=TrialState.FAIL, attrs={"fail_reason": "no memory"}),
    trial(0.9),
    trial(0.7, state=TrialState.PRUNED),
    trial(0.9, lr=0.25),
)


class TestOrder:
    @pytest.mark.parametrize(
        ("direction", "order", "ranks"),
        [("maximize", [2, 4, 0], [1, 1, 2]), ("minimize", [0, 2, 4], [1, 2, 2])],
    )
    def test_best_first(self, direction: str, order: list[int], ranks: list[int]) -> None:
        """Complete trials by value, equal ones with one rank, the earlier first; then pruned and failed ones without a rank."""
        board = leaderboard(study(*MIXED, directions=(direction,)))
        assert [row.trial for row in board.rows] == [*order, 1, 3]
        assert [row.rank for row in board.rows] == [*ranks, None, None]
        assert board.best == board.rows[:1]
        assert board.note == "Ranked by value: only equal values share a rank."

    def test_pareto_set_first(self) -> None:
        """With several objectives every trial that none beats in all has rank 1."""
        points = [(0.5, 10.0), (0.9, 30.0), (0.4, 20.0), (0.3, 5.0)]
        made = study(
            *(trial(*point, lr=number / 10) for number, point in enumerate(points)),
            directions=("maximize", "minimize"),
        )
        board = leaderboard(made)
        assert [(row.trial, row.rank) for row in board.rows] == [(1, 1), (0, 1), (3, 1), (2, 2)]
        assert {row.trial for row in board.best} == {one.number for one in made.best_trials} == {0, 1, 3}
        assert board.note.startswith("Rank 1 is the Pareto set")

    def test_pareto_set_of_means(self) -> None:
        """Each seed of a configuration counts once: neither a copied result nor another training with its seed adds to it."""
        parameters = 100.0
        made = study(
            trial(0.9, parameters, lr=0.1, attrs={SEEDS: [0]}),
            trial(0.8, parameters, lr=0.1, attrs={SEEDS: [1]}),
            trial(0.9, parameters, lr=0.1, attrs={TAKEN_FROM: 0}),
            trial(0.9, parameters, lr=0.1, attrs={SEEDS: [0]}),
            trial(0.86, parameters, lr=0.2, attrs={SEEDS: [0, 1], REPEATS: [0.85, 0.87]}),
            directions=("maximize", "minimize"),
        )
        assert {row.trial: row.rank for row in leaderboard(made).rows} == {0: 2, 1: 2, 2: 2, 3: 2, 4: 1}

    def test_pareto_set_of_repeats(self) -> None:
        """The mean of a trial with three seeds weighs three times as much as that of one seed."""
        made = study(
            trial(0.80, 100.0, lr=0.1, attrs={SEEDS: [0, 1, 2], REPEATS: [0.7, 0.8, 0.9]}),
            trial(1.00, 100.0, lr=0.1, attrs={SEEDS: [3]}),
            trial(0.86, 100.0, lr=0.2, attrs={SEEDS: [0]}),
            directions=("maximize", "minimize"),
        )
        assert {row.trial: row.rank for row in leaderboard(made).rows} == {0: 2, 1: 2, 2: 1}

    def test_nothing_yet(self) -> None:
        """An empty study has no rows and no best one, whatever its objectives."""
        assert leaderboard(study()).rows == []
        board = leaderboard(study(trial(state=TrialState.FAIL), directions=("minimize",) * 2))
        assert (board.best, board.note) == ([], "")

    def test_a_copied_result_follows_its_original(self) -> None:
        """A trial with the values of another one shares its rank, comes after it, and is no further seed."""
        original = trial(0.9, attrs={SEEDS: [7], EPOCHS: 3})
        board = leaderboard(study(trial(0.9, attrs={TAKEN_FROM: 1}), original, trial(0.95, lr=0.2)))
        assert [(row.trial, row.rank, row.n_seeds) for row in board.rows] == [(2, 1, 1), (1, 2, 1), (0, 2, 1)]


class TestEpochs:
    def test_epochs_are_those_trained(self) -> None:
        """Three repeats of 30 epochs report three times, and are 90 epochs."""
        made = study(repeated(0.5, 0.6, 0.7, lr=0.1))
        (row,) = leaderboard(made).rows
        assert (row.epochs, row.steps) == (90, 2)

    def test_steps_of_other_programs(self) -> None:
        """A program that records no epochs has the last step that it reported."""
        (row,) = leaderboard(study(trial(0.5))).rows
        assert (row.epochs, row.steps) == (None, 2)


class TestRanks:
    def test_indistinguishable_repeats_share_a_rank(self) -> None:
        """Two trials whose seeds overlap have rank 1, one far below rank 2; each with mean and standard deviation."""
        made = study(
            repeated(0.71, 0.69, 0.72, lr=0.1),
            repeated(0.40, 0.42, 0.411, lr=0.2),
            repeated(0.70, 0.72, 0.71, lr=0.3),
        )
        board = leaderboard(made)
        assert [(row.trial, row.rank, row.n_seeds) for row in board.rows] == [(2, 1, 3), (0, 1, 3), (1, 2, 3)]
        assert board.rows[0].mean == pytest.approx(0.71)
        assert board.rows[0].standard_deviation == pytest.approx(0.01)
        assert board.note == (
            "Values are means ± standard deviations over 3 seeds. The same rank means statistically indistinguishable (Tukey's "
            "range test and paired t-tests over common seeds, limit 0.05)."
        )
        assert [row.trial for row in board.best] == [2]

    def test_one_run_each_is_as_good_as_the_pictures(self) -> None:
        """Accuracies of one run each share a rank where so few pictures cannot tell them apart."""
        counts = (660, 650, 500)
        made = study(
            *(
                trial(count / 734, lr=place / 10, attrs={SEEDS: [0], N_VALIDATION: 734})
                for place, count in enumerate(counts)
            ),
            metric="best/val_accuracy",
        )
        board = leaderboard(made)
        assert [(row.trial, row.rank) for row in board.rows] == [(0, 1), (1, 1), (2, 2)]
        assert board.note.startswith(
            "One of 734 validation pictures is 0.0014; differences from the best below 0.0409 are within the noise"
        )

    def test_trials_that_differ_in_the_seed(self) -> None:
        """A grid over seeds is one configuration for each other value; its trials share mean, spread and rank."""
        space = {"x": IntDistribution(0, 1), "seed": IntDistribution(0, 9)}
        made = study(
            *(
                create_trial(value=value, params={"x": x, "seed": seed}, distributions=dict(space))
                for x, seed, value in ((0, 1, 5.0), (0, 2, 6.0), (1, 1, 1.0), (1, 2, 2.5))
            )
        )
        board = leaderboard(made)
        assert [(row.trial, row.mean, row.n_seeds) for row in board.rows] == [
            (1, 5.5, 2),
            (0, 5.5, 2),
            (3, 1.75, 2),
            (2, 1.75, 2),
        ]
        ranks = [row.rank for row in board.rows]
        assert ranks[0] == ranks[1]
        assert ranks[2] == ranks[3]


def test_json() -> None:
    """A row keeps numbers as they are."""
    first, *_, failed, pruned = as_json(leaderboard(study(*MIXED)).rows)
    assert first["values"] == (0.9,)
    assert first["params"] == {"lr": 0.5, "aug": "flip"}
    assert (first["rank"], first["mean"], first["n_seeds"], first["run_id"]) == (1, 0.9, 1, "run0.5")
    assert (failed["reason"], failed["values"], pruned["values"]) == ("no memory", (), (0.7,))


@pytest.mark.parametrize("seeds", [(0, 1, 0.5), (None, 1, 2), ("1", 1, 0)])
def test_seeds_that_are_not_all_integers_are_different_seeds(seeds: tuple[Any, ...]) -> None:
    """Each counts once, whatever it is."""
    space = {"seed": CategoricalDistribution(seeds)}
    trials = [
        create_trial(values=[value], params={"seed": seed}, distributions=dict(space))
        for seed, value in zip(seeds, (2.0, 9.0, 5.0), strict=True)
    ]
    board = leaderboard(study(*trials))
    assert {(row.n_seeds, round(row.mean or 0, 4)) for row in board.rows} == {(3, 5.3333)}
