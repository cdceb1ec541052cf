"""``gristmill image``: images that the nodes can run."""

import os
from typing import Annotated

import typer

from gristmill.cli.session import Session

Name = Annotated[str, typer.Argument(metavar="NAME")]


def add(
    session: Session,
    name: Name,
    path: Annotated[str, typer.Argument(metavar="PATH", help="On the server's machine.")],
    *,
    entrypoint: Annotated[
        str | None, typer.Option(metavar="CMD", help="What it runs when no command is given.")
    ] = None,
) -> None:
    """Add an image: a folder, an archive of a root file system, or an OCI archive."""
    import shlex

    words = None if entrypoint is None else shlex.split(entrypoint)
    image = session.administration.add_image(name, os.path.abspath(path), words)
    if session.output.as_json:
        session.output.json(image)
    else:
        session.output.line(image.name)


def show(session: Session) -> None:
    """List the images."""
    images = session.administration.images()
    if session.output.as_json:
        session.output.json(images)
    else:
        rows = ((image.name, " ".join(image.entrypoint or ())) for image in images)
        session.output.table(("NAME", "ENTRYPOINT"), rows)


def remove(session: Session, name: Name) -> None:
    """Remove an image."""
    session.administration.remove_image(name)
    if session.output.as_json:
        session.output.json({"removed": name})
