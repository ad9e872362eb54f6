"""`flowersweep promote`: register the best run's model under an alias."""

from collections.abc import Mapping, Sequence

from flowersweep.commands.parsing.arguments import Argument, Command
from flowersweep.commands.parsing.common import CHOICE_ARGUMENTS, chosen
from flowersweep.console import plain_console
from flowersweep.deploy.best_run import objective
from flowersweep.deploy.choose import ALIAS, BEST, MODEL_NAME
from flowersweep.deploy.derived_run import calibrated
from flowersweep.deploy.model_registry import about_version, check_names, promote
from flowersweep.deploy.temperature import FIT
from flowersweep.tables import show_facts
from flowersweep.texts import number_text
from flowersweep.tracking.selection import experiment_of

_RUN = Argument(
    "run", "id of a run (its first 8 digits are enough) instead of the best one", "RUN", default=BEST
)

COMMAND = Command(
    name="promote",
    about="Register the best run's model in MLflow's registry and set an alias, by which it is served and used.",
    arguments=(
        *(_RUN if one.name == "run" else one for one in CHOICE_ARGUMENTS),
        Argument("name", "name of the registered model", "NAME", default=MODEL_NAME),
        Argument("alias", "alias of the version; removed from any other version", "ALIAS", default=ALIAS),
        Argument(
            "temperature",
            "fit: promote the model with its logits divided by a temperature that is fitted on the run's validation "
            "predictions; it gets a run of its own",
            "fit",
            choices=(FIT,),
        ),
    ),
    example="python -m flowersweep promote study=aug-5e5153",
    positional="study",
)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command; the exit code is 0, or 2 for bad input."""
    return COMMAND.run(_promote, arguments)


def _promote(values: Mapping[str, str | None]) -> int:
    choice = chosen(values)
    name, alias = str(values["name"]), str(values["alias"])
    check_names(name, alias)
    temperature = None
    if values["temperature"] == FIT:
        choice, temperature = calibrated(choice)
    promotion = promote(choice, name, alias)
    metric, value = objective(choice.run)
    tags = choice.run.data.tags
    rows = {
        "model": name,
        "version": promotion.version if promotion.is_new else f"{promotion.version} (registered before)",
        "alias": alias,
        metric: number_text(value),
        "study": f"{tags['study']}, trial {tags['trial']}" if "trial" in tags else "",
        "experiment": experiment_of(choice.store, choice.run),
        "run": f"{choice.run_id} {choice.run.info.run_name}",
        "previous": about_version(promotion.previous) if promotion.previous else "none",
    }
    console = plain_console()
    show_facts(console, rows)
    if temperature is not None:
        console.print(temperature.about, highlight=False, soft_wrap=True)
    return 0
