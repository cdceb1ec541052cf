"""What both clients tell the HTTP library, and how they read its failures."""

from typing import Any

import httpx2

from gristmill import __version__
from gristmill.client.errors import UnreachableError
from gristmill.client.exchange import Request
from gristmill.client.location import Location

QUIET = 60.0
"""Seconds of silence after which a stream is opened anew; the server keeps events alive."""

CONNECT_TIMEOUT = 10.0


def options(location: Location) -> dict[str, Any]:
    """Arguments for the HTTP library's client."""
    return {
        "base_url": location.url,
        "headers": {
            "Authorization": f"Bearer {location.token}",
            "User-Agent": f"gristmill/{__version__}",
        },
        "verify": location.verify(),
        "trust_env": not location.loopback,
    }


def stranger(location: Location) -> dict[str, Any]:
    """Arguments for a client that shows nobody our token, for URLs that need none."""
    return {
        "headers": {"User-Agent": f"gristmill/{__version__}"},
        "verify": location.verify(),
        "trust_env": not location.loopback,
        "timeout": httpx2.Timeout(QUIET, connect=CONNECT_TIMEOUT),
    }


def sized(size: int | None) -> dict[str, str]:
    """Return the header that tells a body's length ahead, where it is known."""
    return {} if size is None else {"Content-Length": str(size)}


def arguments(request: Request, timeout: float) -> dict[str, Any]:
    """Arguments of one request. timeout: seconds of silence, beyond what it waits for."""
    return {
        "method": request.method,
        "url": request.path,
        "params": request.params,
        "headers": dict(request.headers),
        "content": request.body,
        "timeout": httpx2.Timeout(timeout + request.wait, connect=CONNECT_TIMEOUT),
    }


def unreachable(url: str, error: httpx2.TransportError) -> UnreachableError:
    """Say which server could not be reached, and why."""
    cause = str(error) or type(error).__name__
    hint = ""
    if "CERTIFICATE_VERIFY_FAILED" in cause:
        hint = "; put the server's ca.pem into the home folder (--home)"
    return UnreachableError(f"cannot reach {url}: {cause}{hint}")
