"""Every error that flowersweep raises on purpose; kept apart so that no module imports another for them."""

import errno

from flowersweep.redaction import redacted

# No room, a file system that may no longer be written to, a device or a mounted folder that is gone.
_LOST = frozenset(
    {errno.ENOSPC, errno.EDQUOT, errno.EROFS, errno.EIO, errno.ENXIO, errno.ESTALE, errno.ENOTCONN}
)


# Exit codes of every command: something failed on the way, or what was typed cannot be used.
EXIT_FAILED = 1
EXIT_BAD_INPUT = 2


class FlowersweepError(Exception):
    """A problem the user can fix; its message is one sentence saying what, why and how to fix it, without passwords.

    Attributes:
        ended_a_run: It came when a run had begun, which has failed of it.
    """

    ended_a_run = False

    def __str__(self) -> str:
        return redacted(super().__str__())


class ConfigError(FlowersweepError):
    """A configuration that cannot be run: an unknown key, a wrong type, a value out of range."""


class InfrastructureError(FlowersweepError):
    """What a run stands on failed it: its pictures, its files, the disk, a store. Run again later, it may work."""


class DataError(InfrastructureError):
    """Pictures that are missing, unreadable, or not laid out as one folder per class."""


class WeightsError(ConfigError, InfrastructureError):
    """The weights of a backbone are not there, or cannot be downloaded."""


class DownloadError(DataError):
    """A download that failed, or whose size or SHA-256 is not the expected one."""


class TrackingError(InfrastructureError):
    """A tracking store that cannot be reached, or a run that is not in it."""


class TrainingError(FlowersweepError):
    """A training that cannot go on: the loss is not a number, or the learning rate is not the configured one."""


class SweepError(FlowersweepError):
    """A sweep that cannot start or go on: its search space, sampler, storage or study is not usable as given."""


class SweepStoppedError(SweepError):
    """A sweep that ran and had to end before its time: too many trials failed, or what it stands on did."""


class Pruned(Exception):  # noqa: N818 (Optuna's word; it is no error)
    """A sweep does not want a run to go on; the run lets it pass."""


def infrastructure_failure(error: BaseException) -> BaseException | None:
    """What of a run's infrastructure failed, where that is why the run ended; None if it is the run's own failure.

    The whole definition: an InfrastructureError, or an OSError that says that there is no room, no right to write any
    more to a whole file system, or no device or mounted folder any more; itself, or what an error was raised from. A
    file that is not there, say, is the failure of the program that looked for it.
    """
    culprit: BaseException | None = error
    while culprit is not None:
        if isinstance(culprit, InfrastructureError):
            return culprit
        if isinstance(culprit, OSError) and culprit.errno in _LOST:
            return culprit
        culprit = culprit.__cause__
    return None
