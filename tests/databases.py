"""Real databases for tests: SQLite files, and a throw-away PostgreSQL cluster a session.

``database`` is a started Database, once on each of them; ``database_url`` opens the same one
again, for tests that stop and restart.
"""

import os
import pwd
import shutil
import subprocess
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from gristmill.store.database import Database, open_database

TEMPLATE = "gristmill_template"
SETTINGS = "-c fsync=off -c full_page_writes=off -c shared_buffers=32MB -c max_connections=50"
"""Tests kill servers, never the machine, so the disk need not keep up."""

Call = Callable[..., None]


@pytest.fixture(scope="session")
def postgres_cluster() -> Iterator[str]:
    """A running cluster whose template database is migrated; the URL lacks only a name."""
    pytest.importorskip("psycopg", reason="psycopg is not installed")
    binaries = _binaries()
    if binaries is None:
        pytest.skip("no PostgreSQL on PATH or in /usr/lib/postgresql/*/bin")
    with _running_cluster(binaries) as url:
        _execute(url, f"create database {TEMPLATE}")
        migrated = open_database(f"{url}&dbname={TEMPLATE}", Path())
        migrated.start()
        migrated.close()
        yield url


@pytest.fixture(params=["sqlite", "postgres"])
def database_url(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[str]:
    """The URL of a database of the test's own."""
    if request.param == "sqlite":
        yield f"sqlite://{tmp_path}/gristmill.db"
        return
    with new_database(request.getfixturevalue("postgres_cluster")) as url:
        yield url


@contextmanager
def new_database(cluster: str) -> Iterator[str]:
    """A migrated database in a running cluster, dropped at the end."""
    name = f"test_{os.urandom(6).hex()}"
    _execute(cluster, f"create database {name} template {TEMPLATE}")
    yield f"{cluster}&dbname={name}"
    _execute(cluster, f"drop database {name} with (force)")


@pytest.fixture
def database(database_url: str, tmp_path: Path) -> Iterator[Database]:
    """A started database, closed after the test."""
    started = open_database(database_url, tmp_path)
    started.start()
    yield started
    started.close()


@contextmanager
def _running_cluster(binaries: Path) -> Iterator[str]:
    # Not under pytest's own folder: a socket's path must be short, and readable to the server.
    folder = Path(tempfile.mkdtemp(prefix="gristmill-pg-"))
    call = _caller(folder)
    data = folder / "data"
    try:
        call(
            binaries / "initdb",
            "-D",
            data,
            "-A",
            "trust",
            "-U",
            "gristmill",
            "-N",
            "-E",
            "UTF8",
            "--locale=C",
        )
        options = f"-k {folder} -c listen_addresses='' {SETTINGS}"
        call(binaries / "pg_ctl", "-D", data, "-l", folder / "log", "-o", options, "-w", "start")
        try:
            yield f"postgresql:///?host={folder}&user=gristmill"
        finally:
            call(binaries / "pg_ctl", "-D", data, "-m", "immediate", "-w", "stop")
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _caller(folder: Path) -> Call:
    """Return a way to run programs as an unprivileged user, for PostgreSQL refuses root."""
    nobody = pwd.getpwnam("nobody") if os.geteuid() == 0 else None
    if nobody:
        os.chown(folder, nobody.pw_uid, nobody.pw_gid)

    def call(*words: object) -> None:
        with (folder / "output").open("a+b") as output:
            done = subprocess.run(
                [str(word) for word in words], cwd=folder, stdin=subprocess.DEVNULL,
                stdout=output, stderr=output, check=False,
                user=nobody.pw_uid if nobody else None, group=nobody.pw_gid if nobody else None,
                extra_groups=[] if nobody else None,
            )  # fmt: skip
        assert done.returncode == 0, (folder / "output").read_text()

    return call


def _binaries() -> Path | None:
    found = shutil.which("initdb")
    candidates = [Path(found).resolve().parent] if found else []
    candidates += sorted(Path("/usr/lib/postgresql").glob("*/bin"), reverse=True)
    for folder in candidates:
        if (folder / "initdb").exists() and (folder / "pg_ctl").exists():
            return folder
    return None


def _execute(cluster: str, statement: str) -> None:
    import psycopg

    with psycopg.connect(f"{cluster}&dbname=postgres", autocommit=True) as connection:
        connection.execute(statement.encode())
