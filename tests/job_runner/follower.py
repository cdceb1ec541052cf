"""A WebSocket client for tests."""

import json
import socket
from types import TracebackType
from typing import Self
from urllib.parse import urlsplit

import wsproto
from wsproto.events import AcceptConnection, CloseConnection, Ping, Request, TextMessage

from tests.e2e.harness import LIMIT
from tests.job_runner.talk import Json


class Follower:
    """Reads events, one after the other."""

    def __init__(self, url: str) -> None:
        place = urlsplit(url)
        assert place.hostname is not None
        self._socket = socket.create_connection((place.hostname, place.port), timeout=LIMIT)
        self._protocol = wsproto.WSConnection(wsproto.ConnectionType.CLIENT)
        self._texts: list[str] = []
        self.accepted = self.closed = False
        hello = Request(host=place.netloc, target=place.path or "/")
        self._socket.sendall(self._protocol.send(hello))
        while not self.accepted and not self.closed:
            self._read()

    def __enter__(self) -> Self:
        assert self.accepted
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._socket.close()

    def send(self, text: str) -> None:
        """Say something."""
        self._socket.sendall(self._protocol.send(TextMessage(text)))

    def next(self) -> Json:
        """Return the next event."""
        while not self._texts:
            assert not self.closed
            self._read()
        return json.loads(self._texts.pop(0))

    def next_of(self, run: int) -> Json:
        """Return the next event of a run."""
        while (event := self.next()).get("run_id") != run:
            pass
        return event

    def until_closed(self) -> None:
        """Read until the server ends it."""
        while not self.closed:
            self._read()

    def _read(self) -> None:
        data = self._socket.recv(65_536)
        if not data:
            self.closed = True
            return
        self._protocol.receive_data(data)
        part = ""
        for event in self._protocol.events():
            if isinstance(event, AcceptConnection):
                self.accepted = True
            elif isinstance(event, TextMessage):
                part += event.data
                if event.message_finished:
                    self._texts.append(part)
                    part = ""
            elif isinstance(event, Ping):
                self._socket.sendall(self._protocol.send(event.response()))
            elif isinstance(event, CloseConnection):
                self.closed = True
