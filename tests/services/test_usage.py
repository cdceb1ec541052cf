"""What jobs used is counted when their attempts end, once."""

from datetime import date

import msgspec

from gristmill.domain.outcome import TaskResult
from gristmill.domain.retry import RetryPolicy
from gristmill.services.accounting import DAY, Accounting, Usage
from tests.services.conftest import Play
from tests.services.mill import BEN, EVERYBODY, FakeAgent, Mill, spec


def tasks(*seconds: tuple[float, float]) -> list[TaskResult]:
    return [TaskResult(0, wall, cpu, 1) for wall, cpu in seconds]


async def finish(agent: FakeAgent, job: int, results: list[TaskResult], **how: object) -> None:
    """Report an attempt's end with what its tasks used."""
    end = agent.end_of(job, **how)  # type: ignore[arg-type]
    del agent.holding[job]
    await agent.tell(finished=[msgspec.structs.replace(end, tasks=results)])


def test_usage_is_that_of_all_tasks_and_cores(play: Play) -> None:
    async def story(mill: Mill) -> None:
        usage, day = Accounting(mill.core), int(mill.clock.wall // DAY)
        agent = await mill.agent(cpus=8)
        (job,) = await mill.submit(spec(cpus=2, project="physics"))
        (other,) = await mill.submit(spec(project="physics"), who=BEN)
        await agent.ask()
        await finish(agent, job, tasks((10, 3), (5, 1)))
        await finish(agent, other, [])
        assert await usage.of_owner("ann", day, day) == [Usage("ann", "physics", 1, 30.0, 4.0)]
        both = [Usage("ann", "physics", 1, 30.0, 4.0), Usage("ben", "physics", 1, 1.0, 0.5)]
        assert await usage.of_project("physics", day, day) == both
        assert await usage.of_all(EVERYBODY, day, day) == both
        assert await usage.of_all(BEN, day, day) == both[1:]
        assert await usage.of_owner("ann", day + 1, day + 9) == []
        assert await usage.of_owner("an", day, day) == []
        assert await usage.of_project("", day, day) == []

    play(story)


def test_a_retried_job_is_one_job_on_the_day_it_was_submitted(play: Play) -> None:
    async def story(mill: Mill) -> None:
        usage, day = Accounting(mill.core), int(mill.clock.wall // DAY)
        agent = await mill.agent()
        (job,) = await mill.submit(spec(retry=RetryPolicy(retries=3, delay=0)))
        for results, code in ((tasks((4, 1)), 1), ([], None), (tasks((6, 2)), 0)):
            await agent.ask()
            if code is None:
                end = agent.end_of(job, exit_code=None, reason="no image")
                del agent.holding[job]
                await agent.tell(finished=[msgspec.structs.replace(end, started_at=None)])
            else:
                await finish(agent, job, results, exit_code=code)
            mill.clock.go(DAY)
        assert await usage.of_owner("ann", day, day) == [Usage("ann", "", 1, 10.0, 3.0)]

    play(story)


def test_what_never_ran_and_what_is_told_twice_is_not_counted(play: Play) -> None:
    async def story(mill: Mill) -> None:
        usage, day = Accounting(mill.core), int(mill.clock.wall // DAY)
        agent = await mill.agent()
        job, idle = await mill.one(), await mill.one(cpus=64)
        await agent.ask()
        end = msgspec.structs.replace(agent.end_of(job), tasks=tasks((2, 1)))
        await agent.tell(finished=[end, end])
        await agent.tell(finished=[end])
        await mill.cancel(idle)
        assert await usage.of_owner("ann", day, day) == [Usage("ann", "", 1, 2.0, 1.0)]

    play(story)


def test_a_gang_is_one_job_with_the_cores_of_all_its_nodes(play: Play) -> None:
    async def story(mill: Mill) -> None:
        usage, day = Accounting(mill.core), int(mill.clock.wall // DAY)
        agents = [await mill.agent("n1", cpus=2), await mill.agent("n2", cpus=2)]
        job = await mill.one(cpus=2, nodes=2)
        await mill.ask(*agents)
        for agent in agents:
            await finish(agent, job, tasks((3, 2)))
        assert await usage.of_owner("ann", day, day) == [Usage("ann", "", 1, 12.0, 4.0)]

    play(story)


def test_days_are_those_of_utc() -> None:
    assert (date(2027, 1, 15) - date(1970, 1, 1)).days == 1_800_000_000 // DAY
