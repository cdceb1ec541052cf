import pytest

from gristmill.domain.errors import ConflictError, NotFoundError
from gristmill.domain.outcome import CANCELLED_BY_USER
from gristmill.domain.state import JobState
from gristmill.protocol.messages import Held
from tests.services.conftest import Play
from tests.services.mill import ANN, BEN, Mill, spec

S = JobState


def test_what_nobody_holds_is_cancelled_at_once(play: Play) -> None:
    async def story(mill: Mill) -> None:
        ready, delayed, waiting, buried = await mill.submit(
            spec(), spec(delay=60), spec(after_groups=["none"], mutex="m"), spec("false")
        )
        blocked = await mill.one(after=[ready])
        agent = await mill.agent(cpus=3)
        await agent.lease()
        await agent.finish(buried, exit_code=1)
        await agent.give_back(ready, waiting)
        jobs = [ready, delayed, waiting, buried, blocked]
        assert await mill.states(jobs) == [S.READY, S.DELAYED, S.READY, S.BURIED, S.WAITING]
        changed = await mill.cancel(*jobs)
        assert (changed.ids, changed.unchanged) == (jobs, {})
        assert await mill.states(jobs) == [S.CANCELLED] * 5
        assert await mill.why(ready) == CANCELLED_BY_USER
        again = await mill.cancel(*jobs)
        assert (again.ids, again.unchanged) == ([], dict.fromkeys(jobs, S.CANCELLED))
        assert await agent.lease() == []
        assert agent.heard.kill == []

    play(story)


@pytest.mark.parametrize("running", [False, True], ids=["reserved", "running"])
def test_what_an_agent_holds_is_ended_by_it(play: Play, *, running: bool) -> None:
    async def story(mill: Mill) -> None:
        job = await mill.one(retry={"retries": 5})
        agent = await mill.agent()
        await agent.lease()
        if running:
            await agent.start(job)
        assert (await mill.cancel(job)).ids == [job]
        assert await mill.state(job) is (S.RUNNING if running else S.RESERVED)
        await agent.ask()
        assert agent.heard.kill == [Held(job, 1)]
        await agent.finish(job, exit_code=-15, reason="killed")
        assert await mill.state(job) is S.CANCELLED
        assert await mill.why(job) == CANCELLED_BY_USER

    play(story)


def test_success_just_before_the_kill_counts(play: Play) -> None:
    async def story(mill: Mill) -> None:
        job = await mill.one()
        agent = await mill.agent()
        await agent.lease()
        await mill.cancel(job)
        await agent.finish(job)
        assert await mill.state(job) is S.COMPLETE
        assert (await mill.cancel(job)).unchanged == {job: S.COMPLETE}

    play(story)


def test_a_cancelled_lease_that_comes_back_does_not_run(play: Play) -> None:
    async def story(mill: Mill) -> None:
        job = await mill.one()
        agent = await mill.agent()
        await agent.lease()
        await mill.cancel(job)
        await agent.give_back(job)
        assert await mill.state(job) is S.CANCELLED
        assert await agent.lease() == []
        await mill.retry(job)
        assert await agent.work() == [job]

    play(story)


def test_a_lost_job_is_cancelled_and_its_agent_told_when_it_is_back(play: Play) -> None:
    async def story(mill: Mill) -> None:
        job = await mill.one()
        agent = await mill.agent()
        await agent.lease()
        await agent.start(job)
        mill.clock.go(61)
        await mill.lost_agents.sweep()
        assert await mill.state(job) is S.LOST
        await mill.cancel(job)
        assert await mill.state(job) is S.CANCELLED
        assert await agent.register() == [Held(job, 1)]

    play(story)


def test_a_cancel_reaches_an_agent_that_was_away(play: Play) -> None:
    async def story(mill: Mill) -> None:
        job = await mill.one()
        agent = await mill.agent()
        await agent.lease()
        await agent.start(job)
        mill.registry.remove(agent.number)
        await mill.cancel(job)
        assert await agent.register() == []
        await agent.ask()
        assert agent.heard.kill == [Held(job, 1)]

    play(story)


def test_retry_gives_a_fresh_budget(play: Play) -> None:
    async def story(mill: Mill) -> None:
        job = await mill.one(retry={"retries": 1, "delay": 0})
        agent = await mill.agent()
        for _ in range(2):
            assert await agent.work(exit_code=1) == [job, job]
            assert await mill.state(job) is S.BURIED
            assert (await mill.retry(job)).ids == [job]
        assert [view.number for view in await mill.listing.attempts(job)] == [1, 2, 3, 4]

    play(story)


def test_retry_brings_a_pausing_job_forward_and_leaves_active_ones(play: Play) -> None:
    async def story(mill: Mill) -> None:
        pausing, ready = await mill.submit(spec(delay=600), spec())
        done = await mill.retry(pausing, ready)
        assert (done.ids, done.unchanged) == ([pausing], {ready: S.READY})
        assert await (await mill.agent()).lease() == [pausing, ready]
        assert (await mill.retry(pausing)).unchanged == {pausing: S.RESERVED}

    play(story)


def test_nobody_touches_what_is_not_theirs(play: Play) -> None:
    async def story(mill: Mill) -> None:
        await mill.submit(spec(), who=ANN)
        await mill.submit(spec(), who=BEN)
        for act in (mill.control.cancel, mill.control.retry):
            with pytest.raises(NotFoundError, match="no job 1"):
                await act(BEN, [2, 1])
            with pytest.raises(NotFoundError, match="no job 9"):
                await act(BEN, [9])
        with pytest.raises(NotFoundError):
            await mill.control.forget(BEN, 1)
        assert await mill.states([1, 2]) == [S.READY, S.READY]

    play(story)


def test_forgetting_removes_every_trace(play: Play) -> None:
    async def story(mill: Mill) -> None:
        agent = await mill.agent()
        done, buried = await mill.submit(
            spec(dep_groups=["g"], labels={"a": "b"}, mutex="m"), spec(dep_groups=["g"])
        )
        waiter = await mill.one(after_groups=["g"])
        await agent.lease()
        await agent.finish(done, stdout=b"x")
        with pytest.raises(ConflictError, match=f"job {buried} is reserved"):
            await mill.control.forget(ANN, buried)
        await agent.finish(buried, exit_code=1)
        await mill.control.forget(ANN, done)
        assert await mill.state(waiter) is S.WAITING
        await mill.control.forget(ANN, buried)
        assert await mill.state(waiter) is S.READY, "a forgotten failure is in nobody's way"
        for job in (done, buried):
            with pytest.raises(NotFoundError):
                await mill.state(job)
        assert await mill.listing.attempts(done) == []
        assert await mill.listing.output_sizes(done) == {}
        assert await mill.one() == 4

    play(story)


def test_a_key_is_not_revived_beside_another_that_lives(play: Play) -> None:
    async def story(mill: Mill) -> None:
        first = await mill.one(key="k")
        await mill.cancel(first)
        second = await mill.one(key="k")
        with pytest.raises(ConflictError, match=f"job {second} stands for the same key 'k'"):
            await mill.retry(first)
        assert await mill.state(first) is JobState.CANCELLED
        await mill.cancel(second)
        with pytest.raises(ConflictError, match="same key"):
            await mill.retry(first, second)
        assert await mill.states([first, second]) == [JobState.CANCELLED] * 2
        (bens,) = await mill.submit(spec(key="k"), who=BEN)
        assert (await mill.retry(first)).ids == [first]
        assert await mill.states([first, bens]) == [JobState.READY] * 2

    play(story)
