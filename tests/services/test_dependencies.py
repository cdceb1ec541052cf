import time

from gristmill.domain.state import JobState
from tests.services.conftest import Play
from tests.services.mill import ANN, BEN, Mill, spec

S = JobState


def test_a_job_waits_until_all_it_is_after_have_succeeded(play: Play) -> None:
    async def story(mill: Mill) -> None:
        one, two = await mill.submit(spec(), spec())
        third = await mill.one(after=[one, two, two], after_any=[one])
        agent = await mill.agent()
        assert await agent.lease() == [one, two]
        assert await mill.why(third) == f"waits for job {one} (reserved), job {two} (reserved)"
        await agent.finish(one)
        assert await agent.lease() == []
        await agent.finish(two)
        assert await agent.lease() == [third]

    play(story)


def test_failure_keeps_dependents_waiting_until_a_retry_succeeds(play: Play) -> None:
    async def story(mill: Mill) -> None:
        first = await mill.one()
        strict = await mill.one(after=[first])
        loose = await mill.one(after_any=[first])
        agent = await mill.agent()
        await agent.lease()
        await agent.finish(first, exit_code=1)
        assert await mill.states([first, strict, loose]) == [S.BURIED, S.WAITING, S.READY]
        await mill.retry(first)
        assert await agent.work() == [first, loose, strict]

    play(story)


def test_after_any_is_satisfied_by_a_cancel(play: Play) -> None:
    async def story(mill: Mill) -> None:
        first = await mill.one()
        strict = await mill.one(after=[first])
        loose = await mill.one(after_any=[first])
        await mill.cancel(first)
        assert await mill.states([strict, loose]) == [S.WAITING, S.READY]
        assert await mill.why(strict) == f"waits for job {first} (cancelled)"
        await mill.retry(first)
        await (await mill.agent()).work()
        assert await mill.state(strict) is S.COMPLETE

    play(story)


def test_a_cancelled_waiting_job_still_waits_when_it_is_retried(play: Play) -> None:
    async def story(mill: Mill) -> None:
        first = await mill.one(dep_groups=["g"])
        second = await mill.one(after=[first], after_groups=["g"])
        await mill.cancel(second)
        await mill.retry(second)
        assert await mill.state(second) is S.WAITING
        await mill.cancel(second)
        agent = await mill.agent()
        assert await agent.work() == [first]
        await mill.retry(second)
        assert await mill.state(second) is S.READY

    play(story)


def test_a_group_is_waited_for_until_its_last_member_succeeded(play: Play) -> None:
    async def story(mill: Mill) -> None:
        early = await mill.one(after_groups=["g"])
        assert await mill.state(early) is S.READY, "an empty group holds nobody up"
        await mill.cancel(early)
        members = await mill.submit(*[spec(dep_groups=["g", "g"]) for _ in range(3)])
        waiter = await mill.one(after_groups=["g", "g"])
        assert await mill.why(waiter) == "waits for group 'g' (3 unfinished)"
        agent = await mill.agent()
        await agent.lease()
        await agent.finish(members[0], exit_code=1)
        await agent.finish(*members[1:])
        assert await mill.state(waiter) is S.WAITING
        await mill.cancel(members[0])
        assert await mill.state(waiter) is S.READY

    play(story)


def test_a_new_member_makes_complete_waiters_run_again(play: Play) -> None:
    async def story(mill: Mill) -> None:
        await mill.submit(spec(dep_groups=["g"]), spec(after_groups=["g"]))
        agent = await mill.agent()
        assert await agent.work() == [1, 2]
        new = await mill.one(dep_groups=["g"])
        assert await mill.state(2) is S.WAITING
        assert await agent.work() == [new, 2]

    play(story)


def test_who_runs_again_has_all_retries_again(play: Play) -> None:
    async def story(mill: Mill) -> None:
        waiter = await mill.one(after_groups=["g"], retry={"retries": 1, "delay": 0})
        agent = await mill.agent()
        await agent.lease()
        await agent.finish(waiter, exit_code=1)
        assert await agent.work() == [waiter]
        member = await mill.one(dep_groups=["g"])
        head = (await mill.listing.get(ANN, waiter)).row.head
        assert (head.state, head.retries_left, head.failures) == (S.WAITING, 1, 0)
        assert await agent.work(most=1) == [member]
        assert await agent.lease() == [waiter]
        await agent.finish(waiter, exit_code=1)
        assert await mill.state(waiter) is S.READY

    play(story)


def test_resurrection_runs_down_the_chain(play: Play) -> None:
    async def story(mill: Mill) -> None:
        await mill.submit(
            spec(dep_groups=["a"]),
            spec(after_groups=["a"], dep_groups=["b"]),
            spec(after_groups=["b"], dep_groups=["c"]),
            spec(after_groups=["c"]),
        )
        agent = await mill.agent()
        assert await agent.work() == [1, 2, 3, 4]
        new = await mill.submit(spec(dep_groups=["a"]), spec(after_groups=["c"]))
        assert await mill.states([2, 3, 4, new[1]]) == [S.WAITING] * 4
        assert await agent.work() == [new[0], 2, 3, 4, new[1]]

    play(story)


