"""Starting a training or a sweep from Python."""

from collections.abc import Sequence
from typing import Any

from flowersweep.api import process
from flowersweep.api.given import given
from flowersweep.api.result import Result, load_run
from flowersweep.api.study import Study
from flowersweep.api.words import Overrides, as_words, sweeper_words


def train(
    overrides: Overrides = (), *, model: Any = None, aug: Any = None, callbacks: Sequence[Any] = ()
) -> Result:
    """Train one model, as `python -m flowersweep` with the same overrides does.

    It runs in a process of its own, so that nothing of it stays in this one: neither memory nor threads of TensorFlow, nor
    settings. Interrupting this call ends the training as Ctrl-C does, and the same call goes on with it.

    Args:
        overrides: Texts as on the command line, `["model=cnn", "trainer.epochs=5"]`; a dict, `{"model": "cnn",
            "trainer.epochs": 5}`, whose texts are written as on the command line; or a configuration from `hydra.compose`.
        model: A network of your own: a function of input_shape and num_classes, or a Keras model, whose weights training starts
            from. It takes raw pictures (0..255) and returns logits. To give code here is to allow it.
        aug: An augmentation of your own: a class.
        callbacks: Keras callbacks of your own: classes.

    Returns:
        The finished run.

    Raises:
        FlowersweepError: It cannot run, or has failed; the exceptions are in `flowersweep.errors`.
        KeyboardInterrupt: It was interrupted.

    Example:
        >>> import flowersweep as fs
        >>> result = fs.train({"data": "demo", "trainer": "quick", "trainer.epochs": 3})  # doctest: +SKIP
        >>> result.history["val_accuracy"].max() == result.objective  # doctest: +SKIP
        True
    """
    code = given(model, aug, callbacks)
    run = process.run([*as_words(overrides), *code.words], environment=code.environment)["run"]
    return load_run(run["id"], run["directory"], uri=run["uri"])


def sweep(
    overrides: Overrides = (),
    *,
    model: Any = None,
    aug: Any = None,
    callbacks: Sequence[Any] = (),
    **settings: Any,
) -> Study:
    """Run a sweep, as `python -m flowersweep --multirun` with the same overrides does.

    The same call goes on with the same study, however it was stopped: only the trials that are missing are run. So does the
    same command on the command line, and the reverse.

    Args:
        overrides: As for `train`; values to search are written as on the command line: `"aug=none,RandomFlip"`, or
            `{"model.dropout": "interval(0,0.6)"}`.
        model: As for `train`.
        aug: As for `train`.
        callbacks: As for `train`.
        **settings: Keys of `hydra.sweeper` by name: `n_trials=20`, `n_jobs=2`, `study_name="mine"`, `sampler="tpe"`,
            `pruner="asha"` and so on.

    Returns:
        The study.

    Raises:
        FlowersweepError: It cannot run, or had to stop; the exceptions are in `flowersweep.errors`.
        KeyboardInterrupt: It was interrupted; running trials were put back among the waiting ones.

    Example:
        >>> import flowersweep as fs
        >>> study = fs.sweep(
        ...     ["aug=none,RandomFlip", "data=demo", "trainer=quick"], n_jobs=2
        ... )  # doctest: +SKIP
        >>> study.trials()["state"].tolist()  # doctest: +SKIP
        ['COMPLETE', 'COMPLETE']
    """
    code = given(model, aug, callbacks)
    arguments = ["--multirun", *as_words(overrides), *code.words, *sweeper_words(settings)]
    study = process.run(arguments, environment=code.environment, tells=False)["study"]
    return Study(study["name"], study["storage"], study["directory"], study["uri"])
