"""The page of studies in a real store: its numbers are MLflow's, and it stands on its own."""

import re
from typing import NamedTuple

import pytest

from flowersweep.report.evidence import Study, Training
from flowersweep.report.leading_run import LeadingRun, read_leading_run
from flowersweep.report.page import duration, page, shade, split_words
from flowersweep.report.reading import read_study
from flowersweep.report.statistics.ranking import Row, ranking
from flowersweep.report.summary import summary
from flowersweep.tracking.selection import find_study
from flowersweep.tracking.store.store import Store
from pages import Page, trace, trace_p


class Made(NamedTuple):
    """A report before it is written."""

    study: Study
    rows: list[Row]
    leading: LeadingRun | None
    html: str

    @property
    def told(self) -> str:
        """The sentences at the top."""
        return " ".join(summary(self.study, self.rows, self.leading))


def make(store: Store, name: str) -> Made:
    """Make the report of a study."""
    study = read_study(store, find_study(store, name))
    ranked = ranking(study)
    rows = ranked.rows
    leading = read_leading_run(store, rows[0].configuration, study) if rows else None
    return Made(study, rows, leading, page(study, ranked, leading))


@pytest.fixture(scope="module")
def of_repeated(store: Store, repeated: str) -> Made:
    """The report of a grid with repeats."""
    return make(store, repeated)


@pytest.fixture(scope="module")
def of_searched(store: Store, searched: str) -> Made:
    """The report of a search with strange names and trials that ended in every way."""
    return make(store, searched)


class TestRepeated:
    @pytest.mark.slow
    def test_numbers_are_those_of_mlflow(self, of_repeated: Made, store: Store) -> None:
        """Mean, spread, single runs, test figure, epochs and seconds of all five rows trace to runs and metrics."""
        assert trace(Page(of_repeated.html), store) == 5 * (4 + 3 + 1 + 2)

    @pytest.mark.slow
    def test_p_values_are_scipys(self, of_repeated: Made, store: Store) -> None:
        """The p beside each of the four that do not lead is SciPy's on MLflow's values; a small one is not shown as 0."""
        assert trace_p(Page(of_repeated.html), store) == 4
        assert "p &lt; 0.001</span>" in of_repeated.html

    def test_summary(self, of_repeated: Made) -> None:
        """It names the leader with its spread, who is indistinguishable from it, who is worse, and which set chose."""
        assert of_repeated.told.startswith(
            "RandomZoom has the best value: best/val_accuracy 0.7100 on average over 3 seeds, standard "
            "deviation 0.0100, from 0.7000 to 0.7200. RandomZoom, RandomFlip and none are statistically "
            "indistinguishable (Tukey's range test and paired t-tests over 3 common seeds, limit 0.05). They are not "
            "necessarily equal: a separate study with more seeds, for example hydra.sweeper.n_repeats=5, may find "
            "differences. "
            "RandomTranslation_prob and RandomTranslation are worse than RandomZoom (p at most 0.00"
        )
        assert (
            "The validation set (10 pictures) selected the best epoch of every run and the best"
            in of_repeated.told
        )
        assert (
            "The test set (10 pictures) was not used for any selection: accuracy 0.6600" in of_repeated.told
        )

    def test_ranks(self, of_repeated: Made) -> None:
        """Those that cannot be distinguished share a rank; the article's figures stand beside."""
        assert [row.rank for row in of_repeated.rows] == [1, 1, 1, 2, 3]
        words = [row.published.words for row in of_repeated.rows if row.published]
        assert words[0] == "rank 6 of 7, below 0.7316"
        assert len(words) == 5
        marks = {trace["name"]: trace for trace in Page(of_repeated.html).charts()["ranking"]["data"]}[
            "published"
        ]["x"]
        assert set(marks) == {0.6499, 0.6785, 0.7316, None}

    def test_winner(self, of_repeated: Made) -> None:
        """The best seed's predictions give matrix, recalls and the surest mistake; its picture is embedded."""
        assert of_repeated.leading is not None
        assert of_repeated.leading.training.seed == 1
        recalls = {
            one.attributes["data-recall"]: one.text
            for one in Page(of_repeated.html).with_attribute("data-recall")
        }
        assert recalls == {
            "daisy": "1.000",
            "dandelion": "1.000",
            "roses": "1.000",
            "sunflowers": "0.500",
            "tulips": "1.000",
        }
        assert "sunflowers/3.jpg" in Page(of_repeated.html).by_id("mistakes").text
        (image,) = [one for one in Page(of_repeated.html).elements if one.tag == "img"]
        assert str(image.attributes["src"]).startswith("data:image/png;base64,iVBOR")
        assert of_repeated.leading.command == "python -m flowersweep model=cnn aug=RandomZoom seed=1"
        assert "secret" not in of_repeated.html
        assert "of-mine" not in of_repeated.html
        assert "postgresql://me:***@host/x" in of_repeated.html

    def test_reliability_and_recalls(self, of_repeated: Made) -> None:
        """Nine right predictions at 0.68 and a wrong one at 0.9; the recall of each class by epochs, with gaps."""
        charts = Page(of_repeated.html).charts()
        bars = charts["reliability"]["data"][0]
        assert bars["y"] == [1.0, 0.0]
        assert bars["customdata"] == [[9, "0.6800", "1"], [1, "0.9000", "0"]]
        assert f"calibration error is {0.9 * 0.32 + 0.1 * 0.9:.4f}" in of_repeated.html
        assert charts["recalls"]["data"][0]["text"] == [
            "daisy<br>epoch 1: 0.5000",
            "daisy<br>epoch 2: 0.7500",
        ]
        lines = {one["name"]: one["y"] for one in charts["recalls"]["data"]}
        assert lines == {"daisy": [0.5, 0.75], "roses": [None, None]}

    def test_costs(self, of_repeated: Made) -> None:
        """Epochs and seconds are those of all trainings, in all and per trial."""
        facts = Page(of_repeated.html).elements
        texts = [one.text for one in facts if one.tag == "dd"]
        assert "30 in total, 6.0 per trial" in texts
        assert "22.5 s in total, 4.5 s per trial" in texts
        assert "5 (5 complete)" in texts

    def test_stands_on_its_own(self, of_repeated: Made) -> None:
        """Nothing is loaded from elsewhere, Plotly is there once, and each chart has data and a place."""
        found = Page(of_repeated.html)
        for name in ("src", "href"):
            assert all(str(one.attributes[name]).startswith("data:") for one in found.with_attribute(name))
        assert "the main ones are also image files next to this page" in of_repeated.html
        assert "@import" not in of_repeated.html.partition("</style>")[0]
        assert of_repeated.html.count("plotly.js v") == 1
        charts = found.charts()
        assert list(charts) == [
            "ranking",
            "val-accuracy",
            "val-loss",
            "learning-rate",
            "trade-off",
            "timeline",
            "recalls",
            "reliability",
        ]
        for name, chart in charts.items():
            assert found.by_id(f"chart-{name}").tag == "div"
            assert chart["data"]
            assert chart["layout"]["xaxis"]["title"]["text"]


