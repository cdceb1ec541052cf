"""``gristmill object`` and ``gristmill usage``: what is kept on the server, and what was used."""

import os
import sys
from typing import Annotated, BinaryIO

import typer

from gristmill.cli.session import Session

Name = Annotated[str, typer.Argument(metavar="NAME")]
Group = Annotated[
    str | None, typer.Option("--group", metavar="G", help="A group's objects, else your own.")
]
Day = Annotated[str | None, typer.Option(metavar="DAY", help="Such as 2026-01-31, in UTC.")]

HOUR = 3_600.0


def put(
    session: Session,
    file: Annotated[str, typer.Argument(metavar="FILE", help="- for standard input.")],
    name: Annotated[
        str | None, typer.Argument(metavar="[NAME]", help="Else the file's own.")
    ] = None,
    *,
    group: Group = None,
) -> None:
    """Store a file, in place of what the name had."""
    if file == "-":
        if name is None:
            raise typer.BadParameter("standard input needs a NAME", param_hint="NAME")
        session.client.put_object(name, sys.stdin.buffer, group=group)
        stored = name
    else:
        stored = name or os.path.basename(file)
        with _open(file) as opened:
            size = os.fstat(opened.fileno()).st_size
            session.client.put_object(stored, opened, group=group, size=size)
    if session.output.as_json:
        session.output.json({"stored": stored})
    else:
        session.output.line(stored)


def get(
    session: Session,
    name: Name,
    file: Annotated[
        str | None, typer.Argument(metavar="[FILE]", help="Else the name's last part; - to print.")
    ] = None,
    *,
    group: Group = None,
) -> None:
    """Fetch an object into a file."""
    pieces = session.client.get_object(name, group=group)
    if file == "-":
        for piece in pieces:
            session.output.raw(piece)
        return
    target = file or name.rpartition("/")[2]
    draft = f"{target}.part"
    try:
        with open(draft, "wb") as opened:
            for piece in pieces:
                opened.write(piece)
        os.replace(draft, target)
    except OSError as error:
        raise typer.BadParameter(f"{target}: {error.strerror}", param_hint="FILE") from error
    finally:
        if os.path.exists(draft):
            os.unlink(draft)
    if session.output.as_json:
        session.output.json({"file": target})


def show(
    session: Session,
    prefix: Annotated[str, typer.Argument(metavar="[PREFIX]")] = "",
    *,
    group: Group = None,
) -> None:
    """List the objects."""
    objects = session.client.objects(prefix, group=group)
    if session.output.as_json:
        session.output.json(list(objects))
        return
    rows = ((each.name, each.size, each.modified_at.isoformat()) for each in objects)
    session.output.table(("NAME", "BYTES", "MODIFIED"), rows)


def remove(session: Session, name: Name, *, group: Group = None) -> None:
    """Remove an object."""
    session.client.remove_object(name, group=group)
    if session.output.as_json:
        session.output.json({"removed": name})


def usage(session: Session, *, start: Day = None, end: Day = None) -> None:
    """Show what jobs used, by owner and project; else of the last 30 days."""
    used = session.client.usage(start, end)
    if session.output.as_json:
        session.output.json(used)
        return
    rows = (
        (
            each.owner,
            each.project,
            each.jobs,
            f"{each.wall_seconds / HOUR:.3f}",
            f"{each.cpu_seconds / HOUR:.3f}",
        )
        for each in used.usage
    )
    session.output.table(("OWNER", "PROJECT", "JOBS", "WALL HOURS", "CPU HOURS"), rows)


def _open(file: str) -> BinaryIO:
    try:
        return open(file, "rb")
    except OSError as error:
        raise typer.BadParameter(f"{file}: {error.strerror}", param_hint="FILE") from error
