"""Agents that a person takes for dead, and what is told of those that fell silent."""

import pytest

from gristmill.domain.errors import NotFoundError
from gristmill.domain.state import JobState
from tests.services.conftest import Play
from tests.services.mill import RULES, Mill


def test_giving_a_silent_agent_up(play: Play) -> None:
    async def story(mill: Mill) -> None:
        agent = await mill.agent()
        job = await mill.one()
        await agent.lease()
        await agent.start(job)
        with pytest.raises(NotFoundError):
            await mill.agents.give_up(agent.number)
        mill.clock.go(RULES.lost_after + 1)
        await mill.lost_agents.sweep()
        assert await mill.state(job) is JobState.LOST
        assert [notice.text for notice in mill.core.notices.take()] == [
            "lost contact with the agent on n1.host"
        ]
        await mill.agents.give_up(agent.number)
        assert await mill.state(job) is JobState.BURIED
        assert await mill.agents.overview() == []
        with pytest.raises(NotFoundError):
            await mill.agents.give_up(agent.number)
        hosts = await mill.agents.hosts()
        assert hosts[agent.number].hostname == "n1.host"

    play(story)


def test_a_notice_that_comes_again_is_counted(play: Play) -> None:
    async def story(mill: Mill) -> None:
        mill.core.notices.note("once", 1.0)
        mill.core.notices.note("twice", 2.0)
        mill.core.notices.note("twice", 3.0)
        told = [(each.text, each.first, each.last, each.count) for each in mill.core.notices.take()]
        assert told == [("once", 1.0, 1.0, 1), ("twice", 2.0, 3.0, 2)]

    play(story)
