import pytest

from gristmill.domain.errors import ConflictError
from gristmill.domain.outcome import BAD_WORKDIR, COULD_NOT_START
from gristmill.domain.state import JobState
from gristmill.protocol.messages import Held, Stream
from tests.services.conftest import Play
from tests.services.mill import ANN, EVERYBODY, FakeAgent, Mill, spec

S = JobState


def test_a_job_starts_runs_and_succeeds(play: Play) -> None:
    async def story(mill: Mill) -> None:
        job = await mill.one()
        agent = await mill.agent()
        await agent.lease()
        assert await mill.why(job) == "an agent has it and will start it next"
        mill.clock.go(2)
        assert await agent.start(job) == []
        assert await mill.state(job) is S.RUNNING
        mill.clock.go(3)
        assert await agent.finish(job) == []
        head = (await mill.listing.get(ANN, job)).row.head
        assert (head.state, head.exit_code, head.reason) == (S.COMPLETE, 0, None)
        assert head.ended_at == mill.clock.wall
        (attempt,) = await mill.listing.attempts(job)
        assert (attempt.number, attempt.pid, attempt.cwd) == (1, 4_000 + job, f"/somewhere/{job}")
        assert (attempt.exit_code, attempt.peak_memory, attempt.cpu_seconds) == (0, 12, 0.5)

    play(story)


def test_a_start_and_an_end_in_one_report(play: Play) -> None:
    async def story(mill: Mill) -> None:
        jobs = await mill.submit(spec(), spec())
        agent = await mill.agent()
        await agent.lease()
        await agent.tell(
            started=[agent.start_of(job) for job in jobs],
            finished=[agent.end_of(1), agent.end_of(2, exit_code=3)],
        )
        assert await mill.states(jobs) == [S.COMPLETE, S.BURIED]

    play(story)


def test_saying_it_twice_changes_nothing(play: Play) -> None:
    async def story(mill: Mill) -> None:
        jobs = await mill.submit(spec(), spec(retry={"retries": 3, "delay": 0}))
        agent = await mill.agent()
        await agent.lease()
        starts = [agent.start_of(job) for job in jobs]
        assert await agent.tell(started=starts) == []
        assert await agent.tell(started=starts) == []
        ends = [agent.end_of(1), agent.end_of(2, exit_code=1)]
        for _ in range(3):
            assert await agent.tell(finished=ends) == []
        head = (await mill.listing.get(ANN, 2)).row.head
        assert (head.state, head.failures, head.retries_left) == (S.READY, 1, 2)
        assert len(await mill.listing.attempts(1)) == 1

    play(story)


def test_reports_about_an_earlier_attempt_change_nothing(play: Play) -> None:
    async def story(mill: Mill) -> None:
        job = await mill.one(retry={"retries": 1, "delay": 0})
        agent = await mill.agent()
        await agent.lease()
        old_start, old_end = agent.start_of(job), agent.end_of(job)
        await agent.finish(job, exit_code=1)
        assert await agent.lease() == [job]
        stale = await agent.tell(started=[old_start], finished=[old_end])
        assert stale == [Held(job, 1)]
        assert await mill.state(job) is S.RESERVED
        assert agent.holding[job].attempt == 2

    play(story)


def test_reports_of_an_agent_that_does_not_hold_the_job_change_nothing(play: Play) -> None:
    async def story(mill: Mill) -> None:
        job = await mill.one()
        agent, thief = await mill.agent("a"), await mill.agent("b")
        await agent.lease()
        thief.holding = dict(agent.holding)
        assert await thief.start(job) == [Held(job, 1)]
        assert await thief.finish(job) == []
        assert await mill.state(job) is S.RESERVED
        assert await thief.tell(returned=[Held(job, 1)], started=[]) == []
        assert await mill.state(job) is S.RESERVED

    play(story)


def test_an_agent_nobody_knows_must_register(play: Play) -> None:
    async def story(mill: Mill) -> None:
        await mill.one()
        agent = await mill.agent()
        await agent.lease()
        agent.lives += 1
        with pytest.raises(ConflictError, match="register again"):
            await agent.start(1)
        with pytest.raises(ConflictError, match="register again"):
            await agent.lease()
        assert await mill.state(1) is S.RESERVED

    play(story)


