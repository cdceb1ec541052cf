"""Submissions that are refused while another of their kind is under way."""

import asyncio

import pytest

from gristmill.domain.dialect import Dialect
from gristmill.domain.errors import ConflictError
from gristmill.services.queue.submit import Submission
from tests.services.conftest import Play
from tests.services.mill import ANN, BEN, Mill, spec

KEY = "only one"


def _alone(user: str = ANN.user, dialect: Dialect = Dialect.MLBENCH) -> Submission:
    return Submission([spec(key=KEY)], user, dialect, alone=True)


def test_one_of_many_at_once_is_taken(play: Play) -> None:
    async def story(mill: Mill) -> None:
        tries = [mill.submitter.submit(_alone()) for _ in range(20)]
        ends = await asyncio.gather(*tries, return_exceptions=True)
        taken = [end for end in ends if not isinstance(end, BaseException)]
        assert len(taken) == 1
        assert all(isinstance(end, ConflictError) for end in ends if end is not taken[0])

    play(story)


def test_any_job_of_the_same_kind_that_runs_is_in_the_way(play: Play) -> None:
    async def story(mill: Mill) -> None:
        other = Submission([spec()], ANN.user, Dialect.MLBENCH)
        (job,) = (await mill.submitter.submit(other)).ids
        waiting = (await mill.submitter.submit(_alone())).ids
        assert waiting, "what only waits is not in the way"
        await mill.control.cancel(ANN, list(waiting))
        agent = await mill.agent()
        assert await agent.lease() == [job]
        with pytest.raises(ConflictError, match="running"):
            await mill.submitter.submit(_alone())
        assert await mill.submitter.submit(_alone(BEN.user)), "others are not concerned"
        await agent.finish(job)
        assert await mill.submitter.submit(_alone())

    play(story)
