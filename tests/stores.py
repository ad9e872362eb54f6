"""Empty tracking stores as copies: to make one takes MLflow a second of migrations, and hundreds of tests want one."""

import shutil
import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import pytest

from flowersweep.tracking.store import store


@contextmanager
def copied(template: Path) -> Iterator[None]:
    """Within this block this process copies a new database from `template`, which the first one is made as."""
    make = store._create_database

    def copy(path: Path, root: Path) -> None:
        if not template.exists():
            make(template, root)
        draft = path.with_name(f".{path.name}.copy")
        shutil.copy(template, draft)
        with closing(sqlite3.connect(draft)) as database, database:
            # The only thing in it that knows where it lies.
            database.execute("UPDATE experiments SET artifact_location = ?", [f"{root.as_uri()}/0"])
        draft.replace(path)

    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(store, "_create_database", copy)
        yield
