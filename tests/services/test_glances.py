"""Many jobs with their last attempts, by id, by key and by filter."""

from gristmill.domain.dialect import Dialect
from gristmill.domain.retry import RetryPolicy
from gristmill.domain.state import JobState
from gristmill.services.queue.glances import Glances
from gristmill.services.queue.views import JobFilter
from tests.services.conftest import Play
from tests.services.mill import ANN, BEN, EVERYBODY, Mill, spec

TWICE = RetryPolicy(retries=1, delay=0)


def test_attempts_of_jobs(play: Play) -> None:
    async def story(mill: Mill) -> None:
        glances = Glances(mill.core)
        agent = await mill.agent(cpus=1)
        job = await mill.one(retry=TWICE)
        waiting = await mill.one(priority=-1)
        (new, _) = await glances.of_ids(EVERYBODY, [job, waiting])
        assert (new.attempt, new.before) == (None, None)

        await agent.lease()
        await agent.start(job)
        (running,) = await glances.of_ids(EVERYBODY, [job])
        assert running.attempt is not None
        assert (running.attempt.number, running.attempt.agent_id) == (1, agent.number)
        assert running.attempt.ended_at is None

        await agent.finish(job, exit_code=3)
        (ready,) = await glances.of_ids(EVERYBODY, [job])
        assert ready.attempt is not None
        assert (ready.attempt.exit_code, ready.attempt.cpu_seconds) == (3, 0.5)

        await agent.lease()
        (reserved,) = await glances.of_ids(EVERYBODY, [job])
        assert reserved.job.row.head.state is JobState.RESERVED
        assert reserved.attempt is None
        assert reserved.before == ready.attempt

        await agent.start(job)
        (again,) = await glances.of_ids(EVERYBODY, [job])
        assert again.attempt is not None
        assert again.attempt.number == 2
        assert again.before == ready.attempt

    play(story)


def test_order_and_absence(play: Play) -> None:
    async def story(mill: Mill) -> None:
        glances = Glances(mill.core)
        first, second = await mill.submit(spec(), spec())
        (other,) = await mill.submit(spec(), who=BEN)
        found = await glances.of_ids(ANN, [second, 999, first, other, second])
        assert [glance.job.row.head.id for glance in found] == [second, first, second]
        everything = await glances.all(EVERYBODY, JobFilter())
        assert [glance.job.row.head.id for glance in everything] == [first, second, other]
        assert await glances.all(BEN, JobFilter(states=(JobState.COMPLETE,))) == []

    play(story)


def test_keys_of_one_dialect(play: Play) -> None:
    async def story(mill: Mill) -> None:
        glances = Glances(mill.core)
        await mill.submit(spec(key="k"))
        (ours,) = await mill.submit(spec(key="k"), who=BEN, dialect=Dialect.WR)
        found = await glances.of_keys(EVERYBODY, ["k", "nobody"], Dialect.WR)
        assert [glance.job.row.head.id for glance in found["k"]] == [ours]
        assert found["nobody"] == []
        assert await glances.of_keys(ANN, ["k"], Dialect.WR) == {"k": []}

    play(story)
