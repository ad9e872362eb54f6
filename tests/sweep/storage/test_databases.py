"""Tests of sweeps on real PostgreSQL and MariaDB servers, started for them in folders of their own."""

import json
import os
import signal
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import optuna
import pytest
from optuna.storages import BaseStorage
from sqlalchemy import Connection, create_engine, make_url
from sqlalchemy.exc import OperationalError

import servers
from additions import added
from flowersweep.doors.optuna_api import engine_storage
from flowersweep.errors import SweepError
from flowersweep.sweep.storage.limits import MAX_NAME, MAX_STEP, MAX_VALUE
from flowersweep.sweep.storage.lock import locked, storage_lock
from flowersweep.sweep.storage.patience import patience
from flowersweep.sweep.storage.stop_message import write_stop
from flowersweep.sweep.storage.storage import close_connections, closing_storage, open_storage
from flowersweep.sweep.study.budget import Stop
from flowersweep.sweep.study.study import join_study, open_study

Open = Callable[[str], BaseStorage]

NOTHING: dict[str, Any] = {"searched": {}, "conditions": {}, "fixed": {}, "order": []}
pytestmark = pytest.mark.slow


@pytest.fixture(scope="module", params=["postgresql", "mariadb"])
def url(request: pytest.FixtureRequest) -> Iterator[str]:
    """The URL of a fresh server."""
    with getattr(servers, request.param)() as address:
        yield address


@pytest.fixture(scope="module")
def mariadb() -> Iterator[str]:
    """The URL of a fresh MariaDB server."""
    with servers.mariadb() as address:
        yield address


@pytest.fixture(scope="module")
def postgresql() -> Iterator[str]:
    """The URL of a fresh PostgreSQL server."""
    with servers.postgresql() as address:
        yield address


@pytest.fixture
def opened(tmp_path: Path) -> Iterator[Open]:
    """`open_storage`, whose connections are closed when the test ends; Optuna never does so."""
    with ExitStack() as stack:
        yield lambda address: stack.enter_context(closing_storage(open_storage(address, tmp_path)))


def wait_for(condition: Callable[[], bool]) -> None:
    """Wait until something is so."""
    until = time.monotonic() + 120
    while not condition():
        assert time.monotonic() < until
        time.sleep(0.05)


def administer(address: str, statement: str) -> None:
    """Tell a server something."""
    engine = create_engine(address)
    with engine.connect() as connection:
        connection.exec_driver_sql(statement.replace("%", "%%"))
    engine.dispose()


def connections(address: str) -> int:
    """The number of connections of other clients."""
    tables = {
        "postgresql": "pg_stat_activity WHERE backend_type = 'client backend' AND pid <> pg_backend_pid()",
        "mysql": "information_schema.processlist WHERE user = 'root' AND id <> connection_id()",
    }
    engine = create_engine(address)
    with engine.connect() as connection:
        query = f"SELECT count(*) FROM {tables[engine.dialect.name]}"  # noqa: S608 (from above)
        found = int(connection.exec_driver_sql(query).scalar_one())
    engine.dispose()
    return found


def close_idle_connections(address: str) -> None:
    """Have MariaDB close all connections that wait for a statement, as it does with those that wait for too long."""
    engine = create_engine(address)
    with engine.connect() as connection:
        idle = "SELECT id FROM information_schema.processlist WHERE command = 'Sleep'"
        ids = connection.exec_driver_sql(idle).scalars().all()
        assert ids
        for number in ids:
            connection.exec_driver_sql(f"KILL {number}")
    engine.dispose()


def test_lock_excludes(url: str, opened: Open) -> None:
    """Of threads with their own connections that add to a number in two steps none loses an addition."""
    assert added(lambda: opened(url), n_threads=6, seconds=0.02) == 30


def test_a_long_wait_for_the_lock_ends_with_the_lock(
    url: str, monkeypatch: pytest.MonkeyPatch, opened: Open
) -> None:
    """Who waits for longer than one question to the server takes still comes after the holder, not beside it."""
    monkeypatch.setattr("flowersweep.sweep.storage.lock.ASK_SECONDS", 1)
    order: list[str] = []

    def wait() -> None:
        with storage_lock(opened(url)):
            order.append("second")

    with storage_lock(opened(url)):
        thread = threading.Thread(target=wait)
        thread.start()
        time.sleep(2.5)
        order.append("first")
    thread.join()

    assert order == ["first", "second"]


