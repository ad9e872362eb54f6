"""Whether workers on other machines can use a storage."""

import os

from omegaconf import DictConfig, OmegaConf

from flowersweep.errors import SweepError

_SQLITE = "sqlite://"


def refuse_file_for_machines(config: DictConfig, storage: str) -> None:
    """Refuse a SQLite file for workers on other machines, which cannot share it.

    Args:
        config: The sweep's, with the `hydra` node.
        storage: From `storage_url`.

    Raises:
        SweepError: The launcher starts workers on other machines, and the storage is SQLite.
    """
    if storage.startswith(_SQLITE) and (name := _remote_launcher(config)) is not None:
        raise SweepError(
            f"{name} starts workers on other machines, which cannot share the SQLite file "
            f"{storage.removeprefix('sqlite:///')}; name a server, as in "
            "hydra.sweeper.storage=postgresql+psycopg://USER@HOST/NAME, or a journal in a folder that all machines share, "
            "hydra.sweeper.storage=journal:PATH."
        )


def _remote_launcher(config: DictConfig) -> str | None:
    """The launcher, if its workers are on other machines. Ray's are if it connects to a cluster that is already there."""
    kind = str(OmegaConf.select(config, "hydra.launcher._target_")).rpartition(".")[2]
    if kind == "SlurmLauncher":
        return "hydra/launcher=submitit_slurm"
    if kind == "RayAWSLauncher":
        return "hydra/launcher=ray_aws"
    if kind != "RayLauncher":
        return None
    given = OmegaConf.select(config, "hydra.launcher.ray.init.address") or os.environ.get("RAY_ADDRESS")
    return None if given in {None, "", "local"} else f"hydra/launcher=ray with the address {given}"
