"""``python -m gristmill``: the command, where no script of that name is on the path."""

from gristmill.cli.main import main

main()
