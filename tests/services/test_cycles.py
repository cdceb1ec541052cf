"""Circles of jobs that wait for each other are refused when the last link would close them."""

import time

import pytest

from gristmill.domain.errors import ConflictError, InvalidInputError
from gristmill.domain.job import JobSpec
from gristmill.domain.state import JobState
from tests.services.conftest import Play
from tests.services.mill import ANN, BEN, Mill, spec


def _link(waits: str, joins: str) -> JobSpec:
    return spec(after_groups=[waits], dep_groups=[joins])


def test_within_a_submission(play: Play) -> None:
    async def story(mill: Mill) -> None:
        with pytest.raises(InvalidInputError, match="wait for itself") as refused:
            await mill.submit(spec(), _link("a", "b"), _link("c", "a"), _link("b", "c"))
        assert refused.value.field in {f"[{index}].after_groups" for index in (1, 2, 3)}
        assert all(f"'{name}'" in str(refused.value) for name in "abc")
        assert await mill.submit(_link("a", "b"), _link("b", "c")) == [1, 2], "nothing was added"

    play(story)


def test_across_submissions(play: Play) -> None:
    async def story(mill: Mill) -> None:
        await mill.submit(_link("b", "a"))
        await mill.submit(_link("c", "b"))
        with pytest.raises(InvalidInputError, match=r"'c' → .* → 'a'") as refused:
            await mill.submit(_link("a", "c"))
        assert refused.value.field == "after_groups"
        assert await mill.submit(_link("a", "d"), who=ANN)
        assert await mill.submit(_link("a", "c"), who=BEN), "groups of one are not another's"

    play(story)


def test_through_a_complete_job(play: Play) -> None:
    async def story(mill: Mill) -> None:
        await mill.submit(_link("a", "b"))
        agent = await mill.agent()
        await agent.work()
        with pytest.raises(InvalidInputError, match="wait for itself"):
            await mill.submit(_link("b", "a"))
        assert await mill.state(1) is JobState.COMPLETE

    play(story)


def test_through_a_dependency_on_a_job(play: Play) -> None:
    async def story(mill: Mill) -> None:
        first = await mill.one(after_groups=["a"])
        await mill.one(dep_groups=["a"])
        with pytest.raises(InvalidInputError, match="'a' → job 1"):
            await mill.one(after=[first], dep_groups=["a"])
        second = await mill.one(after=[first], dep_groups=["b"])
        assert await mill.state(second) is JobState.WAITING

    play(story)


def test_cancelled_jobs_close_no_circle_until_they_come_back(play: Play) -> None:
    async def story(mill: Mill) -> None:
        first = await mill.one(after_groups=["a"], dep_groups=["b"], delay=100)
        await mill.cancel(first)
        (second,) = await mill.submit(_link("b", "a"))
        with pytest.raises(ConflictError, match="wait for itself"):
            await mill.retry(first)
        assert await mill.states([first, second]) == [JobState.CANCELLED, JobState.READY]

    play(story)


def test_diamonds_are_no_circles(play: Play) -> None:
    async def story(mill: Mill) -> None:
        await mill.submit(
            spec(dep_groups=["top"]),
            *[spec(after_groups=["top"], dep_groups=["left", "right"]) for _ in range(3)],
            spec(after_groups=["left", "right"], dep_groups=["end"]),
            spec(after_groups=["end", "top", "left"]),
        )
        agent = await mill.agent()
        assert len(await agent.work()) == 6

    play(story)


def test_the_cost_is_in_proportion(play: Play) -> None:
    async def story(mill: Mill) -> None:
        def chain(name: str, length: int) -> list[JobSpec]:
            return [_link(f"{name}{n}", f"{name}{n + 1}") for n in range(length)]

        await mill.submit(*chain("warm", 100))
        times = []
        for length in (1_000, 4_000):
            began = time.process_time()
            await mill.submit(*reversed(chain(f"c{length}-", length)))
            times.append(time.process_time() - began)
        assert times[1] < 12 * times[0] + 1, "a square would take sixteen times, and seconds"
        began = time.process_time()
        for link in range(500):
            await mill.submit(_link(f"s{link}", f"s{link + 1}"))
        assert time.process_time() - began < 10

    play(story)
