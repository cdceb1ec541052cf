"""Jobs that ask for more than any agent has: buried when they say so, else they wait."""

from gristmill.domain.outcome import IMPOSSIBLE
from gristmill.domain.state import JobState
from gristmill.services.queue.impossible import ABSENCE, GRACE
from tests.services.conftest import Play
from tests.services.mill import EVERYBODY, Mill


def test_buried_or_waiting(play: Play) -> None:
    async def story(mill: Mill) -> None:
        agent = await mill.agent(cpus=4)
        patient = await mill.one(cpus=5)
        hasty = await mill.one(cpus=5, bury_impossible=True)
        fitting = await mill.one(cpus=4, bury_impossible=True)
        blocked = await mill.one(cpus=3, bury_impossible=True)
        assert await agent.lease() == [fitting]
        assert await mill.states([patient, hasty, blocked]) == [
            JobState.READY, JobState.BURIED, JobState.READY,
        ]  # fmt: skip
        head = (await mill.listing.get(EVERYBODY, hasty)).row.head
        assert (head.reason, head.failures) == (IMPOSSIBLE, 0)
        (notice,) = mill.core.notices.take()
        assert "5 cores" in notice.text
        assert mill.core.notices.take() == []

        late = await mill.one(cpus=5, bury_impossible=True)
        await agent.ask()
        assert await mill.state(late) is JobState.BURIED
        await mill.retry(hasty)
        await agent.ask()
        assert await mill.state(hasty) is JobState.BURIED

    play(story)


def test_without_an_agent_for_it_everything_waits(play: Play) -> None:
    async def story(mill: Mill) -> None:
        job = await mill.one(cpus=5, pool="large", bury_impossible=True)
        agent = await mill.agent(cpus=1)
        await agent.ask()
        assert await mill.state(job) is JobState.READY
        await mill.agent("n2", cpus=8, pools=["large"])
        await agent.ask()
        assert await mill.state(job) is JobState.READY

    play(story)


def test_an_agent_that_is_away_for_a_moment_is_waited_for(play: Play) -> None:
    async def story(mill: Mill) -> None:
        large, small = await mill.agent("large", cpus=16), await mill.agent("small", cpus=1)
        await mill.lost_agents.node_died("large")
        wide = await mill.one(cpus=8, bury_impossible=True)
        wider = await mill.one(cpus=32, bury_impossible=True)
        await small.ask()
        assert await mill.states([wide, wider]) == [JobState.READY, JobState.BURIED]
        mill.clock.go(ABSENCE - 1)
        await small.ask()
        assert await mill.state(wide) is JobState.READY
        await large.die()
        await large.register()
        assert await large.lease() == [wide]

    play(story)


def test_what_no_agent_could_ever_run_fails_after_a_grace(play: Play) -> None:
    async def story(mill: Mill) -> None:
        wishes: list[dict[str, object]] = [
            {"cpus": 5},
            {"cpus": 1, "pool": "other"},
            {"cpus": 1, "require": {"site": ("far", "farther")}},
            {"cpus": 3, "nodes": 2},
        ]
        doomed = [await mill.one(fail_unmatched=True, **wish) for wish in wishes]
        patient = await mill.one(cpus=5)
        both = [*doomed, patient]
        assert await mill.states(both) == [JobState.READY] * 5, "no agent is there to compare with"
        agent = await mill.agent(cpus=4)
        await agent.ask()
        mill.clock.go(GRACE - 1)
        await agent.ask()
        assert await mill.states(both) == [JobState.READY] * 5
        mill.clock.go(1)
        await agent.ask()
        assert await mill.states(both) == [JobState.BURIED] * 4 + [JobState.READY]
        late = await mill.one(cpus=5, fail_unmatched=True)
        await agent.ask()
        assert await mill.state(late) is JobState.BURIED

    play(story)


def test_an_agent_that_stays_away_is_not_waited_for(play: Play) -> None:
    async def story(mill: Mill) -> None:
        await mill.agent("large", cpus=16)
        small = await mill.agent("small", cpus=1)
        await mill.lost_agents.node_died("large")
        job = await mill.one(cpus=8, bury_impossible=True)
        await small.ask()
        assert await mill.state(job) is JobState.READY
        mill.clock.go(ABSENCE + 1)
        await small.ask()
        assert await mill.state(job) is JobState.BURIED

    play(story)


def test_an_agent_that_comes_in_time_saves_them(play: Play) -> None:
    async def story(mill: Mill) -> None:
        agent = await mill.agent(cpus=4)
        job = await mill.one(cpus=5, fail_unmatched=True)
        await agent.ask()
        mill.clock.go(GRACE - 1)
        large = await mill.agent("large", cpus=8)
        mill.clock.go(1)
        assert await large.lease() == [job]

    play(story)
