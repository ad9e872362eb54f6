"""What is told before a run begins, once."""

import pytest

from conftest import MakeConfig
from flowersweep.training.dataset import divided
from flowersweep.training.logs.notices import notices, tell_of_pictures_to_come

COSINE = ("schedule=cosine", "trainer.patience=5", "trainer.epochs=100")


@pytest.mark.parametrize(
    ("overrides", "is_told"),
    [
        (COSINE, True),
        ((*COSINE, "schedule.epochs=20"), False),
        ((*COSINE, "trainer.patience=null"), False),
        ((*COSINE, "trainer.epochs=6"), False),
        (("trainer.patience=5",), False),
    ],
)
def test_a_cosine_that_may_be_cut_off_is_told(
    overrides: tuple[str, ...], make_config: MakeConfig, *, is_told: bool
) -> None:
    """With early stopping and no length of its own it hardly decays."""
    config = make_config(*overrides, "data.split_seed=2")
    catalogue, _, parts = divided(config)
    said = [str(notice) for notice in notices(config, catalogue, parts)]
    assert [line for line in said if "trainer.epochs=100, but trainer.patience=5" in line] == said
    assert bool(said) is is_told


def test_a_sweep_is_told_without_decoding(make_config: MakeConfig, caplog: pytest.LogCaptureFixture) -> None:
    """A line for each thing, in the log."""
    tell_of_pictures_to_come(make_config(*COSINE, "data.validation_split=0.02", "data.split_seed=1"))
    assert [record.levelname for record in caplog.records if "notices" in record.name] == ["WARNING"] * 2
    assert "None of the 1 pictures that validate is of the class" in caplog.text
    assert "schedule.epochs=N" in caplog.text
