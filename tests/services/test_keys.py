from typing import Any

from gristmill.domain.state import JobState
from gristmill.services.queue.submit import Submission
from gristmill.services.queue.views import JobFilter
from tests.services.conftest import Play
from tests.services.mill import ANN, Mill, spec

S = JobState


async def _add(mill: Mill, *keys: str, rerun: bool = False, group: str = "") -> list[int]:
    specs = [spec(key=key, group=group) for key in keys]
    done = await mill.submitter.submit(Submission(specs, ANN.user, rerun=[rerun] * len(specs)))
    return done.ids


async def _complete(mill: Mill, *jobs: int) -> None:
    agent = await mill.agent()
    await agent.lease()
    for job in jobs:
        await agent.finish(job)


def test_a_key_stands_for_work_that_is_not_done_again(play: Play) -> None:
    async def story(mill: Mill) -> None:
        one, two = await _add(mill, "a", "b")
        assert await _add(mill, "b", "a", "a") == [two, one, one]
        await _complete(mill, one, two)
        assert await _add(mill, "a", "c", "a") == [0, one + 6, 0]

    play(story)


def test_complete_work_is_done_again_where_that_is_asked_for(play: Play) -> None:
    async def story(mill: Mill) -> None:
        (first,) = await _add(mill, "a")
        await _complete(mill, first)
        (second,) = await _add(mill, "a", rerun=True)
        assert second > first
        assert await mill.state(second) is S.READY
        page = await mill.listing.page(ANN, JobFilter(key="a"), limit=10, cursor=None, newest=True)
        assert [job.row.head.id for job in page.jobs] == [second]
        assert await _add(mill, "a", rerun=True) == [second]

    play(story)


def test_a_buried_job_still_has_its_key(play: Play) -> None:
    async def story(mill: Mill) -> None:
        (job,) = await _add(mill, "a")
        agent = await mill.agent()
        await agent.lease()
        await agent.finish(job, exit_code=1)
        assert await mill.state(job) is S.BURIED
        assert await _add(mill, "a", rerun=True) == [job]
        assert await mill.state(job) is S.BURIED

    play(story)


def test_known_work_is_found_under_both_groups(play: Play) -> None:
    async def story(mill: Mill) -> None:
        (job,) = await _add(mill, "a", group="first")
        assert await _add(mill, "a", group="second") == [job]
        for group in ("first", "second"):
            for newest in (False, True):
                page = await mill.listing.page(
                    ANN, JobFilter(group=group), limit=10, cursor=None, newest=newest
                )
                assert [found.row.head.id for found in page.jobs] == [job]

    play(story)


def test_work_that_is_being_done_anew_is_not_woken_up_as_well(play: Play) -> None:
    async def story(mill: Mill) -> None:
        async def add(**fields: Any) -> int:
            (job,) = await mill.submit(spec(**fields))
            return job

        old = await add(key="a", after_groups=("g",))
        older = await add(key="b", after_groups=("g",))
        await _complete(mill, old, older)
        new = await add(key="a")
        parent = await add(dep_groups=("g",))
        assert [await mill.state(job) for job in (old, older, new, parent)] == [
            S.COMPLETE, S.WAITING, S.READY, S.READY,
        ]  # fmt: skip
        await _complete(mill, parent, new)
        assert await mill.state(older) is S.READY
        assert await mill.state(old) is S.COMPLETE

    play(story)


def test_of_equal_work_only_the_last_is_woken_up(play: Play) -> None:
    async def story(mill: Mill) -> None:
        jobs = []
        for _ in range(2):
            jobs += await mill.submit(spec(key="a", after_groups=("g",)))
            await _complete(mill, jobs[-1])
        both = [spec(key="c", after_groups=("h",))]
        (other,) = await mill.submit(*both)
        await _complete(mill, other)
        added = await mill.submit(spec(dep_groups=("g", "h")), spec(key="c"))
        assert [await mill.state(job) for job in (*jobs, other, *added)] == [
            S.COMPLETE, S.WAITING, S.COMPLETE, S.READY, S.READY,
        ]  # fmt: skip

    play(story)
