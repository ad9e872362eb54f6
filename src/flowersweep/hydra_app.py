"""The Hydra application: compose, check, train and show the result; with --multirun, a sweep of this."""

import logging
import os
import signal
import sys
import traceback
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import hydra
from hydra.core.hydra_config import HydraConfig
from hydra.errors import HydraException
from hydra.types import RunMode
from omegaconf import DictConfig, OmegaConf
from omegaconf.errors import OmegaConfBaseException

from flowersweep import config
from flowersweep.console import print_notice
from flowersweep.doors import hydra_api
from flowersweep.errors import (
    EXIT_BAD_INPUT,
    EXIT_FAILED,
    ConfigError,
    FlowersweepError,
    SweepStoppedError,
    TrainingError,
    full_disk,
    is_full,
    refused_path,
)
from flowersweep.own.permission import refuse_environment
from flowersweep.own.targets import OF_THE_COMMAND
from flowersweep.redaction import redacted
from flowersweep.sweep.space.overrides import left_to_trials
from flowersweep.sweep.workers.trial import running_trial
from flowersweep.texts import in_one_line, is_line, printable

if TYPE_CHECKING:
    from flowersweep.training import Result

_FULL_ERROR = "HYDRA_FULL_ERROR"
OnResult = Callable[[config.Config, "Result"], None]
# What is done with the result of a training: Hydra passes nothing but the configuration to it.
_on_result: list[OnResult] = []
# At the import, which also happens in the processes of trials, before Hydra configures their logging.
hydra_api.forbid_log_files()


def run() -> int:
    """Run the command line of the process; report an error in one message.

    Returns:
        The exit code: 0; 1 for a run that failed; 2 for bad input; 128 + signal number for an interrupted run.
    """
    wants_traceback = os.environ.get(_FULL_ERROR) == "1"
    try:
        execute(_show)
    except Exception as error:  # noqa: BLE001 - every error is reported
        if wants_traceback:
            sys.stderr.write(printable(redacted("".join(traceback.format_exception(error)))))
            return EXIT_FAILED
        return _complain(explained(error))
    except KeyboardInterrupt as interruption:
        print_notice(interruption_in_words(interruption))
        return 128 + int(getattr(interruption, "signal_number", signal.SIGINT))
    return 0


def execute(on_result: OnResult) -> None:
    """Run the arguments of the process: a training, or a sweep.

    Args:
        on_result: Called with the settings and the result of a training that is not part of a sweep.

    Raises:
        Exception: Whatever happens; `explained` puts it into words.
        KeyboardInterrupt: It was interrupted.
    """
    for argument in sys.argv[1:]:
        if not is_line(argument):
            shown = in_one_line(argument)
            raise ConfigError(f"The argument {shown} is not one line of UTF-8; rename what it names.")
    sys.argv[1:] = left_to_trials([config.as_meant(argument) for argument in sys.argv[1:]])
    # With this set, Hydra raises errors, which are explained here, instead of reporting them itself and exiting.
    given = os.environ.get(_FULL_ERROR)
    os.environ[_FULL_ERROR] = "1"
    config.prepare()
    _on_result.append(on_result)
    failed: Exception | None = None
    try:
        _hydra_main()
    except _JobFailedError as failure:
        failed = failure.error
    finally:  # a later command in the same process must not show tracebacks
        _on_result.pop()
        if given is None:
            os.environ.pop(_FULL_ERROR, None)
        else:
            os.environ[_FULL_ERROR] = given
    if failed is not None:  # not in the handler, which would change what it was raised from
        raise failed


def _hydra_main() -> None:
    decorate = hydra.main(
        config_path=str(config.conf_dir()), config_name="config", execution_whitelist=OF_THE_COMMAND
    )
    with config.composing(), _info_may_be_unread():
        decorate(_job)()


@contextmanager
def _info_may_be_unread() -> Iterator[None]:
    """With --info, which Hydra prints as log lines, logging says nothing about a reader that has left, as in `| head`."""
    before = logging.raiseExceptions
    logging.raiseExceptions = before and not any(one.startswith(("-i", "--i")) for one in sys.argv[1:])
    try:
        yield
    finally:
        logging.raiseExceptions = before


class _JobFailedError(BaseException):
    """Carries an error past Hydra, which would otherwise print its own line about it."""

    def __init__(self, error: Exception) -> None:
        super().__init__(str(error))
        self.error = error


def _job(cfg: DictConfig) -> float | list[float]:
    """One job: check the configuration, train, show the result, return the objective."""
    _redact_hydras_files()
    try:
        refuse_environment(HydraConfig.get().job)
        return _train_and_show(cfg)
    except Exception as error:
        if HydraConfig.get().mode is RunMode.RUN:
            raise _JobFailedError(error) from error
        raise


def _redact_hydras_files() -> None:
    """Remove passwords from the files that Hydra has just written, if it was told to (hydra.output_subdir=.hydra)."""
    hydra_config = HydraConfig.get()
    if hydra_config.output_subdir is None:
        return
    for path in Path(hydra_config.runtime.output_dir, hydra_config.output_subdir).glob("*.yaml"):
        text = path.read_text(encoding="utf-8")
        if (clean := redacted(text)) != text:
            path.write_text(clean, encoding="utf-8")


def _train_and_show(cfg: DictConfig) -> float | list[float]:
    typed_in = Path(HydraConfig.get().runtime.cwd)
    files = config.flags(OmegaConf.create({"hydra": HydraConfig.get()}))
    overrides = [*files, *(str(override) for override in HydraConfig.get().overrides.task)]
    if (trial := running_trial()) is not None:
        from flowersweep.sweep.workers.objective import run_trial

        n_repeats = HydraConfig.get().sweeper.n_repeats
        return run_trial(config.repeats(cfg, n_repeats, typed_in), overrides, trial)
    settings = config.settings(cfg, typed_in)
    # Training needs TensorFlow; an invalid configuration must not wait for its import.
    from flowersweep.training import train

    result = train(settings, overrides=overrides)
    _on_result[-1](settings, result)
    return result.objective


def _show(settings: config.Config, result: "Result") -> None:
    from flowersweep.training.logs.display import show_result

    show_result(settings, result)


def explained(error: Exception) -> FlowersweepError:
    """An error of a run or a sweep in words, for a person who cannot see the program."""
    if isinstance(error, OSError) and is_full(error):
        return TrainingError(full_disk(error))
    if isinstance(error, FlowersweepError):
        return error
    refused = refused_path(error)
    if refused is not None or isinstance(error, HydraException | OmegaConfBaseException):
        found = ConfigError(refused or config.explain(error))
        found.ended_a_run = getattr(error, "ended_a_run", False)
        return found
    return TrainingError(
        f"failed unexpectedly with {type(error).__name__}: {error}; a run that had started is marked FAILED and has the "
        "traceback in failure.txt; set HYDRA_FULL_ERROR=1 to see it here."
    )


def interruption_in_words(interruption: KeyboardInterrupt) -> str:
    """What was interrupted, and how to go on."""
    reason = str(interruption) or "interrupted"
    remedy = getattr(interruption, "remedy", "") or "a run that had started is marked KILLED"
    return f"{reason}; {remedy}."


def _complain(error: FlowersweepError) -> int:
    """Write an error as its message; return the exit code."""
    for line in str(error).splitlines():
        print_notice(line)
    failed = isinstance(error, TrainingError | SweepStoppedError) or error.ended_a_run
    return EXIT_FAILED if failed else EXIT_BAD_INPUT
