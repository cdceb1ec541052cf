from itertools import pairwise

import pytest

from gristmill.domain.dialect import Dialect
from gristmill.domain.errors import InvalidInputError, NotFoundError
from gristmill.domain.identity import Identity
from gristmill.domain.state import JobState
from gristmill.services.queue import search
from gristmill.services.queue.views import JobFilter
from tests.services.conftest import Play
from tests.services.mill import ANN, BEN, EVERYBODY, Mill, spec

S = JobState


async def walk(
    mill: Mill,
    wanted: JobFilter,
    *,
    who: Identity = EVERYBODY,
    limit: int = 3,
    newest: bool = False,
) -> list[int]:
    """Turn every page; return the ids in the order they came."""
    found: list[int] = []
    cursor: int | None = None
    for _ in range(1_000):
        page = await mill.listing.page(who, wanted, limit=limit, cursor=cursor, newest=newest)
        assert len(page.jobs) <= limit
        found += [job.row.head.id for job in page.jobs]
        if page.cursor is None:
            break
        cursor = page.cursor
    pairs = pairwise(reversed(found) if newest else found)
    assert all(earlier < later for earlier, later in pairs), found
    return found


async def mixture(mill: Mill) -> dict[int, dict[str, object]]:
    """Forty jobs that differ in everything a filter can ask for."""
    known: dict[int, dict[str, object]] = {}
    agent = await mill.agent(cpus=100)
    for number in range(40):
        who = (ANN, BEN)[number % 2]
        dialect = (Dialect.NATIVE, Dialect.WR, Dialect.MLBENCH)[number % 3]
        fields = {
            "group": ("", "g", "h")[number % 3],
            "name": ("", "same", f"n{number}")[number // 2 % 3],
            "labels": {"k": str(number % 4)} if number % 5 else {},
            "key": f"key{number // 4}" if number % 4 == 0 else None,
            "delay": 60.0 if number % 7 == 0 else 0.0,
        }
        (job,) = await mill.submit(spec(**fields), who=who, dialect=dialect)  # type: ignore[arg-type]
        known[job] = {**fields, "owner": who.user, "dialect": dialect}
    await agent.lease()
    held = sorted(agent.holding)
    await agent.start(*held[:20])
    await agent.finish(*held[:5])
    await agent.finish(*held[5:8], exit_code=1)
    await mill.cancel(*held[25:], *[job for job in known if job % 14 == 1])
    for job in known:
        known[job]["state"] = await mill.state(job)
    return known


def test_every_filter_finds_exactly_what_it_should(play: Play) -> None:
    async def story(mill: Mill) -> None:
        known = await mixture(mill)
        filters = [
            JobFilter(),
            JobFilter(states=(S.READY,)),
            JobFilter(states=(S.RUNNING, S.RESERVED)),
            JobFilter(states=(S.COMPLETE, S.BURIED, S.COMPLETE)),
            JobFilter(states=(S.DELAYED, S.CANCELLED), owner="ann"),
            JobFilter(group="g"),
            JobFilter(group=""),
            JobFilter(group="h", states=(S.RUNNING,)),
            JobFilter(group="g", owner="ben"),
            JobFilter(owner="ann"),
            JobFilter(owner="nobody"),
            JobFilter(group="nothing"),
            JobFilter(name="same"),
            JobFilter(name="same", states=(S.COMPLETE,), group="g"),
            JobFilter(key="key3"),
            JobFilter(labels=(("k", "1"),)),
            JobFilter(labels=(("k", "1"), ("k", "2"))),
            JobFilter(labels=(("k", "3"),), dialect=Dialect.WR),
            JobFilter(dialect=Dialect.MLBENCH),
            JobFilter(dialect=Dialect.JOB_RUNNER),
        ]
        for wanted in filters:
            expected = [job for job, about in known.items() if _fits(about, wanted)]
            assert await walk(mill, wanted) == expected, wanted
            assert await walk(mill, wanted, newest=True, limit=7) == expected[::-1], wanted
            mine = [job for job in expected if known[job]["owner"] == "ann"]
            if wanted.owner is None:
                assert await walk(mill, wanted, who=ANN) == mine, wanted

    play(story)


def _fits(about: dict[str, object], wanted: JobFilter) -> bool:
    labels = about["labels"]
    assert isinstance(labels, dict)
    return (
        (not wanted.states or about["state"] in wanted.states)
        and (wanted.dialect is None or about["dialect"] == wanted.dialect)
        and all(labels.get(key) == value for key, value in wanted.labels)
        and all(
            getattr(wanted, field) is None or about[field] == getattr(wanted, field)
            for field in ("group", "owner", "name", "key")
        )
    )


def test_a_filter_on_the_owner_reaches_no_further_than_the_caller(play: Play) -> None:
    async def story(mill: Mill) -> None:
        await mixture(mill)
        assert await walk(mill, JobFilter(owner="ben"), who=ANN) == []
        assert sum((await mill.listing.counts(ANN, None, "ben")).values()) == 0
        assert sum((await mill.listing.counts(ANN, None, None)).values()) == 20
        assert await walk(mill, JobFilter(), who=Identity(user="stranger")) == []

    play(story)


def test_counts_equal_the_lists(play: Play) -> None:
    async def story(mill: Mill) -> None:
        known = await mixture(mill)
        for group in (None, "", "g", "nothing"):
            for owner in (None, "ann", "nobody"):
                counts = await mill.listing.counts(EVERYBODY, group, owner)
                for state in S:
                    wanted = JobFilter(states=(state,), group=group, owner=owner)
                    expected = sum(_fits(about, wanted) for about in known.values())
                    assert counts[state] == expected, (group, owner, state)

    play(story)


def test_jobs_that_come_or_move_while_paging_are_neither_doubled_nor_skipped(play: Play) -> None:
    async def story(mill: Mill) -> None:
        await mill.submit(*[spec() for _ in range(10)])
        agent = await mill.agent(cpus=100)
        seen: list[int] = []
        cursor: int | None = None
        while True:
            page = await mill.listing.page(
                EVERYBODY, JobFilter(), limit=2, cursor=cursor, newest=False
            )
            seen += [job.row.head.id for job in page.jobs]
            cursor = page.cursor
            if cursor is None:
                break
            if len(seen) == 4:
                await agent.lease()
                await agent.finish(2, 5, 9)
                await mill.submit(spec())
        assert seen == list(range(1, 12))

    play(story)


def test_a_sparse_filter_ends_a_page_early_and_goes_on(
    play: Play, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(search, "MOST_SCANNED", 50)

    async def story(mill: Mill) -> None:
        for number in range(300):
            dialect = Dialect.WR if number in {5, 250} else Dialect.NATIVE
            await mill.submit(spec(), dialect=dialect)
        wanted = JobFilter(dialect=Dialect.WR)
        assert await walk(mill, wanted, limit=1) == [6, 251]

    play(story)


@pytest.mark.parametrize("limit", [0, -1, 1_001])
def test_a_page_has_its_limits(play: Play, limit: int) -> None:
    async def story(mill: Mill) -> None:
        with pytest.raises(InvalidInputError) as caught:
            await mill.listing.page(EVERYBODY, JobFilter(), limit=limit, cursor=None, newest=True)
        assert caught.value.field == "limit"

    play(story)


def test_somebody_elses_job_does_not_exist(play: Play) -> None:
    async def story(mill: Mill) -> None:
        (job,) = await mill.submit(spec(group="g", project="p"), who=BEN)
        with pytest.raises(NotFoundError):
            await mill.listing.get(ANN, job)
        with pytest.raises(NotFoundError):
            await mill.listing.get(BEN, job + 1)
        assert (await mill.listing.get(BEN, job)).words == ("ben", "g", "p")

    play(story)
