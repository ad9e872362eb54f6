"""Changes to the tables in MySQL and MariaDB that make texts round-trip unchanged."""

from sqlalchemy import Engine, inspect, text

from flowersweep.doors.optuna_api import table_names

_COLLATION = "utf8mb4_bin"


def exact_texts(engine: Engine) -> None:
    """Make Optuna's tables case-sensitive, and accept every letter and more than 65,535 bytes.

    As created, the studies `a` and `A` are equal, a server's default may support Latin letters only, and a longer
    definition, traceback or list of choices is rejected or, if the server is not strict, cut. Must be called under
    the storage's lock.
    """
    quoted = engine.dialect.identifier_preparer.quote
    with engine.begin() as connection:
        found = inspect(connection)
        collation = text(
            "SELECT table_collation FROM information_schema.tables "
            "WHERE table_schema = DATABASE() AND table_name = :table"
        )
        # The last one to be changed, so that an interrupted change is repeated.
        if connection.scalar(collation, {"table": "studies"}) == _COLLATION:
            return
        tables = sorted(
            table_names().intersection(found.get_table_names()), key=lambda table: table == "studies"
        )
        for table in tables:
            long = [str(column["name"]) for column in found.get_columns(table) if _is_text(column["type"])]
            changes = [f"CONVERT TO CHARACTER SET utf8mb4 COLLATE {_COLLATION}"]
            changes += [
                f"MODIFY {quoted(name)} LONGTEXT CHARACTER SET utf8mb4 COLLATE {_COLLATION}" for name in long
            ]
            connection.execute(text(f"ALTER TABLE {quoted(table)} {', '.join(changes)}"))


def _is_text(kind: object) -> bool:
    from sqlalchemy.dialects.mysql import LONGTEXT
    from sqlalchemy.types import Text

    return isinstance(kind, Text) and not isinstance(kind, LONGTEXT)
