"""The configuration: its schema, its rules, and the messages about errors in it. Does not import TensorFlow."""

from pathlib import Path

from omegaconf import DictConfig, OmegaConf

from flowersweep.config import files
from flowersweep.config.explain import composing, explain, explain_other, explain_plain
from flowersweep.config.files import flags
from flowersweep.config.locations import cache_dir, conf_dir, experiment_name, in_checkout, results_dir
from flowersweep.config.quoting import as_meant, texts_quoted
from flowersweep.config.schema import Config, register
from flowersweep.config.validate import repeats, settings
from flowersweep.fields import maximized
from flowersweep.own.permission import keep_places

__all__ = [
    "Config",
    "as_meant",
    "cache_dir",
    "composing",
    "conf_dir",
    "explain",
    "explain_other",
    "explain_plain",
    "flags",
    "in_checkout",
    "prepare",
    "register",
    "repeats",
    "results_dir",
    "settings",
    "texts_quoted",
]


def direction_of(metric: str) -> str:
    """Whether a sweep maximizes or minimizes a metric, in Optuna's terms."""
    return "maximize" if maximized(metric) else "minimize"


def prepare() -> None:
    """Register the schema, the reader of files and the resolvers that `conf/` uses; it is safe to call this again."""
    register()
    files.register()
    keep_places()
    # Evaluated now: a run may change its current directory before it is needed.
    results, base = str(results_dir()), Path.cwd()

    def experiment_of_data(*, _root_: DictConfig) -> str:
        # The whole node, because data.dir may be missing, which has its own message.
        source, directory = (OmegaConf.select(_root_, key) for key in ("data.source", "data.dir"))
        return experiment_name(str(source), directory, base)

    OmegaConf.register_resolver("results_dir", lambda: results, replace=True)
    OmegaConf.register_resolver("experiment_of_data", experiment_of_data, replace=True)
