"""What all figures have in common: the empty figure, its colours, and names as matplotlib shows them.

They are drawn without pyplot, so nothing is left open, and in colours that colour-blind readers can distinguish
(Okabe and Ito, 2008). The sizes suit the width at which MLflow shows a picture.
"""

from functools import cache
from typing import TYPE_CHECKING

from flowersweep.texts import in_one_line

if TYPE_CHECKING:  # matplotlib takes most of a second to import
    from matplotlib.figure import Figure

BLUE, ORANGE, GREEN, GREY = "#0072B2", "#D55E00", "#009E73", "#666666"

DPI = 110


def blank(width: float, height: float) -> "Figure":
    """Return an empty figure, `width` by `height` inches, that belongs to no window and no global list."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=(width, height), dpi=DPI, layout="constrained", facecolor="white")
    FigureCanvasAgg(figure)
    return figure


def plain(name: str, limit: int = 26) -> str:
    r"""A name in one line and as it is: matplotlib takes what is between two dollars for mathematics.

    Characters that its font has not are escaped, as in `\u5411`.
    """
    line = in_one_line(name)
    # Matplotlib would draw a box for each, all alike, and warn.
    shown = "".join(one if _has_glyph(one) else one.encode("unicode_escape").decode() for one in line)
    shown = shown if len(shown) <= limit else f"{shown[: limit - 10]}...{shown[-7:]}"
    return shown.replace("$", r"\$")


@cache
def _has_glyph(character: str) -> bool:
    if character.isascii():
        return True
    from matplotlib.font_manager import FontProperties, findfont, get_font

    return get_font(findfont(FontProperties())).get_char_index(ord(character)) != 0
