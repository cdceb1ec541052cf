"""Named SQL: one file a statement, found by its name.

A statement lives in ``sql/common`` when both databases take the same text, and otherwise once in
``sql/sqlite`` and once in ``sql/postgres``. Parameters are written ``:name``; a statement that
is run for many rows takes them by position, ``?``.
"""

import re
from functools import cache
from importlib import resources

_NAMED = re.compile(r"(?<![:\w]):([a-z_]\w*)")


@cache
def load(database: str) -> dict[str, str]:
    """Return name -> SQL for ``sqlite`` or ``postgres``, in that database's own placeholders."""
    statements: dict[str, str] = {}
    for folder in ("common", database):
        for entry in (resources.files(__package__) / "sql" / folder).iterdir():
            if entry.name.endswith(".sql"):
                name = entry.name.removesuffix(".sql")
                statements[name] = _adapt(entry.read_text("utf-8"), database)
    return statements


@cache
def migrations(database: str) -> list[tuple[int, str]]:
    """Return (number, script) of the database's migrations, in order."""
    folder = resources.files(__package__) / "sql" / database / "migrations"
    scripts = [entry for entry in folder.iterdir() if entry.name.endswith(".sql")]
    return sorted((int(entry.name.split("_")[0]), entry.read_text("utf-8")) for entry in scripts)


def _adapt(sql: str, database: str) -> str:
    if database == "sqlite":
        return sql
    return _NAMED.sub(r"%(\1)s", sql.replace("%", "%%")).replace("?", "%s")
