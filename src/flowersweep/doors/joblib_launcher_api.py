"""Wrapper module for the private API of hydra-joblib-launcher."""

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from hydra.plugins.launcher import Launcher


def joblib_launcher(n_jobs: int) -> "Launcher":
    """Return a launcher with `n_jobs` processes, each of which takes one job at a time.

    Not documented: `JoblibLauncher` and its options. The public way is `hydra/launcher=joblib` in the configuration, but
    Hydra rejects a job whose launcher is not the sweep's, so the configuration keeps the one that was chosen.
    """
    from hydra_plugins.hydra_joblib_launcher.config import JobLibLauncherConf
    from hydra_plugins.hydra_joblib_launcher.joblib_launcher import JoblibLauncher

    options = vars(JobLibLauncherConf(n_jobs=n_jobs, batch_size="1"))
    return JoblibLauncher(**{name: value for name, value in options.items() if name != "_target_"})
