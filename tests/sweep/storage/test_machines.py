"""Tests of which storages workers on other machines can use."""

import pytest
from omegaconf import OmegaConf

from flowersweep.errors import SweepError
from flowersweep.sweep.storage.machines import refuse_file_for_machines

RAY = {"_target_": "hydra_plugins.hydra_ray_launcher.ray_launcher.RayLauncher"}
SLURM = {"_target_": "hydra_plugins.hydra_submitit_launcher.submitit_launcher.SlurmLauncher"}
LOCAL = {"_target_": "hydra_plugins.hydra_submitit_launcher.submitit_launcher.LocalLauncher"}
AWAY = {**RAY, "ray": {"init": {"address": "ray://head:10001"}}}


@pytest.mark.parametrize(
    ("launcher", "name"), [(SLURM, "submitit_slurm"), (AWAY, "ray with the address ray://head:10001")]
)
def test_sqlite_for_other_machines_is_refused(launcher: dict[str, object], name: str) -> None:
    """With what to use instead, which is accepted."""
    config = OmegaConf.create({"hydra": {"launcher": launcher}})
    with pytest.raises(
        SweepError, match=f"hydra/launcher={name} starts .* SQLite file /r/optuna.db; name a server"
    ):
        refuse_file_for_machines(config, "sqlite:////r/optuna.db")
    refuse_file_for_machines(config, "journal:/shared/studies.log")
    refuse_file_for_machines(config, "postgresql+psycopg://u@h/x")


@pytest.mark.parametrize(
    "launcher", [LOCAL, RAY, {**RAY, "ray": {"init": {"address": "local"}}}, {"_target_": "x.BasicLauncher"}]
)
def test_sqlite_for_this_machine_is_not(launcher: dict[str, object], monkeypatch: pytest.MonkeyPatch) -> None:
    """Unless the environment names a cluster."""
    monkeypatch.delenv("RAY_ADDRESS", raising=False)
    config = OmegaConf.create({"hydra": {"launcher": launcher}})
    refuse_file_for_machines(config, "sqlite:////r/optuna.db")


def test_ray_connects_to_the_cluster_of_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    """RAY_ADDRESS counts as an address."""
    monkeypatch.setenv("RAY_ADDRESS", "head:6379")
    config = OmegaConf.create({"hydra": {"launcher": RAY}})
    with pytest.raises(SweepError, match="head:6379"):
        refuse_file_for_machines(config, "sqlite:////r/optuna.db")
