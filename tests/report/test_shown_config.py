"""The configuration that the page shows."""

import pytest

from flowersweep.report.shown_config import shown_config

CONFIG = r"""
data:
  source: folder
  dir: /home/me/my flowers
  split_file: null
model:
  name: mobilenet_ft
  weights: imagenet
trainer:
  arguments: [/home/me/x]
tracking:
  dir: /home/me/mlruns
  uri: sqlite:////home/me/other.db
  experiment: flowersweep/my flowers
  run_name: \${x} of a/b
paths:
  cache: /home/me/.cache
seed: 0
"""


def test_folders_are_shown_as_they_were_typed() -> None:
    """A relative folder stays one, quotes are those of the command, and what nobody typed is left out."""
    shown = shown_config(
        CONFIG, ["model=mobilenet_ft", "data.dir='my flowers'", "++tracking.uri=sqlite:///other.db"]
    )
    assert shown == (
        "data:\n  source: folder\n  dir: my flowers\n  split_file: null\n"
        "model:\n  name: mobilenet_ft\n  weights: imagenet\n"
        "tracking:\n  uri: sqlite:///other.db\n  experiment: flowersweep/my flowers\n  run_name: \\${x} of a/b\n"
        "seed: 0\n"
    )


@pytest.mark.parametrize("folder", ["/home/me/flowers", "C:/Users/me", "C:\\Users\\me", "\\\\host\\flowers"])
def test_an_absolute_folder_that_was_typed(folder: str) -> None:
    """It is shown, on each operating system, and left out without an override."""
    config = f"data:\n  dir: '{folder}'\n"
    assert folder in shown_config(config, [f"data.dir='{folder}'"])
    assert "me" not in shown_config(config, ["seed=1", "~trainer", "data.dir='a", "b'"])


def test_a_run_without_a_configuration() -> None:
    """There is nothing to show."""
    assert shown_config("", []) == ""
    assert "secret" not in shown_config("tracking:\n  uri: postgresql://me:secret@host/x\n", [])
