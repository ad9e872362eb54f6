"""The configuration: its typed shape, its rules, and what to say when they are broken. Imports no TensorFlow."""

from omegaconf import OmegaConf

from flowersweep.config import files
from flowersweep.config.explain import composing, explain
from flowersweep.config.files import flags
from flowersweep.config.locations import cache_dir, conf_dir, in_checkout, results_dir
from flowersweep.config.quoting import texts_quoted
from flowersweep.config.schema import Config, register
from flowersweep.config.validate import repeats, settings
from flowersweep.fields import maximized

__all__ = [
    "Config",
    "cache_dir",
    "composing",
    "conf_dir",
    "explain",
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
    """Whether a sweep maximizes or minimizes a metric, as Optuna calls it."""
    return "maximize" if maximized(metric) else "minimize"


def prepare() -> None:
    """Register the schema, the reader of files and the resolvers that `conf/` uses; harmless when called again."""
    register()
    files.register()
    # Of this moment: a run may change into a folder of its own before it asks.
    results = str(results_dir())
    OmegaConf.register_resolver("results_dir", lambda: results, replace=True)
