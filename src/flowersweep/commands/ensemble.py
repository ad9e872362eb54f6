"""`flowersweep ensemble`: combine the best trainings of a study into one model."""

import shlex
import sys
from collections.abc import Mapping, Sequence

from flowersweep.commands.parsing.arguments import Argument, Command
from flowersweep.commands.parsing.common import STORE_ARGUMENTS, STUDY_ARGUMENTS, results_store, whole_number
from flowersweep.console import plain_console, print_notice
from flowersweep.deploy.best_run import objective
from flowersweep.deploy.evaluation import recorded_folder
from flowersweep.ensemble.build import build_ensemble
from flowersweep.ensemble.members import Member, members
from flowersweep.ensemble.recipe import PROBABILITIES, WEIGHTS, Recipe
from flowersweep.ensemble.record import Evaluated
from flowersweep.ensemble.selection import Score
from flowersweep.redaction import redacted
from flowersweep.tables import Listing
from flowersweep.texts import expanded, number_text
from flowersweep.tracking.selection import find_study

COMMAND = Command(
    name="ensemble",
    about="Combine trainings of a study into one model, which is stored with a run of its own and can be promoted, "
    "exported and served. The members are selected on the validation pictures, so only the test accuracy (of a study "
    "with data.test_split) is an unbiased one.",
    arguments=(
        *STUDY_ARGUMENTS,
        Argument("top", "maximum number of members", "N", default="5"),
        Argument(
            "combine",
            "what the mean is taken of; weights (a soup) costs no more than one model, but needs trainings that started "
            "from the same weights",
            default=PROBABILITIES,
            choices=(PROBABILITIES, WEIGHTS),
        ),
        Argument(
            "flip",
            "whether to take the mean over each picture and its mirror image, too",
            default="false",
            choices=("true", "false"),
        ),
        Argument("data.dir", "the pictures of the study, if they have been moved", "DIR"),
        *STORE_ARGUMENTS,
    ),
    example="python -m flowersweep ensemble study=aug-5e5153 top=5",
    positional="study",
)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command; the exit code is 0, or 2 for bad input."""
    return COMMAND.run(_ensemble, arguments)


def _ensemble(values: Mapping[str, str | None]) -> int:
    recipe = Recipe(whole_number(values, "top"), str(values["combine"]), values["flip"] == "true")
    store = results_store(values)
    study = find_study(store, values.get("study"), values.get("experiment"))
    found, left_out = members(store, study)
    for sentence in left_out:
        print_notice(sentence)
    folder = values.get("data.dir")
    pictures = expanded(folder) if folder else recorded_folder(found[0].choice.run)
    given = [f"{name}={text}" for name, text in values.items() if text is not None]
    command = redacted(shlex.join(["python", "-m", "flowersweep", "ensemble", *given]))
    evaluated, run_id = build_ensemble(store, study, found, recipe, folder=pictures, command=command)
    _show(found, evaluated)
    where = [f"{name}={values[name]}" for name in ("tracking.dir", "tracking.uri") if values.get(name)]
    sys.stdout.write(
        f"To use it: {redacted(shlex.join(['python', '-m', 'flowersweep', 'promote', f'run={run_id}', *where]))}\n"
    )
    return 0


def _show(found: Sequence[Member], evaluated: Evaluated) -> None:
    metric = objective(found[0].choice.run)[0].rpartition("/")[2]
    rows = []
    for number, step in enumerate(evaluated.steps, 1):
        choice = found[step.member].choice
        own = number_text(objective(choice.run)[1])
        rows.append(
            (str(number), choice.run.data.tags["trial"], choice.run_id[:8], own, *_numbers(step.score))
        )
    right = ("step", "trial", metric, "loss", "accuracy")
    title = "Selection on the validation pictures: the member, and the ensemble with it"
    table = Listing(("step", "trial", "run", metric, "loss", "accuracy"), rows, title=title, right=right)
    console = plain_console()
    table.show(console)
    console.print(f"Combined model: {_sentence('validation', evaluated.validation)}", highlight=False)
    if evaluated.test is not None and evaluated.best_test is not None:
        console.print(
            f"{_sentence('test', evaluated.test)}; best single model: {_sentence('test', evaluated.best_test)}",
            highlight=False,
        )


def _numbers(score: Score) -> tuple[str, str]:
    return number_text(score.loss), number_text(score.accuracy)


def _sentence(part: str, score: Score) -> str:
    loss, accuracy = _numbers(score)
    return f"{part} accuracy {accuracy}, {part} loss {loss}"
