"""Arguments by which these commands find a study, and opening it."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import TYPE_CHECKING

from flowersweep.commands.parsing.arguments import Argument
from flowersweep.config.locations import results_dir
from flowersweep.texts import expanded

if TYPE_CHECKING:
    from optuna import Study

STUDY = Argument("study", "name of the study (default: the only one in the storage)", "NAME")
STORAGE = Argument("storage", "hydra.sweeper.storage of the sweep, if it has one", "URL")
DIRECTORY = Argument("tracking.dir", "the folder of results, where the default storage is", "DIR")


@contextmanager
def opened_study(values: Mapping[str, str | None]) -> Iterator["Study"]:
    """The study of a command with the arguments above; its storage is closed at the end of the block.

    Raises:
        SweepError: There is no such study, or its storage cannot be used.
    """
    from flowersweep.sweep.storage.storage import closing_storage, existing_storage, stopped_in_words
    from flowersweep.sweep.study.study import existing_study

    directory = values.get("tracking.dir")
    storage = existing_storage(values["storage"], expanded(directory) if directory else results_dir())
    with closing_storage(storage), stopped_in_words():
        yield existing_study(storage, values["study"])
