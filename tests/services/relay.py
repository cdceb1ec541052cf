"""A real mail relay on this machine, and what it was given."""

import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from email import message_from_bytes
from email.message import Message
from typing import Any

from aiosmtpd.controller import Controller

LIMIT = 60.0


class Relay:
    """Takes mail, or refuses it for as long as a test says.

    disliked: in subjects that are refused. port: where it listens.
    """

    def __init__(self, port: int = 0) -> None:
        self.port = port or _free_port()
        self.taken: list[tuple[list[str], Message]] = []
        self.refused = 0
        self.refusal = ""
        self.disliked = ""
        self._changed = threading.Condition()

    async def handle_DATA(self, _server: Any, _session: Any, envelope: Any) -> str:  # noqa: N802
        """Take a mail, as the library asks."""
        message = message_from_bytes(envelope.content)
        disliked = self.disliked and self.disliked in str(message["Subject"])
        with self._changed:
            if self.refusal or disliked:
                self.refused += 1
                self._changed.notify_all()
                return self.refusal or "550 not this one"
            self.taken.append((envelope.rcpt_tos, message))
            self._changed.notify_all()
        return "250 taken"

    @contextmanager
    def running(self) -> Iterator["Relay"]:
        """Listen until the end of the block."""
        controller = Controller(self, hostname="127.0.0.1", port=self.port)
        controller.start()
        try:
            yield self
        finally:
            controller.stop()

    def wait(self, count: int) -> list[tuple[list[str], Message]]:
        """Return the mail, once there is that much."""
        with self._changed:
            came = self._changed.wait_for(lambda: len(self.taken) >= count, LIMIT)
            assert came, self.taken
            return list(self.taken)

    def wait_refused(self, count: int) -> None:
        """Return once that much was refused."""
        with self._changed:
            assert self._changed.wait_for(lambda: self.refused >= count, LIMIT)


def text_of(message: Message) -> str:
    """Return a mail's body."""
    body = message.get_payload(decode=True)
    assert isinstance(body, bytes)
    return body.decode()


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port
