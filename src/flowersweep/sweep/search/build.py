"""Build Optuna's objects from their nodes of the configuration, with one message for each error."""

import dataclasses
import warnings
from collections.abc import Iterator
from importlib.util import find_spec
from typing import Any

from hydra.errors import HydraException
from hydra.utils import instantiate
from omegaconf import DictConfig, OmegaConf
from optuna.exceptions import ExperimentalWarning

from flowersweep.doors.hydra_api import refused_target
from flowersweep.errors import SweepError
from flowersweep.fields import RULE_KEY, Rule


def build(cfg: DictConfig, group: str, allowed: tuple[str, ...]) -> Any:
    """Instantiate a node.

    Args:
        cfg: With a `_target_`; nodes inside it are instantiated too.
        group: The config group it is from, for messages: `hydra/sweeper/sampler`.
        allowed: The targets Hydra may call.

    Raises:
        SweepError: The target is not allowed, or it does not accept these values.
    """
    try:
        with warnings.catch_warnings():
            # An experimental sampler or option is an explicit choice.
            warnings.simplefilter("ignore", ExperimentalWarning)
            return instantiate(cfg, _execution_whitelist_=allowed)
    except (HydraException, ImportError, TypeError, ValueError) as error:
        if (target := refused_target(error)) is not None:
            raise SweepError(
                f"{group} names {target}, which a configuration may not call; choose another one."
            ) from None
        cause = error.__cause__ or error
        lines = str(cause).strip().splitlines()
        raise SweepError(
            f"{group} cannot be created from {cfg.get('_target_')}: {lines[-1] if lines else cause!r}"
        ) from None


def require(package: str, choice: str, instead: str) -> None:
    """Reject a choice whose package is not installed.

    Args:
        package: Its name, the same for import and for pip.
        choice: The choice that needs it: `hydra/sweeper/sampler=cmaes`.
        instead: An alternative without it.

    Raises:
        SweepError: It cannot be imported.
    """
    if find_spec(package) is None:
        raise SweepError(
            f"{choice} needs the package {package}, which is not installed: pip install {package}, or use {instead}."
        )


def broken_rules(node: DictConfig, prefix: str) -> Iterator[str]:
    """Every value that the rule of its dataclass field does not accept, one message each.

    Args:
        node: Created from a dataclass whose fields may have rules; any other node has none.
        prefix: Its key in the configuration: `hydra.sweeper`.
    """
    node_type = OmegaConf.get_type(node)
    for field in dataclasses.fields(node_type) if dataclasses.is_dataclass(node_type) else ():
        rule = field.metadata.get(RULE_KEY)
        value = node.get(field.name)
        if isinstance(rule, Rule) and value is not None and not rule.accepts(value):
            yield f"{prefix}.{field.name} must be {rule.allowed}, but is {value!r}."
