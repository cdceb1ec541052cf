"""Ranges of cores, sites, and gangs whose first node does the work."""

from typing import Any

import msgspec

from gristmill.domain.job import JobSpec
from gristmill.domain.state import JobState
from gristmill.protocol.messages import Held
from tests.services.conftest import Play
from tests.services.mill import Mill, spec


def ranged(least: float, *more: float, **fields: Any) -> JobSpec:
    wanted = spec(cpus=least, **fields)
    resources = msgspec.structs.replace(
        wanted.resources, cpu_choices=more, memory_per_cpu=100, memory=int(100 * least)
    )
    return msgspec.structs.replace(wanted, resources=resources)


def test_the_largest_number_of_cores_that_fits_is_taken(play: Play) -> None:
    async def story(mill: Mill) -> None:
        jobs = await mill.submit(ranged(1, 2, 3), ranged(1, 2, 3), ranged(1, 4))
        agent = await mill.agent(cpus=5, memory=450)
        reply = await agent.ask()
        taken = {lease.job: lease.need for lease in reply.leases}
        amounts = {job: need and (need.cpu_shares, need.memory) for job, need in taken.items()}
        assert amounts == {jobs[0]: (3000, 300), jobs[1]: (1000, 100)}

    play(story)


def test_all_nodes_of_a_gang_have_the_same_number_of_cores(play: Play) -> None:
    async def story(mill: Mill) -> None:
        (job,) = await mill.submit(ranged(1, 2, 3, 4, nodes=2))
        large, small = await mill.agent("large", cpus=3), await mill.agent("small", cpus=2)
        await mill.ask(large, small)
        leases = [large.holding[job], small.holding[job]]
        assert [lease.need.cpu_shares for lease in leases if lease.need] == [2000, 2000]

    play(story)


def test_shapes_with_choices_survive_a_restart(play: Play) -> None:
    async def story(mill: Mill) -> None:
        wanted = ranged(1, 2, require={"site": ("a", "b")}, prefer={"region": ("x",)})
        await mill.submit(wanted)
        before = dict(mill.core.shapes.by_id)
        mill.core.shapes.by_id.clear()
        await mill.core.load()
        assert mill.core.shapes.by_id == before
        (shape,) = before.values()
        assert shape.choices == ((2000, 200),)
        assert (shape.require, shape.prefer) == ((("site", ("a", "b")),), (("region", ("x",)),))

    play(story)


def test_sites_are_required_and_preferred(play: Play) -> None:
    async def story(mill: Mill) -> None:
        here = await mill.agent("here", cpus=8)
        there = await mill.agent("there", cpus=4, labels={"site": "south", "region": "x"})
        only = await mill.one(require={"site": ("north", "south")})
        by_host = await mill.one(require={"site": ("here.host",)})
        rather = await mill.one(prefer={"region": ("y", "x")})
        free = await mill.one()
        await mill.ask(here, there)
        assert set(there.holding) == {only, rather}
        assert set(here.holding) == {by_host, free}

    play(story)


def test_the_other_nodes_are_let_go_when_the_first_has_succeeded(play: Play) -> None:
    async def story(mill: Mill) -> None:
        (job,) = await mill.submit(spec(nodes=2, cpus=2))
        first, second = await mill.agent("a", cpus=2), await mill.agent("b", cpus=2)
        await mill.ask(first, second)
        if first.holding[job].rank:
            first, second = second, first
        await first.start(job)
        await second.start(job)
        await first.finish(job)
        await second.ask()
        assert (second.heard.release, second.heard.kill) == ([Held(job, 1, 1)], [])
        await second.register()
        await second.ask()
        assert second.heard.release == [Held(job, 1, 1)], "and told again to who missed it"
        await second.finish(job)
        assert await mill.state(job) is JobState.COMPLETE

    play(story)


def test_a_second_node_that_ends_first_lets_nobody_go(play: Play) -> None:
    async def story(mill: Mill) -> None:
        (job,) = await mill.submit(spec(nodes=2, cpus=2))
        first, second = await mill.agent("a", cpus=2), await mill.agent("b", cpus=2)
        await mill.ask(first, second)
        if first.holding[job].rank:
            first, second = second, first
        await first.start(job)
        await second.finish(job)
        await first.ask()
        assert first.heard.release == []

    play(story)
