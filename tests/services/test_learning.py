from typing import Any

import msgspec

from gristmill.domain.outcome import OVER_MEMORY, OVER_WALLTIME, SIGNALLED
from gristmill.services.queue.views import Expected
from tests.services.conftest import Play
from tests.services.mill import EVERYBODY, FakeAgent, Mill, spec


def _learning(**fields: Any) -> Any:
    learn = {"bucket": "map", "seconds": 3600.0, **fields.pop("learn", {})}
    resources = {"cpus": 1.0, "memory": 3000, **fields.pop("resources", {})}
    return spec(learn=learn, resources=resources, **fields)


async def _expected(mill: Mill, job: int) -> Expected:
    return (await mill.listing.get(EVERYBODY, job)).expected


async def _finish(agent: FakeAgent, job: int, *, peak: int, seconds: float, **how: Any) -> None:
    end = agent.end_of(job, **how)
    assert end.started_at is not None
    fields = {"peak_memory": peak, "ended_at": end.started_at + seconds}
    await agent.tell(finished=[msgspec.structs.replace(end, **fields)])
    agent.holding.pop(job)


def test_waiting_jobs_are_reckoned_with_as_their_kind_was_seen(play: Play) -> None:
    async def story(mill: Mill) -> None:
        done, ready, other = await mill.submit(
            _learning(), _learning(), _learning(learn={"bucket": "sort"})
        )
        agent = await mill.agent(cpus=1, memory=8000)
        await agent.lease()
        await _finish(agent, done, peak=250, seconds=6.4)
        assert await _expected(mill, ready) == Expected(300, 7.0, 0)
        assert await _expected(mill, other) == Expected(3000, 3600.0, 0)

    play(story)


def test_more_jobs_are_packed_once_their_need_is_known(play: Play) -> None:
    async def story(mill: Mill) -> None:
        jobs = await mill.submit(*(_learning() for _ in range(10)))
        agent = await mill.agent(cpus=8, memory=6500)
        assert await agent.lease() == jobs[:2]
        await _finish(agent, jobs[0], peak=900, seconds=1.0)
        assert len(await agent.lease()) == 6

    play(story)


def test_the_request_stands_where_it_overrides(play: Play) -> None:
    async def story(mill: Mill) -> None:
        done, larger, request = await mill.submit(
            _learning(), _learning(learn={"override": 1}), _learning(learn={"override": 2})
        )
        agent = await mill.agent(cpus=1)
        await agent.lease()
        await _finish(agent, done, peak=4950, seconds=10.0)
        assert await _expected(mill, larger) == Expected(5000, 3600.0, 0)
        assert await _expected(mill, request) == Expected(3000, 3600.0, 0)

    play(story)


def test_memory_that_ran_out_is_raised_for_the_next_attempt(play: Play) -> None:
    async def story(mill: Mill) -> None:
        (job,) = await mill.submit(_learning(retry={"retries": 3, "delay": 0.0}))
        agent = await mill.agent(cpus=1, memory=64_000)
        await agent.lease()
        await _finish(agent, job, peak=3500, seconds=5.0, exit_code=1, reason=OVER_MEMORY)
        assert await _expected(mill, job) == Expected(7000, 3600.0, 0)
        (lease,) = (await agent.ask()).leases
        assert lease.need is not None
        assert lease.need.memory == 7000

    play(story)


def test_what_was_learned_survives_a_restart(play: Play) -> None:
    async def story(mill: Mill) -> None:
        done, ready = await mill.submit(_learning(), _learning())
        agent = await mill.agent(cpus=1)
        await agent.lease()
        await _finish(agent, done, peak=250, seconds=6.4)
        mill.core.shapes.__init__()  # type: ignore[misc]
        await mill.open()
        assert await _expected(mill, ready) == Expected(300, 7.0, 0)

    play(story)


def test_a_signal_after_the_expected_time_means_that_time_ran_out(play: Play) -> None:
    async def story(mill: Mill) -> None:
        early, late = await mill.submit(
            *(_learning(retry={"retries": 1, "delay": 0.0}) for _ in range(2))
        )
        agent = await mill.agent(cpus=2)
        await agent.lease()
        for job, seconds in ((early, 100.0), (late, 5000.0)):
            await _finish(agent, job, peak=10, seconds=seconds, exit_code=-15, reason=SIGNALLED)
        rows = [(await mill.listing.get(EVERYBODY, job)).row.head for job in (early, late)]
        assert [row.reason for row in rows] == [SIGNALLED, OVER_WALLTIME]
        assert await _expected(mill, late) == Expected(3000, 8600.0, 0)

    play(story)


def test_disk_is_learned_from_what_was_left(play: Play) -> None:
    async def story(mill: Mill) -> None:
        jobs = await mill.submit(*(_learning(resources={"disk": 1024}) for _ in range(4)))
        agent = await mill.agent(cpus=4, memory=64_000, disk=64_000)
        await agent.lease()
        for job, left, advice in ((jobs[0], 0, 1024), (jobs[1], 2010, 2100), (jobs[2], 50, 2100)):
            end = msgspec.structs.replace(agent.end_of(job), peak_memory=90, disk=left)
            await agent.tell(finished=[end])
            agent.holding.pop(job)
            (ready,) = await mill.submit(_learning(resources={"disk": 1024}))
            assert (await _expected(mill, ready)).disk == advice

    play(story)
