"""flowersweep in Python and in notebooks: `train`, `sweep`, `load_run` and `load_study`; `flowersweep` itself has them, too."""

from flowersweep.errors import ConfigError, missing_packages

if said := missing_packages():
    raise ConfigError(said)

from flowersweep.api.result import Result, load_run
from flowersweep.api.start import sweep, train
from flowersweep.api.study import Study, load_study

__all__ = ["Result", "Study", "load_run", "load_study", "sweep", "train"]
