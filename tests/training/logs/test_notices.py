"""What is told before a run begins, once."""

from pathlib import Path

import pytest
from PIL import Image

from conftest import MakeConfig
from flowersweep.training.dataset import divided
from flowersweep.training.logs.notices import notices, tell_of_pictures_to_come

COSINE = ("schedule=cosine", "trainer.patience=5", "trainer.epochs=100")


@pytest.mark.slow
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


@pytest.mark.parametrize(
    ("batch_size", "told"),
    [
        (
            128,
            "48 training pictures are only 1 step per epoch with trainer.batch_size=128; use trainer.batch_size=4",
        ),
        (
            24,
            "only 2 steps per epoch with trainer.batch_size=24; use trainer.batch_size=4, which makes it 12.",
        ),
        (16, None),
    ],
)
def test_an_epoch_of_a_step_or_two_is_told(
    batch_size: int, told: str | None, make_config: MakeConfig
) -> None:
    """With a batch size, a power of two, that makes at least eight steps."""
    config = make_config(f"trainer.batch_size={batch_size}", "data.split_seed=2")
    catalogue, _, parts = divided(config)
    said = [str(notice) for notice in notices(config, catalogue, parts)]
    assert len(said) == bool(told)
    assert told is None or told in said[0]


def test_an_objective_that_is_always_one_is_told(make_config: MakeConfig, tmp_path: Path) -> None:
    """With three classes the true one is always among three."""
    for name in ("a", "b", "c"):
        (tmp_path / "flowers" / name).mkdir(parents=True)
        for number in range(4):
            Image.new("RGB", (8, 8), (number, number, ord(name))).save(
                tmp_path / f"flowers/{name}/{number}.png"
            )
    config = make_config(
        f"data.dir={tmp_path}/flowers", "objective.metric=best/val_top3", "trainer.batch_size=2"
    )
    catalogue, _, parts = divided(config)
    assert any("best/val_top3 is 1" in str(notice) for notice in notices(config, catalogue, parts))


def test_a_sweep_is_told_without_decoding(make_config: MakeConfig, caplog: pytest.LogCaptureFixture) -> None:
    """A line for each thing, in the log."""
    tell_of_pictures_to_come(make_config(*COSINE, "data.validation_split=0.02", "data.split_seed=1"))
    assert [record.levelname for record in caplog.records if "notices" in record.name] == ["WARNING"] * 2
    assert "None of the 1 pictures that validate is of the class" in caplog.text
    assert "schedule.epochs=N" in caplog.text
