"""Training one run: `train(config)` is all that the command line and a sweep need. Imports no TensorFlow."""

from flowersweep.training.run import Membership, Result, train

__all__ = ["Membership", "Result", "train"]
