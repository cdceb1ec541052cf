"""A store with a long history: the records of jobs that really ran, many times over."""

from pathlib import Path

import apsw

TABLES = {"job": "id", "attempt": "job_id", "output": "job_id"}
"""What is kept of a complete job, and the column with the job's number."""


def multiply(path: Path, wanted: int) -> int:
    """Double the jobs of a stopped server's database until there are at least wanted.

    All of them must be complete. Returns how many there are.
    """
    database = apsw.Connection(str(path))
    jobs = _number(database, "select count(*) from job")
    if jobs != _number(database, "select count(*) from job where state = 8"):
        raise RuntimeError("not all jobs of the seed are complete")
    database.execute("pragma cache_size = -262144")
    with database:
        while jobs < wanted:
            shift = _number(database, "select max(id) from job")
            for table, column in TABLES.items():
                _double(database, table, column, shift)
            for counter in ("owner_count", "group_count"):
                database.execute(f"update {counter} set n = 2 * n")
            jobs *= 2
        last = _number(database, "select max(id) from job")
        database.execute("update sequence set value = ? where name = 'job'", (last,))
    database.execute("pragma wal_checkpoint(truncate)")
    database.close()
    return jobs


def _double(database: apsw.Connection, table: str, column: str, shift: int) -> None:
    names = [row[1] for row in database.execute(f"pragma table_info({table})")]
    copies = ", ".join(f"{name} + {shift}" if name == column else name for name in names)
    database.execute(f"insert into {table} ({', '.join(names)}) select {copies} from {table}")


def _number(database: apsw.Connection, query: str) -> int:
    row = database.execute(query).fetchone()
    assert row is not None
    return int(row[0])
