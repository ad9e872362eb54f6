"""What flowersweep uses of hydra-joblib-launcher without its promise is there, and does what it is used for."""

from importlib import import_module

import pytest

from flowersweep.doors.joblib_launcher_api import joblib_launcher
from private_parts import Part, require

PACKAGE = "hydra_plugins.hydra_joblib_launcher"
PARTS = (
    Part(
        f"{PACKAGE}.joblib_launcher.JoblibLauncher",
        lambda: import_module(f"{PACKAGE}.joblib_launcher").JoblibLauncher,
        "doors.joblib_launcher_api.joblib_launcher",
        "launch several workers where no launcher was chosen",
    ),
    Part(
        f"{PACKAGE}.config.JobLibLauncherConf",
        lambda: import_module(f"{PACKAGE}.config").JobLibLauncherConf,
        "doors.joblib_launcher_api.joblib_launcher",
        "launch several workers where no launcher was chosen",
    ),
)


@pytest.mark.parametrize("part", PARTS, ids=str)
def test_the_launcher_still_has_it(part: Part) -> None:
    """Each private part is there; the failure says which one is gone, and what needs it."""
    require("hydra-joblib-launcher", part)


def test_it_has_so_many_processes() -> None:
    """Each takes one job at a time, so that a long one delays nobody."""
    options = vars(joblib_launcher(3))["joblib"]
    assert (options["n_jobs"], options["batch_size"]) == (3, "1")
