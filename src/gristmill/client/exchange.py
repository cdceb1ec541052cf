"""A request and its reply as values, free of any transport."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Generic, NamedTuple, TypeVar

import msgspec

from gristmill.client.errors import ServerError, UnreachableError, error_from
from gristmill.domain.errors import UnavailableError

T = TypeVar("T")

FIRST_PAUSE = 0.1
LONGEST_PAUSE = 2.0


class Reply(NamedTuple):
    """What a server answered. headers: looked up without regard to case."""

    status: int
    headers: Mapping[str, str]
    body: bytes


@dataclass(frozen=True, kw_only=True, slots=True)
class Request:
    """What is sent. path: under the server's root, already quoted.

    repeatable: sending it twice does no more than sending it once.
    wait: seconds the server may take by design, on top of the client's own timeout.
    """

    method: str
    path: str
    params: tuple[tuple[str, str], ...] = ()
    headers: Mapping[str, str] = field(default_factory=dict)
    body: bytes | None = None
    repeatable: bool = False
    wait: float = 0.0


@dataclass(frozen=True, slots=True)
class Call(Generic[T]):
    """A request and how to read its reply."""

    request: Request
    parse: Callable[[Reply], T]

    def answer(self, reply: Reply) -> T:
        """Read the reply.

        Raises the error that the server named, or ServerError for a reply nobody expects.
        """
        raise_for_error(reply)
        try:
            return self.parse(reply)
        except (msgspec.DecodeError, KeyError, ValueError) as error:
            raise ServerError(
                f"the reply to {self.request.method} {self.request.path} is not one that "
                f"this version understands ({error}); is this a Gristmill server?",
                reply.status,
            ) from error


def raise_for_error(reply: Reply) -> None:
    """Raise what an error reply stands for; return for any other."""
    if reply.status >= 400 or reply.status < 200:
        raise error_from(reply.status, reply.body)
    if reply.status >= 300:
        raise ServerError(f"unexpected redirect ({reply.status}); check the URL", reply.status)


class Patience:
    """Decides whether a request that failed is sent again, and after what pause.

    Only a server that has answered before is waited for: it is probably restarting, whereas
    one never heard of is probably not there.
    """

    def __init__(self, limit: float, monotonic: Callable[[], float]) -> None:
        self._limit = limit
        self._monotonic = monotonic
        self._since: float | None = None
        self._pause = FIRST_PAUSE

    def reset(self) -> None:
        """Start anew, as after anything that worked."""
        self._since = None
        self._pause = FIRST_PAUSE

    def pause(self, error: UnavailableError, *, repeatable: bool, answered: bool) -> float:
        """Seconds to wait before the next try. Raises the error when there is to be none."""
        now = self._monotonic()
        if self._since is None:
            self._since = now
        if not repeatable or not answered or now - self._since >= self._limit:
            raise error
        pause = self._pause
        self._pause = min(pause * 2, LONGEST_PAUSE)
        return pause


def closed_early() -> UnreachableError:
    """Describe a stream that ended though its end was not due."""
    return UnreachableError("the server closed the stream")
