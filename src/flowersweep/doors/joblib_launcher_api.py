"""The one door to what hydra-joblib-launcher keeps private: the launcher itself, and the name of its log."""

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from hydra.plugins.launcher import Launcher

# Private: the logger of `_core`. The launcher has no option that keeps it from announcing the jobs it launches.
LOGGER = "hydra_plugins.hydra_joblib_launcher._core"


def joblib_launcher(n_jobs: int) -> "Launcher":
    """Return a launcher of so many processes, each of which takes one job at a time.

    Not documented: `JoblibLauncher` and its options. The public way is `hydra/launcher=joblib` in the configuration, but
    Hydra refuses a job whose launcher is not the sweep's, so the configuration keeps the one that was chosen.
    """
    from hydra_plugins.hydra_joblib_launcher.config import JobLibLauncherConf
    from hydra_plugins.hydra_joblib_launcher.joblib_launcher import JoblibLauncher

    options = vars(JobLibLauncherConf(n_jobs=n_jobs, batch_size="1"))
    return JoblibLauncher(**{name: value for name, value in options.items() if name != "_target_"})
