"""Ray is started, or connected to, before its launcher would do so, and is asked whether it has room for a worker."""

import logging
import os
import signal
import socket
import sys
import threading
import time
from collections.abc import Mapping, Sequence
from importlib import import_module
from typing import Any

from omegaconf import DictConfig, OmegaConf

from flowersweep.errors import SweepError
from flowersweep.texts import in_one_line

log = logging.getLogger(__name__)

LOCAL = "local"
# Ray ends this process a minute after it has lost the head node, without a word to the user or the study.
SILENT_SECONDS = 30.0
_CONNECT_SECONDS = 5.0
_NAMES = {"num_cpus": "CPU", "num_gpus": "GPU", "memory": "memory"}


class HeadNode:
    """The head node of a cluster of Ray, of which somebody asks every few seconds whether it is lost.

    Args:
        address: Host and port of its control service; None for what cannot be lost. One that cannot be reached now is not
            watched: a client may be connected through another one.
    """

    def __init__(self, address: str | None) -> None:
        self._address = address
        self._answered = time.monotonic()
        if not self._answers():
            self._address = None

    def loss(self) -> str | None:
        """What has happened, in a sentence, if it has not answered for SILENT_SECONDS; None if all is well."""
        now = time.monotonic()
        if self._address is None or self._answers():
            self._answered = now
        if now - self._answered < SILENT_SECONDS:
            return None
        return f"The head node of Ray at {self._address} has not answered for {SILENT_SECONDS:g} seconds"

    def _answers(self) -> bool:
        host, _, port = (self._address or "").rpartition(":")
        try:
            with socket.create_connection((host.strip("[]"), int(port)), _CONNECT_SECONDS):
                return True
        except (OSError, ValueError):
            return False


def start_ray(launcher: DictConfig) -> HeadNode:
    """Start Ray, or connect to its cluster, if it is the launcher; later, it would replace handlers of this process.

    Args:
        launcher: `hydra.launcher`.

    Returns:
        The head node to watch.

    Raises:
        SweepError: Ray cannot be started or reached, or has no room for a worker.
    """
    if not str(launcher["_target_"]).endswith(".RayLauncher"):
        return HeadNode(None)
    given: Any = OmegaConf.to_container(launcher.ray.init, resolve=True)
    # Without an address, Ray would look for any cluster on this machine.
    address = given.get("address") or os.environ.get("RAY_ADDRESS") or LOCAL
    handler, hook = signal.getsignal(signal.SIGTERM), sys.excepthook
    try:
        ray = import_module("ray")
        if not ray.is_initialized():
            ray.init(**{**given, "address": address})
    except Exception as error:
        raise SweepError(
            f"Ray cannot be {'started' if address == LOCAL else f'reached at {address}'}: {in_one_line(str(error))}; "
            "check hydra.launcher.ray.init, and that its versions here and on the nodes are the same."
        ) from error
    finally:
        if threading.current_thread() is threading.main_thread():
            signal.signal(signal.SIGTERM, handler)
        sys.excepthook = hook  # Ray's tells the head node of an error first, and waits for one that is lost
    nodes = [node["Resources"] for node in ray.nodes() if node["Alive"]]
    wanted = _wanted(OmegaConf.to_container(launcher.ray.remote, resolve=True))
    if (lack := lack_of(wanted, nodes)) is not None:
        if address == LOCAL:
            raise SweepError(f"A worker needs {lack}; change hydra.launcher.ray.remote.")
        log.warning("A worker needs %s; Ray waits for such a node.", lack)
    return HeadNode(ray.get_runtime_context().gcs_address)


def _wanted(remote: Any) -> dict[str, float]:
    """What a worker reserves, by Ray's names of resources."""
    given = {_NAMES[name]: remote[name] for name in _NAMES if remote.get(name)}
    return {"CPU": 1, **given, **(remote.get("resources") or {})}


def lack_of(wanted: Mapping[str, float], nodes: Sequence[Mapping[str, float]]) -> str | None:
    """What no node has enough of, in words; None if a worker fits on one.

    Args:
        wanted: Amounts by the name of the resource.
        nodes: The same for each node.
    """
    if any(all(node.get(name, 0) >= amount for name, amount in wanted.items()) for node in nodes):
        return None
    most = {name: max((node.get(name, 0) for node in nodes), default=0) for name in wanted}
    few = [name for name in wanted if most[name] < wanted[name]]
    if not few:
        return " and ".join(f"{name} {amount:g}" for name, amount in wanted.items()) + " on the same node"
    return ", ".join(f"{name} {wanted[name]:g}, but no node has more than {most[name]:g}" for name in few)
