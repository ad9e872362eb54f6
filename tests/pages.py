"""What tests of the report share: reading a page, and tracing its numbers to MLflow."""

import json
import statistics
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from html.parser import HTMLParser
from typing import Any

from flowersweep.tracking.mlflow_api import client
from flowersweep.tracking.store import Store

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
