import asyncio

import pytest

from gristmill.domain.errors import ConflictError, NotFoundError
from gristmill.domain.outcome import AGENT_DIED, LOST
from gristmill.domain.resources import node
from gristmill.domain.state import JobState
from gristmill.protocol.messages import Held, LeaseRequest, Register
from tests.services.conftest import Play
from tests.services.mill import EVERYBODY, RULES, Mill, spec

S = JobState
SILENT = RULES.lost_after + 1


def test_another_protocol_is_refused(play: Play) -> None:
    async def story(mill: Mill) -> None:
        with pytest.raises(ConflictError, match="protocol 99"):
            await mill.agents.register(
                Register(99, "n", "i", "h", "a", "b", 1, 1.0, True, node(1, 1, 1, 1), {}, [], [],
                         [], [], [])
            )  # fmt: skip

    play(story)


def test_a_silent_agent_loses_its_jobs_and_finds_them_again(play: Play) -> None:
    async def story(mill: Mill) -> None:
        started, queued = await mill.submit(spec(), spec())
        agent = await mill.agent()
        await agent.lease()
        await agent.start(started)
        mill.clock.go(RULES.lost_after - 1)
        await mill.lost_agents.sweep()
        assert await mill.states([started, queued]) == [S.RUNNING, S.RESERVED]
        mill.clock.go(2)
        await mill.lost_agents.sweep()
        assert await mill.states([started, queued]) == [S.LOST, S.LOST]
        assert await mill.why(started) == LOST
        with pytest.raises(ConflictError):
            await agent.lease()
        assert await agent.register() == []
        assert await mill.states([started, queued]) == [S.RUNNING, S.RESERVED]
        await agent.start(queued)
        await agent.finish(started, queued)
        head = (await mill.listing.get(EVERYBODY, started)).row.head
        assert (head.state, head.reason) == (S.COMPLETE, None)

    play(story)


def test_a_lost_job_is_judged_when_its_agent_must_have_ended_it(play: Play) -> None:
    async def story(mill: Mill) -> None:
        await mill.submit(spec(retry={"retries": 1, "delay": 0}), spec())
        agent = await mill.agent()
        await agent.lease()
        await agent.start(1, 2)
        mill.clock.go(SILENT)
        await mill.lost_agents.sweep()
        mill.clock.go(RULES.fence_after - 5)
        await mill.lost_agents.sweep()
        assert await mill.states([1, 2]) == [S.LOST, S.LOST]
        mill.clock.go(10)
        await mill.lost_agents.sweep()
        assert await mill.states([1, 2]) == [S.READY, S.BURIED]
        assert await mill.why(2) == AGENT_DIED
        other = await mill.agent("n2")
        assert await other.lease() == [1]
        assert await agent.register() == [Held(1, 1), Held(2, 1)]
        await other.finish(1)
        assert await mill.state(1) is S.COMPLETE

    play(story)


def test_what_a_silent_agent_may_have_begun_runs_nowhere_else_before_the_fence(play: Play) -> None:
    async def story(mill: Mill) -> None:
        await mill.submit(spec(), spec())
        agent, other = await mill.agent(), await mill.agent("n2")
        await agent.lease()
        mill.clock.go(SILENT)
        await other.ask()
        await mill.lost_agents.sweep()
        assert await other.lease() == [], "the start may only not have been heard of"
        await agent.register()
        await agent.give_back(1)
        assert await other.lease() == [1]
        mill.clock.go(SILENT + RULES.fence_after)
        await other.ask()
        await mill.lost_agents.sweep()
        head = (await mill.listing.get(EVERYBODY, 2)).row.head
        assert (head.state, head.failures, head.reason) == (S.READY, 0, None)
        assert await other.lease() == [2]

    play(story)


