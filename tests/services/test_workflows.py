"""Workflows: what runs when, what counts as what, and what becomes of failures."""

from typing import Any

import msgspec
import pytest

from gristmill.domain.errors import ConflictError, NotFoundError
from gristmill.domain.outcome import CANCELLED_WITH_WORKFLOW, DEPENDENCY_FAILED
from gristmill.domain.state import JobState
from gristmill.domain.workflow import WorkflowSpec, WorkflowState
from gristmill.services.mail import Mailer, PostOffice
from gristmill.services.notifications import Notifications
from gristmill.services.queue.search import KEPT_LISTED
from gristmill.services.queue.views import JobFilter
from gristmill.services.workflows.mail import mail_at_end
from gristmill.services.workflows.submit import WorkflowSubmission
from gristmill.services.workflows.views import WorkflowFilter
from gristmill.store.mail import due_mail, notifications_after
from gristmill.store.workflows import WorkflowRow
from tests.services.conftest import Play
from tests.services.mill import ANN, BEN, EVERYBODY, FakeAgent, Mill

JOB = {"command": "echo $n", "resources": {"cpus": 1, "memory": 0}}
DIAMOND = {"left": ["top"], "right": ["top"], "bottom": ["left", "right"]}


async def submit(mill: Mill, names: str, **more: Any) -> int:
    spec = {"name": "flow", "jobs": dict.fromkeys(names.split(), JOB), **more}
    key = spec.pop("idempotency_key", None)
    return await mill.workflows.submit(
        WorkflowSubmission(msgspec.convert(spec, WorkflowSpec), ANN, idempotency_key=key)
    )


async def row(mill: Mill, workflow: int) -> WorkflowRow:
    return (await mill.workflows.get(ANN, workflow)).row


async def progress(mill: Mill, workflow: int) -> tuple[int, ...]:
    """Total, done, failed, queued, waiting."""
    found = await row(mill, workflow)
    return found.total, found.done, found.failed, found.queued, found.waiting


async def job(mill: Mill, workflow: int, node: str, instance: int = 0) -> int:
    return await mill.workflows.find_job(ANN, workflow, node, instance)


async def run(agent: FakeAgent, *failing: int) -> list[int]:
    """Run what is ready now; some of it fails."""
    jobs = await agent.lease()
    await agent.start(*jobs)
    bad = [each for each in jobs if each in failing]
    await agent.finish(*bad, exit_code=1)
    await agent.finish(*[each for each in jobs if each not in failing])
    return jobs


def repeat(node: str, number: int) -> dict[str, Any]:
    return {"type": "repeat", "jobs": [node], "number": number}


def test_a_node_waits_for_all_its_parents(play: Play) -> None:
    async def story(mill: Mill) -> None:
        workflow = await submit(mill, "top left right bottom", after=DIAMOND)
        agent = await mill.agent()
        assert workflow < await job(mill, workflow, "top")
        assert (await row(mill, workflow)).state is WorkflowState.PENDING
        assert await progress(mill, workflow) == (4, 0, 0, 1, 3)
        order = []
        for expected in ((4, 1, 0, 2, 1), (4, 3, 0, 1, 0), (4, 4, 0, 0, 0)):
            order.append(await run(agent))
            assert await progress(mill, workflow) == expected
        found = await row(mill, workflow)
        assert found.state is WorkflowState.COMPLETED
        assert found.started_at is not None
        assert found.ended_at is not None
        assert [len(jobs) for jobs in order] == [1, 2, 1]

    play(story)


def test_thousands_into_one_and_back_make_no_edges_between_jobs(play: Play) -> None:
    async def story(mill: Mill) -> None:
        workflow = await submit(
            mill,
            "many one more",
            after={"one": ["many"], "more": ["one", "many"]},
            factories=[repeat("many", 300), repeat("more", 300)],
        )
        agent = await mill.agent(cpus=100)
        done = 0
        while jobs := await run(agent):
            done += len(jobs)
            total, now, failed, queued, waiting = await progress(mill, workflow)
            assert (total, now, failed, queued + waiting) == (601, done, 0, 601 - done)
            assert waiting == (301 if done < 300 else 300 if done < 301 else 0)
        assert (await row(mill, workflow)).state is WorkflowState.COMPLETED

    play(story)


