"""Where the server is and what opens it."""

import os
import ssl
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import urlsplit

import msgspec

from gristmill.client.errors import UnreachableError
from gristmill.domain.errors import InvalidInputError, NotAuthenticatedError, NotPermittedError

URL_VARIABLE = "GRISTMILL_URL"
TOKEN_VARIABLE = "GRISTMILL_TOKEN"  # noqa: S105 - the name of a variable
HOME_VARIABLE = "GRISTMILL_HOME"
LOOPBACK = frozenset({"127.0.0.1", "::1", "localhost"})


@dataclass(frozen=True)
class Location:
    """A server's root URL, a bearer token, and the authority that signed its certificate.

    only_authority: trust that authority alone, not the system's as well.
    """

    url: str
    token: str = field(repr=False)
    authority: Path | None = None
    only_authority: bool = False

    @property
    def loopback(self) -> bool:
        """Whether the server is on this machine, so that no proxy is to be asked."""
        return urlsplit(self.url).hostname in LOOPBACK

    def verify(self) -> ssl.SSLContext | bool:
        """Return what an HTTPS connection checks the server's certificate against."""
        if not self.url.startswith("https:") or self.authority is None:
            return True
        if self.only_authority:
            return ssl.create_default_context(cafile=self.authority)
        context = ssl.create_default_context()
        context.load_verify_locations(self.authority)
        return context


class ServerFile(msgspec.Struct):
    """What a running server writes to HOME/server.json; a listener that is off has no URL."""

    pid: int
    http: str | None = None
    https: str | None = None
    version: str = ""


def home_folder(home: str | os.PathLike[str] | None, environ: Mapping[str, str]) -> Path:
    """Return the server's home: as given, else $GRISTMILL_HOME, else ~/.gristmill."""
    chosen = home or environ.get(HOME_VARIABLE) or "~/.gristmill"
    return Path(chosen).expanduser()


def read_server_file(home: Path) -> ServerFile | None:
    """Read HOME/server.json; None when no server has written one."""
    try:
        return msgspec.json.decode((home / "server.json").read_bytes(), type=ServerFile)
    except (FileNotFoundError, NotADirectoryError):
        return None
    except PermissionError as error:
        raise NotPermittedError(f"{error.filename} is not readable for this user") from error
    except msgspec.DecodeError as error:
        raise InvalidInputError(f"{home / 'server.json'} is damaged: {error}") from error


def find(
    url: str | None = None,
    token: str | None = None,
    *,
    home: str | os.PathLike[str] | None = None,
    environ: Mapping[str, str] | None = None,
) -> Location:
    """Find the server: as given, else by the environment, else by the home's files.

    A home given by name goes before the environment's URL and token. The home's own token is sent
    only to the home's own server. Raises UnreachableError when no server is known, and
    NotAuthenticatedError when no token is.
    """
    environ = os.environ if environ is None else environ
    folder = home_folder(home, environ)
    chosen = url or (None if home else environ.get(URL_VARIABLE))
    token = token or (None if home else environ.get(TOKEN_VARIABLE))
    server = read_server_file(folder)
    if chosen is None:
        return _at_home(folder, server, token)
    chosen = _checked(chosen)
    if token is None and server and chosen in (server.http, server.https):
        token = _read_token(folder)
    if token is None:
        raise NotAuthenticatedError(f"no token for {chosen}: give --token or set {TOKEN_VARIABLE}")
    authority = folder / "ca.pem"
    return Location(chosen, token, authority if authority.is_file() else None)


def _at_home(home: Path, server: ServerFile | None, token: str | None) -> Location:
    if server is None:
        raise UnreachableError(
            f"no server runs on {home}: start one with `gristmill serve`, "
            f"or name one with --url, --home or {URL_VARIABLE}"
        )
    plain = server.http
    if plain and (urlsplit(plain).hostname in LOOPBACK or not server.https):
        return Location(plain.rstrip("/"), token or _read_token(home))
    if not server.https:
        raise UnreachableError(f"the server on {home} listens nowhere; see {home / 'server.json'}")
    authority = home / "ca.pem"
    return Location(
        server.https.rstrip("/"),
        token or _read_token(home),
        authority if authority.is_file() else None,
        only_authority=True,
    )


def _checked(url: str) -> str:
    parts = urlsplit(url)
    if parts.scheme not in ("http", "https") or not parts.hostname:
        raise InvalidInputError(f"{url!r} is not a URL such as https://host:7071", "url")
    return url.rstrip("/")


def _read_token(home: Path) -> str:
    path = home / "client.token"
    try:
        return path.read_text(encoding="ascii").strip()
    except FileNotFoundError:
        raise NotAuthenticatedError(
            f"{path} does not exist: give --token or set {TOKEN_VARIABLE}"
        ) from None
    except PermissionError:
        raise NotAuthenticatedError(
            f"{path} is not readable for this user: give --token or set {TOKEN_VARIABLE}"
        ) from None
