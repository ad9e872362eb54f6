"""The report's page in a browser, as wide as a desktop and as narrow as a phone."""

import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page

WIDTHS = (1280, 390)


@dataclass
class Opened:
    """A page of a report, and what happened while it was opened.

    Attributes:
        page: In the browser.
        errors: Errors of its scripts, and what it wrote to the console as one.
        addresses: Everything that was loaded.
    """

    page: Page
    errors: list[str] = field(default_factory=list)
    addresses: list[str] = field(default_factory=list)

    def rectangles(self, selector: str) -> list[dict[str, float]]:
        """Where the elements of a selector are, in pixels of the whole page."""
        found = self.page.locator(selector).evaluate_all(
            """elements => elements.map(element => {
                const box = element.getBoundingClientRect();
                return {left: box.left, right: box.right, top: box.top + scrollY, bottom: box.bottom + scrollY};
            })"""
        )
        return list(found)


@pytest.fixture(scope="session")
def report(swept: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The page of the sweep's latest study."""
    folder = tmp_path_factory.mktemp("report") / "page"
    command = [sys.executable, "-m", "flowersweep", "report", f"tracking.dir={swept}", f"output={folder}"]
    subprocess.run(command, check=True)
    return next(folder.glob("*.html"))


@pytest.fixture(params=WIDTHS, ids=lambda width: f"{width}px")
def opened(browser: Browser, report: Path, request: pytest.FixtureRequest) -> Iterator[Opened]:
    """The page at one of the widths, drawn."""
    page = browser.new_page(viewport={"width": request.param, "height": 844})
    page.set_default_timeout(60_000)
    result = Opened(page)
    page.on("pageerror", lambda error: result.errors.append(str(error)))
    page.on(
        "console", lambda message: result.errors.append(message.text) if message.type == "error" else None
    )
    page.on("request", lambda sent: result.addresses.append(sent.url))
    page.goto(report.as_uri())
    page.wait_for_function(
        "() => [...document.querySelectorAll('.plot')].every(one => one.querySelector('.main-svg'))"
    )
    yield result
    page.close()


def width_of(opened: Opened) -> int:
    """The width of the window."""
    size = opened.page.viewport_size
    assert size is not None
    return size["width"]


def test_nothing_fails_and_nothing_is_loaded(opened: Opened, report: Path) -> None:
    """The scripts raise no error, and beside the page itself no address is asked for."""
    assert opened.errors == []
    assert {one for one in opened.addresses if not one.startswith(("data:", "blob:"))} == {report.as_uri()}


def test_the_page_fits(opened: Opened, shots: Path) -> None:
    """The page itself never scrolls sideways; every chart and table is as wide as the text, or scrolls in its own box."""
    width = width_of(opened)
    opened.page.screenshot(path=shots / f"report_{width}.png", full_page=True)

    assert opened.page.evaluate("document.documentElement.scrollWidth") == width
    for box in opened.rectangles(".scroll, p:not([hidden]), h1, h2, h3, pre, .facts"):
        assert 0 <= box["left"] < box["right"] <= width


def test_every_chart_is_drawn_in_its_place(opened: Opened) -> None:
    """Each chart has a drawing that fills its place and ends before the next title begins."""
    places, drawings = opened.rectangles(".plot"), opened.rectangles(".plot .main-svg:first-child")
    figures = opened.rectangles("figure.chart")

    assert len(places) == len(drawings) == len(figures) >= 4
    for place, drawing, figure in zip(places, drawings, figures, strict=True):
        assert drawing["right"] - drawing["left"] == pytest.approx(place["right"] - place["left"], abs=2)
        assert drawing["bottom"] <= figure["bottom"] + 1


def test_no_legend_covers_a_chart(opened: Opened) -> None:
    """Every legend lies below its chart's axes and their title, and inside the drawing."""
    boxes = opened.page.locator(".plot").evaluate_all(
        """places => places.map(place => {
            const box = name => { const one = place.querySelector(name); return one && one.getBoundingClientRect(); };
            const legend = box('.legend'), axes = box('.nsewdrag'), title = box('.xtitle'), drawing = box('.main-svg');
            return legend && axes && {
                top: legend.top, bottom: legend.bottom, end: drawing.bottom,
                above: Math.max(axes.bottom, title ? title.bottom : 0),
            };
        }).filter(Boolean)"""
    )

    assert len(boxes) >= 4
    for box in boxes:
        assert box["above"] - 1 <= box["top"] < box["bottom"] <= box["end"] + 1


def test_a_phone_scrolls_the_ranking_in_its_own_box(opened: Opened) -> None:
    """The ranking shows its first columns, and the others when it is scrolled with the keyboard."""
    region = opened.page.get_by_role("region", name="Ranking, scrolls sideways")
    hidden = region.evaluate("one => one.scrollWidth - one.clientWidth")
    region.focus()
    opened.page.keyboard.press("End" if not hidden else "ArrowRight")
    opened.page.wait_for_timeout(400)

    assert (region.evaluate("one => one.scrollLeft") > 0) == (hidden > 0)
    assert opened.page.locator("#ranking-table tbody tr").count() >= 3


def test_the_ranking_uses_the_margins(browser: Browser, report: Path) -> None:
    """A table that is wider than the text extends into the margins of a wide screen, and is cut only by the screen."""
    page = browser.new_page(viewport={"width": 1440, "height": 844})
    page.goto(report.as_uri())
    # Long names, as those of a search over many keys.
    page.locator("#ranking-table tbody th").evaluate_all(
        "cells => cells.forEach(cell => { cell.style.minWidth = '900px'; })"
    )
    box = page.get_by_role("region", name="Ranking, scrolls sideways")
    left, right = box.evaluate("one => [one.getBoundingClientRect().left, one.getBoundingClientRect().right]")
    text = page.locator("main").evaluate("one => one.clientWidth")
    assert box.evaluate("one => one.scrollWidth - one.clientWidth") <= 1 or right - left >= 1390
    assert right - left > text
    assert left + right == pytest.approx(1440, abs=16)
    assert page.evaluate("document.documentElement.scrollWidth") <= 1440
    page.close()


def test_what_scrolls_says_so(opened: Opened) -> None:
    """Exactly the boxes that are wider than the screen have a hint above them."""
    boxes = opened.page.locator(".scroll").evaluate_all(
        """boxes => boxes.map(box => [box.scrollWidth > box.clientWidth + 1, box.previousElementSibling.checkVisibility()])"""
    )
    assert len(boxes) >= 5
    assert all(scrolls == hinted for scrolls, hinted in boxes)
    assert any(scrolls for scrolls, _ in boxes) == (width_of(opened) == 390)
