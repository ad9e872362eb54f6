"""The common style of all figures: the empty figure, colours, and names for Matplotlib.

Figures are drawn without pyplot, so none stays open, and in colours that colour-blind readers can distinguish
(Okabe and Ito, 2008). The sizes fit the width at which MLflow shows an image.
"""

from functools import cache
from typing import TYPE_CHECKING, Literal

from flowersweep.texts import in_one_line

if TYPE_CHECKING:  # matplotlib takes most of a second to import
    from matplotlib.figure import Figure

BLUE, ORANGE, GREEN, GREY = "#0072B2", "#D55E00", "#009E73", "#666666"

DPI = 110


def blank(width: float, height: float, *, layout: Literal["constrained"] | None = "constrained") -> "Figure":
    """Return an empty figure, `width` by `height` inches, without a window and outside pyplot's global list."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=(width, height), dpi=DPI, layout=layout, facecolor="white")
    FigureCanvasAgg(figure)
    return figure


def plain(name: str, limit: int = 26) -> str:
    r"""A name on one line, with `$` escaped, because Matplotlib interprets text between two dollars as mathematics.

    Characters that are missing in the font are escaped, as in `\u5411`.
    """
    line = in_one_line(name)
    # Matplotlib would draw the same box for each of them, and warn.
    shown = "".join(one if _has_glyph(one) else one.encode("unicode_escape").decode() for one in line)
    shown = shown if len(shown) <= limit else f"{shown[: limit - 10]}...{shown[-7:]}"
    return shown.replace("$", r"\$")


@cache
def _has_glyph(character: str) -> bool:
    if character.isascii():
        return True
    from matplotlib.font_manager import FontProperties, findfont, get_font

    return get_font(findfont(FontProperties())).get_char_index(ord(character)) != 0
