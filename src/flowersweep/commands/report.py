"""`flowersweep report study=NAME`: a page about a sweep, and its main charts as image files."""

import re
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from flowersweep.commands.parsing.arguments import Argument, Command
from flowersweep.commands.parsing.common import STORE_ARGUMENTS, STUDY_ARGUMENTS, results_store
from flowersweep.console import print_line, stderr_console
from flowersweep.deploy.output import draft
from flowersweep.texts import expanded
from flowersweep.tracking.mlflow_api import client, translated
from flowersweep.tracking.selection import find_study
from flowersweep.tracking.store.store import Store

if TYPE_CHECKING:
    from mlflow.entities import Run

    from flowersweep.report.evidence import Study
    from flowersweep.report.leading_run import LeadingRun
    from flowersweep.report.statistics.ranking import Ranking

PAGE = "report.html"
ARTIFACTS = "report"

COMMAND = Command(
    name="report",
    about="Write a page about a sweep: the best configurations, which of them are statistically indistinguishable, "
    "curves, costs and mistakes. Everything is read from MLflow; page and images are also stored there, with the study's run.",
    arguments=(
        *STUDY_ARGUMENTS,
        Argument("output", "the folder of page and images (default: reports/STUDY)", "DIR"),
        *STORE_ARGUMENTS,
    ),
    example="python -m flowersweep report study=article_cnn",
    positional="study",
)


def main(arguments: Sequence[str] | None = None) -> int:
    """Write the report.

    Args:
        arguments: `name=value` each; None for those of the process.

    Returns:
        The exit code: 0, or 2 for bad input.
    """
    return COMMAND.run(_report, arguments)


@dataclass(frozen=True)
class Written:
    """A report that was written.

    Attributes:
        study: The study.
        files: The page, then its images.
        sentences: The summary of the page.
    """

    study: "Study"
    files: list[Path]
    sentences: list[str]


def write_report(store: Store, run: "Run", output: str | None = None) -> Written:
    """Write the report of a study, and store it with the study's run.

    Args:
        store: The store of the study.
        run: The study's run.
        output: The folder of page and images; None for reports/STUDY.
    """
    from flowersweep.report.leading_run import read_leading_run
    from flowersweep.report.reading import read_study
    from flowersweep.report.statistics.ranking import ranking
    from flowersweep.report.summary import summary

    study = read_study(store, run)
    ranked = ranking(study)
    leading = read_leading_run(store, ranked.rows[0].configuration, study) if ranked.rows else None
    folder = expanded(output or Path("reports") / folder_name(study.name))
    files = _write(folder, study, ranked, leading)
    _keep(store, study.run_id, files)
    return Written(study, files, summary(study, ranked.rows, leading))


def _report(values: Mapping[str, str | None]) -> int:
    store = results_store(values)
    run = find_study(store, values["study"], values["experiment"], of_others=True)
    written = write_report(store, run, values["output"])
    study = written.study
    print_line(f"Study {study.name} in experiment {study.experiment}:", stderr_console())
    for file in written.files:
        sys.stdout.write(f"{file}\n")
    return 0


def folder_name(study: str) -> str:
    """A study's name as a single folder name; names of studies may contain any character."""
    return re.sub(r"[^\w.-]+", "-", study).strip(".-") or "study"


def _write(folder: Path, study: "Study", ranked: "Ranking", leading: "LeadingRun | None") -> list[Path]:
    from flowersweep.report.charts.png import pictures
    from flowersweep.report.page import page

    html = page(study, ranked, leading)
    files = [folder / PAGE]
    with draft(files[0], overwrite=True) as part:
        part.write_text(html, encoding="utf-8")
    for name, figure in pictures(study, ranked.rows):
        files.append(folder / f"{name}.png")
        with draft(files[-1], overwrite=True) as part:
            figure.savefig(part)
    return files


def _keep(store: Store, run_id: str, files: Sequence[Path]) -> None:
    """Log the files to the study's run, whose status does not change."""
    service = client(store.uri)
    with translated(f"store the report with run {run_id} (it is complete in {files[0].parent})"):
        for file in files:
            service.log_artifact(run_id, str(file), ARTIFACTS)