def test_a_waiter_that_runs_when_a_member_comes_runs_again(play: Play) -> None:
    async def story(mill: Mill) -> None:
        waiter = await mill.one(after_groups=["g"], dep_groups=["h"])
        last, loose = await mill.submit(spec(after_groups=["h"]), spec(after_any=[waiter]))
        agent = await mill.agent()
        assert await agent.lease() == [waiter]
        await agent.start(waiter)
        member = await mill.one(dep_groups=["g"])
        assert await mill.state(waiter) is S.RUNNING
        await agent.finish(waiter)
        assert await mill.states([waiter, last, loose]) == [S.WAITING] * 3
        assert await agent.work() == [member, waiter, last, loose]

    play(story)


def test_a_lease_that_comes_back_waits_for_what_came_meanwhile(play: Play) -> None:
    async def story(mill: Mill) -> None:
        waiter = await mill.one(after_groups=["g"])
        agent = await mill.agent()
        assert await agent.lease() == [waiter]
        member = await mill.one(dep_groups=["g"])
        await agent.give_back(waiter)
        assert await mill.state(waiter) is S.WAITING
        assert await agent.work() == [member, waiter]

    play(story)


def test_a_failing_waiter_waits_for_what_came_meanwhile(play: Play) -> None:
    async def story(mill: Mill) -> None:
        waiter = await mill.one(after_groups=["g"], retry={"retries": 1, "delay": 0})
        agent = await mill.agent()
        await agent.lease()
        member = await mill.one(dep_groups=["g"])
        await agent.finish(waiter, exit_code=1)
        assert await mill.state(waiter) is S.WAITING
        assert await agent.work() == [member, waiter]

    play(story)


def test_a_newcomer_that_is_done_ends_the_pause_before_a_retry(play: Play) -> None:
    async def story(mill: Mill) -> None:
        waiter = await mill.one(after_groups=["g"], retry={"retries": 1, "delay": 1000})
        agent = await mill.agent()
        await agent.lease()
        await agent.finish(waiter, exit_code=1)
        assert await mill.state(waiter) is S.DELAYED
        newcomer = await mill.one(dep_groups=["g"])
        assert await mill.state(waiter) is S.WAITING
        assert await agent.lease() == [newcomer]
        await agent.finish(newcomer)
        assert await agent.lease() == [waiter]

    play(story)


def test_retrying_a_complete_member_makes_its_waiters_run_again(play: Play) -> None:
    async def story(mill: Mill) -> None:
        await mill.submit(spec(dep_groups=["g"]), spec(after_groups=["g"]))
        agent = await mill.agent()
        await agent.work()
        await mill.retry(1)
        assert await mill.states([1, 2]) == [S.READY, S.WAITING]
        assert await agent.work() == [1, 2]

    play(story)


def test_ten_thousand_into_one(play: Play) -> None:
    async def story(mill: Mill) -> None:
        many = await mill.submit(*[spec(cpus=0.001) for _ in range(10_000)])
        last = await mill.one(after=many)
        agent = await mill.agent(cpus=20)
        began = time.monotonic()
        ran = await agent.work()
        assert ran[-1] == last
        assert len(ran) == 10_001
        assert time.monotonic() - began < 60

    play(story)


def test_a_chain_costs_the_same_at_every_link(play: Play) -> None:
    async def story(mill: Mill) -> None:
        length = 1_000
        await mill.submit(spec())
        await mill.submit(*[spec(after=[1]) for _ in range(50)])
        for link in range(length - 1):
            await mill.submit(spec(after=[link + 1] if not link else [50 + link + 1]))
        agent = await mill.agent(cpus=1)
        steps: list[float] = []
        while jobs := await agent.lease():
            began = time.process_time()
            await agent.finish(*jobs)
            steps.append(time.process_time() - began)
        assert len(steps) == length + 50
        third = len(steps) // 3
        early, late = sorted(steps[:third]), sorted(steps[-third:])
        assert late[third // 2] < 5 * early[third // 2] + 0.005

    play(story)


def test_a_group_or_mutex_of_one_user_is_not_anothers(play: Play) -> None:
    async def story(mill: Mill) -> None:
        (anns,) = await mill.submit(spec(dep_groups=["g"], mutex="m"), who=ANN)
        waiter, sharer = await mill.submit(spec(after_groups=["g"]), spec(mutex="m"), who=BEN)
        agent = await mill.agent()
        assert await agent.lease() == [anns, waiter, sharer]

    play(story)
