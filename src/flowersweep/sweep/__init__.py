"""A sweep is a study: its search space, its budget, its workers and the outcome of each trial.

To read it, start with `run.py`, which goes through a sweep from its command to its end, and continue in this order:

1. `schema.py` and `settings.py`: the settings in `hydra.sweeper`, and what they mean for a space.
2. `space/`: from overrides to what is searched, and from a trial's values back to overrides.
3. `storage/`: where studies are stored, and the lock under which they are written.
4. `study/`: the definition by which a study is recognized, which trial comes next (`budget.py`) with which values
   (`sampler.py`), which process runs it (`claim.py`, `reclaim.py`) and how it ended (`outcome.py`).
5. `workers/`: `launch.py` launches workers, each a `worker_job.py` around `worker.py`, which hands its trials to a
   `training_process.py`; inside of it, `trial_server.py` runs them, and `objective.py` is what a trial trains.
6. `leaderboard.py`, `display.py`, `record/`: its output, in MLflow and on the terminal.

The package itself can be called: `flowersweep.sweep(...)` is the function of that name in `flowersweep.api`.
"""

import sys
from importlib import import_module
from types import ModuleType
from typing import Any


class _Package(ModuleType):
    def __call__(self, *args: Any, **settings: Any) -> Any:
        """Run a sweep; see `flowersweep.api.sweep`."""
        # Not an import of a package above this one: whoever calls it has asked for that.
        return import_module("flowersweep.api").sweep(*args, **settings)

    def __reduce__(self) -> tuple[Any, ...]:
        return import_module, (self.__name__,)


# Python sets `flowersweep.sweep` to this package, whatever `flowersweep` calls by this name.
sys.modules[__name__].__class__ = _Package
