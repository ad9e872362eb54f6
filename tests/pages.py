"""What tests of the report share: reading a page, and tracing its numbers to MLflow."""

import json
import math
import statistics
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from html.parser import HTMLParser
from typing import Any

import numpy as np
import pytest
import scipy.stats  # type: ignore[import-untyped] # it ships no types

from flowersweep.tracking.mlflow_api import client
from flowersweep.tracking.store.store import Store

STATISTICS: dict[str, Callable[[Sequence[float]], float]] = {
    "value": lambda values: values[0],
    "mean": statistics.mean,
    "sd": statistics.stdev,
    "min": min,
    "max": max,
    "sum": sum,
}


@dataclass
class Element:
    """A start tag, and the text up to the end of the element."""

    tag: str
    attributes: dict[str, str | None]
    texts: list[str] = field(default_factory=list)

    @property
    def text(self) -> str:
        """Without spaces around it."""
        return "".join(self.texts).strip()


class Page(HTMLParser):
    """A page as a flat list of elements, in their order."""

    VOID = ("meta", "link", "img", "br")

    def __init__(self, html: str) -> None:
        super().__init__()
        self.elements: list[Element] = []
        self._open: list[Element] = []
        self.feed(html)
        assert not self._open, f"never closed: {self._open[-1].tag}"

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """Open an element."""
        self.elements.append(Element(tag, dict(attrs)))
        if tag not in self.VOID:
            self._open.append(self.elements[-1])

    def handle_endtag(self, tag: str) -> None:
        """Close the element that is open; the page must nest properly."""
        assert self._open.pop().tag == tag

    def handle_data(self, data: str) -> None:
        """Give a text to every element that it is in."""
        for element in self._open:
            element.texts.append(data)

    def with_attribute(self, name: str) -> list[Element]:
        """The elements that have an attribute."""
        return [element for element in self.elements if name in element.attributes]

    def by_id(self, name: str) -> Element:
        """The only element of an id."""
        (found,) = [element for element in self.elements if element.attributes.get("id") == name]
        return found

    def charts(self) -> dict[str, Any]:
        """Data and layout of each chart by its name."""
        found = self.with_attribute("data-chart")
        return {
            str(one.attributes["data-chart"]).removeprefix("chart-"): json.loads(one.text) for one in found
        }


def trace(page: Page, store: Store) -> int:
    """Check that every number that names its source is what MLflow holds, to the last digit; return how many there are."""
    service = client(store.uri)
    numbers = page.with_attribute("data-metric")
    for number in numbers:
        given = {key: str(value) for key, value in number.attributes.items()}
        logged = [
            service.get_run(run).data.metrics[given["data-metric"]] for run in given["data-run"].split()
        ]
        expected = float(STATISTICS[given["data-statistic"]](logged))
        assert float(given["data-value"]) == expected, given
        digits = f"{expected:.0f}" if expected.is_integer() and abs(expected) > 1 else f"{expected:.4f}"
        assert number.text == digits
    return len(numbers)


def trace_p(page: Page, store: Store) -> int:
    """Check each p of the ranking against SciPy on what MLflow holds; return how many there are.

    It is the larger one of the paired test's and of Tukey's, whose error is that of a randomized block design.

    Args:
        page: Of a study with repeats, whose leader stands in the first row, the others by their means, with the same
            seeds for all and values that are not known to be counts.
        store: Where its runs are.
    """
    service = client(store.uri)
    rows: list[tuple[dict[str, float], Element | None]] = []
    for element in page.elements:
        if element.tag == "tr":
            rows.append(({}, None))
        elif element.attributes.get("data-statistic") == "value":
            run = service.get_run(str(element.attributes["data-run"]))
            rows[-1][0][run.data.params["seed"]] = run.data.metrics[str(element.attributes["data-metric"])]
        elif element.attributes.get("class") == "p":
            rows[-1] = (rows[-1][0], element)
    rows = [(values, told) for values, told in rows if values]
    seeds = sorted(rows[0][0])
    table = np.array([[values[seed] for seed in seeds] for values, _ in rows])
    n_compared, n = len(rows), len(seeds)
    for place, (_, told) in enumerate(rows[1:], start=1):
        assert told is not None
        some, gaps = table[: place + 1], table[0] - table[place]
        left_over = some - some.mean(axis=0) - some.mean(axis=1, keepdims=True) + some.mean()
        freedom = place * (n - 1)
        error = math.sqrt(max(np.square(left_over).sum() / freedom, np.var(gaps, ddof=1) / 2) / n)
        expected = max(
            scipy.stats.studentized_range.sf(gaps.mean() / error, n_compared, freedom),
            scipy.stats.ttest_rel(table[0], table[place]).pvalue,
        )
        assert told.attributes["data-seeds"] == str(n)
        assert float(str(told.attributes["data-p"])) == pytest.approx(expected, rel=1e-6)
        assert told.text == ("p < 0.001" if expected < 0.001 else f"p {expected:.3f}")
    return len(rows) - 1


def trace_curves(page: Page, store: Store, runs: Sequence[str]) -> int:
    """Check that the validation and learning-rate curves are the runs' histories in MLflow; return how many points there are."""
    service = client(store.uri)
    count = 0
    for chart, metric in (("val-accuracy", "val_accuracy"), ("learning-rate", "learning_rate")):
        logged = sorted(
            [(point.step, point.value) for point in service.get_metric_history(run, metric)] for run in runs
        )
        drawn = [trace for trace in page.charts()[chart]["data"] if trace["x"] and trace["x"][0] is not None]
        assert sorted(list(zip(one["x"], one["y"], strict=True)) for one in drawn) == logged
        count += sum(map(len, logged))
    return count
