"""What an ensemble is worth on pictures that its members were not selected on.

    python benchmarks/ensemble_halves.py STUDY tracking.dir=RESULTS

Needs a study whose trainings have saved their models (`tracking.artifacts_of=all`) and only reads it. The validation
pictures are divided into two halves at random, again and again. On one half, temperatures are fitted and members are
selected, and on the other half the results are compared with the training that was best on the first half.
"""

import sys
from collections.abc import Callable, Mapping, Sequence

import numpy as np

from flowersweep.commands.parsing.arguments import Command
from flowersweep.commands.parsing.common import STORE_ARGUMENTS, STUDY_ARGUMENTS, results_store
from flowersweep.deploy.temperature import fit, scaled
from flowersweep.ensemble.members import members
from flowersweep.ensemble.selection import Labels, Probabilities, Score, score, select
from flowersweep.tracking.selection import find_study

_TOP = 5
_ROUNDS = 200


def best(candidates: Sequence[Probabilities], true: Labels, half: Labels) -> Probabilities:
    """The training with the best accuracy on a half."""
    return max(candidates, key=lambda one: score(one[half], true[half]).accuracy)


def selected(candidates: Sequence[Probabilities], true: Labels, half: Labels) -> Probabilities:
    """The mean of what `ensemble` selects on a half."""
    steps = select([one[half] for one in candidates], true[half], _TOP)
    return np.asarray(np.mean([candidates[step.member] for step in steps], axis=0))


def with_temperatures(candidates: Sequence[Probabilities], true: Labels, half: Labels) -> Probabilities:
    """The same with temperatures that are fitted on the half."""
    temperatures = [fit(true[half], one[half]).value for one in candidates]
    calibrated = [scaled(one, value) for one, value in zip(candidates, temperatures, strict=True)]
    return selected(calibrated, true, half)


def everyone(candidates: Sequence[Probabilities], _true: Labels, _half: Labels) -> Probabilities:
    """The mean of all."""
    return np.asarray(np.mean(candidates, axis=0))


WAYS: dict[str, Callable[[Sequence[Probabilities], Labels, Labels], Probabilities]] = {
    "best training": best,
    "selected": selected,
    "selected, with temperatures": with_temperatures,
    "mean of all": everyone,
}


def show(candidates: Sequence[Probabilities], true: Labels) -> None:
    """Print the accuracy and the loss of each way on the other halves."""
    chance = np.random.default_rng(0)
    found: dict[str, list[Score]] = {name: [] for name in WAYS}
    for _ in range(_ROUNDS):
        half, other = np.array_split(chance.permutation(len(true)), 2)
        for name, way in WAYS.items():
            found[name].append(score(way(candidates, true, half)[other], true[other]))
    reference = np.array([one.accuracy for one in found["best training"]])
    sys.stdout.write(
        f"{len(candidates)} trainings, {_ROUNDS} halves of {len(true)} pictures\n"
        f"{'':30}accuracy  loss    better  worse than the best training\n"
    )
    for name, scores in found.items():
        accuracies = np.array([one.accuracy for one in scores])
        sys.stdout.write(
            f"{name:30}{accuracies.mean():.4f}    {np.mean([one.loss for one in scores]):.4f}  "
            f"{np.mean(accuracies > reference):6.0%}  {np.mean(accuracies < reference):5.0%}\n"
        )


def main(arguments: Sequence[str] | None = None) -> int:
    """Compare the ways, and return the exit code."""
    command = Command(
        name="ensemble_halves",
        about="What an ensemble is worth on pictures that its members were not selected on.",
        arguments=(*STUDY_ARGUMENTS, *STORE_ARGUMENTS),
        example="python benchmarks/ensemble_halves.py aug-5e5153",
        positional="study",
    )

    def run(values: Mapping[str, str | None]) -> int:
        store = results_store(values)
        some, left_out = members(store, find_study(store, values.get("study"), values.get("experiment")))
        for sentence in left_out:
            sys.stderr.write(f"{sentence}\n")
        show([one.predictions.probabilities for one in some], some[0].predictions.true)
        return 0

    return command.run(run, arguments)


if __name__ == "__main__":
    raise SystemExit(main())
