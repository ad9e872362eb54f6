"""`flowersweep ui` (`make ui`): serve MLflow's pages for a store, on this machine only."""

import os
import platform
import socket
import subprocess
import sys
from collections.abc import Mapping, Sequence

from flowersweep.commands.parsing.arguments import Argument, Command
from flowersweep.commands.parsing.common import STORE_ARGUMENTS, results_store
from flowersweep.console import plain_console
from flowersweep.errors import ConfigError
from flowersweep.redaction import redacted
from flowersweep.tracking.mlflow_api import client, translated
from flowersweep.tracking.store.store import Store
from flowersweep.tracking.store.view import address, update_view

HOST = "127.0.0.1"
# The same machine: all names below localhost are. At 127.0.0.1 and localhost, MLflow's pages open with a chat with a
# language model, which covers a third of a window.
NAME = "flowersweep.localhost"
# What MLflow's server reads; it refuses other names than these.
_HOSTS, _ORIGINS = "MLFLOW_SERVER_ALLOWED_HOSTS", "MLFLOW_SERVER_CORS_ALLOWED_ORIGINS"

COMMAND = Command(
    name="ui",
    about="Compare results in the browser. MLflow's pages are served on 127.0.0.1, for this machine only.",
    arguments=(Argument("port", "port of the pages", "N", default="5000"), *STORE_ARGUMENTS),
    example="python -m flowersweep ui port=5001",
)


def main(arguments: Sequence[str] | None = None) -> int:
    """Serve MLflow's pages until they are interrupted.

    Args:
        arguments: Arguments as on the command line; None for those of the process.

    Returns:
        The exit code: that of MLflow, or 2 for bad input.
    """
    return COMMAND.run(_serve, arguments)


def _serve(values: Mapping[str, str | None]) -> int:
    port = _port(str(values["port"]))
    store = results_store(values)
    if store.uri.startswith(("http", "databricks")):
        raise ConfigError(f"{store.uri} is a server with its own pages; open it in the browser.")
    _say_where(store, port)
    command = [sys.executable, "-m", "mlflow", "server", "--backend-store-uri", store.uri, "--host", HOST]
    command += ["--port", str(port), "--workers", "1", "--serve-artifacts"]
    if store.artifact_root is not None:
        command += ["--default-artifact-root", store.artifact_root.as_uri()]
    environment = {
        **os.environ,
        "MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false",
        _HOSTS: _and_set(_HOSTS, "localhost", "localhost:*", f"{HOST}", f"{HOST}:*", f"{NAME}:*"),
        _ORIGINS: _and_set(_ORIGINS, f"http://{NAME}:{port}"),
    }
    # It uses the same terminal, so Ctrl-C ends it, and its exit code is returned.
    return subprocess.run(command, env=environment, check=False).returncode  # noqa: S603 - this interpreter


def shown_host() -> str:
    """NAME, or HOST where a browser may not know that name: Safari asks the system, which may not know it either."""
    if platform.system() != "Darwin":
        return NAME
    try:
        found = socket.getaddrinfo(NAME, None)
    except OSError:
        return HOST
    return NAME if any(entry[4][0] == HOST for entry in found) else HOST


def _and_set(variable: str, *values: str) -> str:
    """Values for a variable of MLflow's server, in addition to those that the user has set."""
    return ",".join([*values, *filter(None, [os.environ.get(variable)])])


def _port(text: str) -> int:
    if not text.isdecimal() or not 1 <= int(text) <= 65535:
        raise ConfigError(f"port must be an integer from 1 to 65535, but is {text!r}.")
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((HOST, int(text)))
        except OSError as error:
            raise ConfigError(
                f"Port {text} cannot be used ({error.strerror}); choose another one, as in port={int(text) % 65535 + 1}."
            ) from error
    return int(text)


def _say_where(store: Store, port: int) -> None:
    """Print the address of each experiment with runs, because MLflow's start page sorts by time."""
    service = client(store.uri)
    with translated(f"read the experiments of {store.uri}"):
        experiments = [
            found
            for found in service.search_experiments()
            if service.search_runs([found.experiment_id], max_results=1)
        ]
    console = plain_console(soft_wrap=True)
    console.print(f"Results in {redacted(store.uri)}, the best runs first:", highlight=False)
    for found in experiments:
        update_view(store.uri, found.experiment_id)
        console.print(
            f"  {found.name}  {address(f'http://{shown_host()}:{port}', found.experiment_id)}",
            highlight=False,
        )
