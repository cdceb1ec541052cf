"""The moving part of each client: sends calls, waits for a server that restarts."""

import asyncio
import time
from collections.abc import AsyncIterator, Generator, Iterator
from contextlib import asynccontextmanager, contextmanager
from typing import BinaryIO, TypeVar

import httpx2

from gristmill.client import transport
from gristmill.client.exchange import Call, Patience, Reply, Request, raise_for_error
from gristmill.client.location import Location
from gristmill.client.talks import Deadline
from gristmill.domain.clock import Chance
from gristmill.domain.errors import UnavailableError

PIECE = 1 << 20
"""Bytes of a file that are sent at a time."""

T = TypeVar("T")
R = TypeVar("R")


class _Connection:
    """What needs no waiting. timeout, patience: seconds."""

    def __init__(self, location: Location, timeout: float, patience: float, chance: Chance) -> None:
        self.location = location
        self._timeout = timeout
        self._patience = patience
        self._chance = chance
        self._answered = False

    def key(self, given: str | None) -> str:
        """Return the idempotency key given, or make one up."""
        return given or self._chance.token(24)

    def deadline(self, timeout: float | None) -> Deadline:
        """Return the end of a wait that begins now."""
        return Deadline(timeout, self._chance.monotonic)

    def patience(self) -> Patience:
        """Return patience for one exchange."""
        return Patience(self._patience, self._chance.monotonic)

    def _pause_for(self, patience: Patience, error: UnavailableError, repeatable: bool) -> float:
        return patience.pause(error, repeatable=repeatable, answered=self._answered)

    def _reply(self, response: httpx2.Response) -> Reply:
        self._answered |= response.status_code != 503
        return Reply(response.status_code, response.headers, response.content)


class Connection(_Connection):
    """Sends calls for plain code."""

    def __init__(self, location: Location, timeout: float, patience: float, chance: Chance) -> None:
        super().__init__(location, timeout, patience, chance)
        self._http = httpx2.Client(**transport.options(location))

    def close(self) -> None:
        """Close the connections."""
        self._http.close()

    def ask(self, call: Call[T]) -> T:
        """Send a call and read its reply; repeat it where that is harmless."""
        patience = self.patience()
        while True:
            try:
                return call.answer(self._send(call.request))
            except UnavailableError as error:
                time.sleep(self._pause_for(patience, error, call.request.repeatable))

    def talk(self, talk: Generator[Call[T], T, R]) -> R:
        """Send what the talk asks until it returns."""
        try:
            call = next(talk)
            while True:
                call = talk.send(self.ask(call))
        except StopIteration as stop:
            result: R = stop.value
            return result

    @contextmanager
    def open(self, request: Request) -> Iterator[httpx2.Response]:
        """Send a request whose reply is read bit by bit."""
        arguments = transport.arguments(request, transport.QUIET)
        try:
            with self._http.stream(**arguments) as response:
                if response.status_code != 200:
                    response.read()
                    raise_for_error(self._reply(response))
                self._answered = True
                yield response
        except httpx2.TransportError as error:
            raise transport.unreachable(self.location.url, error) from error

    def pause(self, patience: Patience, error: UnavailableError) -> None:
        """Wait before a stream is taken up again. Raises the error when patience is over."""
        time.sleep(self._pause_for(patience, error, True))

    def _send(self, request: Request) -> Reply:
        try:
            return self._reply(self._http.request(**transport.arguments(request, self._timeout)))
        except httpx2.TransportError as error:
            raise transport.unreachable(self.location.url, error) from error

    def send(self, url: str, pieces: Iterator[bytes], size: int | None) -> None:
        """PUT bytes to a URL that carries its own permission. size: how many, if that is known."""
        try:
            with httpx2.Client(**transport.stranger(self.location)) as http:
                raise_for_error(
                    self._reply(http.put(url, content=pieces, headers=transport.sized(size)))
                )
        except httpx2.TransportError as error:
            raise transport.unreachable(self.location.url, error) from error

    def fetch(self, url: str) -> Iterator[bytes]:
        """Yield the bytes at a URL that carries its own permission."""
        try:
            with (
                httpx2.Client(**transport.stranger(self.location)) as http,
                http.stream("GET", url) as response,
            ):
                if response.status_code != 200:
                    response.read()
                    raise_for_error(self._reply(response))
                yield from response.iter_raw()
        except httpx2.TransportError as error:
            raise transport.unreachable(self.location.url, error) from error


