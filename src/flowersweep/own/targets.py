"""What Hydra may call because a configuration names it as a `_target_`, a class of logging or a function.

Each is named in full. A wildcard, as in `optuna.samplers.*`, would allow every function below it with any arguments,
and some of these run programs, write files or read pickles.
"""

from flowersweep.doors.optuna_sweeper_api import SAMPLER_FUNCTIONS

_SAMPLERS = (
    "BruteForceSampler",
    "CmaEsSampler",
    "GPSampler",
    "GridSampler",
    "NSGAIIISampler",
    "NSGAIISampler",
    "PartialFixedSampler",
    "QMCSampler",
    "RandomSampler",
    "TPESampler",
    "nsgaii.BLXAlphaCrossover",
    "nsgaii.PolynomialMutation",
    "nsgaii.SBXCrossover",
    "nsgaii.SPXCrossover",
    "nsgaii.UNDXCrossover",
    "nsgaii.UniformCrossover",
    "nsgaii.VSBXCrossover",
)
_PRUNERS = (
    "HyperbandPruner",
    "MedianPruner",
    "NopPruner",
    "PatientPruner",
    "PercentilePruner",
    "SuccessiveHalvingPruner",
    "ThresholdPruner",
    "WilcoxonPruner",
)

# hydra-optuna-sweeper creates the genetic samplers with its own functions.
SAMPLERS = (*(f"optuna.samplers.{name}" for name in _SAMPLERS), *SAMPLER_FUNCTIONS)
PRUNERS = tuple(f"optuna.pruners.{name}" for name in _PRUNERS)
# For the whole command: the handlers of log lines that write to the terminal, and samplers for the official sweeper.
OF_THE_COMMAND = (
    "logging.StreamHandler",
    "flowersweep.console.LogHandler",
    "flowersweep.redaction.Formatter",
    *SAMPLERS,
)
