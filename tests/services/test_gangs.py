from gristmill.domain.outcome import AGENT_DIED, GANG_MEMBER_FAILED, NON_ZERO_EXIT
from gristmill.domain.state import JobState
from gristmill.protocol.messages import Held
from tests.services.conftest import Play
from tests.services.mill import EVERYBODY, RULES, FakeAgent, Mill, spec

S = JobState
SILENT = RULES.lost_after + 1


async def pair(mill: Mill, **fields: object) -> tuple[int, FakeAgent, FakeAgent]:
    """A gang of two, leased to two agents: the first has rank 0."""
    (job,) = await mill.submit(spec(nodes=2, cpus=2, **fields))  # type: ignore[arg-type]
    agents = [await mill.agent(name, cpus=2) for name in ("a", "b")]
    await mill.ask(*agents)
    agents.sort(key=lambda agent: agent.holding[job].rank)
    return job, agents[0], agents[1]


def test_all_members_or_none(play: Play) -> None:
    async def story(mill: Mill) -> None:
        job = (await mill.submit(spec(nodes=3, cpus=2)))[0]
        agents = [await mill.agent(name, cpus=2) for name in "ab"]
        await mill.ask(*agents)
        assert [agent.holding for agent in agents] == [{}, {}]
        assert await mill.state(job) is S.READY
        agents.append(await mill.agent("c", cpus=2))
        await mill.ask(*agents)
        leases = [agent.holding[job] for agent in agents]
        assert sorted(lease.rank for lease in leases) == [0, 1, 2]
        places = [lease.gang for lease in leases]
        assert places[0] is not None
        assert places == [places[0]] * 3
        assert places[0].size == 3
        assert sorted(places[0].hosts) == ["a", "b", "c"]

    play(story)


def test_one_large_agent_may_have_several_members(play: Play) -> None:
    async def story(mill: Mill) -> None:
        job = (await mill.submit(spec(nodes=2, cpus=2)))[0]
        agent = await mill.agent(cpus=4)
        reply = await agent.ask()
        assert [(lease.job, lease.rank) for lease in reply.leases] == [(job, 0), (job, 1)]
        ends = []
        for lease in reply.leases:
            agent.holding[job] = lease
            ends.append(agent.end_of(job))
        await agent.tell(finished=ends[:1])
        assert await mill.state(job) is S.RESERVED
        await agent.tell(finished=ends[1:])
        assert await mill.state(job) is S.COMPLETE

    play(story)


def test_a_gang_succeeds_when_its_last_member_has(play: Play) -> None:
    async def story(mill: Mill) -> None:
        job, a, b = await pair(mill)
        await b.start(job)
        assert await mill.state(job) is S.RUNNING
        await a.start(job)
        again, end = b.start_of(job), b.end_of(job)
        await b.finish(job)
        assert await mill.state(job) is S.RUNNING
        await b.tell(started=[again], finished=[end])
        assert await mill.state(job) is S.RUNNING, "the same end twice is one end"
        await a.finish(job)
        assert await mill.state(job) is S.COMPLETE
        views = await mill.listing.attempts(job)
        assert [(view.rank, view.exit_code) for view in views] == [(0, 0), (1, 0)]

    play(story)


def test_one_failure_ends_the_others(play: Play) -> None:
    async def story(mill: Mill) -> None:
        job, a, b = await pair(mill, retry={"retries": 1, "delay": 0})
        await a.start(job)
        await b.start(job)
        await b.finish(job, exit_code=9)
        assert await mill.state(job) is S.RUNNING
        await a.ask()
        assert a.heard.kill == [Held(job, 1, 0)]
        await a.finish(job, exit_code=-15, reason="cancelled by user")
        head = (await mill.listing.get(EVERYBODY, job)).row.head
        assert (head.state, head.exit_code, head.reason) == (S.READY, 9, NON_ZERO_EXIT)
        await mill.ask(a, b)
        assert {a.holding[job].attempt, b.holding[job].attempt} == {2}

    play(story)


