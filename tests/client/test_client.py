import asyncio
import inspect
import threading
from pathlib import Path

import pytest

from gristmill.client import (
    AsyncClient,
    Client,
    ConflictError,
    InvalidInputError,
    JobSpec,
    NotAuthenticatedError,
    NotFoundError,
    Resources,
    UnavailableError,
    UnreachableError,
    WaitTimeoutError,
)
from tests.client.mill import Mill


def test_a_job_goes_in_and_comes_out(client: Client, mill: Mill) -> None:
    view = client.submit(JobSpec(command="sleep 1", resources=Resources(memory=10)))
    assert (view.id, view.state, view.ended, view.resources.memory) == (1, "ready", False, 10)
    detail = client.get(1)
    assert detail.spec.command == "sleep 1"
    assert detail.why == "it waits for an agent"
    threading.Thread(target=mill.finish, args=(1,)).start()
    assert client.wait(1, timeout=30).succeeded


def test_a_batch_keeps_its_order(client: Client) -> None:
    done = client.submit_many(["true", JobSpec(command="false")])
    assert (done.ids, done.added) == ((1, 2), 2)
    assert client.get(2).command == "false"


def test_a_lost_answer_does_not_add_a_job_twice(client: Client, mill: Mill) -> None:
    client.info()
    mill.lose_answers = 2
    assert client.submit("true").id == 1
    assert len(mill.jobs) == 1


def test_the_same_key_adds_nothing(client: Client) -> None:
    first = client.submit_many(["true", "true"], idempotency_key="a")
    again = client.submit_many(["true", "true"], idempotency_key="a")
    assert again.ids == first.ids
    assert again.added == 0


def test_a_change_is_not_repeated_when_its_answer_is_lost(client: Client, mill: Mill) -> None:
    client.submit("true")
    mill.lose_answers = 1
    with pytest.raises(UnreachableError, match="cannot reach http://127"):
        client.cancel(1)


def test_a_refused_batch_names_the_field(client: Client, mill: Mill) -> None:
    with pytest.raises(InvalidInputError, match="cannot be run") as caught:
        client.submit_many(["true", "refuse me"])
    assert caught.value.field == "jobs[1].command"
    assert not mill.jobs


def test_pages_are_fetched_as_they_are_consumed(client: Client, mill: Mill) -> None:
    client.submit_many([JobSpec(command="true", labels={"odd": str(n % 2)}) for n in range(25)])
    found = client.jobs(limit=10, order="oldest")
    assert next(found).id == 1
    listings = [path for _, path, _ in mill.seen if path.startswith("/v1/jobs?")]
    assert len(listings) == 1
    assert [view.id for view in found] == list(range(2, 26))
    assert len(list(client.jobs(label={"odd": "1"}))) == 12
    assert not list(client.jobs(state=["lost"]))


def test_waiting_for_many_and_for_a_group(client: Client, mill: Mill) -> None:
    client.submit_many([JobSpec(command="true", group="g")] * 3)
    mill.finish(1)
    mill.finish(2, "buried", 3)
    waited = client.wait_all([1, 2])
    assert [view.exit_code for view in waited] == [0, 3]
    seen = []
    for counts in client.wait_group("g", timeout=30):
        seen.append(counts.active)
        mill.finish(3)
    assert seen == [1, 0]
    with pytest.raises(NotFoundError):
        next(client.wait_group("other"))


def test_a_wait_has_an_end(client: Client) -> None:
    client.submit("true")
    with pytest.raises(WaitTimeoutError, match="job 1 is ready"):
        client.wait(1, timeout=0.01)
    with pytest.raises(TimeoutError):
        list(client.wait_all([1], timeout=0))


def test_cancel_and_retry(client: Client, mill: Mill) -> None:
    client.submit_many([JobSpec(command="true", group="g")] * 3)
    assert client.cancel(1).state == "cancelled"
    with pytest.raises(ConflictError, match="job 1 is cancelled"):
        client.cancel(1)
    changed = client.cancel_many([1, 2])
    assert changed.changed == (2,)
    assert changed.unchanged[0].state == "cancelled"
    assert client.retry_many(group="g").changed == (1, 2)
    mill.finish(3)
    assert client.retry(3).state == "ready"
    mill.finish(3)
    client.forget(3)
    with pytest.raises(NotFoundError):
        client.get(3)


