"""``gristmill demo``: the main job end to end, on a throw-away home."""

from pathlib import Path
from typing import Annotated

import typer


def demo(
    *,
    keep: Annotated[bool, typer.Option("--keep", help="Go on serving until Ctrl-C.")] = False,
    home: Annotated[
        Path | None,
        typer.Option(metavar="DIR", help="A new or empty folder; with --keep it stays."),
    ] = None,
) -> None:
    """See a real pipeline run: a server of its own, real input, everything checked.

    Takes less than a minute and cleans up after itself. Exit code 0 when all it shows is true.
    """
    # The client and rich load slowly; no other command is to wait for them.
    from gristmill.demo.run import run
    from gristmill.demo.screen import Screen

    run(home, keep=keep, screen=Screen())
