"""One call on its way: what a handler is given."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote

from gristmill.dialects.omega_ml.errors import bad
from gristmill.dialects.omega_ml.exchange import Exchange, Header
from gristmill.dialects.omega_ml.keys import spellings
from gristmill.dialects.omega_ml.rules import Rules
from gristmill.dialects.omega_ml.table import Operation
from gristmill.domain.identity import Identity
from gristmill.services.data.place import Place

RESERVED = frozenset({"async", "resource_uri", "format"})
_TRUE, _FALSE = {"1", "t", "true", "y", "yes", "on"}, {"0", "f", "false", "n", "no", "off"}


@dataclass
class Call:
    """A request with its caller. key: of the object. bucket: as the client calls it."""

    exchange: Exchange
    operation: Operation
    key: str
    who: Identity
    place: Place
    bucket: str
    rules: Rules
    profile: str

    async def reply(self, value: Any, *headers: Header) -> None:
        """Answer that the call worked."""
        status = self.operation.outcome.status(self.profile)
        await self.exchange.reply(value, status, *headers)

    async def reply_bytes(self, body: bytes | bytearray) -> None:
        """Answer with JSON that somebody else has written."""
        status = self.operation.outcome.status(self.profile)
        await self.exchange.send_bytes(body, status, "application/json")

    def check_rules(self, key: str, action: str | None = None) -> None:
        """Refuse what no rule lets through. Raises RefusedError."""
        resource = self.operation.resource
        self.rules.check(resource, spellings(resource, key), action or self.operation.rule)

    def uri(self, key: str) -> str:
        """Return the path of an object of the same resource."""
        return uri(self.operation.resource, key)

    def number(self, name: str) -> int | None:
        """Return a whole number of the query. Raises RefusedError."""
        text = self.exchange.parameter(name)
        if text is None:
            return None
        if not (text.isascii() and text.isdigit() and len(text) <= 18):
            raise bad(name, f"must be a whole number from 0, not {text[:40]!r}")
        return int(text)

    def switch(self, name: str) -> bool | None:
        """Return a truth word of the query. Raises RefusedError."""
        text = self.exchange.parameter(name)
        if text is None:
            return None
        word = text.lower()
        if word not in _TRUE | _FALSE:
            raise bad(name, f"must be true or false, not {text[:40]!r}")
        return word in _TRUE


Handler = Callable[[Call], Awaitable[None]]


def uri(resource: str, key: str) -> str:
    """Return the path of an object."""
    return f"/api/v1/{resource}/{quote(key, safe='/')}/"
