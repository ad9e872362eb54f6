"""The name of a trial's run."""

import textwrap
from collections.abc import Mapping
from typing import Any, Protocol

from flowersweep.config.spelling import short_keys, value_text

# MLflow's table and legends cut longer names.
MAX_NAME = 80


class _Trial(Protocol):
    @property
    def number(self) -> int:
        """Its number."""

    @property
    def params(self) -> Mapping[str, Any]:
        """Its searched values."""


def trial_name(trial: _Trial) -> str:
    """The name of a trial's run: its number, as in the study and in Hydra, and its searched values."""
    heads = short_keys(trial.params)
    values = " ".join(f"{heads[name]}={value_text(value)}" for name, value in trial.params.items())
    return textwrap.shorten(f"trial-{trial.number:04d} {values}", MAX_NAME, placeholder=" …")
