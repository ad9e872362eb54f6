"""Dataclass fields that carry their legal values, so that one validator can check every group.

A configuration dataclass declares a field with `bounded` or `one_of`; OmegaConf checks the type and
`flowersweep.config.validate` checks the rule stored in the field's metadata.
"""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from omegaconf import MISSING

RULE_KEY = "flowersweep.rule"


# The metrics of the validation pictures that every epoch has.
VALIDATED = ("val_loss", "val_accuracy", "val_macro_f1", "val_balanced_accuracy", "val_auc", "val_top3")
# What early stopping and the plateau schedule may watch.
WATCHED = (*VALIDATED, "loss", "accuracy")


def maximized(metric: str) -> bool:
    """Whether a higher value of a metric is better; the name may have a prefix, as in best/val_accuracy."""
    return metric.rpartition("/")[2] in {*WATCHED} - {"loss", "val_loss"}


@dataclass(frozen=True)
class Rule:
    """The legal values of a field.

    Attributes:
        accepts: Called with a value that already has the right type; True if it is legal.
        allowed: The legal values in words, as they end the message "... must be ...".
        choices: The legal strings where there are few, for "did you mean"; empty otherwise.
    """

    accepts: Callable[[Any], bool]
    allowed: str
    choices: tuple[str, ...] = ()


def bounded(
    default: Any = MISSING,
    *,
    low: float | None = None,
    high: float | None = None,
    above: float | None = None,
    below: float | None = None,
) -> Any:
    """A number with bounds: `low`/`high` are included in the range, `above`/`below` are not; None is not checked."""

    def accepts(value: Any) -> bool:
        return (
            (low is None or value >= low)
            and (high is None or value <= high)
            and (above is None or value > above)
            and (below is None or value < below)
        )

    lower = f"at least {low}" if low is not None else f"more than {above}" if above is not None else ""
    upper = f"at most {high}" if high is not None else f"less than {below}" if below is not None else ""
    allowed = " and ".join(part for part in (lower, upper) if part)
    return field(default=default, metadata={RULE_KEY: Rule(accepts, allowed)})


def one_of(*choices: str, default: Any = MISSING) -> Any:
    """One of a few strings."""
    rule = Rule(lambda value: value in choices, f"one of {', '.join(choices)}", choices)
    return field(default=default, metadata={RULE_KEY: rule})


def not_empty(default: Any = MISSING) -> Any:
    """A text with at least one character that is not a space; None, where the type allows it, is not checked."""
    return field(
        default=default,
        metadata={RULE_KEY: Rule(lambda value: bool(value.strip()), "a non-empty string")},
    )
