"""Hydra, ready to compose."""

from collections.abc import Iterator

import pytest
from hydra import initialize_config_dir

from flowersweep import config


@pytest.fixture(scope="module")
def hydra_ready() -> Iterator[None]:
    """Hydra knows conf/ and the schema while a module's tests run."""
    config.prepare()
    with initialize_config_dir(str(config.conf_dir())):
        yield
