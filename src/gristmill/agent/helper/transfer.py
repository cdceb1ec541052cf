"""Files over HTTP: fetched to a path, sent from one."""

import base64
import http.client
import os
import ssl
import time
import urllib.error
import urllib.request
from collections.abc import Callable
from typing import BinaryIO, TypeVar
from urllib.parse import unquote, urlsplit, urlunsplit

T = TypeVar("T")

TRIES = 3
PAUSE = 1.0
SILENCE = 60.0
"""Seconds without a byte after which a transfer has failed."""

CHUNK = 1 << 20
MEGABYTE = 1 << 20
_STORED = frozenset({200, 201, 204})
_FAILURES = (OSError, http.client.HTTPException, ValueError)


class TransferError(Exception):
    """A file could not be fetched or sent; the text says why."""


def fetch(url: str, target: str, most: int, authority: str = "") -> int:
    """Store what url gives in a new file and return its size; tried three times.

    most: megabytes. Raises TransferError.
    """
    return _tried(lambda: _fetch_once(url, target, most * MEGABYTE, authority))


def send(path: str, url: str, authority: str = "") -> int:
    """PUT a file and return its size; tried three times. Raises TransferError."""
    return _tried(lambda: _send_once(path, url, authority))


def file_name(url: str) -> str:
    """Return the name under which what url gives is stored; empty when it has none."""
    name = unquote(urlsplit(url).path).rpartition("/")[2].replace("\0", "")
    return "" if name in {".", ".."} else name[-255:]


def _tried(work: Callable[[], T]) -> T:
    for left in reversed(range(TRIES)):
        try:
            return work()
        except _FAILURES as error:
            if not left:
                raise TransferError(str(error) or type(error).__name__) from error
            time.sleep(PAUSE)
    raise AssertionError


def _fetch_once(url: str, target: str, most: int, authority: str) -> int:
    request = _request(url)
    size = 0
    with (
        _opener(authority).open(request, timeout=SILENCE) as reply,
        open(target, "wb") as file,
    ):
        while chunk := reply.read(CHUNK):
            size += len(chunk)
            if size > most:
                raise ValueError(f"it is larger than {most // MEGABYTE} MB")
            file.write(chunk)
        announced = reply.headers.get("Content-Length")
        if announced is not None and announced.isdecimal() and int(announced) != size:
            raise ValueError(f"it broke off after {size} of {announced} bytes")
    return size


def _request(url: str) -> urllib.request.Request:
    """Return the request, with a user name and password in the address as a header."""
    parts = urlsplit(url)
    if parts.username is None:
        return urllib.request.Request(url)  # noqa: S310 - the opener knows http and https only
    login = f"{unquote(parts.username)}:{unquote(parts.password or '')}"
    bare = urlunsplit(parts._replace(netloc=parts.netloc.rpartition("@")[2]))
    request = urllib.request.Request(bare)  # noqa: S310 - as above
    request.add_unredirected_header(
        "Authorization", "Basic " + base64.b64encode(login.encode()).decode()
    )
    return request


def _opener(authority: str) -> urllib.request.OpenerDirector:
    """Return an opener that follows http and https alone, and no proxy of the agent's."""
    opener = urllib.request.OpenerDirector()
    for handler in (
        urllib.request.HTTPHandler(),
        urllib.request.HTTPSHandler(context=_trust(authority)),
        _Redirects(),
        urllib.request.HTTPDefaultErrorHandler(),
        urllib.request.HTTPErrorProcessor(),
    ):
        opener.add_handler(handler)
    return opener


class _Redirects(urllib.request.HTTPRedirectHandler):
    max_redirections = 10


def _trust(authority: str) -> ssl.SSLContext:
    context = ssl.create_default_context()
    if authority:
        context.load_verify_locations(authority)
    return context


def _send_once(path: str, url: str, authority: str) -> int:
    parts = urlsplit(url)
    if not parts.hostname or parts.scheme not in {"http", "https"}:
        raise ValueError("there is no place to send it to")
    with open(path, "rb") as file:
        size = os.fstat(file.fileno()).st_size
        if parts.scheme == "https":
            line: http.client.HTTPConnection = http.client.HTTPSConnection(
                parts.hostname, parts.port, timeout=SILENCE, context=_trust(authority)
            )
        else:
            line = http.client.HTTPConnection(parts.hostname, parts.port, timeout=SILENCE)
        try:
            return _put(line, parts.path + (f"?{parts.query}" if parts.query else ""), file, size)
        finally:
            line.close()


def _put(line: http.client.HTTPConnection, target: str, file: BinaryIO, size: int) -> int:
    line.request(
        "PUT",
        target,
        body=file,
        headers={"Content-Length": str(size), "Content-Type": "application/octet-stream"},
    )
    reply = line.getresponse()
    text = reply.read(500).decode(errors="replace")
    if reply.status not in _STORED:
        raise ValueError(f"refused with {reply.status}: {text.strip()}")
    return size
