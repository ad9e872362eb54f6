"""The table of layers, as a person meets it."""

import pytest

from flowersweep.commands.layers import main


def test_texts_are_texts(capsys: pytest.CaptureFixture[str]) -> None:
    """As in a run: Hydra would read a number, and show it without the underscore."""
    assert main(["model.init_from=1_000"]) == 2
    assert "but is '1_000'" in capsys.readouterr().err
