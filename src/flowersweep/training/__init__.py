"""Training of one run. The command line and a sweep only need `train(config)`. Does not import TensorFlow."""

from flowersweep.training.result import Result
from flowersweep.training.run import RunContext, train

__all__ = ["Result", "RunContext", "train"]
