"""Arguments of several commands, and the interpretation of their values."""

import math
from collections.abc import Mapping
from pathlib import Path

from flowersweep.commands.parsing.arguments import Argument
from flowersweep.deploy.choose import Choice, choose
from flowersweep.deploy.output import check_free
from flowersweep.errors import ConfigError
from flowersweep.texts import expanded
from flowersweep.tracking.selection import open_results
from flowersweep.tracking.store.store import Store

Values = Mapping[str, str | None]

# The arguments by which every command that reads results finds and selects them.
STORE_ARGUMENTS = (
    Argument("tracking.dir", "the folder of results", "DIR"),
    Argument("tracking.uri", "MLflow's tracking URI, if results are not in that folder", "URI"),
)
STUDY_ARGUMENTS = (
    Argument("study", "name of the study (default: the latest one)", "NAME"),
    Argument("experiment", "name of the experiment to search in (default: all)", "NAME"),
)
RUN_ARGUMENT = Argument(
    "run",
    "id of a run (its first 8 digits are enough), best, champion, or models:/NAME@ALIAS; "
    "default: the champion, or best if there is none",
    "RUN",
)
# The arguments by which every command that uses a model selects it.
CHOICE_ARGUMENTS = (RUN_ARGUMENT, *STUDY_ARGUMENTS, *STORE_ARGUMENTS)

MAX_NUMBER = 100_000

BATCH_SIZE = Argument("batch_size", "number of pictures in memory at a time", "N", default="32")
OVERWRITE = Argument(
    "overwrite", "whether output= may replace an existing file", default="false", choices=("true", "false")
)


def results_store(values: Values) -> Store:
    """The store given by STORE_ARGUMENTS, see `open_results`."""
    return open_results(values.get("tracking.dir"), values.get("tracking.uri"))


def chosen(values: Values) -> Choice:
    """The model given by CHOICE_ARGUMENTS, see `flowersweep.deploy.choose.choose`."""
    run, study, experiment = (values.get(name) for name in ("run", "study", "experiment"))
    return choose(
        run, study, experiment, directory=values.get("tracking.dir"), uri=values.get("tracking.uri")
    )


def whole_number(values: Values, name: str) -> int:
    """The value of an argument that must be an integer from 1 to 100,000.

    Raises:
        ConfigError: The value is not an integer, or is out of range.
    """
    text = values[name] or ""
    if not (text.isdecimal() and 1 <= int(text) <= MAX_NUMBER):
        raise ConfigError(f"{name} must be an integer from 1 to {MAX_NUMBER}, but is {text!r}.")
    return int(text)


def fraction(values: Values, name: str, default: float) -> float:
    """The value of an argument that must be a number from 0 to 1; the default if it was not given.

    Raises:
        ConfigError: The value is not a number, or is out of range.
    """
    text = values[name]
    if text is None:
        return default
    try:
        number = float(text)
    except ValueError:
        number = math.nan
    if not 0 <= number <= 1:
        raise ConfigError(f"{name} must be a number from 0 to 1, but is {text!r}.")
    return number


def output_path(values: Values) -> Path | None:
    """The path given by `output=`; None if it was not given.

    Raises:
        ConfigError: The path exists; see `check_free`.
    """
    given = values.get("output")
    if given is None:
        return None
    path = expanded(given)
    check_free(path, overwrite=values.get("overwrite") == "true")
    return path
