"""MLflow's pages in a new browser: which augmentation is best, by how much, and whether it is noise."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest
from playwright.sync_api import Browser, Page, expect

from flowersweep.tracking.mlflow_api import client, run_page
from flowersweep.tracking.store.store import Store, prepare_store
from flowersweep.tracking.store.view import address

EXPERIMENT = "flowersweep/demo"


@pytest.fixture
def page(browser: Browser) -> Iterator[Page]:
    """A page of a desktop's size with a new profile, patient with a busy machine."""
    opened = browser.new_page(viewport={"width": 1440, "height": 900})
    opened.set_default_timeout(90_000)
    expect.set_options(timeout=90_000)
    yield opened
    opened.close()


@pytest.fixture
def store(swept: Path) -> Store:
    """The sweep's store."""
    return prepare_store(swept)


def experiment(store: Store) -> str:
    """Id of the sweep's experiment."""
    return str(client(store.uri).get_experiment_by_name(EXPERIMENT).experiment_id)


def runs(store: Store, kind: str) -> list[Any]:
    """The runs of a kind, the best one first."""
    return list(
        client(store.uri).search_runs(
            [experiment(store)], f"tags.kind = '{kind}'", order_by=["metrics.`best/val_accuracy` DESC"]
        )
    )


def table(page: Page) -> list[dict[str, str]]:
    """What the table shows, from the top; the page keeps a row in two parts, and in another order."""
    parts = page.locator(".ag-row").evaluate_all(
        """rows => rows.map(row => [Number(row.getAttribute('row-index')), Object.fromEntries(
            [...row.querySelectorAll('[col-id]')].map(cell => [cell.getAttribute('col-id'),
                cell.innerText.trim().split('\\n').pop()]))])"""
    )
    found: dict[int, dict[str, str]] = {}
    for index, cells in parts:
        found.setdefault(index, {}).update(cells)
    return [found[index] for index in sorted(found)]


def test_the_table_answers(page: Page, server: str, store: Store, shots: Path) -> None:
    """The study is on top, its trials below it by mean, with the spread over seeds; nothing else asks for attention."""
    page.goto(address(server, experiment(store)))
    expect(page.get_by_text("Sort: order")).to_be_visible()
    trials, (study,) = runs(store, "trial"), runs(store, "study")
    expect(page.get_by_role("link", name=str(trials[-1].info.run_name))).to_be_visible()
    page.wait_for_timeout(1000)
    page.screenshot(path=shots / "mlflow_table.png")

    expect(page.get_by_text("Model registry")).to_be_visible()
    for of_language_models in ("Judges", "AI Gateway", "MLflow Assistant"):
        expect(page.get_by_text(of_language_models, exact=True)).to_have_count(0)
    first, *rows = table(page)
    assert first["attributes.`Run Name`"] == f"study {study.data.tags['study']}"
    assert [row["attributes.`Run Name`"] for row in rows] == [run.info.run_name for run in trials]
    for row, run in zip(rows, trials, strict=True):
        exact = run.data.metrics["best/val_accuracy"]
        assert float(row["metrics.`mean`"]) == pytest.approx(exact, rel=1e-3)
        assert float(row["metrics.`sd`"]) >= 0
        assert (row["metrics.`n`"], row["params.`aug.name`"]) == ("2", run.data.params["aug.name"])
        assert float(row["metrics.`best/val_loss`"]) > 0
        assert 1 <= float(row["metrics.`best/epoch`"]) <= 2
        assert all(len(row[f"metrics.`{name}`"]) <= 7 for name in ("mean", "sd", "best/val_loss"))
    assert first["metrics.`mean`"] == rows[0]["metrics.`mean`"]
    assert "RandomRotation" in first["params.`space`"]


def test_the_study_draws_its_course_and_ranking(page: Page, server: str, store: Store, shots: Path) -> None:
    """The description shows the ranking with its spread, and a chart the best value after each trial."""
    (study,) = runs(store, "study")
    page.goto(f"{server}/{run_page(experiment(store), study.info.run_id)}")
    page.wait_for_function(
        "() => [...document.querySelectorAll(\"img[src*='ranking.png']\")].some(one => one.naturalWidth > 100)"
    )
    page.wait_for_timeout(500)
    page.screenshot(path=shots / "mlflow_study.png")
    page.get_by_role("tab", name="Model metrics").click()
    expect(page.get_by_text("(best/value)").first).to_be_visible()
    page.wait_for_timeout(500)
    page.screenshot(path=shots / "mlflow_study_charts.png")


def chosen(store: Store, some: list[Any]) -> str:
    """The part of an address that selects runs."""
    ids = "[" + ",".join(f'"{run.info.run_id}"' for run in some) + "]"
    return (
        f'runs={quote(ids)}&experiments={quote(f"""["{experiment(store)}"]""")}&workflowType=machine_learning'
    )


def test_compared_trials_show_their_means(page: Page, server: str, store: Store) -> None:
    """MLflow's first plot has the last value of a metric: the mean over all seeds, not the last seed."""
    trials = runs(store, "trial")
    page.goto(f"{server}/#/compare-runs?{chosen(store, trials)}")
    expect(page.get_by_text("Comparing 3 Runs")).to_be_visible()
    means = [run.data.metrics["mean"] for run in trials]
    plot = page.locator(".js-plotly-plot").first
    expect(plot.get_by_text("mean", exact=True)).to_be_visible()
    for end in (min(means), max(means)):
        expect(plot.get_by_text(f"{end:.5f}").first).to_be_visible()


def test_learning_rates_of_seeds(page: Page, server: str, store: Store, shots: Path) -> None:
    """The rates that three runs used, side by side over their epochs."""
    some = runs(store, "repeat")[:3]
    keys = quote('["learning_rate"]')
    page.goto(
        f"{server}/#/metric?{chosen(store, some)}&metric={quote(chr(34) + 'learning_rate' + chr(34))}"
        f"&plot_metric_keys={keys}&plot_layout=%7B%7D&x_axis=step&y_axis_scale=linear&line_smoothness=1"
        "&show_point=false&deselected_curves=%5B%5D&last_linear_y_axis_range=%5B%5D"
    )
    for run in some:
        row = page.get_by_role("row").filter(has_text=str(run.info.run_name))
        expect(row.get_by_text(f"{run.data.metrics['learning_rate']} (step=")).not_to_have_count(0)
    page.wait_for_timeout(3000)  # the chart comes last
    page.screenshot(path=shots / "mlflow_learning_rates.png")


def test_a_run_tells_its_result_with_its_curves(page: Page, server: str, store: Store, shots: Path) -> None:
    """The description shows the objective, and the picture in it is really there."""
    run = next(run for run in runs(store, "repeat") if "curves.png" in run.data.tags["mlflow.note.content"])
    page.goto(f"{server}/{run_page(experiment(store), run.info.run_id)}")
    value = run.data.metrics["best/val_accuracy"]
    expect(page.get_by_text(f"val_accuracy {value:.4f}")).to_be_visible()
    picture = page.locator("img[src*='curves.png']")
    expect(picture).to_have_count(1)
    page.wait_for_function("() => document.querySelector(\"img[src*='curves.png']\").naturalWidth > 100")
    page.screenshot(path=shots / "mlflow_run.png")
