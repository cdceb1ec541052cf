from gristmill.domain.outcome import CANCELLED_BY_USER, LOST
from gristmill.domain.state import JobState
from gristmill.protocol.messages import Held
from gristmill.services.queue.removal import Removal
from gristmill.services.queue.views import Listed
from tests.services.conftest import Play
from tests.services.mill import ANN, BEN, EVERYBODY, RULES, Mill, spec

S = JobState


def _ids(jobs: list[Listed]) -> list[int]:
    return [job.row.head.id for job in jobs]


async def _exists(mill: Mill, job: int) -> bool:
    return job in await mill.database.read(
        lambda tx: {row[0] for row in tx.all("get_states", ids=tx.array([job]))}
    )


def test_what_does_not_run_is_removed_for_good(play: Play) -> None:
    async def story(mill: Mill) -> None:
        removal = Removal(mill.core, mill.registry)
        buried, reserved, running, ready, delayed, waiting = await mill.submit(
            spec("false"), spec(), spec(), spec(), spec(delay=60), spec(after_groups=["g"])
        )
        await mill.one(dep_groups=["g"])
        agent = await mill.agent(cpus=3)
        await agent.lease()
        await agent.finish(buried, exit_code=1)
        await agent.start(running)
        jobs = [buried, reserved, running, ready, delayed, waiting]
        removed = await removal.remove(EVERYBODY, jobs)
        assert _ids(removed) == [buried, reserved, ready, delayed, waiting]
        assert [await _exists(mill, job) for job in jobs] == [False, False, True] + [False] * 3
        await agent.ask()
        assert Held(reserved, 1) in agent.heard.kill

    play(story)


def test_what_somebody_waits_for_stays_unless_that_goes_too(play: Play) -> None:
    async def story(mill: Mill) -> None:
        removal = Removal(mill.core, mill.registry)
        first = await mill.one()
        second = await mill.one(after=[first], dep_groups=["g"])
        third = await mill.one(after_groups=["g"])
        alone = await mill.one()
        assert _ids(await removal.remove(ANN, [first, alone])) == [alone]
        assert _ids(await removal.remove(ANN, [first, second])) == []
        assert _ids(await removal.remove(ANN, [first, second, third])) == [first, second, third]

    play(story)


def test_only_own_jobs_are_removed(play: Play) -> None:
    async def story(mill: Mill) -> None:
        removal = Removal(mill.core, mill.registry)
        job = await mill.one()
        assert await removal.remove(BEN, [job]) == []
        assert await removal.kill(BEN, [job]) == []
        assert await mill.state(job) is S.READY

    play(story)


def test_a_killed_job_is_buried_when_it_says_so(play: Play) -> None:
    async def story(mill: Mill) -> None:
        removal = Removal(mill.core, mill.registry)
        job = await mill.one(kill_buries=True, retry={"retries": 5})
        agent = await mill.agent()
        await agent.lease()
        await agent.start(job)
        assert _ids(await removal.kill(ANN, [job])) == [job]
        await agent.ask()
        assert agent.heard.kill == [Held(job, 1)]
        await agent.finish(job, exit_code=-15, reason=CANCELLED_BY_USER)
        assert await mill.state(job) is S.BURIED
        assert await mill.why(job) == CANCELLED_BY_USER
        assert _ids(await removal.kill(ANN, [job])) == []

    play(story)


def test_a_lost_job_is_settled_when_somebody_says_it_is_dead(play: Play) -> None:
    async def story(mill: Mill) -> None:
        removal = Removal(mill.core, mill.registry)
        lost, other = await mill.submit(spec(), spec())
        agent = await mill.agent(cpus=1)
        await agent.lease()
        await agent.start(lost)
        await mill.lost_agents.node_died(agent.name)
        assert await mill.states([lost, other]) == [S.LOST, S.READY]
        assert _ids(await removal.confirm_lost(ANN, [lost, other])) == [lost]
        assert await mill.state(lost) is S.BURIED
        assert await mill.why(lost) == LOST

    play(story)


def test_a_lost_job_that_never_began_may_cost_no_retry(play: Play) -> None:
    async def story(mill: Mill) -> None:
        removal = Removal(mill.core, mill.registry)
        job = await mill.one(retry={"retries": 0, "delay": 5, "unstarted_counts": False})
        agent = await mill.agent(cpus=1)
        await agent.lease()
        mill.clock.go(RULES.lost_after + 1)
        await mill.lost_agents.sweep()
        assert await mill.state(job) is S.LOST
        assert _ids(await removal.confirm_lost(ANN, [job])) == [job]
        assert await mill.state(job) is S.DELAYED

    play(story)


def test_forgotten_once_buried(play: Play) -> None:
    async def story(mill: Mill) -> None:
        forget = {"on_failure": [{"forget": True}]}
        retried = await mill.one(hooks=forget, retry={"retries": 1, "delay": 0})
        held = await mill.one(hooks=forget, dep_groups=["g"])
        waiter = await mill.one(after_groups=["g"])
        good = await mill.one(hooks={"on_exit": [{"forget": True}]})
        agent = await mill.agent()
        await agent.lease()
        await agent.finish(good)
        await agent.finish(retried, held, exit_code=1, stdout=b"x" * 10)
        assert await mill.states([retried, held, waiter, good]) == [
            S.READY, S.BURIED, S.WAITING, S.COMPLETE,
        ]  # fmt: skip
        await agent.lease()
        await agent.finish(retried, exit_code=1)
        assert not await _exists(mill, retried)

    play(story)
