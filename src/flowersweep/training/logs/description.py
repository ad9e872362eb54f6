"""What a run's page in MLflow says at its top, in Markdown: the result, how it came about, and the pictures."""

from collections.abc import Mapping
from urllib.parse import quote

from flowersweep.config.schema import Config

FIGURES = {
    "curves.png": "learning curves",
    "confusion_matrix.png": "confusion matrix",
    "confident_mistakes.png": "most confident mistakes",
    "augmentation_preview.png": "what the augmentation does",
}


def describe(config: Config, metrics: Mapping[str, float], run_id: str, *, figures: bool) -> str:
    """The description of a finished run.

    Args:
        config: Of the run.
        metrics: Those that are logged once.
        run_id: Of the run, for the addresses of its pictures.
        figures: Whether they were logged.
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
        f"**{metric.rpartition('/')[2]} {metrics[metric]:.4f}** in epoch {metrics['best/epoch']:.0f} "
        f"of {metrics['total/epochs']:.0f}, {metrics['total/seconds']:.0f} s of training"
    )
    lines = [best, setting]
    if "test/accuracy" in metrics:
        lines.insert(
            1, f"test accuracy {metrics['test/accuracy']:.4f}, on pictures by which nothing was chosen"
        )
    if figures:
        lines += [_picture(run_id, "curves.png"), " · ".join(_link(run_id, name) for name in FIGURES)]
    return "\n\n".join(lines) + "\n"


def _address(run_id: str, name: str) -> str:
    """Where MLflow's own server gives an artifact out, relative to its page."""
    return f"get-artifact?path={quote(name)}&run_uuid={run_id}"


def _link(run_id: str, name: str) -> str:
    return f"[{FIGURES[name]}]({_address(run_id, name)})"


def _picture(run_id: str, name: str) -> str:
    return f"![{FIGURES[name]}]({_address(run_id, name)})"
