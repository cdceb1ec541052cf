"""Workers, agents, people and time do anything in any order: the tables still agree afterwards."""

import contextlib
from pathlib import Path
from random import Random
from typing import Any

import pytest

from gristmill.domain.errors import ConflictError, NotFoundError, NotPermittedError
from gristmill.domain.runs import RunChange
from gristmill.services.schedules.defining import ScheduleChange
from tests.schedules.town import Town, play, when

STEPS = 150
REFUSALS = (ConflictError, NotFoundError, NotPermittedError)


class Walk:
    """One random story."""

    def __init__(self, town: Town, seed: int) -> None:
        self.town, self.random = town, Random(seed)
        self.schedules: list[int] = []
        self.agent: Any = None

    async def begin(self) -> None:
        town = self.town
        self.agent = await town.agent()
        for number, pool in enumerate(("outside", "inside", "outside", "inside")):
            more: dict[str, Any] = {"every": "{count: 7, unit: minute}"} if number < 3 else {}
            self.schedules.append(
                await town.schedule(
                    f"s{number}", pool=pool, first_run=when(town.clock, 30 * number),
                    run_on_all_workers=number == 2, disable_after_failures=2,
                    catch_up=("one", "skip", "all", "one")[number], **more,
                )
            )  # fmt: skip
        await town.schedule("s1", parent="s0", pool="inside")

    async def step(self) -> None:
        acts = (
            self.time, self.time, self.claim, self.claim, self.patch, self.patch, self.patch,
            self.agent_works, self.agent_works, self.by_hand, self.switch, self.cancel, self.retry,
            self.kill, self.silence,
        )  # fmt: skip
        with contextlib.suppress(*REFUSALS):
            await self.random.choice(acts)()
        if self.random.random() < 0.7:
            await self.town.settle()

    async def some_run(self) -> int:
        page = await self.town.runs.list(limit=50)
        return self.random.choice(page.items).id if page.items else 0

    async def time(self) -> None:
        self.town.clock.go(self.random.choice((0.5, 30, 300, 2000)))

    async def claim(self) -> None:
        await self.town.claim(await self.some_run(), self.random.choice(("w1", "w2")))

    async def patch(self) -> None:
        now, random = self.town.clock.wall, self.random
        change = random.choice(
            (
                RunChange(started_at=now),
                RunChange(started_at=now, pid=7),
                RunChange(returned_at=now, success=random.choice((True, False, None))),
                RunChange(returned_at=now, success=True),
                RunChange(returned_at=None),
                RunChange(enqueued_at=None, started_at=None),
                RunChange(due_at=now + random.choice((-100, 100))),
                RunChange(success=False),
            )
        )
        by = random.choice((None, await self.town.worker("w1"), await self.town.worker("w2")))
        await self.town.runs.change(await self.some_run(), change, by)

    async def agent_works(self) -> None:
        jobs = await self.agent.lease() or list(self.agent.holding)
        for job in jobs:
            act = self.random.choice(("start", "finish", "fail", "give_back"))
            if act == "start":
                await self.agent.start(job)
            elif act == "give_back":
                await self.agent.give_back(job)
            else:
                await self.agent.finish(job, exit_code=0 if act == "finish" else 1)

    async def by_hand(self) -> None:
        await self.town.by_hand(self.random.choice(self.schedules))

    async def switch(self) -> None:
        change = ScheduleChange(enabled=self.random.random() < 0.7)
        await self.town.schedules.change(self.random.choice(self.schedules), change)

    async def cancel(self) -> None:
        await self.town.cancel(await self.some_run())

    async def retry(self) -> None:
        await self.town.retry(await self.some_run())

    async def kill(self) -> None:
        await self.town.kills.create(await self.some_run())

    async def silence(self) -> None:
        await self.town.workers.check_health()


@pytest.mark.parametrize("seed", range(12))
def test_the_tables_agree_whatever_happened(seed: int, tmp_path: Path) -> None:
    async def story(town: Town) -> None:
        walk = Walk(town, seed)
        await walk.begin()
        for _ in range(STEPS):
            await walk.step()
        await town.settle()

    play(f"sqlite://{tmp_path}/town.db", tmp_path, story)
