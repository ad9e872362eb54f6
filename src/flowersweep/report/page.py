"""The page of a study as a single self-contained HTML file."""

import datetime as dt
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from flowersweep.report.charts.charts import charts
from flowersweep.report.charts.leading import leading_charts
from flowersweep.report.evidence import Study, Training
from flowersweep.report.leading_run import LeadingRun
from flowersweep.report.statistics.ranking import TEST_METRIC, Ranking, Row
from flowersweep.report.statistics.searched import unknown
from flowersweep.report.summary import summary
from flowersweep.report.wording import p_text
from flowersweep.texts import number_text

if TYPE_CHECKING:
    from jinja2 import Environment

TEMPLATES = Path(__file__).parent / "templates"
WHEN = "%Y-%m-%d %H:%M UTC"


def environment(folder: Path) -> "Environment":
    """The templates in a folder, which escape what they show and refuse unknown names."""
    from jinja2 import Environment, FileSystemLoader, StrictUndefined

    return Environment(
        loader=FileSystemLoader(folder),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )


def page(
    study: Study, ranked: Ranking, leading: LeadingRun | None, *, made: dt.datetime | None = None
) -> str:
    """The page as HTML, about 5 MB, most of it Plotly's script.

    Args:
        study: The study.
        ranked: Its ranking.
        leading: The leading run; None if no training was completed.
        made: The time at which the page was created; None for now.
    """
    from markupsafe import Markup
    from plotly.offline import get_plotlyjs

    rows = ranked.rows
    templates = environment(TEMPLATES)
    templates.filters |= {"shown": number_text, "as_p": p_text}
    templates.filters["markup"] = Markup  # for JSON and texts of this package, which are already escaped
    return templates.get_template("page.html").render(
        study=study,
        rows=rows,
        note=ranked.note,
        leading=leading,
        charts={**charts(study, rows), "leading": leading_charts(leading)},
        unknown=unknown(study),
        sentences=summary(study, rows, leading),
        facts=facts(study),
        columns=columns(study, rows),
        plotly=get_plotlyjs(),
        style=(TEMPLATES / "style.css").read_text(encoding="utf-8"),
        script=(TEMPLATES / "charts.js").read_text(encoding="utf-8"),
        made=(made or dt.datetime.now(dt.UTC)).strftime(WHEN),
        shade=shade,
    )


def facts(study: Study) -> dict[str, str]:
    """The facts below the title, by name."""
    trainings, ended = study.trainings, study.ended
    counted = [f"{number} {state}" for state, number in study.count().items()]
    n_trials = max(len(study.trials), 1)
    epochs, seconds = sum(one.epochs for one in trainings), sum(one.seconds for one in trainings)
    return {
        "Goal": ", ".join(goal.words for goal in study.goals),
        "Trials": f"{len(study.trials)} ({', '.join(counted)})" if counted else "none yet",
        "Trainings": str(len(trainings)),
        f"{study.unit.capitalize()}s": f"{epochs} in total, {epochs / n_trials:.1f} per trial",
        "Training time": f"{duration(seconds)} in total, {duration(seconds / n_trials)} per trial",
        "Started": study.began.strftime(WHEN),
        "Ended": "still running" if ended is None else f"{ended.strftime(WHEN)} ({study.status.lower()})",
        "Experiment": study.experiment,
        **({"Split": split_words(trainings)} if trainings and not study.program else {}),
    }


def split_words(trainings: Sequence[Training]) -> str:
    """How the trainings split their pictures: the kind, and how many folds or seeds there were."""

    def seen(key: str) -> list[str]:
        return sorted({one.settings[key] for one in trainings if key in one.settings})

    words = " or ".join(seen("data.split")) or "keras"
    if folds := seen("data.folds"):
        return f"{words}, {len(seen('data.fold'))} of {' or '.join(folds)} folds"
    seeds = seen("data.split_seed")
    return f"{words}, {len(seeds)} seeds" if len(seeds) > 1 else words


def columns(study: Study, rows: Sequence[Row]) -> dict[str, Any]:
    """The optional columns of the ranking."""
    repeated = any(len(row.configuration.trainings) > 1 for row in rows)
    return {
        "spread": repeated,
        "comparison": any(row.comparison and row.comparison.p is not None for row in rows),
        "others": [
            goal.metric for goal in study.goals[1:] if goal.metric not in {"total/epochs", "total/seconds"}
        ],
        "test": TEST_METRIC if any(row.number(TEST_METRIC, "mean") for row in rows) else None,
        "published": any(row.published for row in rows),
        "pareto": len(study.goals) > 1,
    }


def duration(seconds: float) -> str:
    """Seconds in readable form: 12.3 s, 4 min 05 s, 2 h 03 min."""
    if round(seconds, 1) < 60:
        return f"{seconds:.1f} s"
    minutes, rest = divmod(round(seconds), 60)
    hours, part = divmod(round(seconds / 60), 60)
    return f"{minutes} min {rest:02d} s" if minutes < 60 else f"{hours} h {part:02d} min"


def shade(count: int, total: int) -> str:
    """The style of a cell of the confusion matrix: a larger share of the row is darker."""
    share = count / total if total else 0.0
    red, green, blue = (round(255 + (end - 255) * share) for end in (0, 90, 150))
    return f"background:rgb({red},{green},{blue});color:{'#fff' if share > 0.5 else '#111'}"
