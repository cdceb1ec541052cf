"""Replies that go on: events, output that is followed, waiting."""

import asyncio
import socket
import threading
import time
from collections.abc import Callable

import msgspec
import pytest

from gristmill.native import streams
from gristmill.store.database import Transaction
from gristmill.store.events import append_event
from tests.native.place import LIMIT, Agent, Place, Reader

JOB = {"command": "true"}


def events_in(text: str) -> list[tuple[int, str, dict[str, object]]]:
    """Return the whole events in a stream: id, kind, data."""
    found = []
    for block in text.split("\n\n")[:-1]:
        lines = dict(line.split(": ", 1) for line in block.split("\n") if not line.startswith(":"))
        if lines:
            found.append((int(lines["id"]), lines["event"], msgspec.json.decode(lines["data"])))
    return found


def last_event(place: Place) -> int:
    return place.run(place.house.events.last())


def test_events_come_as_they_happen_and_go_on_from_anywhere(place: Place) -> None:
    user = place.user()
    live = Reader(user, "/v1/events")
    live.until("hello")
    before = last_event(place)
    first = user.post("/v1/jobs", json=JOB).json()["id"]
    live.until(f'"jobs":[{first}]')
    user.post(f"/v1/jobs/{first}/cancel")
    live.until("job.cancelled")
    live.leave()
    last = user.post("/v1/jobs", json=JOB).json()["id"]
    seen = events_in(live.join())
    assert [(kind, data["jobs"]) for _, kind, data in seen[:2]] == [
        ("job.ready", [first]), ("job.cancelled", [first]),
    ]  # fmt: skip
    number, kind, data = seen[0]
    assert (data["id"], data["kind"]) == (number, kind)
    assert str(data["at"]).endswith("Z")

    for path, headers in (
        (f"/v1/events?after={seen[0][0]}", {}),
        ("/v1/events", {"Last-Event-ID": str(seen[0][0])}),
        ("/v1/events?after=0", {"Last-Event-ID": str(seen[0][0])}),
        (f"/v1/events?after={before}&kind=job.cancelled", {"Last-Event-ID": ""}),
    ):  # fmt: skip
        again = Reader(user, path, **headers)
        text = again.until(f'"jobs":[{first}]')
        again.leave()
        user.post("/v1/jobs", json=JOB)
        user.post(f"/v1/jobs/{last}/cancel")
        user.post(f"/v1/jobs/{last}/retry")
        assert events_in(text)[0][:2] == seen[1][:2], path
        again.join()


def test_events_are_filtered_by_job_and_kind(place: Place) -> None:
    user = place.user()
    ids = user.post("/v1/jobs", json=[JOB] * 3).json()["ids"]
    start = last_event(place)
    user.post("/v1/jobs/cancel", json={"ids": ids[:1]})
    user.post("/v1/jobs/retry", json={"ids": ids[:1]})
    user.post("/v1/jobs/cancel", json={"ids": ids[1:]})
    by_job = Reader(user, f"/v1/events?after={start}&job={ids[0]}")
    by_kind = Reader(user, f"/v1/events?after={start}&kind=job.r")
    assert [kind for _, kind, _ in events_in(by_job.until("job.ready"))] == [
        "job.cancelled", "job.ready",
    ]  # fmt: skip
    assert [kind for _, kind, _ in events_in(by_kind.until("job.ready"))] == ["job.ready"]
    by_job.leave()
    by_kind.leave()
    user.post("/v1/jobs/cancel", json={"ids": ids[:1]})
    user.post("/v1/jobs/retry", json={"ids": ids})
    by_job.join()
    by_kind.join()