def test_a_message_stops_workers_of_other_connections(
    url: str, tmp_path: Path, stub: Any, opened: Open
) -> None:
    """What stops a study is read by two workers that run its trials and have closed their connections meanwhile.

    Their trials wait long before they would end.
    """
    settings = stub.Settings(
        str(tmp_path), "leaving_marks", storage=url, study="stopped", n_trials=4, workers=2, seconds=600
    )
    marks = tmp_path / "marks"
    running = subprocess.Popen(stub.command(settings), stdout=subprocess.PIPE)
    wait_for(lambda: marks.exists() and len(marks.read_text().splitlines()) == 2)
    wait_for(lambda: connections(url) <= 2)  # those of their sweeper; four more while they start
    write_stop(join_study(opened(url), "stopped"), "flowersweep stop")
    began = time.monotonic()
    output, _ = running.communicate(timeout=400)

    assert time.monotonic() - began < 300
    assert [report["stop"] for report in json.loads(output)] == [Stop.STOPPED] * 2
    assert [trial.state.name for trial in join_study(opened(url), "stopped").trials] == ["WAITING"] * 2


def test_four_workers_share_forty_trials(url: str, tmp_path: Path, stub: Any, opened: Open) -> None:
    """Four workers on a server finish exactly 40 trials, each begun once."""
    settings = stub.Settings(str(tmp_path), "leaving_marks", storage=url, workers=4, trials_per_process=40)
    done = subprocess.run(stub.command(settings), check=True, stdout=subprocess.PIPE, timeout=240)
    trials = join_study(opened(url), "stub").trials
    marks = (tmp_path / "marks").read_text().splitlines()

    assert [trial.number for trial in trials] == list(range(40))
    assert {trial.state.name for trial in trials} == {"COMPLETE"}
    assert sorted(int(mark.split()[0]) for mark in marks) == list(range(40))
    assert sum(report["counts"]["COMPLETE"] for report in json.loads(done.stdout)) == 40


def test_two_sweeps_one_of_them_killed(url: str, tmp_path: Path, stub: Any, opened: Open) -> None:
    """Two sweeps of one study, one of which is killed with all its processes: twelve trials, their numbers 0 to 11."""
    settings = stub.Settings(
        str(tmp_path), "leaving_marks", storage=url, study="two", n_trials=12, seconds=0.5, workers=2
    )
    pair = [
        subprocess.Popen(stub.command(settings), stdout=subprocess.DEVNULL, start_new_session=True)
        for _ in range(2)
    ]
    marks = tmp_path / "marks"
    until = time.monotonic() + 180
    while not marks.exists() or len(marks.read_text().splitlines()) < 5:
        assert time.monotonic() < until
        time.sleep(0.1)
    os.killpg(pair[0].pid, signal.SIGKILL)
    for sweep in pair:
        sweep.wait(240)
    subprocess.run(stub.command(settings), check=True, stdout=subprocess.DEVNULL, timeout=240)
    trials = join_study(opened(url), "two").trials

    assert pair[1].returncode == 0
    assert [trial.number for trial in trials] == list(range(12))
    assert {trial.state.name for trial in trials} == {"COMPLETE"}


def test_server_that_is_away_while_trials_end(tmp_path: Path, stub: Any, opened: Open) -> None:
    """Workers wait for a server that is restarted while they ask, train and tell: each trial is trained once."""
    with servers.postgresql_with_outages() as (url, away):
        settings = stub.Settings(
            str(tmp_path), "leaving_marks", storage=url, n_trials=8, seconds=0.5, workers=2, patience=240
        )
        running = subprocess.Popen(
            stub.command(settings), stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
        )
        marks = tmp_path / "marks"
        until = time.monotonic() + 120
        while not marks.exists() or len(marks.read_text().splitlines()) < 3:
            assert time.monotonic() < until
            time.sleep(0.05)
        with away():
            time.sleep(3)
            begun = len(marks.read_text().splitlines())
        output, said = running.communicate(timeout=240)
        trials = join_study(opened(url), "stub").trials

    assert begun < 8
    assert said.count("waiting for it, up to 240 seconds") == said.count("responds again after") == 2
    assert sum(report["counts"]["COMPLETE"] for report in json.loads(output)) == 8
    assert [trial.number for trial in trials] == list(range(8))
    assert {trial.state.name for trial in trials} == {"COMPLETE"}
    assert sorted(int(mark.split()[0]) for mark in marks.read_text().splitlines()) == list(range(8))


