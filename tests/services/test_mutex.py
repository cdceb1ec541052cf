from gristmill.domain.state import JobState
from tests.services.conftest import Play
from tests.services.mill import Mill, spec

S = JobState


def test_one_at_a_time_by_priority_then_age(play: Play) -> None:
    async def story(mill: Mill) -> None:
        jobs = await mill.submit(
            *[spec(mutex="m", priority=rank, cpus=1 + rank) for rank in (0, 0, 2, 1)], spec()
        )
        agent = await mill.agent(cpus=8)
        assert await agent.lease() == [jobs[0], jobs[4]]
        assert await mill.why(jobs[1]) == "another job holds the mutex 'm'"
        order = [jobs[0]]
        while order[-1:]:
            await agent.finish(order[-1])
            got = await agent.lease()
            assert len(got) <= 1
            if not got:
                break
            order += got
        assert order == [jobs[0], jobs[2], jobs[3], jobs[1]]

    play(story)


def test_the_mutex_is_kept_through_an_immediate_retry(play: Play) -> None:
    async def story(mill: Mill) -> None:
        await mill.submit(
            spec(mutex="m", retry={"retries": 1, "delay": 0}), spec(mutex="m", priority=9)
        )
        agent = await mill.agent()
        assert await agent.lease() == [1]
        await agent.finish(1, exit_code=1)
        assert await agent.lease() == [1]
        await agent.finish(1)
        assert await agent.lease() == [2]

    play(story)


def test_the_mutex_is_free_while_a_job_pauses(play: Play) -> None:
    async def story(mill: Mill) -> None:
        await mill.submit(
            spec(mutex="m", retry={"retries": 1, "delay": 5}), spec(mutex="m"), spec(mutex="m")
        )
        agent = await mill.agent()
        assert await agent.lease() == [1]
        await agent.finish(1, exit_code=1)
        assert await agent.lease() == [2]
        await mill.after(5)
        assert await mill.states([1, 2, 3]) == [S.READY, S.RESERVED, S.READY]
        await agent.finish(2)
        assert await agent.lease() == [1], "the oldest that is ready is next"

    play(story)


def test_cancelling_the_front_and_the_parked(play: Play) -> None:
    async def story(mill: Mill) -> None:
        await mill.submit(*[spec(mutex="m") for _ in range(4)])
        await mill.cancel(2)
        await mill.cancel(1)
        agent = await mill.agent()
        assert await agent.lease() == [3]
        await mill.cancel(3)
        assert await agent.lease() == []
        await agent.finish(3, exit_code=-15)
        assert await mill.state(3) is S.CANCELLED
        assert await agent.lease() == [4]

    play(story)


def test_all_at_once(play: Play) -> None:
    async def story(mill: Mill) -> None:
        await mill.submit(*[spec(mutex="m") for _ in range(3)])
        await mill.cancel(1, 2, 3)
        again = await mill.retry(2, 3, 1)
        assert again.ids == [2, 3, 1]
        agent = await mill.agent()
        assert await agent.work() == [2, 1, 3]

    play(story)


def test_a_dependent_takes_over_from_the_job_it_waited_for(play: Play) -> None:
    async def story(mill: Mill) -> None:
        first = await mill.one(mutex="m", dep_groups=["g"])
        await mill.submit(
            spec(mutex="m", after=[first]), spec(mutex="m", after_groups=["g"]), spec(mutex="n")
        )
        agent = await mill.agent()
        assert await agent.work() == [1, 4, 2, 3]

    play(story)


def test_resurrected_waiters_take_turns(play: Play) -> None:
    async def story(mill: Mill) -> None:
        await mill.submit(*[spec(mutex="m", after_groups=["g"]) for _ in range(3)])
        agent = await mill.agent()
        assert await agent.lease() == [1]
        await mill.submit(spec(dep_groups=["g"], mutex="m"))
        assert await mill.states([1, 2, 3, 4]) == [S.RESERVED, S.WAITING, S.WAITING, S.READY]
        await agent.finish(1)
        assert await agent.work() == [4, 1, 2, 3]

    play(story)


def test_the_mutex_outlives_a_lost_agent(play: Play) -> None:
    async def story(mill: Mill) -> None:
        await mill.submit(spec(mutex="m"), spec(mutex="m"))
        agent = await mill.agent()
        await agent.lease()
        await agent.start(1)
        mill.clock.go(61)
        await mill.lost_agents.sweep()
        other = await mill.agent("n2")
        assert await mill.state(1) is S.LOST
        assert await other.lease() == []
        mill.clock.go(600)
        await other.lease()
        await mill.lost_agents.sweep()
        assert await mill.state(1) is S.BURIED
        assert await other.lease() == [2]

    play(story)
