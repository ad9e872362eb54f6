"""Tests of the ui command's refusals; that it serves is tested in a browser."""

import socket
from pathlib import Path

import pytest

from flowersweep.commands import ui
from servers import reserved_port


@pytest.mark.parametrize("port", ["0", "65536", "web"])
def test_a_port_that_is_none_is_refused(
    port: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """The sentence says what was given and what is allowed."""
    assert ui.main([f"port={port}", f"tracking.dir={tmp_path}"]) == 2
    assert f"port must be an integer from 1 to 65535, but is '{port}'" in capsys.readouterr().err


def test_a_port_in_use_is_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Before anything is started, with another port to choose."""
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        assert ui.main([f"port={port}", f"tracking.dir={tmp_path}"]) == 2
    assert f"Port {port} cannot be used" in capsys.readouterr().err


def test_without_results_it_says_how_to_make_some(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """And makes no database by looking for one."""
    with reserved_port() as port:
        assert ui.main([f"port={port}", f"tracking.dir={tmp_path}"]) == 2
    assert "There are no results in" in capsys.readouterr().err
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    ("system", "resolves", "host"),
    [
        ("Linux", False, "flowersweep.localhost"),
        ("Darwin", True, "flowersweep.localhost"),
        ("Darwin", False, "127.0.0.1"),
    ],
)
def test_the_address_is_one_that_browsers_find(
    system: str, *, resolves: bool, host: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Chrome, Edge and Firefox know names below localhost; Safari asks the system."""

    def look_up(name: str, _port: None) -> list[tuple[object, ...]]:
        if not resolves:
            raise socket.gaierror(name)
        return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", ("127.0.0.1", 0))]

    monkeypatch.setattr("platform.system", lambda: system)
    monkeypatch.setattr("socket.getaddrinfo", look_up)
    assert ui.shown_host() == host
