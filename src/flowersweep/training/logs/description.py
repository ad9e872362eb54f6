"""The description of a run in MLflow, in Markdown: the result, the main settings and the figures."""

from collections.abc import Mapping

from flowersweep.config.schema import Config
from flowersweep.texts import number_text
from flowersweep.tracking.run import artifact_address

FIGURES = {
    "curves.png": "learning curves",
    "confusion_matrix.png": "confusion matrix",
    "confident_mistakes.png": "most confident mistakes",
    "augmentation_preview.png": "what the augmentation does",
}


def describe(config: Config, metrics: Mapping[str, float], run_id: str, *, figures: bool) -> str:
    """The description of a finished run.

    Args:
        config: The configuration of the run.
        metrics: The metrics that are logged once.
        run_id: The run's id, for the addresses of its figures.
        figures: Whether figures were logged.
    """
    metric = config.objective.metric
    setting = ", ".join(
        [
            config.model.name,
            config.aug.name,
            f"{config.optimizer.name} at {config.optimizer.learning_rate:.3g}",
            f"seed {config.seed}",
        ]
    )
    best = (
        f"**{metric.rpartition('/')[2]} {number_text(metrics[metric])}** in epoch {metrics['best/epoch']:.0f} "
        f"of {metrics['total/epochs']:.0f}, {metrics['total/seconds']:.0f} s of training"
    )
    lines = [best, setting]
    if "test/accuracy" in metrics:
        lines.insert(
            1,
            f"test accuracy {number_text(metrics['test/accuracy'])}, on pictures that nothing was selected on",
        )
    if figures:
        lines += [_picture(run_id, "curves.png"), " · ".join(_link(run_id, name) for name in FIGURES)]
    return "\n\n".join(lines) + "\n"


def _link(run_id: str, name: str) -> str:
    return f"[{FIGURES[name]}]({artifact_address(run_id, name)})"


def _picture(run_id: str, name: str) -> str:
    return f"![{FIGURES[name]}]({artifact_address(run_id, name)})"
