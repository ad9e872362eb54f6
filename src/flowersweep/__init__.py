"""flowersweep: hyperparameter sweeps of Keras image classifiers, driven by Hydra, Optuna and MLflow.

In Python and in notebooks, `train` and `sweep` do what the command line does (docs/howto/python_and_notebooks.md).
"""

import warnings
from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from flowersweep.api import Result, Study, load_run, load_study, sweep, train

__version__ = "0.1.0"

# The public names and their modules, which are imported when a name is used: `import flowersweep` imports no other package.
_MODULES = {
    "Result": "flowersweep.api",
    "Study": "flowersweep.api",
    "load_run": "flowersweep.api",
    "load_study": "flowersweep.api",
    "sweep": "flowersweep.api",
    "train": "flowersweep.api",
}

__all__ = ["Result", "Study", "load_run", "load_study", "sweep", "train"]


def __getattr__(name: str) -> Any:
    if name not in _MODULES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    with warnings.catch_warnings():
        # Of tqdm, which Optuna imports, in a notebook without ipywidgets; nothing here draws with it.
        warnings.filterwarnings("ignore", message="IProgress not found")
        found = getattr(import_module(_MODULES[name]), name)
    return globals().get(name, found)  # `sweep` is also a package, which that has imported


def __dir__() -> list[str]:
    return sorted({*globals(), *_MODULES})
