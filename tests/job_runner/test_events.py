"""Events: each is passed on once, though worker and server both tell of it."""

import pytest

from gristmill.dialects.job_runner.events import ECHO_TIME, Echoes, read_event, write_event
from gristmill.dialects.job_runner.sockets import message
from gristmill.domain.clock import Chance
from gristmill.services.schedules.board import Offer

KEY = ("run", "returned", 17)


def test_reading() -> None:
    assert read_event(b'{"kind": "run", "event": "returned", "run_id": 17}') == KEY
    kill = b'{"kind": "kill_request", "event": "executed", "kill_request_id": 3}'
    assert read_event(kill) == ("kill_request", "executed", 3)
    assert read_event(write_event(*KEY).encode()) == KEY


@pytest.mark.parametrize(
    "payload",
    [
        b"", b"x", b"[]", b'{"kind": "run"}', b"\xff", b"{" * 999, b" " * 2000,
        b'{"kind": "run", "event": "returned", "run_id": "17"}',
        b'{"kind": "run", "event": "executed", "run_id": 17}',
        b'{"kind": "run", "event": "returned", "run_id": 17, "more": "<script>"}',
        b'{"kind": "other", "event": "returned", "run_id": 17}',
    ],
)  # fmt: skip
def test_what_is_no_event(payload: bytes) -> None:
    assert read_event(payload) is None


def test_echoes_are_dropped_and_repetitions_are_not() -> None:
    now = [0.0]
    echoes = Echoes(Chance(monotonic=lambda: now[0]))
    assert echoes.is_new("server", KEY)
    assert not echoes.is_new("worker", KEY)
    assert echoes.is_new("worker", KEY)
    assert not echoes.is_new("server", KEY)
    assert echoes.is_new("server", KEY)
    assert echoes.is_new("server", KEY)
    now[0] = ECHO_TIME + 1
    assert echoes.is_new("worker", KEY)


def test_messages() -> None:
    topic = b"master.broadcast.blue"
    assert message(Offer("enqueue", 1, "blue", 17)) == [topic, b'{"action":"enqueue","run_id":17}']
    assert message(Offer("kill", 1, "blue", 3)) == [
        topic, b'{"action":"kill","kill_request_id":3}',
    ]  # fmt: skip
    assert message(Offer("ping", 1, "blue")) == [topic, b'{"action":"ping"}']
