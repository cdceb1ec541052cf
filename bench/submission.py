"""How fast jobs come in with one request, beside inserting the same rows without a server."""

import time
from pathlib import Path
from typing import Any

import apsw

from bench.door import Door, jobs_body

NOBODY = b'{"command":"true","pool":"nobody"}'
"""A job of a pool that no agent serves: ready for ever, never run."""


def gristmill_submission(door: Door, jobs: int) -> float:
    """Return jobs a second, from the first byte of the request to the last of the reply."""
    body = jobs_body(NOBODY, jobs)
    began = time.perf_counter()
    door.submit(body)
    return jobs / (time.perf_counter() - began)


class RawInserts:
    """Inserts the rows that a server's database holds into fresh files, durably.

    source: path of the database of a server that has taken in nothing but a submission.
    """

    def __init__(self, source: Path) -> None:
        database = apsw.Connection(str(source), flags=apsw.SQLITE_OPEN_READONLY)
        self._schema = [
            sql
            for (sql,) in database.execute(
                "select sql from sqlite_master where tbl_name = 'job' and sql is not null"
                " order by type = 'index'"
            )
        ]
        self._rows: list[tuple[Any, ...]] = list(database.execute("select * from job"))
        columns = [row[1] for row in database.execute("pragma table_info(job)")]
        self._bare = [(number, row[columns.index("spec")]) for number, row in enumerate(self._rows)]
        database.close()

    def same_rate(self, path: Path) -> float:
        """Return rows a second into the same table with the same indexes."""
        return _insert(path, self._schema, "job", self._rows)

    def bare_rate(self, path: Path) -> float:
        """Return rows a second into a table of a number and the job's text alone."""
        schema = ["create table bare (id integer primary key, spec blob not null)"]
        return _insert(path, schema, "bare", self._bare)


def _insert(path: Path, schema: list[str], table: str, rows: list[tuple[Any, ...]]) -> float:
    database = apsw.Connection(str(path))
    for pragma in ("journal_mode=wal", "synchronous=full", "wal_autocheckpoint=0"):
        database.execute(f"pragma {pragma}")
    for statement in schema:
        database.execute(statement)
    marks = ", ".join("?" * len(rows[0]))
    began = time.perf_counter()
    database.execute("begin immediate")
    database.executemany(f"insert into {table} values ({marks})", rows)
    database.execute("commit")
    seconds = time.perf_counter() - began
    database.close()
    return len(rows) / seconds
