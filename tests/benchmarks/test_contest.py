"""Contests of benchmarks: alternation, ratios with their spread, and the table."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from benchmarks import contest, memory
from benchmarks.contest import Contestant, Line, Sample
from benchmarks.fresh import environment, fresh
from benchmarks.memory import Look

SECONDS = st.lists(st.floats(min_value=1e-3, max_value=1e6), min_size=1, max_size=9)


def samples(*values: float, accuracy: float | None = None) -> list[Sample]:
    """Samples with these values."""
    return [Sample(value, accuracy) for value in values]


class TestHold:
    def test_contestants_alternate_and_are_compared_with_the_first_of_their_round(self) -> None:
        """Each contestant measures once per round, and its ratio is that of the round."""
        order: list[str] = []
        seconds = {"plain": iter([10.0, 30.0]), "ours": iter([5.0, 10.0])}

        def measured(name: str) -> Sample:
            order.append(name)
            return Sample(next(seconds[name]))

        contestants = [Contestant(name, lambda name=name: measured(name)) for name in seconds]  # type: ignore[misc]  # the default binds the name
        plain, ours = contest.hold("epoch", contestants, rounds=2)

        assert order == ["plain", "ours", "plain", "ours"]
        assert plain.ratios == ()
        assert list(ours.ratios) == [2.0, 3.0]
        assert [sample.value for sample in ours.samples] == [5.0, 10.0]


class TestFigures:
    def test_ratios_pair_the_rounds(self) -> None:
        """A round in which the machine was slow is compared with itself, not with the others."""
        assert contest.ratios(samples(10, 100), samples(5, 50)) == [2.0, 2.0]

    def test_differences_are_what_comes_on_top_of_the_reference(self) -> None:
        """They are positive for what takes longer."""
        assert contest.differences(samples(1, 2), samples(1.5, 1.75)) == [0.5, -0.25]

    def test_steady_leaves_the_first_epoch_out(self) -> None:
        """Tracing and reading count only where there is nothing else."""
        assert contest.steady([60.0, 10.0, 14.0]) == 12.0
        assert contest.steady([60.0]) == 60.0

    def test_scaled_counts_the_setup_once(self) -> None:
        """Nine trainings of which two took 90 and 110 seconds take nine times 100, and the setup."""
        assert contest.scaled(20.0, [90.0, 110.0], 9) == 920.0

    @given(SECONDS, st.floats(min_value=0.01, max_value=100))
    def test_a_contestant_that_is_always_so_many_times_as_fast_has_that_ratio(
        self, seconds: list[float], factor: float
    ) -> None:
        """However much the machine drifts between rounds."""
        found = contest.ratios(samples(*seconds), samples(*(value / factor for value in seconds)))
        assert found == pytest.approx([factor] * len(seconds))


class TestTable:
    @pytest.mark.parametrize(
        ("values", "expected"),
        [
            ([2.0], "2.00"),
            ([3.0, 1.0, 2.0], "2.00 (1.00-3.00)"),
            ([99.96, 12.34], "56.1 (12.3-100.0)"),
            ([1234.5, 800.0], "1017 (800-1234)"),
            ([-0.031], "-0.03"),
        ],
    )
    def test_spread_is_median_least_and_greatest(self, values: list[float], expected: str) -> None:
        """A single measurement has no spread."""
        assert contest.spread(values) == expected

    def test_cells_of_a_line(self) -> None:
        """Value with its unit, ratio, accuracy, and what stands beside."""
        own = [Sample(4.0, 0.5, {"first epoch": 9.0}), Sample(6.0, 0.7, {"first epoch": 11.0})]
        line = Line("CNN epoch", "ours", own, ratios=[2.0, 3.0], note="warm")

        assert contest.cells(line) == [
            "CNN epoch",
            "ours",
            "5.00 (4.00-6.00) s",
            "2.50 (2.00-3.00)",
            "0.6000",
            "warm; first epoch 10.0 s",
        ]

    def test_a_reference_without_training_leaves_ratio_and_accuracy_empty(self) -> None:
        """The first line of a contest is compared with nothing."""
        assert contest.cells(Line("once", "ours", samples(3.0)))[3:] == ["", "", ""]

    def test_markdown_has_as_many_columns_in_every_row(self) -> None:
        """Headings, the line below them and a row of cells."""
        cells = contest.cells(Line("once", "ours", samples(3.0)))
        lines = [*contest.head(markdown=True).splitlines(), contest.row(cells, markdown=True)]

        assert {line.count("|") for line in lines} == {len(contest.HEADINGS) + 1}
        assert lines[1] == "|---|---|---|---|---|---|"

    def test_plain_rows_align_with_their_headings(self) -> None:
        """Every column begins where its heading does."""
        head = contest.head(markdown=False)
        row = contest.row(["a", "b", "c", "d", "e", "f"], markdown=False)

        assert [row.index(text) for text in "abcdef"] == [head.index(name) for name in contest.HEADINGS]


class TestFresh:
    def test_calls_a_function_in_a_process_of_its_own(self) -> None:
        """Its dictionary comes back with the life of the process."""
        found = fresh("command", "machine")

        assert found["versions"].startswith("Python 3.")
        assert found["process_seconds"] > 0

    def test_settings_of_the_shell_do_not_reach_the_contestants(
        self, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """TensorFlow's default is TensorFlow's own, unless a contestant is about another one."""
        monkeypatch.setenv("TF_ENABLE_ONEDNN_OPTS", "0")
        monkeypatch.setenv("MLFLOW_RUN_ID", "abc")

        assert not {"TF_ENABLE_ONEDNN_OPTS", "MLFLOW_RUN_ID"} & environment().keys()
        assert environment({"TF_ENABLE_ONEDNN_OPTS": "1"})["TF_ENABLE_ONEDNN_OPTS"] == "1"


class TestMemory:
    def test_memory_at_the_ends_of_trials(self) -> None:
        """The last look before a trial ended tells; trials of later processes do not count."""
        looks = [Look(10 + 0.2 * index, 1, 100 + index) for index in range(10)]

        assert memory.at_ends(looks, [10.5, 11.1, 30.0]) == [102, 105]

    def test_growth_is_the_slope(self) -> None:
        """Two points are too few for a line."""
        assert memory.growth([500, 512, 524, 536]) == pytest.approx(12)
        assert memory.growth([500, 512]) is None
