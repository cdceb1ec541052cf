import pytest

from gristmill.domain.dialect import Dialect
from gristmill.domain.errors import InvalidInputError
from gristmill.domain.state import JobState
from gristmill.services.queue.submit import Submission
from gristmill.store.database import Transaction
from tests.services.conftest import Play
from tests.services.mill import ANN, BEN, EVERYBODY, Mill, spec


async def total(mill: Mill) -> int:
    return sum((await mill.listing.counts(EVERYBODY, None, None)).values())


def test_ids_come_from_one_growing_sequence(play: Play) -> None:
    async def story(mill: Mill) -> None:
        assert await mill.submit(spec(), spec()) == [1, 2]
        assert await mill.submit(spec(), who=BEN) == [3]
        assert await mill.submit() == []
        assert await mill.submit(spec()) == [4]

    play(story)


def test_one_bad_job_of_many_adds_none(play: Play) -> None:
    async def story(mill: Mill) -> None:
        with pytest.raises(InvalidInputError) as caught:
            await mill.submit(spec(), spec("  "), spec(group="new", labels={"a": "b"}))
        assert caught.value.field == "[1].command"
        with pytest.raises(InvalidInputError) as caught:
            await mill.submit(spec(dep_groups=["g"]), spec(mutex="m"), spec(after=[99]))
        assert caught.value.field == "[2].after"
        assert "no job 99" in str(caught.value)
        assert await total(mill) == 0
        assert await mill.submit(spec()) == [1]

    play(story)


def test_an_idempotency_key_answers_as_the_first_time(play: Play) -> None:
    async def story(mill: Mill) -> None:
        first = await mill.submit(spec(), spec(), key="k")
        assert await mill.submit(spec(), spec(), key="k") == first
        assert await mill.submit(spec(), key="other") == [3]
        assert await mill.submit(spec(), key="k", who=BEN) == [4]
        assert await total(mill) == 4

    play(story)


def test_a_refused_submission_does_not_use_up_its_key(play: Play) -> None:
    async def story(mill: Mill) -> None:
        with pytest.raises(InvalidInputError):
            await mill.submit(spec(after=[7]), key="k")
        assert await mill.submit(spec(), key="k") == [1]

    play(story)


def test_an_idempotency_key_means_something_new_after_a_week(play: Play) -> None:
    async def story(mill: Mill) -> None:
        await mill.submit(spec(), key="k")
        mill.clock.go(8 * 86_400)
        await mill.housekeeping.tidy()
        assert await mill.submit(spec(), key="k") == [2]

    play(story)


def test_a_content_key_is_added_once_while_it_lives(play: Play) -> None:
    async def story(mill: Mill) -> None:
        agent = await mill.agent()
        ids = await mill.submit(spec(key="a"), spec(key="b"), spec(key="a"))
        assert ids == [1, 2, 1]
        assert await mill.submit(spec(key="a"), spec()) == [1, 5]
        assert await mill.submit(spec(key="a"), who=BEN) == [6]
        await agent.work()
        assert await mill.submit(spec(key="a")) == [7]

    play(story)


def test_only_new_jobs_of_a_keyed_batch_are_linked(play: Play) -> None:
    async def story(mill: Mill) -> None:
        submission = Submission([spec(key="a", dep_groups=["g"]), spec(key="b")], "ann")
        await mill.submitter.submit(submission)
        done = await mill.submitter.submit(submission)
        assert done.added == 0
        waiter = await mill.one(after_groups=["g"])
        agent = await mill.agent()
        await agent.work()
        assert await mill.state(waiter) is JobState.COMPLETE

    play(story)


def test_a_job_after_one_that_was_cancelled_is_refused(play: Play) -> None:
    async def story(mill: Mill) -> None:
        job = await mill.one()
        await mill.cancel(job)
        with pytest.raises(InvalidInputError, match="was cancelled"):
            await mill.submit(spec(after=[job]))
        assert await mill.submit(spec(after_any=[job])) == [2]
        assert await mill.state(2) is JobState.READY

    play(story)


def test_a_submission_may_be_too_large(play: Play, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("gristmill.services.queue.submit.MOST_JOBS", 2)

    async def story(mill: Mill) -> None:
        with pytest.raises(InvalidInputError, match="3 jobs in one submission, at most 2"):
            await mill.submit(spec(), spec(), spec())

    play(story)


def test_ten_thousand_jobs_at_once(play: Play) -> None:
    async def story(mill: Mill) -> None:
        ids = await mill.submit(*[spec(group="many", priority=n % 3) for n in range(10_000)])
        assert ids == list(range(1, 10_001))
        counts = await mill.listing.counts(ANN, "many", None)
        assert counts[JobState.READY] == 10_000
        agent = await mill.agent(cpus=100)
        first = await agent.lease()
        assert first == [n for n in ids if (n - 1) % 3 == 2][:100]

    play(story)


def test_what_a_dialect_adds_is_kept(play: Play) -> None:
    async def story(mill: Mill) -> None:
        await mill.submitter.submit(
            Submission([spec(), spec()], "ann", Dialect.WR, [b"\x00\xff", None])
        )
        first = await mill.listing.get(ANN, 1)
        assert (first.row.dialect_data, first.row.head.dialect) == (b"\x00\xff", Dialect.WR)
        assert (await mill.listing.get(ANN, 2)).row.dialect_data is None

    play(story)


def test_a_shape_is_known_before_its_first_row_can_be_seen(play: Play) -> None:
    async def story(mill: Mill) -> None:
        await mill.one()
        shapes = mill.core.shapes
        fresh = next(iter(shapes.by_id.values()))._replace(memory=12_345)

        def work(tx: Transaction) -> None:
            assert shapes.by_id[shapes.number(tx, fresh)] == fresh

        await mill.core.database.write(work)

    play(story)


def test_a_submission_after_a_failed_one_finds_no_stale_words_or_shapes(play: Play) -> None:
    async def story(mill: Mill) -> None:
        with pytest.raises(InvalidInputError):
            await mill.submit(spec(group="g", cpus=3, mutex="m"), spec(after=[5]))
        job = await mill.one(group="g", cpus=3, mutex="m")
        listed = await mill.listing.get(ANN, job)
        assert listed.words.group == "g"
        assert await (await mill.agent()).lease() == [job]

    play(story)
