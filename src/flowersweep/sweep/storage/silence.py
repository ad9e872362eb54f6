"""Noticing that the other end of a connection to a database server is gone, although nobody has closed it.

A machine that is cut off or switched off closes nothing: without these limits, it would wait for an answer for a quarter of
an hour, and the server would keep the lock of the studies for it for two hours. All connections of a process end after the
same time of silence, so a step under the lock never goes on without it.
"""

from contextlib import closing
from typing import Any

from sqlalchemy import URL, Engine, event

CONNECT_SECONDS = 10
# Each end asks the other one after half of this time.
SILENCE_SECONDS = 30
# MySQL and MariaDB only limit how long they wait for the next statement, and for how long one may take.
STATEMENT_SECONDS = 120

_LIBPQ = ("psycopg", "psycopg2")
_MYSQL = ("pymysql", "mysqldb")


def connect_args(url: URL) -> dict[str, Any]:
    """The arguments with which a driver opens a connection to a server.

    Args:
        url: Of the server; any but SQLite's.
    """
    driver = url.get_driver_name()
    if driver in _LIBPQ:
        asking = {f"keepalives_{name}": value for name, value in _asking().items()}
        # A pooler may run each transaction on another connection, which does not know statements that were prepared before.
        unprepared = {"prepare_threshold": None} if driver == "psycopg" else {}
        return {
            "connect_timeout": CONNECT_SECONDS,
            **asking,
            "tcp_user_timeout": 1000 * SILENCE_SECONDS,
            **unprepared,
        }
    if driver in _MYSQL:
        return {
            "connect_timeout": CONNECT_SECONDS,
            "read_timeout": STATEMENT_SECONDS,
            "write_timeout": STATEMENT_SECONDS,
            "init_command": f"SET SESSION wait_timeout = {STATEMENT_SECONDS}",
        }
    return {"connect_timeout": CONNECT_SECONDS} if driver == "mysqlconnector" else {}


def limit_silence(engine: Engine) -> None:
    """Let PostgreSQL end the connections of an engine whose other end is gone; those that are open are closed.

    Args:
        engine: Of any database.
    """
    if engine.dialect.name != "postgresql":
        return
    limits = {f"tcp_keepalives_{name}": value for name, value in _asking().items()}
    limits["tcp_user_timeout"] = 1000 * SILENCE_SECONDS

    def limit(connection: Any, _record: object) -> None:
        with closing(connection.cursor()) as cursor:
            for name, value in limits.items():
                cursor.execute(f"SET {name} = {value}")
        connection.commit()

    event.listen(engine, "connect", limit)
    engine.dispose()


def _asking() -> dict[str, int]:
    return {"idle": SILENCE_SECONDS // 2, "interval": SILENCE_SECONDS // 6, "count": 3}
