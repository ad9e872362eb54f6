"""The commands besides training and sweeps, one module each; the other packages implement them."""

# The descriptions of the commands by name, in the order of --help.
COMMANDS = {
    "ui": "compare results in the browser",
    "status": "show which workers run a sweep, and where",
    "stop": "stop a sweep on all its machines",
    "join": "run trials of a sweep that was started elsewhere",
    "report": "write a page about a sweep",
    "ensemble": "combine the best models of a sweep",
    "promote": "register the best run's model",
    "predict": "classify pictures",
    "evaluate": "evaluate a model on a folder of pictures",
    "export": "export a model to another format",
    "doctor": "check the installation and a configuration",
    "inspect": "count pictures, find duplicates and damaged files",
    "layers": "list a backbone's layers and where it can be cut",
    "cache": "list, verify and prune the cache",
    "completion": "complete commands with the TAB key in bash",
    "help": "explain a group, its keys or the settings of sweeps",
}
_OF_RUNNING_STUDIES = ("join", "status", "stop")


def module_of(command: str) -> str:
    """The name of a command's module."""
    package = f"{__name__}.study" if command in _OF_RUNNING_STUDIES else __name__
    return f"{package}.{command}"
