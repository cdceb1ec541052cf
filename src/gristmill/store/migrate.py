"""Bring a database to the version this code speaks."""

from gristmill.domain.errors import UnavailableError
from gristmill.store.connection import Connection
from gristmill.store.statements import migrations


def migrate(connection: Connection) -> None:
    """Run the migrations that the database has not had, each in its own transaction.

    Raises UnavailableError when the database is newer than this code.
    """
    connection.script("create table if not exists schema_version (version integer not null)")
    row = connection.one("get_schema_version")
    current = int(row[0]) if row and row[0] is not None else 0
    scripts = migrations(connection.kind)
    newest = scripts[-1][0] if scripts else 0
    if current > newest:
        raise UnavailableError(
            f"the database is at version {current}, this Gristmill knows {newest}: "
            "use a newer Gristmill"
        )
    for number, script in scripts:
        if number > current:
            connection.begin(write=True)
            try:
                connection.script(script)
                connection.many("insert_schema_version", [(number,)])
                connection.commit()
            except BaseException:
                connection.rollback()
                raise