def test_what_depends_on_a_failure_never_runs_and_the_rest_does(play: Play) -> None:
    async def story(mill: Mill) -> None:
        workflow = await submit(
            mill,
            "bad child grandchild good better",
            after={"child": ["bad"], "grandchild": ["child", "good"], "better": ["good"]},
        )
        agent = await mill.agent()
        await run(agent, await job(mill, workflow, "bad"))
        assert (await row(mill, workflow)).state is WorkflowState.RUNNING
        assert await mill.state(await job(mill, workflow, "child")) is JobState.WAITING
        await run(agent)
        assert (await row(mill, workflow)).state is WorkflowState.FAILED
        assert await progress(mill, workflow) == (5, 2, 1, 0, 2)
        child = (await mill.listing.get(ANN, await job(mill, workflow, "child"))).row.head
        assert (child.state, child.reason) == (JobState.CANCELLED, DEPENDENCY_FAILED)
        assert await agent.work() == []

    play(story)


def test_only_what_did_not_succeed_runs_again_as_another_workflow(play: Play) -> None:
    async def story(mill: Mill) -> None:
        first = await submit(
            mill, "many one", after={"one": ["many"]}, factories=[repeat("many", 3)]
        )
        agent = await mill.agent()
        with pytest.raises(ConflictError):
            await mill.workflows.rerun(ANN, first)
        await run(agent, await job(mill, first, "many", 1))
        again = await mill.workflows.rerun(ANN, first)
        assert await progress(mill, again) == (4, 2, 0, 1, 1)
        assert (await row(mill, again)).rerun_of == first
        assert await job(mill, again, "many", 0) == await job(mill, first, "many", 0)
        retried = await job(mill, again, "many", 1)
        assert retried > again
        assert await run(agent, retried) == [retried]
        third = await mill.workflows.rerun(ANN, again)
        assert await agent.work() == [
            await job(mill, third, "many", 1),
            await job(mill, third, "one"),
        ]
        assert (await row(mill, third)).state is WorkflowState.COMPLETED
        assert await progress(mill, third) == (4, 4, 0, 0, 0)
        assert (await row(mill, again)).state is WorkflowState.FAILED
        assert await job(mill, third, "many", 0) == await job(mill, first, "many", 0)
        with pytest.raises(ConflictError):
            await mill.workflows.rerun(ANN, third)

    play(story)


def test_failed_jobs_are_submitted_anew_and_their_dependents_follow(play: Play) -> None:
    async def story(mill: Mill) -> None:
        workflow = await submit(mill, "bad child", after={"child": ["bad"]}, retries=2)
        agent = await mill.agent()
        tries = []
        for _ in range(2):
            tries.append(await job(mill, workflow, "bad"))
            await run(agent, tries[-1])
            assert await progress(mill, workflow) == (2, 0, 0, 1, 1)
        assert await mill.state(tries[0]) is JobState.BURIED
        assert (await mill.retry(tries[0])).ids == [], "its successor runs"
        last = await job(mill, workflow, "bad")
        assert len({*tries, last}) == 3
        assert (await mill.listing.get(ANN, tries[0])).place == (
            await mill.listing.get(ANN, last)
        ).place
        assert await agent.work() == [last, await job(mill, workflow, "child")]
        assert (await row(mill, workflow)).state is WorkflowState.COMPLETED

    play(story)


def test_reruns_begin_when_nothing_else_can_go_on(play: Play) -> None:
    async def story(mill: Mill) -> None:
        workflow = await submit(
            mill, "bad good child", after={"child": ["bad"]}, reruns=1, retries=1
        )
        agent = await mill.agent(cpus=1)
        failures = 0
        while jobs := await agent.lease():
            await agent.start(*jobs)
            bad = await job(mill, workflow, "bad") in jobs
            failures += bad
            assert failures < 4 or jobs != [await job(mill, workflow, "good")]
            await agent.finish(*jobs, exit_code=1 if bad else 0)
        assert failures == 4, "two tries, and two more"
        assert (await row(mill, workflow)).state is WorkflowState.FAILED
        assert await progress(mill, workflow) == (3, 1, 1, 0, 1)

    play(story)