def test_names_and_values_that_differ_in_case(url: str, opened: Open) -> None:
    """Studies `a` and `A`, and choices `a` and `A`, are two each; letters of any language are kept."""
    storage = opened(url)
    names = ["flower", "Flower", "Blüte", "Blüte-花"]
    studies = [
        open_study(storage, name, {**NOTHING, "config": {"name": name}}, ["maximize"]) for name in names
    ]
    trial = studies[3].ask()
    assert trial.suggest_categorical("x", ["a", "A", "花"]) in {"a", "A", "花"}
    studies[3].tell(trial, 0.5)
    for value in ("a", "A", "花"):
        studies[3].enqueue_trial({"x": value})
        again = studies[3].ask()
        assert again.suggest_categorical("x", ["a", "A", "花"]) == value
        studies[3].tell(again, 1.0)

    assert len({study._study_id for study in studies}) == 4
    found = join_study(opened(url), names[3])
    assert found.user_attrs["definition"]["config"] == {"name": names[3]}
    assert [one.params["x"] for one in found.trials[1:]] == ["a", "A", "花"]


def test_long_texts_are_kept_whole(url: str, opened: Open) -> None:
    """A definition, a trial's attribute and a list of choices of 100,000 characters each are read as they were written."""
    long = {**NOTHING, "config": {"name": "ü" * 100_000}}
    study = open_study(opened(url), "long", long, ["maximize"])
    trial = study.ask()
    choices = [f"{number:05}" for number in range(12_000)]
    trial.set_user_attr("traceback", "花" * 100_000)
    trial.suggest_categorical("x", choices)
    study.tell(trial, 1.0)
    found = join_study(opened(url), "long")

    assert found.user_attrs["definition"] == long
    assert found.trials[0].user_attrs["traceback"] == "花" * 100_000
    distribution = found.trials[0].distributions["x"]
    assert isinstance(distribution, optuna.distributions.CategoricalDistribution)
    assert list(distribution.choices) == choices


def test_a_step_that_fails_leaves_nothing(postgresql: str, opened: Open) -> None:
    """On PostgreSQL, a step is one transaction: neither others nor the cache of its own process see a part of it."""
    one = open_study(opened(postgresql), "parts", NOTHING, ["maximize"])
    kept = one.ask()

    def step() -> None:
        one.ask().suggest_float("x", 0, 1)
        one.tell(kept, 1.0)
        assert [trial.state.name for trial in one.trials] == ["COMPLETE", "RUNNING"]
        raise ValueError("no")

    with pytest.raises(ValueError, match="no"):
        locked(one._storage, step)
    for study in (one, join_study(opened(postgresql), "parts")):
        assert [trial.state.name for trial in study.trials] == ["RUNNING"]


def test_the_level_of_isolation_is_that_of_a_step(postgresql: str, opened: Open) -> None:
    """A step sees what the last holder of the lock has stored, also on a server that freezes what a transaction sees."""
    options = "options=-cdefault_transaction_isolation%3Drepeatable%5C%20read"
    storage = opened(f"{postgresql}{'&' if '?' in postgresql else '?'}{options}")
    with storage_lock(storage) as connection:
        assert isinstance(connection, Connection)
        assert (
            connection.exec_driver_sql("SHOW default_transaction_isolation").scalar_one() == "repeatable read"
        )
        assert connection.exec_driver_sql("SHOW transaction_isolation").scalar_one() == "read committed"


def test_only_steps_about_several_trials_wait_for_each_other(postgresql: str, opened: Open) -> None:
    """Two processes write about their own trials at the same time; one that counts trials waits for both."""
    first, second = opened(postgresql), opened(postgresql)
    order: list[str] = []
    alone = threading.Thread(target=lambda: locked(opened(postgresql), lambda: order.append("alone")))

    def inner() -> None:
        order.append("own")
        alone.start()
        time.sleep(0.5)

    locked(first, lambda: locked_in_thread(second, inner), alone=False)
    alone.join()

    assert order == ["own", "alone"]


def locked_in_thread(storage: BaseStorage, step: Callable[[], None]) -> None:
    """Take a step about one trial in a thread of its own, and wait for it."""
    thread = threading.Thread(target=lambda: locked(storage, step, alone=False))
    thread.start()
    thread.join(30)
    assert not thread.is_alive()


def take_all_connections(address: str, until: ExitStack) -> None:
    """Open connections until the server refuses one."""
    engine = create_engine(address, pool_size=200)
    until.callback(engine.dispose)
    while True:
        until.enter_context(engine.connect())


def test_a_full_server_is_waited_for(postgresql: str, opened: Open, caplog: pytest.LogCaptureFixture) -> None:
    """A worker that gets no connection says so in one sentence, and goes on when there is one."""
    study = open_study(opened(postgresql), "full", NOTHING, ["maximize"])
    close_connections(study._storage)
    with ExitStack() as others:
        with pytest.raises(OperationalError, match="too many clients"):
            take_all_connections(postgresql, others)
        threading.Timer(2.0, others.pop_all().close).start()
    with patience(60):
        assert locked(study._storage, lambda: len(study.trials)) == 0

    assert "its server allows no more connections; raise that limit" in caplog.text
    assert "responds again" in caplog.text


