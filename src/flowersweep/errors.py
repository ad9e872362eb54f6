"""Every error that flowersweep raises on purpose; kept apart so that no module imports another for them."""


class FlowersweepError(Exception):
    """A problem the user can mend; its message is one sentence saying what, why and how to fix it.

    Attributes:
        ended_a_run: It came when a run had begun, which has failed of it.
    """

    ended_a_run = False


class ConfigError(FlowersweepError):
    """A configuration that cannot be run: an unknown key, a wrong type, a value out of range."""


class DataError(FlowersweepError):
    """Pictures that are missing, unreadable, or not laid out as one folder per class."""


class DownloadError(DataError):
    """A download that failed, or whose size or SHA-256 is not the expected one."""


class TrackingError(FlowersweepError):
    """A tracking store that cannot be reached, or a run that is not in it."""


class TrainingError(FlowersweepError):
    """A training that cannot go on: the loss is not a number, or the learning rate is not the configured one."""


class SweepError(FlowersweepError):
    """A sweep that cannot start or go on: its search space, sampler, storage or study is not usable as given."""


class SweepStoppedError(SweepError):
    """A sweep that ran, but came to nothing: too many of its trials failed."""


class Pruned(Exception):  # noqa: N818 (Optuna's word; it is no error)
    """A sweep does not want a run to go on; the run lets it pass."""
