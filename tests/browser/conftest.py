"""A real browser, MLflow's real pages, and a small real sweep to look at in them."""

import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, sync_playwright

from flowersweep.commands.ui import NAME
from servers import reserved_port, wait_for

SWEEP = (
    "--multirun",
    "aug=none,RandomFlip,RandomRotation",
    "model=cnn",
    "data=demo",
    "trainer=quick",
    "trainer.epochs=2",
    "trainer.image_size=32",
    "schedule=cosine",
    "hydra.sweeper.n_repeats=2",
)
# Without these Chromium wants a sandbox that root has not, and calls home at every start.
FLAGS = (
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Everything here needs a server, a browser and a sweep."""
    for item in items:
        if Path(__file__).parent in item.path.parents:
            item.add_marker(pytest.mark.slow)


@pytest.fixture(scope="session")
def browser() -> Iterator[Browser]:
    """Chromium; the tests are skipped where there is none, and fail where FLOWERSWEEP_REQUIRE_BROWSER is set."""
    path = (
        os.environ.get("FLOWERSWEEP_TEST_BROWSER")
        or shutil.which("chromium")
        or shutil.which("google-chrome")
    )
    if path is None:
        if os.environ.get("FLOWERSWEEP_REQUIRE_BROWSER"):
            pytest.fail(
                "FLOWERSWEEP_REQUIRE_BROWSER is set, but neither chromium nor google-chrome is installed"
            )
        pytest.skip(
            "neither chromium nor google-chrome is installed; set FLOWERSWEEP_TEST_BROWSER to a browser"
        )
    with sync_playwright() as playwright:
        launched = playwright.chromium.launch(executable_path=path, args=list(FLAGS))
        yield launched
        launched.close()


@pytest.fixture(scope="session")
def shots() -> Path:
    """Where screenshots are put: FLOWERSWEEP_SCREENSHOTS, or a folder that git ignores."""
    folder = Path(os.environ.get("FLOWERSWEEP_SCREENSHOTS") or ".screenshots").absolute()
    folder.mkdir(parents=True, exist_ok=True)
    return folder


@pytest.fixture(scope="session")
def swept(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The results' folder of a sweep of three augmentations with two seeds; FLOWERSWEEP_TEST_RESULTS is another's."""
    if given := os.environ.get("FLOWERSWEEP_TEST_RESULTS"):
        return Path(given).absolute()
    folder = tmp_path_factory.mktemp("browser") / "results"
    subprocess.run([sys.executable, "-m", "flowersweep", *SWEEP, f"tracking.dir={folder}"], check=True)
    return folder


@pytest.fixture(scope="session")
def server(swept: Path) -> Iterator[str]:
    """Address of the pages that `python -m flowersweep ui` serves over the sweep."""
    with reserved_port() as port:
        command = [sys.executable, "-m", "flowersweep", "ui", f"port={port}", f"tracking.dir={swept}"]
        with subprocess.Popen(command, start_new_session=True, stdout=subprocess.DEVNULL) as process:
            try:
                wait_for(f"http://127.0.0.1:{port}/health", process)
                yield f"http://{NAME}:{port}"
            finally:
                os.killpg(process.pid, signal.SIGTERM)