def test_what_others_have_done_is_seen(url: str, opened: Open) -> None:
    """A study that was read before shows trials that another connection has begun and finished since."""
    one = open_study(opened(url), "seen", NOTHING, ["maximize"])
    other = join_study(opened(url), "seen")
    assert [len(study.get_trials()) for study in (one, other)] == [0, 0]
    trial = other.ask()
    assert [found.state.name for found in one.get_trials()] == ["RUNNING"]
    other.tell(trial, 1.0)
    assert [found.state.name for found in one.get_trials()] == ["COMPLETE"]


def test_connections_closed_by_the_server(mariadb: str, opened: Open) -> None:
    """A server that closes idle connections during a long trial costs nothing, nor is the lock affected."""
    study = open_study(opened(mariadb), "idle", NOTHING, ["maximize"])
    trial = study.ask()
    fresh = join_study(opened(mariadb), "idle")
    for _ in range(2):
        close_idle_connections(mariadb)
        with storage_lock(fresh._storage):
            assert len(fresh.get_trials()) == 1
    close_idle_connections(mariadb)
    study.tell(trial, 1.0)

    assert fresh.get_trials()[0].state.name == "COMPLETE"


def test_the_name_mariadb_is_as_good_as_mysql(mariadb: str, opened: Open) -> None:
    """Both schemes name the same studies and the same lock."""
    mysql = open_study(opened(mariadb), "scheme", NOTHING, ["maximize"])
    other = opened(mariadb.replace("mysql+", "mariadb+"))
    trial = mysql.ask()
    for count in range(2):
        other.set_trial_user_attr(trial._trial_id, "count", count)

    assert join_study(other, "scheme").trials[0].user_attrs == {"count": 1}


def test_the_largest_values(url: str, opened: Open) -> None:
    """What passes the limits for all storages is stored by each server."""
    study = open_study(opened(url), "largest", NOTHING, ["maximize"])
    trial = study.ask()
    trial.report(0.5, MAX_STEP)
    trial.set_user_attr("é" * MAX_NAME, '"' * ((MAX_VALUE - 2) // 2))
    trial.suggest_float("p" * MAX_NAME, 0, 1)
    study.tell(trial, 1.0)
    found = join_study(opened(url), "largest").trials[0]
    assert found.intermediate_values == {MAX_STEP: 0.5}
    assert len(found.user_attrs["é" * MAX_NAME]) == (MAX_VALUE - 2) // 2
    assert list(found.params) == ["p" * MAX_NAME]


def test_a_password_with_signs(mariadb: str, opened: Open) -> None:
    """A password that has to be escaped in a URL opens the storage; a wrong one is refused without being shown."""
    administer(mariadb, "CREATE USER 'ada'@'localhost' IDENTIFIED BY 'p@ss:w/rd%41'")
    administer(mariadb, "GRANT ALL ON studies.* TO 'ada'@'localhost'")
    address = make_url(mariadb).set(username="ada", password="p@ss:w/rd%41")  # noqa: S106 (of a test's server)
    opened(address.render_as_string(hide_password=False))
    wrong = address.set(password="secret-one")  # noqa: S106 (as above)
    with pytest.raises(SweepError, match=r"Access denied.*; check its user and password, or") as caught:
        opened(wrong.render_as_string(hide_password=False))

    assert "secret-one" not in str(caught.value)


def test_servers_end_silent_connections(url: str, opened: Open) -> None:
    """A machine that is cut off keeps the lock of the studies for half a minute, with MariaDB for two minutes."""
    address = make_url(url)
    by_network = address.set(host="127.0.0.1", port=int(str(address.query.get("port", 0))), query={})
    storage = engine_storage(
        opened((by_network if "port" in address.query else address).render_as_string(hide_password=False))
    )
    assert isinstance(storage, optuna.storages.RDBStorage)
    limits: dict[str, dict[str, object]] = {
        "postgresql": {
            "tcp_user_timeout": "30000",
            "tcp_keepalives_idle": "15",
            "tcp_keepalives_interval": "5",
        },
        "mysql": {"@@wait_timeout": 120},
    }
    with storage.engine.connect() as connection:
        for name, value in limits[storage.engine.dialect.name].items():
            ask = "SELECT" if name.startswith("@") else "SHOW"
            assert connection.exec_driver_sql(f"{ask} {name}").scalar() == value


def test_unreachable_server(url: str, opened: Open) -> None:
    """A server that does not answer is named in one sentence."""
    with pytest.raises(SweepError, match=r"cannot be opened: .*check that it is running"):
        opened(url.replace("flowersweep-", "nowhere-"))
