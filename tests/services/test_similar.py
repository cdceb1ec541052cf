from gristmill.domain.dialect import Dialect
from gristmill.domain.state import ACTIVE, JobState
from gristmill.services.queue.similar import Sample, Similar
from tests.services.conftest import Play
from tests.services.mill import ANN, BEN, EVERYBODY, Mill, spec

S = JobState
LIVE = sorted(ACTIVE | {S.BURIED})


def _shown(samples: list[Sample]) -> list[tuple[int, JobState, int]]:
    return [(each.job.row.head.id, each.job.row.head.state, each.similar) for each in samples]


def test_each_kind_is_sampled_and_counted(play: Play) -> None:
    async def story(mill: Mill) -> None:
        similar = Similar(mill.core)
        jobs = await mill.submit(*(spec(group="g") for _ in range(10)))
        agent = await mill.agent(cpus=6)
        await agent.lease()
        for job in jobs[:3]:
            await agent.finish(job, exit_code=1)
        await agent.finish(jobs[3], exit_code=2)
        await agent.start(jobs[4])
        for who in (ANN, EVERYBODY):
            for samples in (
                await similar.live(who, LIVE, 1),
                await similar.of_group(who, "g", LIVE, 1),
            ):
                assert sorted(_shown(samples)) == [
                    (jobs[0], S.BURIED, 2),
                    (jobs[3], S.BURIED, 0),
                    (jobs[5], S.RESERVED, 1),
                    (jobs[6], S.READY, 3),
                ]
        two = await similar.live(ANN, [S.BURIED], 2)
        assert _shown(two) == [
            (jobs[0], S.BURIED, 0), (jobs[1], S.BURIED, 1), (jobs[3], S.BURIED, 0),
        ]  # fmt: skip
        assert await similar.live(BEN, LIVE, 1) == []
        assert await similar.of_group(ANN, "nowhere", LIVE, 1) == []

    play(story)


def test_jobs_that_failed_before_are_a_kind_of_their_own(play: Play) -> None:
    async def story(mill: Mill) -> None:
        similar = Similar(mill.core)
        again, fresh = await mill.submit(spec(retry={"retries": 1, "delay": 0.0}), spec())
        agent = await mill.agent(cpus=1)
        await agent.lease()
        await agent.finish(again, exit_code=3)
        assert await mill.states([again, fresh]) == [S.READY, S.READY]
        shown = _shown(await similar.live(ANN, LIVE, 1))
        assert shown == [(again, S.READY, 0), (fresh, S.READY, 0)]

    play(story)


def test_each_interface_is_counted_for_itself(play: Play) -> None:
    async def story(mill: Mill) -> None:
        similar = Similar(mill.core)
        await mill.submit(*(spec(group="g") for _ in range(5)))
        ours = await mill.submit(*(spec(group="g") for _ in range(3)), dialect=Dialect.WR)
        await mill.submit(spec(group="other"), dialect=Dialect.WR)
        for who in (ANN, EVERYBODY):
            for dialect, first, more in ((Dialect.WR, ours[0], 2), (Dialect.NATIVE, 1, 4)):
                shown = await similar.of_group(who, "g", LIVE, 1, dialect)
                assert _shown(shown) == [(first, S.READY, more)]
            assert [each.similar for each in await similar.of_group(who, "g", LIVE, 1)] == [7]
            assert _shown(await similar.live(who, LIVE, 1, Dialect.WR)) == [(ours[0], S.READY, 3)]
        agent = await mill.agent(cpus=20)
        await agent.lease()
        await agent.finish(1, ours[1], exit_code=1)
        buried = await similar.live(ANN, [S.BURIED], 1, Dialect.WR)
        assert _shown(buried) == [(ours[1], S.BURIED, 0)]

    play(story)


def test_jobs_submitted_for_a_further_group_count_there_too(play: Play) -> None:
    async def story(mill: Mill) -> None:
        similar = Similar(mill.core)
        jobs = [spec(group="first", key=f"k{number}") for number in range(3)]
        first = await mill.submit(*jobs)
        assert await mill.submit(*(spec(group="second", key=f"k{n}") for n in range(3))) == first
        own = await mill.one(group="second")
        assert _shown(await similar.of_group(ANN, "second", LIVE, 1)) == [(own, S.READY, 3)]
        assert _shown(await similar.of_group(ANN, "second", LIVE, 2)) == [
            (own, S.READY, 0), (first[0], S.READY, 2),
        ]  # fmt: skip
        assert await similar.of_group(ANN, "second", [S.COMPLETE], 1) == []
        assert await similar.of_group(BEN, "second", LIVE, 1) == []

    play(story)
