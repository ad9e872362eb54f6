"""Training one run: `train(config)` is all that the command line and a sweep need. Imports no TensorFlow."""

from flowersweep.training.run import Result, train

__all__ = ["Result", "train"]
