"""Registers the sweeper, its pruners and its own sampler with Hydra; the dataclasses are flowersweep's."""

from functools import partial

from hydra.core.config_store import ConfigStore

from flowersweep.sweep.schema import PRUNERS, AutoSamplerConf, StudySweeperConf


def register() -> None:
    """Add them to Hydra's configuration groups."""
    # A training process gets the registrations of its worker first, and discovers the plugins after that.
    store = partial(ConfigStore.instance().store, provider="flowersweep", replace=True)
    store(group="hydra/sweeper/sampler", name="auto", node=AutoSamplerConf)
    store(group="hydra/sweeper", name="study", node=StudySweeperConf)
    for name, node in PRUNERS.items():
        store(group="hydra/sweeper/pruner", name=name, node=node)


register()
