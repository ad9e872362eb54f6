"""What the tests of this folder share."""

from pathlib import Path

import pytest

from winners import Winners, winners


@pytest.fixture(scope="session")
def results(tmp_path_factory: pytest.TempPathFactory, drawn: Path, cache: Path) -> Winners:
    """Finished runs with models."""
    return winners(tmp_path_factory.getbasetemp(), drawn, cache)
