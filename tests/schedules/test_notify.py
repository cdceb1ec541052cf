"""Mails: who is told what, on both databases."""

from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple
from zoneinfo import ZoneInfo

from gristmill.services.notify import MailNotifier
from gristmill.services.schedules.kills import KillChange
from gristmill.store.database import Transaction
from tests.schedules.town import Town, play, when

ADMIN = "root@example.org"
ADDRESSES = """
pools: [{name: outside, notify: [pool@example.org, both@example.org]}]
projects: [{name: etl, notify: [project@example.org]}]
templates: [{name: bash, project: etl, notify: [template@example.org, both@example.org]}]
"""
EVERYBODY = (
    ADMIN,
    "job@example.org",
    "template@example.org",
    "both@example.org",
    "project@example.org",
    "pool@example.org",
)


class Mail(NamedTuple):
    to: tuple[str, ...]
    subject: str
    body: str


class Outbox:
    """Keeps mails, of transactions that ended well."""

    def __init__(self) -> None:
        self.sent: list[Mail] = []

    def enqueue(
        self, tx: Transaction, recipients: Sequence[str], subject: str, body: str
    ) -> object:
        mail = Mail(tuple(recipients), subject, body)
        tx.after_commit(lambda: self.sent.append(mail))
        return None


def mailing(town: Town, admins: Sequence[str] = (ADMIN,)) -> Outbox:
    """Have a town's notices written as mails."""
    outbox = Outbox()
    zone = ZoneInfo("Europe/Amsterdam")
    notifier = MailNotifier(outbox, admins, zone, lambda: "http://mill.example:7070")
    town.recorder.run_failed = notifier.run_failed  # type: ignore[method-assign]
    town.recorder.cannot_reschedule = notifier.cannot_reschedule  # type: ignore[method-assign]
    town.recorder.pool_unresponsive = notifier.pool_unresponsive  # type: ignore[method-assign]
    return outbox


def test_a_failed_run(database_url: str, tmp_path: Path) -> None:
    async def story(town: Town) -> None:
        outbox = mailing(town)
        await town.declarations.apply(ADDRESSES)
        job = await town.schedule(notify="[job@example.org]", script="echo hello")
        run = await town.by_hand(job)
        await town.begin(run)
        await town.logs.create(run, "a\x00 log\n")
        town.clock.wall = 1_767_322_985.25
        await town.end(run, success=False)
        (mail,) = outbox.sent
        assert mail.to == EVERYBODY
        assert mail.subject == "Run error for: nightly"
        project = (await town.schedules.get(job)).project_id
        assert mail.body.splitlines() == [
            "Job: nightly",
            "Manual run: yes",
            "Killed: no",
            "Worker-pool: outside",
            f"Details: http://mill.example:7070/project/{project}/jobs/{job}/runs/{run}/",
            f"Run: {run}",
            "Returned: 2026-01-02 04:03:05 CET",
            "",
            "Script:",
            "#!/bin/sh",
            "echo hello",
            "",
            "",
            "Log:",
            "a\ufffd log",
            "",
        ]

    play(database_url, tmp_path, story)


def test_a_killed_run(database_url: str, tmp_path: Path) -> None:
    async def story(town: Town) -> None:
        outbox = mailing(town)
        job = await town.schedule()
        run = await town.by_hand(job)
        await town.begin(run)
        kill = await town.kills.create(run)
        await town.kills.change(kill, KillChange(executed_at=town.clock.wall))
        await town.end(run, success=False)
        assert "Killed: yes" in outbox.sent[0].body
        assert "Log:" not in outbox.sent[0].body

    play(database_url, tmp_path, story)


def test_good_runs_and_unheard_complaints(database_url: str, tmp_path: Path) -> None:
    async def story(town: Town) -> None:
        outbox = mailing(town, admins=())
        job = await town.schedule()
        await town.do(await town.by_hand(job))
        await town.do(await town.by_hand(job), success=False)
        assert outbox.sent == []

    play(database_url, tmp_path, story)


def test_no_next_time(database_url: str, tmp_path: Path) -> None:
    async def story(town: Town) -> None:
        outbox = mailing(town)
        await town.declarations.apply(ADDRESSES)
        await town.schedule(
            notify="[job@example.org]",
            every="{count: 1, unit: hour}",
            exclude="[{from: '00:00', to: '23:59:59'}]",
            first_run=when(town.clock),
        )
        assert [mail.subject for mail in outbox.sent] == ["Reschedule error for: nightly"]
        assert outbox.sent[0].to == EVERYBODY
        assert "excluded" in outbox.sent[0].body

    play(database_url, tmp_path, story)


def test_a_silent_pool(database_url: str, tmp_path: Path) -> None:
    async def story(town: Town) -> None:
        outbox = mailing(town)
        await town.declarations.apply(ADDRESSES)
        await town.workers.check_health()
        town.clock.go(916)
        await town.workers.check_health()
        await town.workers.check_health()
        (mail,) = outbox.sent
        assert mail.subject == "Worker-pool unresponsive: outside"
        assert mail.to == (ADMIN, "pool@example.org", "both@example.org")

    play(database_url, tmp_path, story)
