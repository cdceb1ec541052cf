import pytest

from gristmill.domain.errors import NotFoundError
from gristmill.domain.outcome import QUEUE_TIMEOUT
from gristmill.domain.state import JobState
from gristmill.services.queue import timers
from gristmill.services.queue.timers import Housekeeping
from gristmill.store.events import append_event, events_after
from tests.services.conftest import Play
from tests.services.mill import EVERYBODY, Mill, spec

S = JobState


def test_a_delayed_job_starts_no_earlier(play: Play) -> None:
    async def story(mill: Mill) -> None:
        job = await mill.one(delay=10)
        assert mill.core.signals.timer.is_set()
        assert await mill.after(9) == mill.clock.wall + 1
        assert await mill.state(job) is S.DELAYED
        assert await mill.after(1) is None
        assert await (await mill.agent()).lease() == [job]

    play(story)


def test_a_delay_counts_from_submission_not_from_the_dependency(play: Play) -> None:
    async def story(mill: Mill) -> None:
        first = await mill.one()
        soon, late = await mill.submit(spec(after=[first], delay=5), spec(after=[first], delay=50))
        agent = await mill.agent()
        mill.clock.go(10)
        await agent.work()
        assert await mill.states([soon, late]) == [S.COMPLETE, S.DELAYED]
        assert await mill.after(40) is None
        assert await agent.work() == [late]

    play(story)


def test_what_waits_too_long_is_buried(play: Play) -> None:
    async def story(mill: Mill) -> None:
        first = await mill.one()
        jobs = await mill.submit(
            spec(queue_timeout=10),
            spec(queue_timeout=10, after=[first]),
            spec(queue_timeout=10, delay=10),
            spec(queue_timeout=11),
        )
        assert await mill.after(10) == mill.clock.wall + 1
        assert await mill.states(jobs) == [S.BURIED, S.BURIED, S.BURIED, S.READY]
        assert await mill.why(jobs[0]) == QUEUE_TIMEOUT

    play(story)


def test_a_new_deadline_wakes_the_timers(play: Play) -> None:
    async def story(mill: Mill) -> None:
        mill.core.signals.timer.clear()
        await mill.one()
        assert not mill.core.signals.timer.is_set()
        await mill.one(queue_timeout=5)
        assert mill.core.signals.timer.is_set()

    play(story)


def test_a_started_job_has_met_its_deadline_for_good(play: Play) -> None:
    async def story(mill: Mill) -> None:
        job = await mill.one(queue_timeout=10, retry={"retries": 1, "delay": 5})
        agent = await mill.agent()
        await agent.lease()
        await agent.start(job)
        await mill.after(100)
        assert await mill.state(job) is S.RUNNING
        await agent.finish(job, exit_code=1)
        await mill.after(5)
        assert await agent.work() == [job]

    play(story)


def test_an_expired_job_that_is_retried_gets_its_time_again(play: Play) -> None:
    async def story(mill: Mill) -> None:
        job = await mill.one(queue_timeout=10)
        await mill.after(11)
        mill.core.signals.timer.clear()
        await mill.retry(job)
        assert mill.core.signals.timer.is_set()
        assert await mill.after(9) is not None
        assert await mill.state(job) is S.READY
        await mill.after(1)
        assert await mill.state(job) is S.BURIED

    play(story)


def test_a_resurrected_waiter_is_not_out_of_time(play: Play) -> None:
    async def story(mill: Mill) -> None:
        await mill.submit(spec(after_groups=["g"], queue_timeout=10))
        agent = await mill.agent()
        await agent.work()
        mill.clock.go(100)
        await mill.one(dep_groups=["g"])
        await mill.after(1)
        assert await mill.state(1) is S.WAITING

    play(story)


def test_many_things_due_at_once(play: Play) -> None:
    async def story(mill: Mill) -> None:
        await mill.submit(*[spec(delay=1 + n / 1000, group="late") for n in range(2_500)])
        await mill.after(10)
        rounds = 1
        while await mill.after(0) is not None:
            rounds += 1
        assert rounds <= 4
        counts = await mill.listing.counts(EVERYBODY, "late", None)
        assert counts[S.READY] == 2_500

    play(story)


def test_retention_removes_what_ended_long_ago(play: Play) -> None:
    async def story(mill: Mill) -> None:
        agent = await mill.agent()
        done, cancelled, buried = await mill.submit(
            spec(labels={"k": "v"}, dep_groups=["g"]), spec(), spec()
        )
        await mill.cancel(cancelled)
        await agent.lease()
        await agent.finish(done, stdout=b"x")
        await agent.finish(buried, exit_code=1)
        mill.clock.go(80)
        young = await mill.one()
        await agent.work()
        mill.clock.go(30)
        await mill.housekeeping.tidy()
        for job in (done, cancelled):
            with pytest.raises(NotFoundError):
                await mill.state(job)
        assert await mill.states([buried, young]) == [S.BURIED, S.COMPLETE]

    play(story, keep_jobs=100.0)


def test_old_events_go_a_batch_at_a_time(play: Play, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(timers, "MOST_EVENTS", 3)

    async def story(mill: Mill) -> None:
        at = mill.clock.wall
        for _ in range(7):
            await mill.database.write(lambda tx: append_event(tx, at, "old", []))
        mill.clock.go(100)
        await mill.one()
        housekeeping = Housekeeping(mill.core, keep_jobs=None, keep_events=50.0)
        await housekeeping.tidy()
        left = await mill.database.read(lambda tx: events_after(tx, 0, 99))
        assert [event.kind for event in left] == ["job.ready"]

    play(story)


def test_retention_is_off_unless_asked_for(play: Play) -> None:
    async def story(mill: Mill) -> None:
        job = await mill.one()
        await (await mill.agent()).work()
        mill.clock.go(10 * 365 * 86_400)
        await mill.housekeeping.tidy()
        assert await mill.state(job) is S.COMPLETE

    play(story)
