"""Figures as pictures, for the tests of what is drawn."""

import io

from matplotlib.figure import Figure
from PIL import Image


def rendered(figure: Figure) -> Image.Image:
    """Draw the figure as MLflow would and return the picture."""
    file = io.BytesIO()
    figure.savefig(file, format="png")
    return Image.open(file)
