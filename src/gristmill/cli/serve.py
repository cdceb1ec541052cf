"""``gristmill serve``: the server itself."""

import os
import sys
import textwrap

import typer


def serve(context: typer.Context) -> None:
    """Run the server; see gristmill serve --help."""
    if {"--help", "-h"}.intersection(context.args):
        sys.stdout.write(_help())
        return
    from gristmill.server.settings_sources import load, parse_flags

    loaded = load(parse_flags(context.args), os.environ)
    for warning in loaded.warnings:
        sys.stderr.write(f"gristmill: {warning}\n")
    # Only now: wrong flags are told without loading the whole server.
    from gristmill.server.main import run

    raise typer.Exit(run(loaded.settings))


def _help() -> str:
    from gristmill.server.settings import SETTINGS

    lines = [
        "Usage: gristmill serve [OPTIONS]",
        "",
        "  Run the server until SIGTERM. Each option is also a variable, such as",
        "  GRISTMILL_HTTP, and a line of HOME/gristmill.toml.",
        "",
        "Options:",
    ]
    for setting in SETTINGS:
        value = "" if setting.kind.switch else " VALUE"
        default = f" [{setting.default}]" if setting.default else ""
        lines.append(f"  {setting.flag}{value}")
        about = f"{setting.help}; {setting.kind.expects}{default}"
        lines.extend(textwrap.wrap(about, 76, initial_indent=" " * 6, subsequent_indent=" " * 6))
    return "\n".join(lines) + "\n"
