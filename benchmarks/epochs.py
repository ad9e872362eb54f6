"""Epochs in plain Keras and in flowersweep: the CNN, the frozen network, the fine-tuned one. Batches of 128.

    python benchmarks/epochs.py --data PATH/flower_photos --weights PATH.weights.h5

An epoch includes training and validation. The first one of a process, in which plain Keras reads the files and
everything is traced, is in the note. A cold feature bank has converted its prefix but computes the features of every
epoch; a warm one finds all of them. With a bank the augmentation is RandomRotation, which creates new pictures in every
epoch; the few results of RandomFlip would all be stored after the first epoch. The CNN uses RandomFlip. val_accuracy
is the value after the last epoch.
"""

import shutil
import sys
from collections.abc import Callable, Iterator
from dataclasses import replace
from functools import partial
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from benchmarks import ours
from benchmarks.command import BATCH_SIZE, Contest, Options, main
from benchmarks.contest import Contestant, Line, Sample, hold, say, steady
from benchmarks.fresh import Figures, fresh
from flowersweep.training.precision import cpu_has_bfloat16

ROUNDS = 3
EPOCHS = 3
# Step 4 with a new last layer: an epoch takes the same time as with a trained one.
FINE_TUNED = ("mobilenet_ft", "model.init_from=null")
ENDLESS = "RandomRotation"


def once(options: Options) -> Iterator[Line]:
    """The work that flowersweep does once for a data set and a network."""
    networks = {
        "frozen": ("mobilenet_frozen",),
        **{f"fine-tuned at {at}": (*FINE_TUNED, f"model.fine_tune_at={at}") for at in (100, 140)},
    }
    decoding: list[Sample] = []
    converting: dict[str, list[Sample]] = {name: [] for name in networks}
    for number in range(options.rounds or ROUNDS):
        elsewhere = replace(options, folder=options.folder / "once")
        for name, network in networks.items():
            say(f"once, round {number + 1}: {name}")
            figures = fresh("ours", "prepare", overrides=ours.overrides(elsewhere, *network))
            converting[name].append(Sample(figures["converting"]))
            if network == networks["frozen"]:  # for the others the pictures are already decoded
                decoding.append(Sample(figures["decoding"]))
        shutil.rmtree(elsewhere.folder)
    yield Line("once", "flowersweep, decoding the pictures", decoding)
    for name, samples in converting.items():
        yield Line("once", f"flowersweep, converting {name}", samples)


def cnn(options: Options) -> list[Line]:
    """An epoch of the CNN."""
    contestants = [
        Contestant("plain Keras", partial(_plain, options, "cnn")),
        Contestant("flowersweep, float32", _ours(options, "cnn", "trainer.precision=float32")),
    ]
    if options.onednn_off:
        plain = partial(_plain, options, "cnn", TF_ENABLE_ONEDNN_OPTS="0")
        contestants.insert(1, Contestant("plain Keras, oneDNN off", plain))
    if cpu_has_bfloat16():
        contestants.append(Contestant("flowersweep, auto (bfloat16)", _ours(options, "cnn")))
    _prepare(options, "cnn")
    return hold("CNN epoch", contestants, options.rounds or ROUNDS)


def frozen(options: Options) -> list[Line]:
    """An epoch of the frozen network."""
    return _with_bank(
        options, "frozen epoch", partial(_plain, options, "frozen", augmentation=ENDLESS), "mobilenet_frozen"
    )


def fine_tuned(options: Options, at: int) -> list[Line]:
    """An epoch of the fine-tuned network."""
    plain = partial(_plain, options, "fine_tuned", augmentation=ENDLESS, fine_tune_at=at)
    return _with_bank(options, f"fine-tune {at} epoch", plain, *FINE_TUNED, f"model.fine_tune_at={at}")


def _with_bank(
    options: Options, contest: str, plain: Callable[[], Sample], model: str, *more: str
) -> list[Line]:
    more = (*more, f"aug={ENDLESS}")
    warm = _ours(options, model, *more)

    def cold() -> Sample:
        options.forget_features()
        return warm()

    contestants = [
        Contestant("plain Keras", plain),
        Contestant("flowersweep, bank cold", cold),
        Contestant("flowersweep, bank warm", warm),  # warmed up by the preceding cold one
    ]
    _prepare(options, model, *more)
    return hold(contest, contestants, options.rounds or ROUNDS)


def _prepare(options: Options, model: str, *more: str) -> None:
    fresh("ours", "prepare", overrides=ours.overrides(options, model, *more))


def _plain(
    options: Options,
    model: str,
    augmentation: str = "RandomFlip",
    fine_tune_at: int | None = None,
    **settings: str,
) -> Sample:
    return _sample(
        fresh(
            "plain",
            "epochs",
            settings,
            data=str(options.data),
            size=options.size,
            batch=BATCH_SIZE,
            count=options.epochs or EPOCHS,
            model=model,
            weights=options.weights,
            augmentation=augmentation,
            fine_tune_at=fine_tune_at,
        )
    )


def _ours(options: Options, model: str, *more: str) -> Callable[[], Sample]:
    overrides, count = ours.overrides(options, model, *more), options.epochs or EPOCHS
    return lambda: _sample(fresh("ours", "epochs", overrides=overrides, count=count))


def _sample(figures: Figures) -> Sample:
    first = {"first epoch": figures["seconds"][0]}
    return Sample(steady(figures["seconds"]), figures["val_accuracy"][-1], first)


CONTESTS: dict[str, Contest] = {
    "once": once,
    "cnn": cnn,
    "frozen": frozen,
    "finetune_100": partial(fine_tuned, at=100),
    "finetune_140": partial(fine_tuned, at=140),
}

if __name__ == "__main__":
    main(__doc__, CONTESTS)
