"""The native interface behind real listeners, in a thread of this process, and an agent to steer.

One place serves a whole module: tests use users, groups and names of their own.
"""

import asyncio
import contextlib
import itertools
import queue
import threading
from collections.abc import Coroutine, Iterator
from concurrent.futures import Future
from pathlib import Path
from typing import Any, TypeVar

import httpx2
import msgspec
import uvloop

from gristmill.domain.clock import Chance
from gristmill.domain.errors import ConflictError
from gristmill.domain.resources import node
from gristmill.native.agent_door import AgentDoor
from gristmill.native.app import create_native_app
from gristmill.protocol.messages import (
    PROTOCOL_VERSION,
    Finished,
    Lease,
    LeaseRequest,
    Output,
    Register,
    Report,
    Started,
)
from gristmill.server.asgi import App
from gristmill.server.gateway import Gateway, Route, native_routes
from gristmill.server.guard import Guard
from gristmill.server.head import AnswerHead
from gristmill.server.limits import LimitRequests, RequestLimits
from gristmill.server.listeners import Doors, Listeners
from gristmill.server.protocol import ConnectionLimits
from gristmill.server.setting_kinds import Address
from gristmill.services.house import House
from gristmill.store.database import Database, open_database

T = TypeVar("T")
Json = Any

LIMIT = 60.0
"""Seconds that anything may take on a loaded machine."""

MAX_BODY = 64 << 20


class Place:
    """A house and its listeners. ``admin`` and what ``user`` returns are clients of one caller."""

    def __init__(self, home: Path, database_url: str) -> None:
        self.home = home
        self.loop = uvloop.new_event_loop()
        self._thread = threading.Thread(target=self.loop.run_forever, name="place")
        self._thread.start()
        self._stack = contextlib.ExitStack()
        self._numbers = itertools.count(1)
        self.errands: list[Future[None]] = []
        self.database: Database = open_database(database_url, home)
        self.database.start()
        self.house = House(home, self.database, Chance())
        self.listeners = Listeners(
            self._app(),
            Doors(http=Address("127.0.0.1", 0)),
            ConnectionLimits(
                max_header=262_144, max_connections=200, header_timeout=LIMIT, keep_alive=LIMIT
            ),
            Chance(),
        )
        self.run(self.house.start())
        self.url = self.run(self.listeners.open()).http or ""
        self.admin = self.client((home / "client.token").read_text().strip())
        self.stranger = self.client(None)

    def _app(self) -> App:
        native: App = AnswerHead(create_native_app(self.house))  # type: ignore[arg-type]
        routes = [Route("/agent", AgentDoor(self.house))]
        routes += [route for route in native_routes(native) if route.prefix != "/agent"]
        limits = RequestLimits(max_body=MAX_BODY, max_requests=200, body_timeout=LIMIT)
        return Guard(LimitRequests(Gateway(routes), limits), Chance())

    def run(self, work: Coroutine[Any, Any, T]) -> T:
        """Run a coroutine on the server's loop and return its value."""
        return asyncio.run_coroutine_threadsafe(work, self.loop).result(LIMIT)

    def name(self, stem: str) -> str:
        """Return a name that no other test uses."""
        return f"{stem}-{next(self._numbers)}"

    def client(self, token: str | None) -> httpx2.Client:
        """Return a client that sends this token."""
        headers = {"Authorization": f"Bearer {token}"} if token else {}
        return self._stack.enter_context(
            httpx2.Client(base_url=self.url, headers=headers, timeout=LIMIT, trust_env=False)
        )

    def token(self, user: str, **wish: Any) -> Json:
        """Give out a credential."""
        reply = self.admin.post("/v1/tokens", json={"user": user, **wish})
        assert reply.status_code == 201, reply.text
        return reply.json()

    def user(self, stem: str = "user", *scopes: str) -> httpx2.Client:
        """Return a client of a new user; scopes: else read and write."""
        wish: dict[str, Any] = {"scopes": list(scopes)} if scopes else {}
        return self.client(self.token(self.name(stem), **wish)["token"])

    def total(self) -> int:
        """Return how many jobs there are of everybody."""
        total: int = self.admin.get("/v1/jobs/counts").json()["total"]
        return total

    def stop(self) -> None:
        """End everything, as the server does."""
        self._stack.close()
        self.run(self.close())
        self.loop.call_soon_threadsafe(self.loop.stop)
        self._thread.join()
        self.loop.close()
        self.database.close()

    async def close(self) -> None:
        """Do what the server does when it is told to stop; a second time it changes nothing."""
        closing = asyncio.create_task(self.listeners.stop(5))
        await asyncio.sleep(0)
        self.house.release()
        await closing
        await self.house.stop()
        for errand in self.errands:
            await asyncio.wrap_future(errand)


