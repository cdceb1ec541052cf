"""``gristmill apply | export``: objects declared in YAML."""

from typing import Annotated

import typer

from gristmill.cli.files import read_text
from gristmill.cli.session import Session


def apply(
    session: Session,
    *,
    file: Annotated[str, typer.Option("-f", "--file", metavar="FILE", help="- is stdin.")],
    prune: Annotated[
        bool, typer.Option("--prune", help="Remove what an earlier apply made and this names not.")
    ] = False,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only say what it would do.")] = False,
) -> None:
    """Create or update what a file declares; a bad file changes nothing."""
    applied = session.administration.apply(read_text(file), prune=prune, dry_run=dry_run)
    if session.output.as_json:
        session.output.json(applied)
        return
    for verb in ("created", "updated", "pruned"):
        for thing in getattr(applied, verb):
            session.output.line(f"{verb} {thing}")
    session.output.line(f"unchanged {applied.unchanged}")


def export(session: Session) -> None:
    """Print what is declared, secrets left out, as a file for apply."""
    text = session.administration.export()
    if session.output.as_json:
        session.output.json({"yaml": text})
    else:
        session.output.raw(text.encode())
