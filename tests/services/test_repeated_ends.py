from gristmill.domain.state import JobState
from tests.services.conftest import Play
from tests.services.mill import ANN, Mill, spec


def test_an_end_told_twice_in_one_report_counts_once(play: Play) -> None:
    async def story(mill: Mill) -> None:
        jobs = await mill.submit(spec(), spec(), spec(retry={"retries": 3, "delay": 0}))
        agent = await mill.agent()
        await agent.lease()
        ends = [agent.end_of(1), agent.end_of(2, exit_code=1), agent.end_of(3, exit_code=1)]
        assert await agent.tell(finished=[*ends, *ends]) == []
        states = [JobState.COMPLETE, JobState.BURIED, JobState.READY]
        assert await mill.states(jobs) == states
        head = (await mill.listing.get(ANN, 3)).row.head
        assert (head.failures, head.retries_left) == (1, 2)

    play(story)
