"""The order of the doctor's checks."""

import threading
from collections.abc import Iterator

import pytest

from conftest import MakeConfig
from flowersweep.doctor import checks
from flowersweep.doctor.configured import Setup
from flowersweep.doctor.finding import Finding


def test_the_others_run_while_tensorflow_starts(
    make_config: MakeConfig, monkeypatch: pytest.MonkeyPatch
) -> None:
    """TensorFlow is started before the first check, and its findings are still the last ones."""
    started, looked_at = threading.Event(), threading.Event()

    def check_machine(_workers: int) -> Iterator[Finding]:
        assert started.wait(60)
        looked_at.set()
        yield Finding("machine", "two processors")

    def check_tensorflow(*_: object) -> Iterator[Finding]:
        started.set()
        assert looked_at.wait(60)
        yield Finding("TensorFlow", "starts")

    monkeypatch.setattr(checks, "check_machine", check_machine)
    monkeypatch.setattr(checks, "check_tensorflow", check_tensorflow)
    found = list(checks.all_checks(Setup(make_config("bank.engine=tensorflow"), (), None, 1, None)))

    assert found[0] == Finding("machine", "two processors")
    assert found[-1] == Finding("TensorFlow", "starts")
    assert {"cache", "results"} <= {finding.check for finding in found[1:-1]}
