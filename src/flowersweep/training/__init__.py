"""Training one run: `train(config)` is all that the command line and a sweep need. Imports no TensorFlow."""

from flowersweep.training.result import Result
from flowersweep.training.run import RunContext, train

__all__ = ["Result", "RunContext", "train"]