def test_an_end_reported_by_an_agent_that_was_lost_counts(play: Play) -> None:
    async def story(mill: Mill) -> None:
        agent = await mill.agent()
        await mill.submit(spec(), spec())
        await agent.lease()
        await agent.start(1, 2)
        mill.clock.go(SILENT)
        await mill.lost_agents.sweep()
        ends = [agent.end_of(1), agent.end_of(2, exit_code=5)]
        ended = agent.held
        agent.holding.clear()
        await agent.register(ended=ended)
        assert await mill.states([1, 2]) == [S.LOST, S.LOST]
        await agent.tell(finished=ends)
        assert await mill.states([1, 2]) == [S.COMPLETE, S.BURIED]

    play(story)


def test_a_new_life_of_an_agent_settles_what_the_old_one_held(play: Play) -> None:
    async def story(mill: Mill) -> None:
        await mill.submit(spec(), spec(), spec(retry={"retries": 1, "delay": 0}), spec())
        agent = await mill.agent()
        await agent.lease()
        await agent.start(2, 3, 4)
        journaled = Held(4, 1)
        end = agent.end_of(4)
        await agent.die()
        await agent.register(ended=[journaled])
        assert await mill.states([1, 2, 3, 4]) == [S.READY, S.BURIED, S.READY, S.RUNNING]
        await agent.tell(finished=[end])
        assert await mill.state(4) is S.COMPLETE
        assert await agent.work() == [1, 3]

    play(story)


def test_a_dead_node_is_settled_by_its_next_agent_or_by_time(play: Play) -> None:
    async def story(mill: Mill) -> None:
        await mill.submit(spec(), spec())
        agent = await mill.agent()
        await agent.lease()
        await agent.start(1)
        await mill.lost_agents.node_died("n1")
        assert await mill.states([1, 2]) == [S.LOST, S.RESERVED]
        mill.clock.go(SILENT)
        await mill.lost_agents.sweep()
        assert await mill.states([1, 2]) == [S.BURIED, S.READY]
        await mill.lost_agents.sweep()

    play(story)


def test_a_dead_node_whose_agent_returns_with_a_journal(play: Play) -> None:
    async def story(mill: Mill) -> None:
        await mill.submit(spec(), spec())
        agent = await mill.agent()
        await agent.lease()
        await agent.start(1, 2)
        end = agent.end_of(1)
        await mill.lost_agents.node_died("n1")
        await agent.die()
        await agent.register(ended=[Held(1, 1)])
        await agent.tell(finished=[end])
        assert await mill.states([1, 2]) == [S.COMPLETE, S.BURIED]
        mill.clock.go(SILENT)
        await agent.ask()
        await mill.lost_agents.sweep()
        assert mill.registry.find(agent.number) is not None

    play(story)


def test_what_a_restarted_server_finds(play: Play) -> None:
    async def story(mill: Mill) -> None:
        await mill.submit(spec(), spec(), spec())
        agent = await mill.agent(cpus=2)
        await agent.lease()
        await agent.start(1)
        again = Mill(mill.database, mill.clock, mill.folder)
        await again.open()
        agent.mill = again
        with pytest.raises(ConflictError):
            await agent.start(2)
        assert await agent.register() == []
        await agent.start(2)
        await agent.finish(1, 2)
        assert await agent.lease() == [3]
        assert await again.states([1, 2, 3]) == [S.COMPLETE, S.COMPLETE, S.RESERVED]

    play(story)


def test_after_a_restart_silent_agents_get_the_full_limit(play: Play) -> None:
    async def story(mill: Mill) -> None:
        await mill.submit(spec())
        agent = await mill.agent()
        await agent.lease()
        await agent.start(1)
        mill.clock.go(10_000)
        again = Mill(mill.database, mill.clock, mill.folder)
        await again.open()
        await again.lost_agents.sweep()
        assert await again.state(1) is S.RUNNING
        mill.clock.go(SILENT)
        await again.lost_agents.sweep()
        assert await again.state(1) is S.LOST

    play(story)


