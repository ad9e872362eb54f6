"""Tests of what is asked of a cluster of Ray; sweeps on a real one are in `test_launchers.py`."""

import socket
from collections.abc import Mapping, Sequence

import pytest

from flowersweep.sweep.workers.engines.ray import HeadNode, lack_of


@pytest.mark.parametrize(
    ("wanted", "nodes", "expected"),
    [
        ({"CPU": 2}, [{"CPU": 1.0}, {"CPU": 2.0}], None),
        ({"CPU": 4}, [{"CPU": 1.0}, {"CPU": 2.0}], "CPU 4, but no node has more than 2"),
        ({"CPU": 1, "GPU": 0.5}, [{"CPU": 8.0}], "GPU 0.5, but no node has more than 0"),
        (
            {"CPU": 4, "GPU": 1},
            [{"CPU": 4.0}, {"CPU": 2.0, "GPU": 1.0}],
            "CPU 4 and GPU 1 on the same node",
        ),
        ({"CPU": 1}, [], "CPU 1, but no node has more than 0"),
    ],
)
def test_lack(wanted: Mapping[str, float], nodes: Sequence[Mapping[str, float]], expected: str) -> None:
    """A worker must fit on one node; what is said is what no node has, or all of it if none has it together."""
    assert lack_of(wanted, nodes) == expected


def test_a_head_node_is_lost_after_a_while(monkeypatch: pytest.MonkeyPatch) -> None:
    """When nobody listens any longer, but not at once; with an answer in between, the time starts anew."""
    monkeypatch.setattr("flowersweep.sweep.workers.engines.ray.SILENT_SECONDS", 1000)
    with socket.create_server(("127.0.0.1", 0)) as server:
        address = f"127.0.0.1:{server.getsockname()[1]}"
        head = HeadNode(address)
        assert head.loss() is None
    assert head.loss() is None
    monkeypatch.setattr("flowersweep.sweep.workers.engines.ray.SILENT_SECONDS", 0)
    assert head.loss() == f"The head node of Ray at {address} has not answered for 0 seconds"


@pytest.mark.parametrize("address", [None, "127.0.0.1:1", "nowhere"])
def test_what_cannot_be_reached_is_not_watched(address: str | None, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without a cluster, and if it is reached in another way."""
    monkeypatch.setattr("flowersweep.sweep.workers.engines.ray.SILENT_SECONDS", 0.001)
    assert HeadNode(address).loss() is None
