"""The report of a study as an object that a notebook shows."""

import html
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from flowersweep.api.pictures import Picture, Pictures
from flowersweep.commands.report import PAGE, write_report
from flowersweep.tracking.store.store import Store

if TYPE_CHECKING:
    from mlflow.entities import Run


@dataclass(frozen=True)
class Report:
    """A report that was written. A notebook shows its summary and its ranking; everything else is on the page.

    Attributes:
        path: The page.
        sentences: Its summary.
        pictures: Its main charts by name: ranking, val_accuracy, importance and so on.
    """

    path: Path
    sentences: tuple[str, ...]
    pictures: Pictures

    def __repr__(self) -> str:
        return f"<Report {self.path}>"

    def _repr_html_(self) -> str:
        text = "".join(f"<p>{html.escape(sentence)}</p>" for sentence in self.sentences)
        ranking = self.pictures["ranking"].html() if "ranking" in self.pictures else ""
        return f"{text}{ranking}<p>The complete page: {html.escape(str(self.path))}</p>"


def make_report(store: Store, study: "Run", output: str | None) -> Report:
    """Write the report of a study, and store it with the study's run.

    Args:
        store: The store of the study.
        study: Its run.
        output: The folder; None for reports/STUDY.
    """
    written = write_report(store, study, output)
    images = [file for file in written.files if file.name != PAGE]
    pictures = {file.stem: Picture(file.stem, file.read_bytes()) for file in images}
    return Report(written.files[0], tuple(written.sentences), Pictures(pictures))