def test_a_success_after_a_failure_does_not_save_the_gang(play: Play) -> None:
    async def story(mill: Mill) -> None:
        job, a, b = await pair(mill)
        await a.start(job)
        await a.finish(job, exit_code=2)
        await b.finish(job)
        assert await mill.state(job) is S.BURIED

    play(story)


def test_a_member_that_is_returned_frees_all(play: Play) -> None:
    async def story(mill: Mill) -> None:
        job, a, b = await pair(mill)
        await a.give_back(job)
        assert await mill.state(job) is S.READY
        await mill.agents.set_draining(b.number, draining=True)
        await b.ask()
        assert b.heard.kill == [Held(job, 1, 1)]
        assert await b.start(job) == [Held(job, 1, 1)]

    play(story)


def test_a_running_gang_cannot_do_without_a_returned_member(play: Play) -> None:
    async def story(mill: Mill) -> None:
        job, a, b = await pair(mill)
        await a.start(job)
        await b.give_back(job)
        await a.ask()
        assert a.heard.kill == [Held(job, 1, 0)]
        await a.finish(job, exit_code=-15)
        assert await mill.state(job) is S.BURIED
        assert await mill.why(job) == GANG_MEMBER_FAILED

    play(story)


def test_a_gang_is_cancelled_on_every_node(play: Play) -> None:
    async def story(mill: Mill) -> None:
        job, a, b = await pair(mill)
        await a.start(job)
        await mill.cancel(job)
        await a.ask()
        await b.ask()
        assert a.heard.kill + b.heard.kill == [Held(job, 1, 0), Held(job, 1, 1)]
        await a.finish(job, exit_code=-15)
        await b.finish(job, exit_code=None)
        assert await mill.state(job) is S.CANCELLED

    play(story)


def test_a_lost_member_is_waited_for(play: Play) -> None:
    async def story(mill: Mill) -> None:
        job, a, b = await pair(mill)
        await a.start(job)
        await b.start(job)
        mill.clock.go(SILENT)
        await a.ask()
        await mill.lost_agents.sweep()
        assert await mill.state(job) is S.LOST
        assert await b.register() == []
        assert await mill.state(job) is S.RUNNING
        await a.finish(job)
        await b.finish(job)
        assert await mill.state(job) is S.COMPLETE

    play(story)


def test_a_failure_while_another_member_is_lost_is_not_forgotten(play: Play) -> None:
    async def story(mill: Mill) -> None:
        job, a, b = await pair(mill)
        await a.start(job)
        await b.start(job)
        mill.clock.go(SILENT)
        await a.ask()
        await mill.lost_agents.sweep()
        await a.finish(job, exit_code=4)
        await b.register()
        await b.ask()
        assert b.heard.kill == [Held(job, 1, 1)]
        await b.finish(job)
        head = (await mill.listing.get(EVERYBODY, job)).row.head
        assert (head.state, head.exit_code) == (S.BURIED, 4)

    play(story)


def test_the_death_of_one_node_ends_the_gang(play: Play) -> None:
    async def story(mill: Mill) -> None:
        job, a, b = await pair(mill)
        await a.start(job)
        await b.start(job)
        await mill.lost_agents.node_died("b")
        mill.clock.go(SILENT)
        await a.ask()
        await mill.lost_agents.sweep()
        assert await mill.why(job) == AGENT_DIED
        await a.ask()
        assert a.heard.kill == [Held(job, 1, 0)]
        assert await a.finish(job) == []
        assert await mill.state(job) is S.BURIED

    play(story)


def test_a_cancelled_lost_gang_leaves_nothing_that_haunts_its_retry(play: Play) -> None:
    async def story(mill: Mill) -> None:
        job, a, b = await pair(mill)
        await a.start(job)
        mill.clock.go(SILENT)
        await mill.lost_agents.sweep()
        await mill.cancel(job)
        await mill.retry(job)
        others = [await mill.agent(name, cpus=2) for name in ("c", "d")]
        await mill.ask(*others)
        for agent in others:
            await agent.start(job)
        assert await b.register() == [Held(job, 1, 1)]
        assert await a.register() == [Held(job, 1, 0)]
        assert await mill.state(job) is S.RUNNING

    play(story)
