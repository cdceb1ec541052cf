"""Logs of runs go by age and by number, on both databases; the runs stay."""

from pathlib import Path

import pytest

from gristmill.services.schedules import log_keeping
from gristmill.services.schedules.log_keeping import LogKeeping
from tests.schedules.town import Town, play

HOUR = 3600.0


async def _logged(town: Town, job: int) -> list[int]:
    """Return the runs that have a log, after comparing all ways of asking."""
    runs = [run for run in await town.runs_of(job) if run.log_id is not None]
    project = (await town.schedules.get(job)).project_id
    page = await town.logs.list({project})
    numbers = sorted(run.id for run in runs)
    assert sorted(log.id for log in page.items if log.schedule_id == job) == numbers
    assert sorted(await town.logs.get_many([run.id for run in await town.runs_of(job)])) == numbers
    return numbers


async def _do(town: Town, job: int) -> int:
    run = await town.by_hand(job)
    await town.begin(run)
    await town.logs.create(run, f"log of {run}")
    await town.end(run)
    return run


def test_off(database_url: str, tmp_path: Path) -> None:
    async def story(town: Town) -> None:
        job = await town.schedule()
        run = await _do(town, job)
        town.clock.go(1e9)
        await LogKeeping(town.schedule_core).tidy()
        assert await _logged(town, job) == [run]

    play(database_url, tmp_path, story)


def test_by_age(database_url: str, tmp_path: Path) -> None:
    async def story(town: Town) -> None:
        job = await town.schedule()
        keeping = LogKeeping(town.schedule_core)
        begun = await town.by_hand(job)
        await town.begin(begun)
        await town.logs.create(begun, "so far")
        other = await town.schedule("other")
        old = [await _do(town, other) for _ in range(5)]
        town.clock.go(HOUR)
        young = await _do(town, other)
        await keeping.tidy()
        assert await _logged(town, other) == [*old, young]
        town.clock.go(1)
        await keeping.tidy()
        assert await _logged(town, other) == [young]
        assert len(await town.runs_of(other, state="completed")) == 6
        # A run that has not returned keeps its log, however old.
        town.clock.go(9 * HOUR)
        await keeping.tidy()
        assert (await _logged(town, other), await _logged(town, job)) == ([], [begun])
        # A log that is gone may be written anew.
        await town.logs.create(old[0], "late")
        assert await _logged(town, other) == [old[0]]

    play(database_url, tmp_path, story, keep_logs_for=HOUR)


def test_by_number(database_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(log_keeping, "MOST_AT_ONCE", 2)

    async def story(town: Town) -> None:
        job, other = await town.schedule(), await town.schedule("other")
        runs = [await _do(town, job) for _ in range(7)]
        few = [await _do(town, other) for _ in range(2)]
        keeping = LogKeeping(town.schedule_core)
        for _ in range(2):
            await keeping.tidy()
            assert await _logged(town, job) == runs[-2:]
            assert await _logged(town, other) == few

    play(database_url, tmp_path, story, keep_logs=2)