def test_cancelling_ends_all_and_says_why(play: Play) -> None:
    async def story(mill: Mill) -> None:
        workflow = await submit(
            mill, "many one", after={"one": ["many"]}, factories=[repeat("many", 6)]
        )
        agent = await mill.agent(cpus=2)
        running = await agent.lease()
        await agent.start(*running)
        ended = await mill.workflows.cancel(ANN, [workflow])
        assert ended.ids == [workflow]
        assert (await row(mill, workflow)).state is WorkflowState.CANCELLED
        await agent.ask()
        assert sorted(held.job for held in agent.heard.kill) == sorted(running)
        with pytest.raises(ConflictError, match="being ended"):
            await mill.workflows.rerun(ANN, workflow)
        await agent.finish(*running, exit_code=-15)
        heads = [
            (await mill.listing.get(ANN, await job(mill, workflow, *place))).row.head
            for place in (("many", 0), ("many", 5), ("one", 0))
        ]
        assert {head.reason for head in heads} == {CANCELLED_WITH_WORKFLOW}
        assert await progress(mill, workflow) == (7, 0, 6, 0, 1)
        assert await agent.work() == []
        again = await mill.workflows.rerun(ANN, workflow)
        assert await progress(mill, again) == (7, 0, 0, 6, 1)
        assert (await mill.workflows.cancel(ANN, [workflow])).unchanged == {
            workflow: WorkflowState.CANCELLED
        }

    play(story)


def test_a_job_can_be_retried_while_its_workflow_goes_on(play: Play) -> None:
    async def story(mill: Mill) -> None:
        workflow = await submit(mill, "bad good child", after={"child": ["bad"]})
        agent = await mill.agent(cpus=1)
        bad = await job(mill, workflow, "bad")
        assert await run(agent, bad) == [bad]
        assert await progress(mill, workflow) == (3, 0, 1, 1, 1)
        assert (await mill.retry(bad)).ids == [bad]
        assert await progress(mill, workflow) == (3, 0, 0, 2, 1)
        await agent.work()
        assert await progress(mill, workflow) == (3, 3, 0, 0, 0)
        assert (await mill.retry(bad)).ids == [], "others have built on it"

    play(story)


def test_a_waiting_job_cancelled_and_retried_still_waits(play: Play) -> None:
    async def story(mill: Mill) -> None:
        workflow = await submit(mill, "top child", after={"child": ["top"]})
        agent = await mill.agent()
        child = await job(mill, workflow, "child")
        await mill.cancel(child)
        assert await progress(mill, workflow) == (2, 0, 1, 1, 0)
        await mill.retry(child)
        assert await progress(mill, workflow) == (2, 0, 0, 1, 1)
        assert len(await agent.work()) == 2

    play(story)


def test_the_queue_timeout_of_a_node_begins_when_it_may_run(play: Play) -> None:
    async def story(mill: Mill) -> None:
        slow = {**JOB, "queue_timeout": 60}
        workflow = await submit(
            mill, "", jobs={"top": JOB, "child": slow}, after={"child": ["top"]}
        )
        agent = await mill.agent()
        await mill.after(100.0)
        assert await run(agent) == [await job(mill, workflow, "top")]
        assert await mill.state(await job(mill, workflow, "child")) is JobState.READY
        await mill.after(61.0)
        assert (await row(mill, workflow)).state is WorkflowState.FAILED

    play(story)


def test_nothing_is_stored_of_a_refused_workflow_and_a_key_stands_for_one(play: Play) -> None:
    async def story(mill: Mill) -> None:
        first = await submit(mill, "a", idempotency_key="k")
        assert await submit(mill, "a b", idempotency_key="k") == first
        counts = await mill.listing.counts(EVERYBODY, None, None)
        assert sum(counts.values()) == 1
        assert await submit(mill, "a") > first

    play(story)


def test_listing_finding_and_forgetting(play: Play) -> None:
    async def story(mill: Mill) -> None:
        first = await submit(mill, "a", labels={"x": "1", "y": "2"})
        second = await submit(mill, "a b", labels={"x": "1"}, factories=[repeat("a", 2)])
        third = await submit(mill, "a", name="other")
        agent = await mill.agent()

        async def ids(order: Any = "newest", **wanted: Any) -> list[int]:
            found: list[int] = []
            cursor: str | None = None
            while True:
                page = await mill.workflows.page(
                    ANN, WorkflowFilter(**wanted), limit=1, cursor=cursor, order=order
                )
                found += [one.row.id for one in page.workflows]
                cursor = page.cursor
                if cursor is None:
                    return found

        assert await ids() == [third, second, first]
        assert await ids("oldest") == [first, second, third]
        assert await ids(name="flow") == [second, first]
        assert await ids(labels=(("x", "1"), ("y", "2"))) == [first]
        assert await ids(ids=(first, third, 99)) == [third, first]
        await mill.workflows.cancel(ANN, [third])
        mill.clock.go(1)
        await mill.workflows.cancel(ANN, [first])
        assert await ids(active=True) == [second]
        assert await ids("ended") == [first, third]
        assert await ids(states=(WorkflowState.CANCELLED,)) == [third, first]
        page = await mill.listing.page(
            ANN, JobFilter(workflow=second), limit=10, cursor=None, newest=False
        )
        assert [(found.place.node, found.place.instance) for found in page.jobs if found.place] == [
            ("a", 0),
            ("a", 1),
            ("b", None),
        ]
        for act in (mill.workflows.get, mill.workflows.forget, mill.workflows.clone):
            with pytest.raises(NotFoundError):
                await act(BEN, second)
        assert (
            await mill.workflows.page(BEN, WorkflowFilter(owner="ann"), limit=9)
        ).workflows == []
        with pytest.raises(ConflictError):
            await mill.workflows.forget(ANN, second)
        await agent.work()
        await mill.workflows.forget(ANN, second)
        assert await ids() == [third, first]
        assert await ids("oldest", ids=(second,)) == []
        clone = await mill.workflows.clone(ANN, first)
        assert (await mill.workflows.get(ANN, clone)).labels == {"x": "1", "y": "2"}

    play(story)


