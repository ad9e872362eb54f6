"""Runs and sweeps, as the doctor is told of them."""

import re
from pathlib import Path

import pytest

from flowersweep.doctor.configured import composed
from flowersweep.errors import ConfigError, SweepError

ENQUEUED = "hydra.sweeper.enqueue=[{aug: none}, {aug: RandomFlip}]"


def test_a_run_is_composed_as_it_is_given() -> None:
    """One worker, and nothing is searched."""
    setup = composed(
        ["data=demo", "aug=RandomFlip", "hydra.sweeper.n_jobs=3", "hydra.sweeper.storage=journal:j"]
    )

    assert setup.config.data.source == "demo"
    assert (setup.workers, setup.storage, setup.search) == (1, "journal:j", None)


def test_of_a_sweep_the_first_trial_is_composed() -> None:
    """What is searched is told, with the number of trials; every option is composed."""
    overrides = ["data=demo", "aug=RandomFlip,none", "model=cnn,mobilenet_frozen", "hydra.sweeper.n_jobs=3"]

    setup = composed(overrides, multirun=True)

    assert setup.search == "4 trials as a grid over aug, model; every option can be composed"
    assert setup.workers == 3
    assert setup.overrides == ("data=demo", "aug=RandomFlip", "model=cnn")
    assert setup.config == composed(setup.overrides).config


@pytest.mark.slow
def test_a_preset_and_a_sampler_are_understood() -> None:
    """Forty suggestions over the preset's space."""
    setup = composed(["search=aug_finetune", "data=demo", "hydra.sweeper.n_trials=1"], multirun=True)

    assert setup.search is not None
    assert setup.search.startswith("1 trial over ")
    assert "model.fine_tune_at" in setup.search


@pytest.mark.parametrize(
    ("overrides", "error", "expected"),
    [
        (["aug=none,RandomFlp"], SweepError, "Did you mean RandomFlip?"),
        (["optimizer.learning_rate=interval(0.1,1)"], SweepError, "hydra.sweeper.n_trials=30"),
        (
            ["aug=none,RandomFlip", "hydra.sweeper.direction=[minimize,maximize]"],
            SweepError,
            "has 2; leave it out",
        ),
        (
            ["aug=none,RandomFlip", "hydra/sweeper/sampler=random", "hydra.sweeper.n_trials=1", ENQUEUED],
            SweepError,
            "has 2 points, but hydra.sweeper.n_trials is 1",
        ),
        (
            [
                "hydra.sweeper.custom_search_space=hydra.test_utils.test_utils.run_process",
                "hydra.sweeper.n_trials=1",
                "aug=none,RandomFlip",
            ],
            SweepError,
            "run_process cannot be used, because the program does not allow",
        ),
        (["hydra/sweeper=basic", "aug=none,RandomFlip"], ConfigError, "Only sweeps with hydra/sweeper=study"),
    ],
)
def test_a_sweep_that_could_not_begin_is_refused(
    overrides: list[str], error: type[Exception], expected: str
) -> None:
    """In the sweep's own sentence."""
    with pytest.raises(error, match=re.escape(expected)):
        composed(overrides, multirun=True)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("overrides", "multirun", "expected"),
    [
        (["data.dir=2024_11_27"], False, "2024_11_27"),
        (["data.dir=2024_11_27,2024_12_01"], True, "2024_11_27"),
        (["++hydra.sweeper.params={data.dir: '2024_11_27,2024_12_01'}"], True, "2024_11_27"),
    ],
)
def test_texts_are_texts(overrides: list[str], expected: str, *, multirun: bool) -> None:
    """As for a run and a sweep: a folder whose name is a number to Hydra has its name."""
    setup = composed(["data=folder", *overrides], multirun=multirun)

    assert Path(str(setup.config.data.dir)).name == expected
