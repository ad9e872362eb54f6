"""flowersweep: hyperparameter sweeps of Keras image classifiers, driven by Hydra, Optuna and MLflow.

In Python and in notebooks, `train` and `sweep` do what the command line does (docs/howto/python_and_notebooks.md).
"""

import warnings
from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from flowersweep.api import Result as Result
    from flowersweep.api import Study as Study
    from flowersweep.api import load_run as load_run
    from flowersweep.api import load_study as load_study
    from flowersweep.api import sweep as sweep
    from flowersweep.api import train as train
    from flowersweep.errors import Pruned as Pruned
    from flowersweep.sweep.workers.trial import current_trial as current_trial

__version__ = "0.1.0"

# The public names, by their modules, which are imported when a name is used.
_PUBLIC = {
    "Pruned": "flowersweep.errors",
    "Result": "flowersweep.api",
    "Study": "flowersweep.api",
    "current_trial": "flowersweep.sweep.workers.trial",
    "load_run": "flowersweep.api",
    "load_study": "flowersweep.api",
    "sweep": "flowersweep.api",
    "train": "flowersweep.api",
}


def __getattr__(name: str) -> Any:
    if name not in _PUBLIC:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    with warnings.catch_warnings():
        # Of tqdm, which Optuna imports, in a notebook without ipywidgets; nothing here draws with it.
        warnings.filterwarnings("ignore", message="IProgress not found")
        found = getattr(import_module(_PUBLIC[name]), name)
    return globals().get(name, found)  # `sweep` is also a package, which that has imported


def __dir__() -> list[str]:
    return sorted({*globals(), *_PUBLIC})
