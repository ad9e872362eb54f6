"""Complete sweeps of the frozen network: the published study's nine augmentations, and a search over four hyperparameters.

    python benchmarks/sweeps.py --data PATH/flower_photos --weights PATH.weights.h5

flowersweep runs its command line with an empty cache; the time includes everything, also the tracking. Plain Keras
trains two of the trials completely, one after the other in one process, with the same callbacks for early stopping. Its
time is scaled to all trials: the time spent once, plus the mean of the two multiplied by the number of trials.
val_accuracy is that of the best epoch of the best trial, for plain Keras of its two. If KerasTuner is installed, it
runs two random trials of the search in the same way.
"""

import shutil
import statistics
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from functools import partial
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from optuna.trial import TrialState

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from benchmarks import ours, results
from benchmarks.command import BATCH_SIZE, Contest, Options, main
from benchmarks.contest import Contestant, Line, Sample, hold, scaled
from benchmarks.fresh import fresh

ROUNDS = 1
CYCLE = 8
AUGMENTATIONS = (
    "RandomFlip",
    "RandomRotation",
    "RandomContrast",
    "RandomZoom",
    "RandomTranslation",
    "RandomCrop",
    "RandomFlip_prob",
    "RandomRotation_prob",
    "RandomTranslation_prob",
)
ARTICLE: dict[str, Any] = {
    "augmentation": "RandomFlip",
    "optimizer": "adam",
    "rate": 1e-3,
    "dropout": 0.2,
    "batch": BATCH_SIZE,
}


@dataclass(frozen=True)
class Sweep:
    """One sweep, for flowersweep and plain Keras.

    Attributes:
        name: The name in the table.
        n_trials: The number of trials.
        epochs: The maximum number of epochs of each trial.
        space: The search space, as on the command line.
        plain: The trials that plain Keras trains.
    """

    name: str
    n_trials: int
    epochs: int
    space: Sequence[str]
    plain: Sequence[dict[str, Any]]


def augmentations(options: Options) -> Iterator[Line]:
    """The nine augmentations with early stopping, and again with eight draws of each that are repeated."""
    chosen = AUGMENTATIONS[: options.trials]
    sweep = Sweep(
        f"{len(chosen)} augmentations",
        len(chosen),
        options.epochs or 100,
        [f"aug={','.join(chosen)}"],
        [{**ARTICLE, "augmentation": name} for name in ("RandomFlip", "RandomRotation")],
    )
    cycled = replace(sweep, space=[*sweep.space, f"aug.cycle={CYCLE}"])
    note = "all trials measured; a different experiment from the others"
    return _held(
        options,
        sweep,
        [Contestant(f"flowersweep, cold, aug.cycle={CYCLE}", partial(_ours, options, cycled), note)],
    )


def search(options: Options) -> Iterator[Line]:
    """A search over learning rate, dropout, optimizer and batch size."""
    n_trials = options.trials or 30
    sweep = Sweep(
        f"search, {n_trials} trials",
        n_trials,
        options.epochs or 30,
        [
            "optimizer=adam,adamw,rmsprop,sgd",
            "optimizer.learning_rate=tag(log,interval(1e-4,1e-2))",
            "model.dropout=interval(0,0.5)",
            "trainer.batch_size=32,64,128",
            f"hydra.sweeper.n_trials={n_trials}",
        ],
        # The middle of the space, and a corner with faster training.
        [ARTICLE, {**ARTICLE, "optimizer": "rmsprop", "rate": 3e-3, "dropout": 0.4, "batch": 32}],
    )
    tuner = [Contestant("KerasTuner, scaled", partial(_tuner, options, sweep), _scaled(2, n_trials))]
    return _held(options, sweep, tuner if find_spec("keras_tuner") else [])


def _scaled(measured: int, n_trials: int) -> str:
    return f"{measured} of {n_trials} trials measured, the rest calculated"


def _held(options: Options, sweep: Sweep, others: Sequence[Contestant] = ()) -> Iterator[Line]:
    contestants = [
        Contestant(
            "plain Keras, scaled",
            partial(_plain, options, sweep),
            _scaled(len(sweep.plain), sweep.n_trials),
        ),
        *others,
        Contestant("flowersweep, cold", partial(_ours, options, sweep), "all trials measured"),
    ]
    lines = hold(sweep.name, contestants, options.rounds or ROUNDS)
    for line in lines:
        epochs = statistics.median(sample.beside["epochs"] for sample in line.samples)
        yield replace(
            line,
            note=f"{line.note}; {epochs:.1f} epochs per trial",
            samples=[replace(sample, beside={}) for sample in line.samples],
        )


def _plain(options: Options, sweep: Sweep) -> Sample:
    return _calculated(options, sweep, "plain", "trainings", trials=list(sweep.plain))


def _tuner(options: Options, sweep: Sweep) -> Sample:
    return _calculated(options, sweep, "tuner", "search", n_trials=2)


def _calculated(options: Options, sweep: Sweep, module: str, function: str, **trials: Any) -> Sample:
    """Train some trials in a new process, and calculate the time of all."""
    figures = fresh(
        module,
        function,
        data=str(options.data),
        size=options.size,
        count=sweep.epochs,
        weights=options.weights,
        **trials,
    )
    setup = figures["process_seconds"] - sum(figures["seconds"])
    return Sample(
        scaled(setup, figures["seconds"], sweep.n_trials),
        max(figures["val_accuracy"]),
        {"epochs": statistics.mean(figures["epochs"])},
    )


def _ours(options: Options, sweep: Sweep) -> Sample:
    elsewhere = replace(options, folder=options.folder / "sweep")
    shutil.rmtree(elsewhere.folder, ignore_errors=True)
    overrides = ours.overrides(elsewhere, "mobilenet_frozen", f"trainer.epochs={sweep.epochs}", *sweep.space)
    seconds = ours.command_line(["--multirun", *overrides])
    study = results.study(elsewhere.folder / "results")
    if not all(trial.state is TrialState.COMPLETE for trial in study.trials):
        sys.exit(f"Not every trial of {sweep.name} was completed, so its time is meaningless.")
    epochs = statistics.mean(len(trial.intermediate_values) for trial in study.trials)
    return Sample(seconds, study.best_value, {"epochs": epochs})


CONTESTS: dict[str, Contest] = {"augmentations": augmentations, "search": search}

if __name__ == "__main__":
    main(__doc__, CONTESTS)
