"""`flowersweep layers model=mobilenet_ft`: the layers of a backbone, which are trained, and where it can be cut."""

import argparse
from collections.abc import Sequence

from hydra import compose, initialize_config_dir

from flowersweep import config
from flowersweep.commands.parsing.arguments import exit_code
from flowersweep.config.models import FrozenConfig
from flowersweep.errors import ConfigError


def main(arguments: Sequence[str] | None = None) -> int:
    """Print the layer table of the configured network.

    Args:
        arguments: Overrides as for a run, including model=...; None for those of the process.

    Returns:
        The exit code: 0, or 2 for bad input.
    """
    parser = argparse.ArgumentParser(
        prog="flowersweep layers",
        description="Show the layers of a backbone: index as in model.fine_tune_at, output shape, whether it is "
        "trained, and where the network can be cut.",
        epilog="example: python -m flowersweep layers model=mobilenet_ft model.fine_tune_at=120",
    )
    parser.add_argument(
        "overrides", nargs="*", help="as for a run: model=mobilenet_ft trainer.image_size=160 ..."
    )
    return exit_code(lambda: _show(parser.parse_args(arguments).overrides))


def _show(overrides: Sequence[str]) -> int:
    config.prepare()
    with config.composing(), initialize_config_dir(str(config.conf_dir())):
        # Weights do not change the table and may have to be downloaded.
        cfg = compose("config", overrides=["model=mobilenet_ft", *map(config.as_meant, overrides)])
    if "weights" in cfg.model:
        cfg.model.weights = None
    with config.composing():
        settings = config.settings(cfg)
    if not isinstance(settings.model, FrozenConfig):
        raise ConfigError(
            f"model={settings.model.name} has no backbone; choose mobilenet_frozen, mobilenet_ft or backbone."
        )
    from flowersweep.training.environment import start_tensorflow

    start_tensorflow(seed=0, threads=None, deterministic=False)
    from flowersweep.console import plain_console
    from flowersweep.models import build_network
    from flowersweep.models.cuts import table

    network = build_network(settings.model, num_classes=2, image_size=settings.trainer.image_size)
    table(network.base, network.cut).show(plain_console())
    return 0