def test_owners_hear_of_their_own_workflows_only(play: Play) -> None:
    async def story(mill: Mill) -> None:
        workflow = await submit(mill, "a")
        await (await mill.agent()).work()
        for who, kinds in ((ANN, ["pending", "running", "completed"]), (BEN, [])):
            heard = []
            stream = mill.events.stream(who, 0, job=None, kind="workflow.", idle=0.01)
            async for event in stream:
                if event is None:
                    break
                assert msgspec.json.decode(event.data) == {"workflow": workflow}
                heard.append(event.kind)
            await stream.aclose()
            assert heard == [f"workflow.{kind}" for kind in kinds]

    play(story)


def test_old_workflows_go_with_their_jobs(play: Play) -> None:
    async def story(mill: Mill) -> None:
        old = await submit(mill, "good bad")
        agent = await mill.agent()
        await run(agent, await job(mill, old, "bad"))
        bad = await job(mill, old, "bad")
        mill.clock.go(100)
        young = await submit(mill, "a")
        await agent.work()
        await mill.housekeeping.tidy()
        with pytest.raises(NotFoundError):
            await mill.workflows.get(ANN, old)
        assert (await mill.listing.get(ANN, bad)).place is None, "what failed stays to be seen"
        assert (await row(mill, young)).state is WorkflowState.COMPLETED

    play(story, keep_jobs=50.0)


def test_who_asked_for_it_hears_of_the_end(play: Play) -> None:
    async def story(mill: Mill) -> None:
        post = PostOffice(host="nowhere.invalid", port=25, sender="mill@example.org")
        mailer = Mailer(mill.database, mill.clock.chance, post, "")
        mill.core.on_workflow_end.append(mail_at_end(Notifications(mill.core, mailer)))
        spec = msgspec.convert({"name": "flow", "jobs": {"a": JOB, "b": JOB}}, WorkflowSpec)
        told = WorkflowSubmission(spec, ANN, notify="ann@example.org")
        number = await mill.workflows.submit(told)
        await mill.workflows.submit(told._replace(notify=""))
        await (await mill.agent()).work()
        (mail,) = await mill.database.read(lambda tx: due_mail(tx, mill.clock.wall, 10))
        assert mail.recipients == "ann@example.org"
        assert mail.subject == f"Workflow {number} (flow) completed"
        assert "Jobs:      2\nDone:      2\nFailed:    0\n" in mail.body
        assert not await mill.database.read(lambda tx: notifications_after(tx, 0, 1))

    play(story)


def test_no_workflow_stays_listed_for_ever(play: Play) -> None:
    async def story(mill: Mill) -> None:
        flow = msgspec.convert({"jobs": {"only": JOB}}, WorkflowSpec)
        kept = await mill.workflows.submit(WorkflowSubmission(flow, ANN, pinned=True))
        await run(await mill.agent())
        going = await mill.workflows.submit(WorkflowSubmission(flow, ANN, pinned=True))

        async def listed() -> list[int]:
            wanted = WorkflowFilter(owner=ANN.user, active=True)
            page = await mill.workflows.page(ANN, wanted, limit=10, order="oldest")
            return [one.row.id for one in page.workflows]

        mill.clock.go(KEPT_LISTED - 10)
        await mill.housekeeping.tidy()
        assert await listed() == [kept, going]
        mill.clock.go(20)
        assert await listed() == [going]
        await mill.housekeeping.tidy()
        assert await listed() == [going]
        assert not await mill.workflows.unpin(ANN, kept)
        assert await mill.workflows.unpin(ANN, going)

    play(story)
