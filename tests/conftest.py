"""What tests share: the real photographs, a small drawn data set, and a composed configuration."""

import os
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
# TensorFlow reads these once, at import; a run sets them itself, but tests may import TensorFlow first.
os.environ.setdefault("TF_ENABLE_ONEDNN_OPTS", "1")
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")


@pytest.fixture(scope="session")
def photos_dir() -> Path:
    """The folder of the real flower_photos; the test is skipped where it is not on disk."""
    candidates = [os.environ.get("FLOWERSWEEP_TEST_PHOTOS"), str(ROOT.parent / "shared/data/flower_photos")]
    for candidate in candidates:
        if candidate and Path(candidate).is_dir():
            return Path(candidate)
    if os.environ.get("FLOWERSWEEP_REQUIRE_PHOTOS"):
        pytest.fail("FLOWERSWEEP_REQUIRE_PHOTOS is set, but flower_photos is not on disk")
    pytest.skip("flower_photos is not on disk; set FLOWERSWEEP_TEST_PHOTOS to its folder to run this test")
