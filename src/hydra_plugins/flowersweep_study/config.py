"""Makes the sweeper, its pruners and its own sampler known to Hydra; the dataclasses are flowersweep's."""

from hydra.core.config_store import ConfigStore

from flowersweep.sweep.schema import PRUNERS, AutoSamplerConf, StudySweeperConf


def register() -> None:
    """Add them to Hydra's configuration groups."""
    store = ConfigStore.instance()
    store.store(group="hydra/sweeper/sampler", name="auto", node=AutoSamplerConf, provider="flowersweep")
    store.store(group="hydra/sweeper", name="study", node=StudySweeperConf, provider="flowersweep")
    for name, node in PRUNERS.items():
        store.store(group="hydra/sweeper/pruner", name=name, node=node, provider="flowersweep")


register()