def test_an_agent_that_comes_back_during_the_sweep_keeps_its_jobs(play: Play) -> None:
    async def story(mill: Mill) -> None:
        agents = [await mill.agent(f"n{n}", cpus=2) for n in range(3)]
        await mill.submit(*[spec() for _ in range(6)])
        for agent in agents:
            first, _ = await agent.lease()
            await agent.start(first)
        mill.clock.go(SILENT)
        sweep = asyncio.create_task(mill.lost_agents.sweep())
        await asyncio.sleep(0)
        dropped = await asyncio.gather(*[agent.register() for agent in agents])
        await sweep
        for agent, gone in zip(agents, dropped, strict=True):
            for held in agent.held:
                assert await mill.state(held.job) in {S.RUNNING, S.RESERVED}, (held, gone)

    play(story)


def test_a_wall_clock_that_jumps_loses_nobody(play: Play) -> None:
    async def story(mill: Mill) -> None:
        await mill.submit(spec())
        agent = await mill.agent()
        await agent.lease()
        await agent.start(1)
        for jump in (10 * 86_400.0, -20 * 86_400.0):
            mill.clock.wall += jump
            await mill.lost_agents.sweep()
            assert await mill.state(1) is S.RUNNING
        await agent.finish(1)
        assert await mill.state(1) is S.COMPLETE

    play(story)


def test_work_that_comes_as_a_request_ends_is_not_lost(play: Play) -> None:
    async def story(mill: Mill) -> None:
        agent = await mill.agent()
        await mill.submit(spec())
        request = LeaseRequest(agent.number, agent.instance, 1, agent.free, {}, 30.0)
        asking = asyncio.create_task(mill.agents.lease(request))
        await asyncio.sleep(0)
        leasing = asyncio.create_task(mill.dispatcher.round())
        await asyncio.sleep(0)
        asking.cancel()
        with pytest.raises(asyncio.CancelledError):
            await asking
        await leasing
        assert await mill.state(1) is S.RESERVED
        assert await agent.lease() == [1]

    play(story)


def test_leases_for_an_agent_that_registered_anew_go_back(play: Play) -> None:
    async def story(mill: Mill) -> None:
        agent = await mill.agent()
        await mill.submit(spec())
        request = LeaseRequest(agent.number, agent.instance, 1, agent.free, {}, 30.0)
        asking = asyncio.create_task(mill.agents.lease(request))
        await asyncio.sleep(0)
        leasing = asyncio.create_task(mill.dispatcher.round())
        await agent.register()
        await asyncio.gather(asking, leasing)
        leased = (await asking).leases
        assert leased == []
        assert await mill.state(1) is S.READY
        agent.requests += 1
        assert await agent.lease() == [1]

    play(story)


def test_the_agents_are_listed_with_what_they_hold(play: Play) -> None:
    async def story(mill: Mill) -> None:
        agent = await mill.agent()
        await mill.agent("n2")
        await mill.submit(spec(), spec())
        await agent.lease()
        mill.clock.go(5)
        first, second = await mill.agents.overview()
        assert (first.row.node, first.held, first.row.state) == ("n1", 2, "online")
        assert mill.clock.wall - second.seen == pytest.approx(5)
        mill.clock.go(SILENT)
        await mill.lost_agents.sweep()
        assert [view.row.state for view in await mill.agents.overview()] == ["lost", "lost"]
        assert all(view.live is None for view in await mill.agents.overview())
        assert await mill.agents.hostnames() == {1: "n1.host", 2: "n2.host"}

    play(story)


def test_draining_needs_an_agent_that_is_there(play: Play) -> None:
    async def story(mill: Mill) -> None:
        with pytest.raises(NotFoundError):
            await mill.agents.set_draining(7, draining=True)
        agent = await mill.agent()
        await mill.lost_agents.node_died("n1")
        with pytest.raises(ConflictError, match="is lost"):
            await mill.agents.set_draining(agent.number, draining=True)

    play(story)
