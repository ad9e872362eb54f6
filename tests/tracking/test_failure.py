"""Which errors are those of a store, whether it may be back later, and what is told."""

from importlib.util import find_spec
from pathlib import Path

import pytest
from mlflow.exceptions import BAD_REQUEST, MlflowException
from sqlalchemy.exc import DataError, OperationalError

from flowersweep.errors import TrackingError
from flowersweep.tracking.failure import is_of_store, is_passing, may_wait
from flowersweep.tracking.mlflow_api import client, translated
from flowersweep.tracking.mlflow_tracker import MLflowTracker
from flowersweep.tracking.store.store import prepare_store


def of_library(module: str, text: str) -> Exception:
    """An error of a library that need not be installed; like botocore's, it is a plain Exception."""
    kind = type("EndpointConnectionError", (Exception,), {"__module__": module})
    error: Exception = kind(text)
    return error


@pytest.mark.parametrize("module", ["botocore.exceptions", "boto3.exceptions", "azure.core.exceptions"])
def test_an_artifact_store_that_is_away_is_waited_for(module: str) -> None:
    """A client that stores artifacts without a server gets the errors of the library for the store."""
    error = of_library(module, "Could not connect to the endpoint URL")
    assert (is_of_store(error), may_wait(error), is_passing(error)) == (True, True, False)
    error.__cause__ = ConnectionRefusedError()
    assert is_passing(error)
    with (
        pytest.raises(
            TrackingError, match=r"^Cannot store a.txt: Could not connect to the endpoint URL.*\.$"
        ),
        translated("store a.txt"),
    ):
        raise error


def test_a_fault_of_the_program_is_not_waited_for() -> None:
    """Nor put into other words."""
    error = of_library("flowersweep.training", "no such layer")
    assert not may_wait(error)
    with pytest.raises(Exception, match="no such layer") as caught, translated("store a.txt"):
        raise error
    assert caught.value is error


def test_what_a_database_cannot_contain_is_refused_at_once() -> None:
    """It would wait for ever, and with it all that is recorded later."""
    error = MlflowException("out of range", BAD_REQUEST)
    error.__cause__ = DataError("INSERT", {}, Exception("bigint out of range"))
    assert (is_of_store(error), may_wait(error), is_passing(error)) == (True, False, False)
    error.__cause__ = OperationalError("INSERT", {}, Exception("server closed the connection"))
    assert (may_wait(error), is_passing(error)) == (True, True)
    error.__cause__ = OperationalError("INSERT", {}, Exception("INSERT command denied to user"))
    assert (may_wait(error), is_passing(error)) == (True, False)


@pytest.mark.skipif(find_spec("boto3") is not None, reason="the package is installed")
def test_a_missing_package_is_named(tmp_path: Path) -> None:
    """One sentence, when the first file is stored, which is before the training."""
    store = prepare_store(tmp_path)
    client(store.uri).create_experiment("flowers", "s3://bucket/flowers")
    run = MLflowTracker.start(store, "flowers", "run")
    with pytest.raises(
        TrackingError, match=r"stored by means of the package 'boto3', which is not installed"
    ):
        run.text("a", "a.txt")


def test_errors_of_the_library_for_s3(monkeypatch: pytest.MonkeyPatch) -> None:
    """Those of a store that refuses connections are recognized."""
    pytest.importorskip("boto3", reason="pip install 'flowersweep[s3]' to test its errors")
    from mlflow.store.artifact.s3_artifact_repo import S3ArtifactRepository

    monkeypatch.setenv("MLFLOW_S3_ENDPOINT_URL", "http://127.0.0.1:1")
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "someone")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "something")
    monkeypatch.setenv("AWS_MAX_ATTEMPTS", "1")
    with pytest.raises(Exception, match="Could not connect") as caught:
        S3ArtifactRepository("s3://bucket/flowers").log_artifact(__file__)
    assert may_wait(caught.value)
    assert is_passing(caught.value)
