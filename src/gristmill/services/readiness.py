"""Whether the server can take work: a durable write goes through, and the disk has room."""

import asyncio
import os
from pathlib import Path

from gristmill.domain.errors import UnavailableError
from gristmill.store.database import Database

READY_LIMIT = 5.0
"""Seconds the database has to answer."""

LEAST_ROOM = 1 << 20
"""Bytes free below which the home counts as full; the smallest writes may fit even then."""


async def check_ready(database: Database, home: Path) -> None:
    """Return when work can be taken. Raises UnavailableError saying what is in the way."""
    try:
        async with asyncio.timeout(READY_LIMIT):
            await database.write(lambda tx: tx.run("prove_writable"))
    except TimeoutError as error:
        raise UnavailableError("the database does not answer") from error
    room = os.statvfs(home)
    if room.f_bavail * room.f_frsize < LEAST_ROOM:
        raise UnavailableError("the disk is full")