def test_a_failure_is_retried_after_growing_pauses_then_buried(play: Play) -> None:
    async def story(mill: Mill) -> None:
        policy = {"retries": 3, "delay": 10, "factor": 3, "max_delay": 50}
        job = await mill.one(retry=policy)
        agent = await mill.agent()
        for pause in (10, 30, 50):
            assert await agent.lease() == [job]
            await agent.start(job)
            await agent.finish(job, exit_code=7)
            assert await mill.state(job) is S.DELAYED
            assert await mill.why(job) == "waits for its time after: command exited non-zero"
            assert await mill.after(pause - 0.5) == mill.clock.wall + 0.5
            assert await agent.lease() == []
            await mill.after(0.5)
        assert await agent.work(exit_code=7) == [job]
        head = (await mill.listing.get(ANN, job)).row.head
        assert (head.state, head.exit_code, head.failures) == (S.BURIED, 7, 4)
        assert [view.exit_code for view in await mill.listing.attempts(job)] == [7] * 4

    play(story)


@pytest.mark.parametrize(
    ("exit_code", "reason"),
    [(127, "x"), (3, "x"), (1, BAD_WORKDIR)],
    ids=["not found", "listed", "no folder"],
)
def test_some_failures_are_final_at_once(play: Play, exit_code: int, reason: str) -> None:
    async def story(mill: Mill) -> None:
        job = await mill.one(retry={"retries": 5, "fatal_exit_codes": [3, 127]})
        agent = await mill.agent()
        await agent.lease()
        await agent.finish(job, exit_code=exit_code, reason=reason)
        assert await mill.state(job) is S.BURIED
        assert await mill.why(job) == reason

    play(story)


def test_what_never_had_a_process_is_judged_too(play: Play) -> None:
    async def story(mill: Mill) -> None:
        job = await mill.one(retry={"retries": 1, "delay": 0})
        agent = await mill.agent()
        for state in (S.READY, S.BURIED):
            await agent.lease()
            await _never_start(agent, job)
            assert await mill.state(job) is state

    play(story)


def test_what_never_had_a_process_may_cost_no_retry(play: Play) -> None:
    async def story(mill: Mill) -> None:
        job = await mill.one(retry={"retries": 1, "delay": 5, "unstarted_counts": False})
        agent = await mill.agent()
        for _ in range(3):
            await agent.lease()
            await _never_start(agent, job)
            assert await mill.state(job) is S.DELAYED
            await mill.after(100)
        for state in (S.DELAYED, S.BURIED):
            await agent.lease()
            await agent.start(job)
            await agent.finish(job, exit_code=1)
            assert await mill.state(job) is state
            await mill.after(1000)

    play(story)


async def _never_start(agent: FakeAgent, job: int) -> None:
    end = agent.end_of(job, exit_code=None, reason=COULD_NOT_START)
    end = end.__class__(
        end.job, end.attempt, end.rank, end.shape, False, None, end.reason, None,
        end.ended_at, 0, "", 0, 0.0, [],
    )  # fmt: skip
    agent.holding.clear()
    await agent.tell(finished=[end])


def test_a_returned_lease_is_ready_again_and_costs_no_retry(play: Play) -> None:
    async def story(mill: Mill) -> None:
        job = await mill.one()
        agent = await mill.agent()
        await agent.lease()
        await agent.give_back(job)
        head = (await mill.listing.get(ANN, job)).row.head
        assert (head.state, head.failures, head.agent_id) == (S.READY, 0, None)
        assert await agent.lease() == [job]
        assert agent.holding[job].attempt == 2

    play(story)


def test_small_output_is_stored_and_read_by_offset(play: Play) -> None:
    async def story(mill: Mill) -> None:
        job = await mill.one(retry={"retries": 1, "delay": 0})
        agent = await mill.agent()
        for text in (b"first\x00\xff", b"second"):
            await agent.lease()
            await agent.finish(job, exit_code=1, stdout=text)
        read = mill.outputs.read
        assert (await read(ANN, job, Stream.STDOUT)) == (b"second", 6, True)
        assert (await read(ANN, job, Stream.STDOUT, attempt=1)).data == b"first\x00\xff"
        part = await read(ANN, job, Stream.STDOUT, offset=2, limit=3)
        assert (part.data, part.next_offset, part.ended) == (b"con", 5, False)
        assert (await read(ANN, job, Stream.STDOUT, offset=60)).data == b""
        assert (await read(ANN, job, Stream.STDERR)).data == b""
        assert await mill.listing.output_sizes(job) == {(1, 0, 1): 7, (2, 0, 1): 6}

    play(story)


def test_events_tell_every_change_in_order(play: Play) -> None:
    async def story(mill: Mill) -> None:
        before = await mill.events.last()
        job = await mill.one()
        agent = await mill.agent()
        await agent.work()
        kinds = []
        async for event in mill.events.stream(EVERYBODY, before, job=job, kind="job.", idle=0.0):
            if event is None:
                break
            kinds.append(event.kind)
        assert kinds == ["job.ready", "job.reserved", "job.running", "job.complete"]

    play(story)
