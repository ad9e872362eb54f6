"""Tests of flowersweep.own.targets: what a configuration may name."""

import optuna
import pytest

from flowersweep.own.targets import OF_THE_COMMAND, PRUNERS, SAMPLERS

ABSTRACT = {"BaseSampler", "BaseGASampler", "BasePruner", "BaseCrossover", "BaseMutation", "nsgaii"}


@pytest.mark.parametrize(
    ("listed", "module"),
    [
        (SAMPLERS, optuna.samplers),
        (SAMPLERS, optuna.samplers.nsgaii),
        (PRUNERS, optuna.pruners),
    ],
)
def test_all_of_optuna_can_be_named(listed: tuple[str, ...], module: object) -> None:
    """Each public class that is not abstract, and nothing else of the module."""
    name, public = getattr(module, "__name__", ""), set(getattr(module, "__all__", ())) - ABSTRACT
    named = {one.removeprefix(f"{name}.") for one in listed if one.startswith(f"{name}.")}
    assert {one for one in named if "." not in one} == public


def test_nothing_is_named_by_a_wildcard() -> None:
    """Of which nobody can say what it allows."""
    assert not [one for one in (*OF_THE_COMMAND, *PRUNERS) if "*" in one]
