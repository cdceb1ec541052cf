"""Jobs by their end, and current jobs that stay listed after it."""

import pytest

from gristmill.domain.dialect import Dialect
from gristmill.domain.errors import InvalidInputError
from gristmill.domain.state import JobState
from gristmill.protocol.messages import Held
from gristmill.services.queue import recent
from gristmill.services.queue.recent import Recent
from gristmill.services.queue.removal import Removal
from gristmill.services.queue.search import KEPT_LISTED
from gristmill.services.queue.views import JobFilter
from tests.services.conftest import Play
from tests.services.mill import ANN, BEN, Mill, spec

OURS = Dialect.PROMINENCE
CURRENT = JobFilter(owner=ANN.user, dialect=OURS, current=True)


async def _end(mill: Mill, *jobs: int) -> list[int]:
    ended: list[int] = []
    for job in jobs:
        mill.clock.go(1)
        ended += await Removal(mill.core, mill.registry).end_active(ANN, [job], OURS)
    return ended


async def _ended(mill: Mill, limit: int = 2, **wish: object) -> list[int]:
    """Turn every page."""
    reads, found, cursor = Recent(mill.core), [], None
    while True:
        page = await reads.ended(ANN, OURS, limit=limit, cursor=cursor, **wish)  # type: ignore[arg-type]
        assert len(page.jobs) <= limit
        found += [job.row.head.id for job in page.jobs]
        cursor = page.cursor
        if cursor is None:
            return found


async def _current(mill: Mill) -> list[int]:
    page = await mill.listing.page(ANN, CURRENT, limit=100, cursor=None, newest=False)
    return [job.row.head.id for job in page.jobs]


def test_the_latest_end_comes_first(play: Play) -> None:
    async def story(mill: Mill) -> None:
        jobs = await mill.submit(*[spec()] * 5, dialect=OURS)
        await mill.submit(spec(), dialect=OURS, who=BEN)
        native = await mill.one()
        order = [jobs[index] for index in (3, 0, 4, 1)]
        assert await _end(mill, *order) == order
        await mill.cancel(native)
        assert await _ended(mill) == order[::-1]
        assert await _ended(mill, limit=100) == order[::-1]
        assert await _current(mill) == [jobs[2]]

    play(story)


def test_jobs_that_ended_at_the_same_moment_come_once_each(play: Play) -> None:
    async def story(mill: Mill) -> None:
        jobs = await mill.submit(*[spec()] * 7, dialect=OURS)
        await Removal(mill.core, mill.registry).end_active(ANN, jobs, OURS)
        assert await _ended(mill) == jobs[::-1]

    play(story)


@pytest.mark.parametrize("few", [0, 2_000], ids=["many", "few"])
def test_names_and_labels(play: Play, monkeypatch: pytest.MonkeyPatch, few: int) -> None:
    monkeypatch.setattr(recent, "FEW", few)

    async def story(mill: Mill) -> None:
        jobs = await mill.submit(
            *(
                spec(name=f"n{number % 2}", labels={"k": str(number % 3), "all": "1"})
                for number in range(12)
            ),
            dialect=OURS,
        )
        await mill.submit(spec(name="n1", labels={"k": "1", "all": "1"}), dialect=OURS, who=BEN)
        await _end(mill, *jobs)
        assert await _ended(mill, name="n1") == jobs[1::2][::-1]
        assert await _ended(mill, labels=[("k", "2")]) == jobs[2::3][::-1]
        both = [jobs[7], jobs[1]]
        assert await _ended(mill, name="n1", labels=[("all", "1"), ("k", "1")]) == both
        assert await _ended(mill, name="nobody") == []

    play(story)


def test_only_some_dialects_have_the_index(play: Play) -> None:
    async def story(mill: Mill) -> None:
        with pytest.raises(InvalidInputError):
            await Recent(mill.core).ended(ANN, Dialect.NATIVE, limit=1)

    play(story)


def test_what_stays_listed_is_dismissed_once(play: Play) -> None:
    async def story(mill: Mill) -> None:
        kept, plain, active = await mill.submit(
            spec(stays_listed=True), spec(), spec(stays_listed=True), dialect=OURS
        )
        await _end(mill, kept, plain)
        assert await _current(mill) == [kept, active]
        reads = Recent(mill.core)
        assert not await reads.dismiss(BEN, kept)
        assert await reads.dismiss(ANN, kept)
        assert not await reads.dismiss(ANN, kept)
        assert await reads.dismiss(ANN, active)
        assert await _current(mill) == [active]
        await _end(mill, active)
        assert await _current(mill) == []
        assert await _ended(mill) == [active, plain, kept]

    play(story)


def test_nothing_stays_listed_for_ever(play: Play) -> None:
    async def story(mill: Mill) -> None:
        old, active = await mill.submit(spec(stays_listed=True), spec(), dialect=OURS)
        await _end(mill, old)
        mill.clock.go(KEPT_LISTED - 10)
        await mill.housekeeping.tidy()
        assert await _current(mill) == [old, active]
        mill.clock.go(20)
        assert await _current(mill) == [active]
        await mill.housekeeping.tidy()
        assert not await Recent(mill.core).dismiss(ANN, old)

    play(story)


def test_ending_what_is_active_skips_the_rest(play: Play) -> None:
    async def story(mill: Mill) -> None:
        running, ready, buried, done = await mill.submit(*[spec()] * 4, dialect=OURS)
        other = (await mill.submit(spec(), dialect=OURS, who=BEN))[0]
        native = await mill.one()
        agent = await mill.agent(cpus=4)
        await agent.lease()
        await agent.finish(buried, exit_code=1)
        await agent.finish(done)
        await agent.start(running)
        jobs = [running, ready, buried, done, other, native, 10**9]
        ending = Removal(mill.core, mill.registry)
        assert await ending.end_active(ANN, jobs, OURS) == [running, ready]
        assert await ending.end_active(ANN, jobs, OURS) == []
        await agent.ask()
        assert Held(running, 1) in agent.heard.kill
        assert await mill.states([buried, done]) == [JobState.BURIED, JobState.COMPLETE]

    play(story)