class TestSearched:
    @pytest.mark.slow
    def test_numbers_are_those_of_mlflow(self, of_searched: Made, store: Store) -> None:
        """Value, epochs and seconds of the ten complete trials."""
        assert trace(Page(of_searched.html), store) == 10 * 3

    @pytest.mark.slow
    def test_one_run_each_is_not_ranked(self, of_searched: Made) -> None:
        """It says that the noise is not known and how to repeat; the ranks are those of values; trials are accounted for."""
        assert [row.rank for row in of_searched.rows] == list(range(1, 11))
        assert "with one run each, the noise of the seeds is not known" in of_searched.told
        assert "hydra.sweeper.n_repeats=3" in of_searched.told
        assert "1 trial was pruned" in of_searched.told
        assert "1 trial failed: ValueError: " in of_searched.told
        assert "1 trial has not finished" in of_searched.told
        assert "the best one is optimistic" in of_searched.told
        assert (
            Page(of_searched.html).by_id("ranks").text == "Ranked by value: only equal values share a rank."
        )

    def test_names_are_escaped(self, of_searched: Made) -> None:
        """Names that are HTML, a template or the end of a script stay text."""
        found = Page(of_searched.html)
        assert not [one for one in found.elements if one.tag in {"img", "b"}]
        assert not re.search(
            r"onerror=",
            re.sub(r"<script.*?</script>", "", of_searched.html, flags=re.DOTALL).replace(
                "onerror=&#34;", ""
            ),
        )
        assert "49" not in found.by_id("ranking-table").text.replace("0.49", "")
        assert "{{ 7 * 7 }}" in found.by_id("ranking-table").text

    def test_search_charts(self, of_searched: Made) -> None:
        """A key that not every trial has is tested too; parallel coordinates have it as a choice."""
        charts = Page(of_searched.html).charts()
        assert sorted(text.partition(": ")[0] for text in charts["importance"]["data"][0]["text"]) == [
            "aug",
            "optimizer.learning_rate",
            "optimizer.momentum",
        ]
        axes = {axis["label"]: axis for axis in charts["parallel"]["data"][0]["dimensions"]}
        assert list(axes) == ["learning_rate", "aug", "momentum", "state", "val_accuracy"]
        assert axes["momentum"]["ticktext"][1] == "(missing)"
        assert axes["learning_rate"]["ticktext"][:2] == ["1e-10", "1e-09"]
        assert axes["learning_rate"]["ticktext"][4:] == [
            "0.000001",
            "0.00001",
            "0.0001",
            "0.001",
            "0.01",
            "0.1",
        ]
        assert axes["learning_rate"]["tickvals"] == pytest.approx(range(-10, 0))
        assert axes["state"]["ticktext"] == ["complete", "pruned"]
        assert axes["state"]["values"] == [0] * 10 + [1]
        assert axes["val_accuracy"]["values"][-1] == 0.9
        timeline = {bar["name"]: len(bar["y"]) for bar in charts["timeline"]["data"]}
        assert timeline == {"complete": 10, "pruned": 1, "failed": 1, "stopped": 1}