def test_a_quiet_stream_and_one_that_hides_all_say_that_they_live(
    own_place: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(streams, "KEEP_ALIVE", 0.05)
    user = own_place.user()
    quiet = Reader(user, "/v1/events")
    hiding = Reader(user, "/v1/events?kind=nothing.like.it")
    quiet.until("still here")
    stop = threading.Event()

    def bustle() -> None:
        while not stop.is_set():
            own_place.admin.post("/v1/jobs", json=JOB)

    noise = threading.Thread(target=bustle)
    noise.start()
    try:
        so_far = hiding.until("still here").count("still here")
        hiding.until("still here\n\n" + ": still here\n\n" * (so_far + 2))
    finally:
        stop.set()
        noise.join()
    assert events_in(hiding.text) == []
    quiet.leave()
    hiding.leave()
    quiet.join()
    hiding.join()


def test_a_stream_ends_when_its_credential_is_revoked(place: Place) -> None:
    name = place.name("ann")
    given = place.token(name)
    other = place.client(place.token(name)["token"])
    reader = Reader(place.client(given["token"]), "/v1/events")
    reader.until("hello")
    place.admin.delete(f"/v1/tokens/{given['id']}")
    other.post("/v1/jobs", json=JOB)
    assert events_in(reader.join()) == []


def test_streams_and_waits_end_with_the_server(own_place: Place) -> None:
    place = own_place
    agent = Agent(place, "node")
    job = place.admin.post("/v1/jobs", json={**JOB, "pool": "node"}).json()["id"]
    agent.started(agent.take())
    readers = [
        Reader(place.admin, path)
        for path in ("/v1/events", f"/v1/jobs/{job}/wait?timeout=60",
                     f"/v1/jobs/{job}/stdout?follow=true")
    ]  # fmt: skip
    requests(place, 3)
    began = time.monotonic()
    place.run(place.close())
    assert time.monotonic() - began < 4.5
    for reader in readers:
        reader.join()
        assert reader.status == 200
    assert msgspec.json.decode(readers[1].text)["state"] == "running"


async def _until(check: Callable[[], bool]) -> None:
    """Return once it is so; for what no event tells."""
    while not check():  # noqa: ASYNC110
        await asyncio.sleep(0.01)


def requests(place: Place, count: int) -> None:
    """Return once so many requests are being answered."""
    place.run(_until(lambda: len(place.listeners._tasks()) == count))


def test_a_client_that_leaves_ends_its_stream(own_place: Place) -> None:
    reader = Reader(own_place.admin, "/v1/events")
    reader.until("hello")
    assert len(own_place.listeners._tasks()) == 1
    reader.leave()
    own_place.admin.post("/v1/jobs", json=JOB)
    reader.join()
    requests(own_place, 0)


def test_a_reader_that_stands_still_does_not_pile_up_events(own_place: Place) -> None:
    """The stream is read from the store as fast as its client takes it, and no faster."""
    port = int(own_place.url.rpartition(":")[2])
    token = own_place.admin.headers["authorization"]
    with socket.socket() as client:
        client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        client.settimeout(LIMIT)
        client.connect(("127.0.0.1", port))
        client.sendall(
            f"GET /v1/events?after=0 HTTP/1.1\r\nHost: x\r\nAuthorization: {token}\r\n\r\n".encode()
        )
        own_place.admin.post("/v1/jobs", json=JOB)
        while b"job.ready" not in client.recv(4096):
            pass
        own_place.run(own_place.database.write(_write_many_events))
        own_place.admin.post("/v1/jobs", json=JOB)
        (connection,) = [each for each in own_place.listeners._connections() if not each.idle()]
        own_place.run(_until(lambda: connection.flow.write_paused))
        assert connection.transport.get_write_buffer_size() < 1 << 20
    requests(own_place, 0)


def _write_many_events(tx: Transaction) -> None:
    for _ in range(5000):
        append_event(tx, 1e9, "job.big", list(range(1000)))


def test_waiting_ends_with_the_job_or_the_time(place: Place) -> None:
    user = place.user()
    job = user.post("/v1/jobs", json={**JOB, "delay": 3000}).json()["id"]
    assert user.get(f"/v1/jobs/{job}/wait?timeout=0").json()["state"] == "delayed"
    assert user.get(f"/v1/jobs/{job}/wait?timeout=0.05").json()["state"] == "delayed"
    waiting = Reader(user, f"/v1/jobs/{job}/wait?timeout=60")
    place.admin.post(f"/v1/jobs/{job}/cancel")
    assert msgspec.json.decode(waiting.join())["state"] == "cancelled"
    assert user.get(f"/v1/jobs/{job}/wait?timeout=60").json()["state"] == "cancelled"


def test_following_goes_through_every_attempt_to_the_end(place: Place) -> None:
    user = place.user()
    pool = place.name("pool")
    agent = Agent(place, pool)
    spec = {**JOB, "pool": pool, "retry": {"retries": 1, "delay": 0}}
    job = user.post("/v1/jobs", json=spec).json()["id"]
    followed = Reader(user, f"/v1/jobs/{job}/stdout?follow=true")
    lease = agent.take()
    agent.started(lease)
    agent.output = b"first "
    followed.until("first ")
    agent.output = b""
    agent.finished(lease, 1, b"first try\n")
    lease = agent.take()
    agent.started(lease)
    agent.finished(lease, 0, b"second try\n")
    assert followed.join() == "first try\nsecond try\n"
    one = Reader(user, f"/v1/jobs/{job}/stdout?follow=true&attempt=1&offset=6")
    assert one.join() == "try\n"
    assert Reader(user, f"/v1/jobs/{job}/stderr?follow=true").join() == ""


def test_following_ends_when_the_job_is_forgotten(place: Place) -> None:
    user = place.user()
    job = user.post("/v1/jobs", json={**JOB, "delay": 3000}).json()["id"]
    followed = Reader(user, f"/v1/jobs/{job}/stdout?follow=true")
    followed.opened.wait(LIMIT)
    other = place.admin
    assert other.post(f"/v1/jobs/{job}/cancel").status_code == 200
    assert other.delete(f"/v1/jobs/{job}").status_code == 204
    assert followed.join() == ""
    assert followed.status == 200
