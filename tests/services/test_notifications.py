"""Who asked for it hears of the end of a job, exactly once."""

import asyncio
from typing import Any

from gristmill.domain.identity import Identity
from gristmill.domain.job import JobSpec
from gristmill.domain.workflow import WorkflowSpec
from gristmill.services.lost_agents import LostAgents
from gristmill.services.mail import Mailer, PostOffice
from gristmill.services.notifications import Ended, Notifications
from gristmill.services.queue.submit import Submission
from gristmill.services.workflows.submit import WorkflowSubmission
from gristmill.store.mail import due_mail, insert_notifications, notifications_after
from tests.services.conftest import Play
from tests.services.mill import Mill, spec

ANN = Identity(user="ann", email="ann@example.org")
POST = PostOffice(host="nowhere.invalid", port=25, sender="mill@example.org")


def services(mill: Mill) -> tuple[Mailer, Notifications]:
    mailer = Mailer(mill.database, mill.clock.chance, POST, "")
    return mailer, Notifications(mill.core, mailer)


async def submit(mill: Mill, *specs: JobSpec, who: Identity = ANN) -> list[int]:
    done = await mill.submitter.submit(Submission(specs, who.user, caller=who))
    return done.ids


async def mails(mill: Mill, count: int) -> list[tuple[str, str, str]]:
    """Return (to, subject, body) of what is in the outbox, once there is that much."""
    async with asyncio.timeout(30):
        while True:
            found = await mill.database.read(lambda tx: due_mail(tx, mill.clock.wall, 100))
            if len(found) >= count:
                return sorted((each.recipients, each.subject, each.body) for each in found)
            await asyncio.sleep(0.01)


async def nobody_waits(mill: Mill) -> bool:
    return not await mill.database.read(lambda tx: notifications_after(tx, 0, 1))


def test_ends_become_mail(play: Play) -> None:
    async def story(mill: Mill) -> None:
        watching = asyncio.create_task(services(mill)[1].run())
        wish: dict[str, Any] = {"notify": True}
        good, bad, gone, silent = await submit(
            mill,
            spec(name="fine\u00e9", **wish),
            spec(name="broken", **wish),
            spec(cpus=64, **wish),
            spec(),
        )
        agent = await mill.agent(labels={"site": "here"})
        await agent.ask()
        await agent.start(good, bad, silent)
        assert await mails(mill, 0) == []
        await agent.finish(good, silent)
        await agent.finish(bad, exit_code=3)
        await mill.cancel(gone)
        found = await mails(mill, 3)
        assert [mail[:2] for mail in found] == [
            ("ann@example.org", f"Job {good} (fine\u00e9) completed"),
            ("ann@example.org", f"Job {bad} (broken) failed"),
            ("ann@example.org", f"Job {gone} was cancelled"),
        ]
        for fact in (
            "CPU time:  0.50 s",
            "Wall time: 1.00 s",
            "Memory:    12 MB",
            "Site:      here",
        ):
            assert fact in found[0][2]
        assert "Exit code: 3" in found[1][2]
        assert await nobody_waits(mill)
        later = await submit(mill, spec(name="later", **wish))
        await agent.work()
        assert (await mails(mill, 4))[3][1] == f"Job {later[0]} (later) completed"
        watching.cancel()

    play(story)


def test_an_end_that_nobody_saw_is_told_after_a_restart(play: Play) -> None:
    async def story(mill: Mill) -> None:
        done, waiting = await submit(mill, spec(notify=True), spec(cpus=64, notify=True))
        await (await mill.agent()).work()
        watching = asyncio.create_task(services(mill)[1].run())
        assert [mail[1] for mail in await mails(mill, 1)] == [f"Job {done} completed"]
        await mill.cancel(waiting)
        assert len(await mails(mill, 2)) == 2
        watching.cancel()

    play(story)


def test_without_an_address_or_a_wish_nothing_is_noted(play: Play) -> None:
    async def story(mill: Mill) -> None:
        await submit(mill, spec(notify=True), who=Identity(user="ann"))
        await submit(mill, spec())
        await mill.submit(spec(notify=True))
        assert await nobody_waits(mill)

    play(story)


def test_what_is_run_again_is_told_again(play: Play) -> None:
    """Under a new id when its workflow submits it anew, and under its own when a person does."""

    async def story(mill: Mill) -> None:
        watching = asyncio.create_task(services(mill)[1].run())
        alone = (await submit(mill, spec(notify=True)))[0]
        flow = WorkflowSpec(jobs={"bad": spec(notify=True)}, retries=1, reruns=1)
        await mill.workflows.submit(WorkflowSubmission(flow, ANN))
        agent, rounds = await mill.agent(cpus=4), []
        for count in (2, 3, 4, 5):
            rounds.append(jobs := await agent.lease())
            await agent.start(*jobs)
            await agent.finish(*jobs, exit_code=1 if count < 5 else 0)
            told = [subject.split() for _, subject, _ in await mails(mill, count)]
            outcome = "failed" if count < 5 else "completed"
            assert all((str(job), outcome) in [(t[1], t[-1]) for t in told] for job in jobs)
        assert [len(jobs) for jobs in rounds] == [2, 1, 1, 1]
        assert len({job for jobs in rounds for job in jobs}) == 5
        await mill.retry(alone)
        assert await agent.work() == [alone]
        said = {subject for _, subject, _ in await mails(mill, 6)}
        assert {f"Job {alone} failed", f"Job {alone} completed"} <= said
        assert await nobody_waits(mill)
        watching.cancel()

    play(story)


def test_a_workflow_is_told_in_the_transaction_it_ends_in(play: Play) -> None:
    async def story(mill: Mill) -> None:
        _, notifications = services(mill)
        ended = Ended(7, "sweep", "failed", "2 of 3 jobs succeeded.")
        await mill.database.write(lambda tx: insert_notifications(tx, [(7, "ann@example.org")]))
        for _ in range(2):
            await mill.database.write(lambda tx: notifications.workflow_ended(tx, ended))
        (mail,) = await mails(mill, 1)
        assert mail[1:] == ("Workflow 7 (sweep) failed", "2 of 3 jobs succeeded.\n")
        assert await nobody_waits(mill)

    play(story)


def test_administrators_hear_of_lost_agents_once(play: Play) -> None:
    async def story(mill: Mill) -> None:
        mailer = Mailer(mill.database, mill.clock.chance, POST, "boss@example.org")
        lost = LostAgents(
            mill.core, mill.registry, lost_after=60, fence_after=600, tell_admins=mailer.tell_admins
        )
        agent = await mill.agent("far")
        await mill.one()
        await agent.ask()
        mill.clock.go(61)
        for _ in range(3):
            await lost.sweep()
        (mail,) = await mails(mill, 1)
        assert mail[0] == "boss@example.org"
        assert mail[1] == f"Lost agent {agent.number} on far.host"
        assert "it held 1 jobs" in mail[2]

    play(story)
