"""Files named on the command line; ``-`` is standard input."""

import sys

import typer


def read_text(file: str) -> str:
    """Return the file's text. A file that cannot be read is a usage error."""
    try:
        if file == "-":
            return sys.stdin.buffer.read().decode()
        with open(file, encoding="utf-8") as opened:
            return opened.read()
    except OSError as error:
        raise typer.BadParameter(f"{file}: {error.strerror}", param_hint="--file") from error
    except UnicodeDecodeError as error:
        raise typer.BadParameter(f"{file} is not UTF-8 text", param_hint="--file") from error
