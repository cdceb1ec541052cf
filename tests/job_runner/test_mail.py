"""Mail of a real server through a real relay: who is told what, once; and relays that are dead."""

import contextlib
import socket
import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

import pytest

from tests.e2e.harness import RunningServer, eventually
from tests.job_runner.conftest import Start
from tests.job_runner.stand_in import now
from tests.job_runner.talk import Worker
from tests.services.relay import Relay, text_of

ADMIN = "root@example.org"
WORLD = """
pools:
  - {name: one, agents: false, notify: [pool@example.org, both@example.org]}
  - {name: two, agents: false}
workers:
  - {name: a, pools: [one], api_key: a, secret: s}
  - {name: b, pools: [two], api_key: b, secret: s}
projects: [{name: etl, pools: [one, two], notify: [project@example.org]}]
templates:
  - {name: sh, project: etl, body: "#!/bin/sh\\n{{ content }}\\n",
     notify: [template@example.org, both@example.org]}
schedules:
  - {name: bad, project: etl, template: sh, pool: one, script: exit 3,
     notify: [job@example.org, root@example.org]}
"""
STUCK = """
schedules:
  - {name: stuck, project: etl, template: sh, pool: one, every: {count: 1, unit: hour},
     exclude: [{from: "00:00", to: "23:59:59"}], first_run: "2026-01-01T00:00:00Z"}
"""
CONCERNED = [
    "template@example.org", "both@example.org", "project@example.org", "pool@example.org",
]  # fmt: skip
PATIENCE = 5.0
"""Seconds that a request may take while the relay is dead: far less than a relay is given."""


class Mailing:
    """A server that mails through a relay, and a worker of its pool."""

    def __init__(self, server: RunningServer) -> None:
        self.server = server
        self.a, self.b = (Worker(server.url_http, key, "s") for key in ("a", "b"))
        server.client().apply(WORLD)

    def close(self) -> None:
        self.a.close()
        self.b.close()

    def fail(self) -> str:
        """Do a run of ``bad`` as a worker does; return its URI."""
        job = self.a.titled("job", "bad")["resource_uri"]
        run = self.a.post("run", {"job": job, "schedule_dts": now(), "is_manual": True})
        me = self.a.myself["resource_uri"]
        self.a.patch(run, {"enqueue_dts": now(), "worker": me})
        self.a.patch(run, {"start_dts": now()})
        self.a.post("run_log", {"run": run, "content": "smoke é"})
        end = {"return_dts": now(), "return_success": False}
        before = time.monotonic()
        self.a.patch(run, end)
        assert time.monotonic() - before < PATIENCE
        self.a.patch(run, end)
        return run


@contextlib.contextmanager
def mailing(start: Start, port: int) -> Iterator[Mailing]:
    server = start(
        "--engine", "none", "--smtp", f"127.0.0.1:{port}", "--admin-mail", ADMIN,
        "--mail-from", "mill@example.org", "--job-runner-health-interval", "1s",
    )  # fmt: skip
    with contextlib.closing(Mailing(server)) as made:
        yield made


def test_the_right_people_are_told_once(start: Start) -> None:
    relay = Relay()
    with mailing(start, relay.port) as place:
        # Nobody listens on the relay's port yet: the mail waits, the worker does not.
        run = place.fail()
        eventually(lambda: "mail.relay_unreachable" in place.server.log.read_text(), what="a try")
        assert place.a.get(run)["return_success"] is False
        place.server.client().apply(STUCK)
        # b answers once, ahead of time: its pool falls silent well after that of a.
        answer = (datetime.now(UTC) + timedelta(seconds=3)).isoformat(" ")
        place.b.patch(place.b.myself["resource_uri"], {"ping_response_dts": answer})
        with relay.running():
            taken = relay.wait(4)
        mails = {str(mail["Subject"]): (to, text_of(mail)) for to, mail in taken}
        assert len(mails) == len(taken) == 4
        assert {str(mail["From"]) for _, mail in taken} == {"mill@example.org"}

        to, text = mails["Run error for: bad"]
        assert to == [ADMIN, "job@example.org", *CONCERNED]
        number = int(run.split("/")[-2])
        for word in ("smoke é", "exit 3", f"/runs/{number}/", "Manual run: yes", "Killed: no"):
            assert word in text
        to, text = mails["Reschedule error for: stuck"]
        assert to == [ADMIN, *CONCERNED]
        to, _ = mails["Worker-pool unresponsive: one"]
        assert to == [ADMIN, "pool@example.org", "both@example.org"]
        to, _ = mails["Worker-pool unresponsive: two"]
        assert to == [ADMIN]


@pytest.fixture
def deaf() -> Iterator[int]:
    """A relay that lets callers in and never says a word."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        yield listener.getsockname()[1]


def test_a_relay_that_never_answers(start: Start, deaf: int) -> None:
    with mailing(start, deaf) as place:
        for _ in range(3):
            assert place.a.get(place.fail())["return_success"] is False
        before = time.monotonic()
        assert place.server.stop() == 0
        assert time.monotonic() - before < PATIENCE
