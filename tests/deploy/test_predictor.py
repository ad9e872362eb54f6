"""A model server as a predictor, and what may go wrong with one."""

import json
import socket
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from typing import ClassVar

import numpy as np
import pytest

from flowersweep.deploy.predictor import RemotePredictor
from flowersweep.errors import ConfigError, TrackingError


class Answering(BaseHTTPRequestHandler):
    """Answers everything alike and keeps what it was asked."""

    status, answer = 200, b""
    asked: ClassVar[list[tuple[str, bytes]]] = []

    def do_POST(self) -> None:
        """Answer."""
        self.asked.append((self.path, self.rfile.read(int(self.headers["Content-Length"]))))
        self.send_response(self.status)
        self.end_headers()
        self.wfile.write(self.answer)

    def log_message(self, *_arguments: object) -> None:
        """Say nothing."""


@pytest.fixture
def server() -> Iterator[tuple[str, type[Answering]]]:
    """Address of a server and the class that answers there."""
    handler = type("Handler", (Answering,), {"asked": []})
    with HTTPServer(("127.0.0.1", 0), handler) as listening:
        thread = threading.Thread(target=listening.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        yield f"http://127.0.0.1:{listening.server_port}", handler
        listening.shutdown()
        thread.join()


PICTURES = np.arange(2 * 4 * 4 * 3, dtype=np.uint8).reshape(2, 4, 4, 3)


def test_pictures_go_out_and_probabilities_come_back(server: tuple[str, type[Answering]]) -> None:
    """The request is MLflow's `inputs`, at /invocations if the address has no path."""
    url, handler = server
    handler.answer = json.dumps({"predictions": [[0.25, 0.75], [1, 0]]}).encode()
    probabilities = RemotePredictor(url, 2)(PICTURES)

    np.testing.assert_array_equal(probabilities, np.array([[0.25, 0.75], [1, 0]], np.float32))
    ((path, body),) = handler.asked
    assert path == "/invocations"
    np.testing.assert_array_equal(json.loads(body)["inputs"], PICTURES)


@pytest.mark.parametrize(
    ("status", "answer", "message"),
    [
        (200, b"<html>", "not with predictions"),
        (200, b'{"predictions": [[1, 0, 0], [1, 0, 0]]}', "distinguishes 2 classes; give the run"),
        (400, b'{"message": "Shape of input\\nand more"}', "refuses the pictures: 400 Shape of input$"),
        (400, b'{"message": "Failed to predict [[0.\\n 0.]]\\nError: Wrong shape"}', "400 Wrong shape$"),
        (500, b"", "refuses the pictures: 500 Internal Server Error"),
    ],
)
def test_other_answers_are_told(
    server: tuple[str, type[Answering]], status: int, answer: bytes, message: str
) -> None:
    """One sentence says what came."""
    url, handler = server
    handler.status, handler.answer = status, answer

    with pytest.raises(TrackingError, match=message):
        RemotePredictor(url, 2)(PICTURES)


def test_nobody_answers() -> None:
    """A port on which nobody listens."""
    with pytest.raises(TrackingError, match="start one with mlflow models serve"):
        RemotePredictor("http://127.0.0.1:1/invocations", 2)(PICTURES)


@pytest.mark.parametrize("url", ["127.0.0.1:5001", "file:///etc/passwd", "http://"])
def test_other_addresses_are_refused(url: str) -> None:
    """Only http and https, with a host."""
    with pytest.raises(ConfigError, match="is not the address of a server"):
        RemotePredictor(url, 2)


@pytest.mark.parametrize(
    "url",
    [
        "http://127.0.0.1:abc",
        "http://127.0.0.1:99999",
        "http://host name",
        "http://[::1",
        "http://a..b/",
        f"http://{'a' * 64}.org",
        "http://:5001",
    ],
)
def test_no_address(url: str) -> None:
    """Is refused before a picture is read."""
    with pytest.raises(ConfigError, match="is not the address of a server; give one like"):
        RemotePredictor(url, 3)


@pytest.mark.parametrize(
    ("answer", "reason"),
    [
        (b"SSH-2.0-OpenSSH_9.6\r\n", "SSH-2.0-OpenSSH_9.6"),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\n{", "IncompleteRead"),
        (b"HTTP/1.1 400 Bad Request\r\nContent-Length: 9\r\n\r\n{", "IncompleteRead"),
        (b"", "closed connection without response"),
    ],
)
def test_a_server_of_something_else(answer: bytes, reason: str) -> None:
    """One that does not speak HTTP, or does not finish its answer, is no model server."""
    with socket.create_server(("127.0.0.1", 0)) as listening:

        def serve() -> None:
            connection, _ = listening.accept()
            with connection:
                while b'"inputs"' not in connection.recv(1 << 16):
                    pass
                connection.sendall(answer)

        thread = threading.Thread(target=serve)
        thread.start()
        predict = RemotePredictor(f"http://127.0.0.1:{listening.getsockname()[1]}", 3)
        with pytest.raises(TrackingError, match=f"No model server answers at .*{reason}"):
            predict(PICTURES)
        thread.join()
