"""Tests of a run's description: the result in words, with links that MLflow's server understands."""

from conftest import MakeConfig
from flowersweep.training.logs.description import describe

METRICS = {
    "best/val_accuracy": 0.89784,
    "best/val_loss": 0.3,
    "best/epoch": 12.0,
    "total/epochs": 30.0,
    "total/seconds": 41.4,
}


def test_result_and_setting_are_told_in_words(make_config: MakeConfig) -> None:
    """The objective, its epoch, the cost, and what one would compare the run by."""
    text = describe(make_config("aug=RandomFlip", "seed=3"), METRICS, "abc", figures=False)
    assert "**val_accuracy 0.8978** in epoch 12 of 30, 41 s of training" in text
    assert "cnn, RandomFlip, adam at 0.001, seed 3" in text
    assert "get-artifact" not in text


def test_pictures_are_linked_where_they_were_logged(make_config: MakeConfig) -> None:
    """The curves are shown, the others linked, at the addresses of MLflow's server."""
    text = describe(make_config(), METRICS, "abc", figures=True)
    assert "![learning curves](get-artifact?path=curves.png&run_uuid=abc)" in text
    assert text.count("run_uuid=abc") == 5


def test_a_test_set_is_told_apart_from_what_chose(make_config: MakeConfig) -> None:
    """Its accuracy is said to be of pictures that nothing was selected on."""
    text = describe(make_config(), {**METRICS, "test/accuracy": 0.75}, "abc", figures=False)
    assert "test accuracy 0.7500, on pictures that nothing was selected on" in text
