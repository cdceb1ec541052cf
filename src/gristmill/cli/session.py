"""What every command has in common: where the server is, and how to print."""

import inspect
import os
import sys
from collections.abc import Callable
from functools import cached_property, wraps
from typing import TYPE_CHECKING, Annotated, Any, Concatenate, ParamSpec

import typer

from gristmill.cli import failures
from gristmill.cli.output import Output

if TYPE_CHECKING:
    from gristmill.cli.stopped import StoppedHome
    from gristmill.client import Client

P = ParamSpec("P")

Home = Annotated[
    str | None,
    typer.Option("--home", metavar="DIR", help="The server's home ($GRISTMILL_HOME)."),
]
Url = Annotated[
    str | None, typer.Option("--url", metavar="URL", help="The server ($GRISTMILL_URL).")
]
Token = Annotated[
    str | None, typer.Option("--token", metavar="TOKEN", help="Its key ($GRISTMILL_TOKEN).")
]
Json = Annotated[bool, typer.Option("--json", help="Print JSON.")]

_SHARED = {"home": (Home, None), "url": (Url, None), "token": (Token, None), "json": (Json, False)}


class Session:
    """One run of a command. home, url, token: as given, None where they were not."""

    def __init__(self, home: str | None, url: str | None, token: str | None, json: bool) -> None:
        self.home = home
        self.url = url
        self.token = token
        self.output = Output(as_json=json)

    @cached_property
    def client(self) -> "Client":
        """The connection, made when first needed; the libraries behind it load slowly."""
        from gristmill.client import Client

        return Client(self.url, self.token, home=self.home)

    @cached_property
    def administration(self) -> "Client | StoppedHome":
        """What an administrator's commands talk to: a server, or its home while it is stopped."""
        from gristmill.client.location import URL_VARIABLE, home_folder

        named = self.url or (None if self.home else os.environ.get(URL_VARIABLE))
        if named is None:
            from gristmill.cli.stopped import StoppedHome, is_stopped

            folder = home_folder(self.home, os.environ)
            if is_stopped(folder):
                return StoppedHome(folder)
        return self.client

    def close(self) -> None:
        """Close the connection if there is one."""
        client = self.__dict__.get("client")
        if client is not None:
            client.close()


def command(function: Callable[Concatenate[Session, P], None]) -> Callable[..., None]:
    """Give a command the shared options, and the session made from them."""

    @wraps(function)
    def run(*args: Any, **options: Any) -> None:
        session = Session(*(options.pop(name) for name in _SHARED))
        try:
            function(session, *args, **options)
            sys.stdout.flush()
        except BrokenPipeError:
            # Nobody reads on; keep the interpreter from flushing into the pipe at its end.
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
            raise typer.Exit(failures.BROKEN_PIPE) from None
        finally:
            session.close()

    own = list(inspect.signature(function).parameters.values())[1:]
    shared = [
        inspect.Parameter(name, inspect.Parameter.KEYWORD_ONLY, default=default, annotation=kind)
        for name, (kind, default) in _SHARED.items()
    ]
    run.__signature__ = inspect.Signature([*own, *shared])  # type: ignore[attr-defined]
    run.__annotations__ = {parameter.name: parameter.annotation for parameter in own + shared}
    return run