class AsyncConnection(_Connection):
    """Sends calls for code under asyncio."""

    def __init__(self, location: Location, timeout: float, patience: float, chance: Chance) -> None:
        super().__init__(location, timeout, patience, chance)
        self._http = httpx2.AsyncClient(**transport.options(location))

    async def close(self) -> None:
        """Close the connections."""
        await self._http.aclose()

    async def ask(self, call: Call[T]) -> T:
        """Send a call and read its reply; repeat it where that is harmless."""
        patience = self.patience()
        while True:
            try:
                return call.answer(await self._send(call.request))
            except UnavailableError as error:
                await asyncio.sleep(self._pause_for(patience, error, call.request.repeatable))

    async def talk(self, talk: Generator[Call[T], T, R]) -> R:
        """Send what the talk asks until it returns."""
        try:
            call = next(talk)
            while True:
                call = talk.send(await self.ask(call))
        except StopIteration as stop:
            result: R = stop.value
            return result

    @asynccontextmanager
    async def open(self, request: Request) -> AsyncIterator[httpx2.Response]:
        """Send a request whose reply is read bit by bit."""
        arguments = transport.arguments(request, transport.QUIET)
        try:
            async with self._http.stream(**arguments) as response:
                if response.status_code != 200:
                    await response.aread()
                    raise_for_error(self._reply(response))
                self._answered = True
                yield response
        except httpx2.TransportError as error:
            raise transport.unreachable(self.location.url, error) from error

    async def pause(self, patience: Patience, error: UnavailableError) -> None:
        """Wait before a stream is taken up again. Raises the error when patience is over."""
        await asyncio.sleep(self._pause_for(patience, error, True))

    async def _send(self, request: Request) -> Reply:
        try:
            return self._reply(
                await self._http.request(**transport.arguments(request, self._timeout))
            )
        except httpx2.TransportError as error:
            raise transport.unreachable(self.location.url, error) from error

    async def send(self, url: str, pieces: Iterator[bytes], size: int | None) -> None:
        """PUT bytes to a URL that carries its own permission. size: how many, if that is known."""
        try:
            async with httpx2.AsyncClient(**transport.stranger(self.location)) as http:
                headers = transport.sized(size)
                reply = await http.put(url, content=_in_threads(pieces), headers=headers)
                raise_for_error(self._reply(reply))
        except httpx2.TransportError as error:
            raise transport.unreachable(self.location.url, error) from error

    async def fetch(self, url: str) -> AsyncIterator[bytes]:
        """Yield the bytes at a URL that carries its own permission."""
        try:
            async with (
                httpx2.AsyncClient(**transport.stranger(self.location)) as http,
                http.stream("GET", url) as response,
            ):
                if response.status_code != 200:
                    await response.aread()
                    raise_for_error(self._reply(response))
                async for data in response.aiter_raw():
                    yield data
        except httpx2.TransportError as error:
            raise transport.unreachable(self.location.url, error) from error


def pieces_of(file: BinaryIO) -> Iterator[bytes]:
    """Yield what is left of a file."""
    while data := file.read(PIECE):
        yield data


async def _in_threads(pieces: Iterator[bytes]) -> AsyncIterator[bytes]:
    """Yield what reading a disk gives, without holding up everything else."""
    while (data := await asyncio.to_thread(next, pieces, None)) is not None:
        yield data