class Agent:
    """An agent that runs nothing: a test says what became of the jobs it takes.

    It listens as a real one does, and answers who reads from ``output``, what is running's.
    """

    def __init__(self, place: Place, node_name: str, cpus: int = 4) -> None:
        self._place, self._agents = place, place.house.agents
        self.capacity = node(cpus * 1000, 1_000_000, 1_000_000, 0)
        self.output = b""
        self._requests = itertools.count(1)
        self._leases: queue.Queue[Lease] = queue.Queue()
        self.message = Register(
            version=PROTOCOL_VERSION,
            node=node_name,
            instance=f"{node_name}-1",
            hostname=f"{node_name}.example",
            address="127.0.0.1",
            boot_id="boot",
            pid=1,
            process_start=0.0,
            shares_files=True,
            capacity=self.capacity,
            labels={},
            pools=[node_name],
            runtimes=["bubblewrap"],
            notes=["no cgroups here"],
            held=[],
            ended=[],
        )
        self.number = place.run(self._agents.register(self.message)).agent
        place.errands.append(asyncio.run_coroutine_threadsafe(self._listen(), place.loop))

    async def _listen(self) -> None:
        while not self._place.house.core.signals.closing:
            request = LeaseRequest(
                self.number, self.message.instance, next(self._requests), self.capacity, {}, LIMIT
            )
            try:
                reply = await self._agents.lease(request)
            except ConflictError:
                return
            for lease in reply.leases:
                self._leases.put(lease)
            for wish in reply.read:
                data = self.output[wish.offset : wish.offset + wish.limit]
                self._place.house.outputs.answered(wish.request, data, ended=False)

    def take(self) -> Lease:
        """Return the next job to run."""
        return self._leases.get(timeout=LIMIT)

    def started(self, lease: Lease) -> None:
        """Report that it runs."""
        self._report(started=[Started(lease.job, lease.attempt, lease.rank, 1e9, 4711, "/work")])

    def finished(
        self, lease: Lease, exit_code: int = 0, stdout: bytes = b"", stderr: bytes = b""
    ) -> None:
        """Report how it ended."""
        ended = Finished(
            lease.job, lease.attempt, lease.rank, lease.shape, exit_code == 0, exit_code,
            "" if exit_code == 0 else f"exit code {exit_code}", 1e9, 1e9 + 1, 4711, "/work", 7, 0.5,
            [], Output(len(stdout), stdout), Output(len(stderr), stderr),
        )  # fmt: skip
        self._report(finished=[ended])

    def _report(self, **what: Any) -> None:
        report = Report(
            self.number, self.message.instance, what.get("started", []), what.get("finished", []),
            0, self.capacity, {},
        )  # fmt: skip
        self._place.run(self._agents.report(report))


class Reader:
    """Reads a streaming reply in a thread of its own."""

    def __init__(self, client: httpx2.Client, path: str, **headers: str) -> None:
        self.opened = threading.Event()
        self.status = 0
        self.text = ""
        self.ended = threading.Event()
        self._changed = threading.Condition()
        self._leave = threading.Event()
        self._thread = threading.Thread(target=self._read, args=(client, path, headers))
        self._thread.start()

    def _read(self, client: httpx2.Client, path: str, headers: dict[str, str]) -> None:
        try:
            with client.stream("GET", path, headers=headers) as reply:
                self.status = reply.status_code
                self.opened.set()
                for part in reply.iter_text():
                    with self._changed:
                        self.text += part
                        self._changed.notify_all()
                    if self._leave.is_set():
                        return
        finally:
            self.opened.set()
            self.ended.set()

    def until(self, mark: str) -> str:
        """Return what came, once it contains the mark."""
        with self._changed:
            came = self._changed.wait_for(lambda: mark in self.text, LIMIT)
        assert came, self.text
        return self.text

    def leave(self) -> None:
        """Close the connection at the next byte that comes."""
        self._leave.set()

    def join(self) -> str:
        """Return everything, once the server has ended the reply."""
        self._thread.join(LIMIT)
        assert not self._thread.is_alive(), self.text
        return self.text


@contextlib.contextmanager
def opened(home: Path, database_url: str) -> Iterator[Place]:
    """Open a place, and end it."""
    place = Place(home, database_url)
    try:
        yield place
    finally:
        place.stop()


def error_of(reply: httpx2.Response) -> dict[str, str]:
    """Return the error in a reply, which must be well-formed."""
    assert reply.status_code >= 400, reply.text
    assert reply.headers["content-type"].startswith("application/json"), reply.headers
    body = msgspec.json.decode(reply.content)
    assert list(body) == ["error"], body
    error: dict[str, str] = body["error"]
    assert {"code", "message"} <= set(error) <= {"code", "message", "field", "id"}, error
    assert error["message"]
    assert "Traceback" not in reply.text
    return error
