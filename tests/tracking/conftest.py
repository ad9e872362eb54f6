"""A store with an open run."""

import pytest

from flowersweep.tracking.mlflow_tracker import MLflowTracker
from flowersweep.tracking.store.store import Store, prepare_store


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Store:
    """A SQLite store shared by the tests of a file."""
    return prepare_store(tmp_path_factory.mktemp("results"))


@pytest.fixture
def tracker(store: Store) -> MLflowTracker:
    """An open run."""
    return MLflowTracker.start(store, "flowers", "a run")