class TestOthers:
    def test_two_goals(self, store: Store, front: str) -> None:
        """There is no single best configuration but a Pareto set; its chart is there and every number traces."""
        made = make(store, front)
        assert (
            "so there is no single best one. dense_units=0 and dense_units=1 are 2 of 3 configurations"
            in made.told
        )
        assert [row.in_front for row in made.rows] == [True, True, False]
        assert "pareto" in Page(made.html).charts()
        assert trace(Page(made.html), store) == 3 * 4

    def test_nothing_came_of_it(self, store: Store, lost: str) -> None:
        """Failed and pruned trials have costs, curves and reasons, but no ranking and no leading run."""
        made = make(store, lost)
        assert made.rows == []
        assert made.told.startswith("No trial has a value of best/val_accuracy yet")
        assert "MemoryError" in made.told
        assert {"val-accuracy", "timeline"} <= Page(made.html).charts().keys()

    @pytest.mark.slow
    def test_runs_that_are_gone(self, store: Store, incomplete: str) -> None:
        """What MLflow does not have any more is named, first of all the study's best; no other one passes for it."""
        made = make(store, incomplete)
        assert made.told.startswith(
            "Runs of trial 0 (best/val_accuracy 0.9000) and trial 2 (best/val_accuracy 0.5500) are missing: they are no "
            "longer in MLflow. Trial 0 is the best of the study, so the leader on this page is not."
        )
        assert made.rows[0].configuration.label == "b"
        assert "1 trial failed: it died." in made.told
        assert [trial.number for trial in made.study.trials] == [0, 1, 2, 3]

    def test_one_trial(self, store: Store, single: str) -> None:
        """It is shown, compared with nothing, and a run without files leaves out what they would tell."""
        made = make(store, single)
        assert "cnn none is the only configuration" in made.told
        assert "best/val_loss 0.7500 in one run (seed 3)" in made.told
        assert "The run has no table of predictions." in made.html
        assert trace(Page(made.html), store) == 3

    def test_no_trial(self, store: Store, untouched: str) -> None:
        """A study that was interrupted before its first trial has a page that says so."""
        made = make(store, untouched)
        assert made.study.count() == {}
        assert Page(made.html).charts() == {}
        assert "none yet" in made.html


def test_words() -> None:
    """Seconds as one says them; the darker a cell, the larger its share, and white on dark."""
    assert [duration(seconds) for seconds in (12.34, 245.2, 7390)] == ["12.3 s", "4 min 05 s", "2 h 03 min"]
    assert [duration(seconds) for seconds in (59.94, 59.96, 3599.6, 7171)] == [
        "59.9 s",
        "1 min 00 s",
        "1 h 00 min",
        "2 h 00 min",
    ]
    assert shade(0, 0) == "background:rgb(255,255,255);color:#111"
    assert shade(5, 5) == "background:rgb(0,90,150);color:#fff"


def test_the_split_in_words() -> None:
    """Folds and seeds are counted over the trainings; runs of earlier versions have the split of Keras."""

    def words(*settings: dict[str, str]) -> str:
        return split_words([Training(str(n), n, settings=one) for n, one in enumerate(settings)])

    folds = [{"data.split": "stratified", "data.folds": "5", "data.fold": str(fold)} for fold in range(3)]
    assert words(*folds) == "stratified, 3 of 5 folds"
    assert words({}) == "keras"
    assert words({"data.split_seed": "1"}, {"data.split_seed": "1"}) == "keras"
    assert words({"data.split_seed": "1"}, {"data.split_seed": "2"}) == "keras, 2 seeds"