def test_output_is_read_and_followed_across_a_lost_connection(client: Client, mill: Mill) -> None:
    client.submit("true")
    mill.write(1, b"0123456789")
    assert client.stdout(1) == b"0123456789"
    assert client.stderr(1) == b""
    assert client.read_output(1, offset=4, limit=3).next_offset == 7
    mill.cut_after = 6
    pieces = client.output(1, follow=True, offset=1)
    assert next(pieces) == b"123456"
    assert next(pieces) == b"789"
    mill.write(1, b"\xff\x00end")
    assert next(pieces) == b"\xff\x00end"
    mill.finish(1)
    assert list(pieces) == []


def test_large_output_comes_in_pieces(client: Client, mill: Mill) -> None:
    client.submit("true")
    data = bytes(range(256)) * 10_000
    mill.write(1, data)
    assert client.stdout(1) == data


def test_events_are_taken_up_where_they_stopped(client: Client, mill: Mill) -> None:
    mill.happen("job.ready", 1)
    mill.happen("agent.online")
    mill.happen("job.complete", 1, 2)
    mill.cut_after = 1
    events = client.events(after=0, kind="job.")
    assert next(events).kind == "job.ready"
    event = next(events)
    assert (event.id, event.kind, event.jobs) == (3, "job.complete", (1, 2))
    resumed = [headers.get("Last-Event-ID") for _, path, headers in mill.seen if "events" in path]
    assert resumed == ["0", "1"]


def test_what_administrators_do(client: Client) -> None:
    assert client.agents()[0].capacity.cpus == 2
    client.drain_agent(1)
    client.resume_agent(1)
    client.add_image("lib/tool:1", "/images/tool", ["sh", "-c"])
    assert client.images()[0].entrypoint == ("sh", "-c")
    client.remove_image("lib/tool:1")
    assert client.images() == ()
    assert client.create_token("alice", groups=["g"], expires="30d").token == "s3cret"
    assert client.tokens()[0].groups == ("g",)
    client.revoke_token("k1")
    assert client.tokens() == ()
    assert client.apply("users: []").unchanged == 3
    assert "alice" in client.export()
    assert client.info().uptime == 65


def test_a_wrong_token_is_refused(mill: Mill, client: Client) -> None:
    with Client(client.location.url, "wrong") as other, pytest.raises(NotAuthenticatedError):
        other.info()


def test_a_first_503_is_told_at_once_and_a_later_one_is_waited_out(
    mill: Mill, client: Client
) -> None:
    mill.unavailable = 1
    with pytest.raises(UnavailableError, match="disk is full"):
        client.info()
    client.info()
    mill.unavailable = 2
    assert client.counts().total == 0


def test_nobody_there_is_told_at_once(tmp_path: Path) -> None:
    with Client("http://127.0.0.1:1", "t") as client, pytest.raises(UnreachableError):
        client.info()


def test_the_asynchronous_client_does_the_same(mill: Mill) -> None:
    async def talk() -> None:
        async with AsyncClient() as client:
            await client.submit_many([JobSpec(command="true", group="g")] * 3)
            assert [view.id async for view in client.jobs(limit=1)] == [3, 2, 1]
            waiting = asyncio.create_task(client.wait(1, timeout=30))
            await asyncio.to_thread(mill.finish, 1)
            assert (await waiting).succeeded
            mill.write(2, b"hello")
            mill.cut_after = 2
            pieces = client.output(2, follow=True)
            assert [await anext(pieces), await anext(pieces)] == [b"he", b"llo"]
            mill.finish(2)
            mill.finish(3)
            assert [piece async for piece in pieces] == []
            assert [c.active async for c in client.wait_group("g")] == [0]
            assert [view.id async for view in client.wait_all([1, 2])] == [1, 2]
            assert await client.stdout(2) == b"hello"
            mill.happen("job.complete", 2)
            events = client.events(after=0)
            assert (await anext(events)).jobs == (2,)
            await events.aclose()  # type: ignore[attr-defined]
            mill.lose_answers = 1
            assert (await client.submit("true")).id == 4
            with pytest.raises(NotFoundError):
                await client.get(99)

    asyncio.run(talk())


def test_both_clients_have_the_same_methods() -> None:
    def methods(kind: type) -> dict[str, list[str]]:
        return {
            name: list(inspect.signature(member).parameters)
            for name, member in inspect.getmembers(kind, inspect.isfunction)
            if not name.startswith("_") or name == "__init__"
        }

    assert methods(Client) == methods(AsyncClient)
