"""The doctor and a real PostgreSQL server, empty and in use."""

from collections.abc import Iterator
from pathlib import Path

import optuna
import pytest

from conftest import MakeConfig
from flowersweep.doctor.finding import Finding, Verdict, run_check
from flowersweep.doctor.results import check_store, check_studies
from flowersweep.redaction import redacted
from flowersweep.sweep.storage.storage import open_storage, shown
from flowersweep.tracking.store.store import prepare_store
from servers import postgresql

pytestmark = pytest.mark.slow


@pytest.fixture
def url() -> Iterator[str]:
    """The URL of a fresh server."""
    with postgresql() as address:
        yield address


def test_a_database_is_looked_at_and_not_filled(url: str, make_config: MakeConfig, tmp_path: Path) -> None:
    """Empty it stays empty; with tables its experiments and studies are counted; without a server it is to be fixed."""
    config = make_config(f"tracking.uri='{url}'")

    (store,), (studies,) = check_store(config), check_studies(config, url)
    assert (store.found, store.verdict) == (
        f"{redacted(url)} is empty; the first run creates its tables",
        Verdict.FINE,
    )
    assert studies.found == f"none yet; the first sweep creates {shown(url)}"

    prepare_store(tmp_path, url)
    (store,) = check_store(config)
    assert store == Finding("results", f"1 experiment in {redacted(url)}, created for this version of MLflow")


def test_studies_in_a_database_are_counted(url: str, make_config: MakeConfig, tmp_path: Path) -> None:
    """Optuna's tables are in a database of their own; a server that has gone is to be fixed."""
    config = make_config()
    storage = open_storage(url, tmp_path)
    optuna.create_study(storage=storage, study_name="a").enqueue_trial({})

    (finding,) = check_studies(config, url)
    assert finding.found == f"1 in {shown(url)}; unfinished: a (1 waiting)"

    gone = url.replace("host=", "host=/no")
    (finding,) = run_check("studies", lambda: check_studies(config, gone))
    assert finding.verdict is Verdict.FIX
    assert finding.found.startswith("Cannot reach the database postgresql+psycopg://")
