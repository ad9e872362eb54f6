"""flowersweep: hyperparameter sweeps of Keras image classifiers, driven by Hydra, Optuna and MLflow."""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from flowersweep.errors import Pruned as Pruned
    from flowersweep.sweep.workers.trial import current_trial as current_trial

__version__ = "0.1.0"

# The public names, by their modules, which are imported when a name is used.
_PUBLIC = {
    "Pruned": "flowersweep.errors",
    "current_trial": "flowersweep.sweep.workers.trial",
}


def __getattr__(name: str) -> Any:
    if name not in _PUBLIC:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(_PUBLIC[name]), name)


def __dir__() -> list[str]:
    return sorted({*globals(), *_PUBLIC})
