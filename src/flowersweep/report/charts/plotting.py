"""The common style of the charts of the page, and their JSON."""

import html
import textwrap
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

WRAP = 22
MAX_LINES = 3


@dataclass(frozen=True)
class Chart:
    """A chart on the page.

    Attributes:
        name: A unique name of letters and dashes.
        title: The title above the chart.
        figure: A Plotly figure.
        note: A sentence or two below the title.
        is_wide: Whether it has a minimum width, and scrolls on a narrow screen.
    """

    name: str
    title: str
    figure: Any
    note: str = ""
    is_wide: bool = False

    @property
    def json(self) -> str:
        """Data and layout as JSON that is safe inside a script element."""
        text: str = self.figure.to_json()
        return text.replace("<", "\\u003c").replace(">", "\\u003e").replace("&", "\\u0026")


def empty(height: int, x: str | None = None, y: str | None = None) -> Any:
    """An empty Plotly figure with its legend at the bottom.

    Args:
        height: The height in pixels.
        x: The title of the horizontal axis.
        y: The title of the vertical axis.
    """
    from plotly.graph_objects import Figure

    axis = {"gridcolor": "#E4E4E4", "linecolor": "#999999", "zeroline": False, "automargin": True}
    return Figure(
        layout={
            "template": "none",
            "height": height,
            "font": {"family": "system-ui, sans-serif", "size": 13, "color": "#222222"},
            "paper_bgcolor": "white",
            "plot_bgcolor": "white",
            "margin": {"l": 60, "r": 16, "t": 12, "b": 60},
            "xaxis": {**axis, "title": None if x is None else {"text": safe(x)}},
            "yaxis": {**axis, "title": None if y is None else {"text": safe(y)}},
            "legend": {
                "orientation": "h",
                "yref": "container",
                "y": 0,
                "yanchor": "bottom",
                "x": 0,
                "xanchor": "left",
            },
            "hoverlabel": {"align": "left"},
        }
    )


def safe(text: str) -> str:
    """A text that Plotly shows unchanged; it would interpret <b> and similar tags."""
    return html.escape(text, quote=False)


def wrapped(text: str) -> str:
    """A name on a few short lines, for axes and legends on narrow screens; no word and no number is broken."""
    parts = textwrap.wrap(
        text,
        WRAP,
        max_lines=MAX_LINES,
        placeholder=" …",
        break_long_words=False,
        break_on_hyphens=False,
    ) or [text]
    return "<br>".join(map(safe, parts))


def segments(
    ends: Sequence[tuple[float, float, float, float]],
) -> tuple[list[float | None], list[float | None]]:
    """The x and y of lines that are drawn as one trace, with a gap after each.

    Args:
        ends: (x0, x1, y0, y1) of each line.
    """
    x = [value for x0, x1, _, _ in ends for value in (x0, x1, None)]
    y = [value for _, _, y0, y1 in ends for value in (y0, y1, None)]
    return x, y
