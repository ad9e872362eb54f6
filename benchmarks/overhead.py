"""The overhead of flowersweep per epoch and per run, that of checkpoints, and the memory of a sweep's training process.

    python benchmarks/overhead.py --data PATH/flower_photos --weights PATH.weights.h5

The hand-written loop has the same flags, network, precision and batches, and only calls `fit`;
flowersweep is its command line with everything that it logs. For both, the pictures are already decoded and the features
are already computed. The line of a run is the run time of the process without the epochs after the first.
"""

import statistics
import sys
from collections.abc import Iterator
from dataclasses import replace
from functools import partial
from itertools import pairwise
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from benchmarks import memory, ours, results
from benchmarks.command import Contest, Options, main
from benchmarks.contest import Contestant, Line, Sample, differences, hold, spread
from benchmarks.fresh import fresh

ROUNDS = 3
EPOCHS = 8
TRIALS = 50


def around(options: Options, model: str) -> Iterator[Line]:
    """Seconds per epoch and per run."""
    count = max(2, options.epochs or EPOCHS)  # an epoch is measured from the end of the preceding one
    overrides = ours.overrides(options, model, f"trainer.epochs={count}", "trainer.patience=null")
    ours.command_line(overrides)  # decodes, computes features and creates the databases
    contestants = [
        Contestant("hand-written loop", partial(_by_hand, overrides)),
        Contestant("flowersweep", partial(_command_line, options, overrides)),
    ]
    name = model.removeprefix("mobilenet_")
    lines = hold(f"overhead, {name} epoch", contestants, options.rounds or ROUNDS)
    yield from _with_difference(lines)
    yield from _with_difference([_rest_of(line, f"overhead, {name} run") for line in lines])


def checkpoints(options: Options, model: str) -> Iterator[Line]:
    """Seconds per epoch without and with checkpoints."""
    count = max(2, options.epochs or EPOCHS)
    overrides = ours.overrides(options, model, f"trainer.epochs={count}", "trainer.patience=null")
    ours.command_line(overrides)
    contestants = [
        Contestant(name, partial(_command_line, options, [*overrides, f"tracking.resume={setting}"]))
        for name, setting in (("without checkpoints", "never"), ("with checkpoints", "auto"))
    ]
    name = model.removeprefix("mobilenet_")
    yield from _with_difference(hold(f"checkpoints, {name} epoch", contestants, options.rounds or ROUNDS))


def training_process(options: Options, model: str) -> Iterator[Line]:
    """Memory of a sweep's training process: if it is never replaced, and with the default setting."""
    n_trials = options.trials or TRIALS
    for name, setting in (
        ("process never replaced", [f"hydra.sweeper.trials_per_process={n_trials}"]),
        ("default replacement", []),
    ):
        elsewhere = replace(options, folder=options.folder / f"memory {model} {name}")
        overrides = ours.overrides(
            elsewhere,
            model,
            f"trainer.epochs={options.epochs or 1}",
            "optimizer.learning_rate=tag(log,interval(1e-4,1e-2))",
            f"hydra.sweeper.n_trials={n_trials}",
            *setting,
        )
        watched = memory.watch(["--multirun", *overrides], elsewhere.folder / "results")
        note = f"peak over {n_trials} trials; {watched.processes} processes"
        if watched.growth is not None:
            note += f"; {watched.growth:+.1f} MB per trial in the first process, after its second trial"
        yield Line(
            f"memory, {model.removeprefix('mobilenet_')}", name, [Sample(watched.peak)], unit="MB", note=note
        )


def _by_hand(overrides: list[str]) -> Sample:
    figures = fresh("ours", "bare", overrides=overrides)
    return _timed(figures["ends"], figures["process_seconds"] - figures["composing"])


def _command_line(options: Options, overrides: list[str]) -> Sample:
    seconds = ours.command_line(overrides)
    return _timed(results.epoch_ends(options.folder / "results"), seconds)


def _timed(ends: list[float], process_seconds: float) -> Sample:
    """The time from the end of one epoch to the end of the next one, and the rest of the process."""
    steps = [later - earlier for earlier, later in pairwise(ends)]
    return Sample(statistics.median(steps), beside={"rest": process_seconds - (ends[-1] - ends[0])})


def _rest_of(line: Line, contest: str) -> Line:
    samples = [Sample(sample.beside["rest"]) for sample in line.samples]
    return replace(line, contest=contest, samples=samples)


def _with_difference(lines: list[Line]) -> Iterator[Line]:
    """Add the difference to the first line to each other line, instead of ratios near 1."""
    first, *others = [
        replace(line, samples=[replace(sample, beside={}) for sample in line.samples], ratios=())
        for line in lines
    ]
    yield first
    for line in others:
        yield replace(line, note=f"{spread(differences(first.samples, line.samples))} s more")


CONTESTS: dict[str, Contest] = {
    "around_cnn": partial(around, model="cnn"),
    "around_frozen": partial(around, model="mobilenet_frozen"),
    "checkpoints_cnn": partial(checkpoints, model="cnn"),
    "checkpoints_frozen": partial(checkpoints, model="mobilenet_frozen"),
    "checkpoints_ft": partial(checkpoints, model="mobilenet_ft"),
    "memory_cnn": partial(training_process, model="cnn"),
    "memory_frozen": partial(training_process, model="mobilenet_frozen"),
}

if __name__ == "__main__":
    main(__doc__, CONTESTS)
