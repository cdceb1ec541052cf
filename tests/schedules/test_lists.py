"""Lists of runs, logs and schedules: their order, their totals, and what narrows them."""

from pathlib import Path
from typing import Any

import pytest

from gristmill.domain.declared import Every, Exclude
from gristmill.domain.errors import ConflictError, InvalidInputError, NotFoundError
from gristmill.domain.runs import RunChange
from gristmill.domain.state import JobState
from gristmill.services.schedules.backfilling import backfill
from gristmill.services.schedules.book import ScheduleFilter
from gristmill.services.schedules.defining import ScheduleChange
from gristmill.services.schedules.pages import RunFilter, RunState
from tests.schedules.town import Town, play, when
from tests.services.mill import EVERYBODY


def test_runs_are_listed_in_order_with_totals(database_url: str, tmp_path: Path) -> None:
    async def story(town: Town) -> None:
        first, second = await town.schedule("first"), await town.schedule("second")
        ended = []
        for number in range(7):
            run = await town.by_hand((first, second)[number % 2])
            await town.do(run, success=(True, False, None)[number % 3])
            ended.append(run)
        started = await town.by_hand(first)
        await town.begin(started)
        town.clock.go(1)
        queued = await town.by_hand(second)
        await town.claim(queued)
        late = await town.schedule("late", first_run=when(town.clock, 90))
        soon = await town.schedule("soon", first_run=when(town.clock, 30))
        scheduled = [(await town.only(soon)).id, (await town.only(late)).id]
        expected = [*reversed(ended), started, queued, *scheduled]
        everything = await town.runs.list()
        assert [run.id for run in everything.items] == expected
        assert everything.total == len(expected)
        for offset in range(len(expected) + 2):
            page = await town.runs.list(offset=offset, limit=3)
            assert [run.id for run in page.items] == expected[offset : offset + 3]
            assert page.total == len(expected)
        for state, wanted in {
            RunState.SCHEDULED: scheduled,
            RunState.IN_QUEUE: [queued],
            RunState.STARTED: [started],
            RunState.COMPLETED: list(reversed(ended)),
            RunState.COMPLETED_SUCCESSFUL: [ended[6], ended[3], ended[0]],
            RunState.COMPLETED_WITH_ERRORS: [ended[4], ended[1]],
            RunState.LAST_COMPLETED: [ended[6], ended[5]],
        }.items():
            page = await town.runs.list(RunFilter(state=state))
            assert ([run.id for run in page.items], page.total) == (wanted, len(wanted)), state
        picky = RunFilter(worker_ids={await town.worker("w1")}, state=RunState.STARTED)
        assert [run.id for run in (await town.runs.list(picky)).items] == [started]
        picky = RunFilter(manual=True, schedule_ids={first}, keep=lambda run: run.success is True)
        assert (await town.runs.list(picky, limit=1)).total == 2
        picky = RunFilter(due_from=town.clock.wall + 30, due_to=town.clock.wall + 30)
        assert [run.id for run in (await town.runs.list(picky)).items] == scheduled[:1]
        assert (await town.runs.list(RunFilter(project_ids=set()))).total == 0
        named = await town.runs.list(RunFilter(ids=[started, 999, ended[0]]))
        assert [run.id for run in named.items] == [ended[0], started]

    play(database_url, tmp_path, story)


def test_logs_round_trip_and_are_listed_backwards(database_url: str, tmp_path: Path) -> None:
    async def story(town: Town) -> None:
        nightly = await town.schedule()
        text = "nul \x00, bell \x07, snow \u2603, half \ud83d\r\n"
        runs = []
        for _ in range(3):
            run = await town.by_hand(nightly)
            await town.begin(run)
            assert await town.logs.create(run, text) == run
            town.clock.go(1)
            await town.end(run)
            runs.append(run)
        with pytest.raises(ConflictError):
            await town.logs.create(runs[0], "twice")
        with pytest.raises(NotFoundError):
            await town.logs.create(999, "nobody's")
        await town.logs.change(runs[1], None)
        page = await town.logs.list()
        assert [log.id for log in page.items] == runs
        assert [log.content for log in page.items] == [text, None, text]
        assert (await town.runs.get(runs[0])).log_id == runs[0]
        assert (await town.logs.list(offset=2, limit=5)).items == page.items[2:]
        from gristmill.protocol.messages import Stream

        chunk = await town.outputs.read(EVERYBODY, runs[0], Stream.STDOUT)
        assert chunk.data == text.encode("utf-8", "surrogatepass")

    play(database_url, tmp_path, story)


def test_two_runs_that_are_due_can_be_claimed_in_either_order(
    database_url: str, tmp_path: Path
) -> None:
    async def story(town: Town) -> None:
        nightly = await town.schedule()
        first, second = await town.by_hand(nightly), await town.by_hand(nightly)
        assert await town.job(first) is JobState.READY
        await town.claim(second)
        assert await town.job(first) is JobState.WAITING
        assert await town.why(first) == f"waits for run {second} of its schedule (reserved)"
        with pytest.raises(ConflictError):
            await town.claim(first)
        await town.begin_claimed(second)
        await town.end(second)
        await town.do(first)

    play(database_url, tmp_path, story)


def test_people_are_told_what_a_run_waits_for(database_url: str, tmp_path: Path) -> None:
    async def story(town: Town) -> None:
        nightly = await town.schedule(first_run=when(town.clock, 60))
        run = (await town.only(nightly)).id
        assert await town.why(run) == "waits for its time"
        await town.declarations.apply("projects: [{name: etl, enabled: false}]")
        await town.go(60)
        assert await town.why(run) == "project 'etl' is switched off"
        await town.declarations.apply("projects: [{name: etl, enabled: true}]")
        await town.declarations.apply(
            "workers: [{name: w1, enabled: false}, {name: w2, enabled: false}]"
        )
        await town.settle()
        assert await town.why(run) == "no worker of pool 'outside' is enabled"
        await town.declarations.apply("workers: [{name: w2, enabled: true}]")
        await town.settle()
        assert await town.why(run) == "offered to the workers of its pool, none has claimed it yet"

    play(database_url, tmp_path, story)


BAD: list[tuple[dict[str, Any], str]] = [
    ({"name": ""}, "name"),
    ({"name": "x" * 256}, "name"),
    ({"name": "a\0b"}, "name"),
    ({"name": "\ud800"}, "name"),
    ({"script": "a\0b"}, "script"),
    ({"template_id": 99}, "template_id"),
    ({"pool_id": 99}, "pool_id"),
    ({"parent_id": 99}, "parent_id"),
    ({"child_ids": [99]}, "child_ids"),
    ({"every": Every(count=0, unit="day")}, "every"),
    ({"every": Every(count=10**7, unit="day")}, "every"),
    ({"every": Every(count=1, unit="year")}, "every"),  # type: ignore[arg-type]
    ({"every": Every(count=1, unit="day"), "cron": "0 3 * * *"}, "cron"),
    ({"cron": "0 3 * *"}, "cron"),
    ({"cron": "0 0 30 2 *"}, "cron"),
    ({"timezone": "Moon/Base"}, "timezone"),
    ({"jitter": -1.0}, "jitter"),
    ({"jitter": float("nan")}, "jitter"),
    ({"catch_up": "some"}, "catch_up"),
    ({"exclude": [Exclude(start="22:00", end="06:00")]}, "exclude"),
    ({"disable_after_failures": -1}, "disable_after_failures"),
]


def test_bad_definitions_name_the_field_and_change_nothing(
    database_url: str, tmp_path: Path
) -> None:
    async def story(town: Town) -> None:
        nightly = await town.schedule()
        before = await town.schedules.get(nightly)
        for fields, field in BAD:
            with pytest.raises(InvalidInputError) as caught:
                await town.schedules.change(nightly, ScheduleChange(**fields))
            assert caught.value.field == field, fields
        assert await town.schedules.get(nightly) == before
        with pytest.raises(NotFoundError):
            await town.schedules.change(99, ScheduleChange())
        with pytest.raises(InvalidInputError, match="missing"):
            await town.schedules.create(ScheduleChange(name="x"))
        same = ScheduleChange(
            name="nightly", template_id=before.template_id, pool_id=before.pool_id
        )
        with pytest.raises(ConflictError):
            await town.schedules.create(same)

    play(database_url, tmp_path, story)


def test_families_have_no_rings(database_url: str, tmp_path: Path) -> None:
    async def story(town: Town) -> None:
        first, second, third = [await town.schedule(f"s{number}") for number in range(3)]
        await town.schedules.change(second, ScheduleChange(parent_id=first))
        await town.schedules.change(second, ScheduleChange(child_ids=[third]))
        views = await town.schedules.get_many([first, second, third])
        assert [views[one].parent_id for one in (first, second, third)] == [None, first, second]
        assert views[second].child_ids == (third,)
        for child, parent in ((first, third), (first, first), (second, third)):
            with pytest.raises(InvalidInputError):
                await town.schedules.change(child, ScheduleChange(parent_id=parent))
            with pytest.raises(InvalidInputError):
                await town.schedules.change(parent, ScheduleChange(child_ids=[child]))
        await town.schedules.change(second, ScheduleChange(child_ids=[]))
        assert (await town.schedules.get(third)).parent_id is None

    play(database_url, tmp_path, story)


def test_schedules_are_listed_by_project_template_and_name(
    database_url: str, tmp_path: Path
) -> None:
    async def story(town: Town) -> None:
        numbers = [await town.schedule(name) for name in ("b", "a", "c")]
        page = await town.schedules.list(limit=2)
        assert ([view.name for view in page.items], page.total) == (["a", "b"], 3)
        found = await town.schedules.list(ScheduleFilter(names={"c"}))
        assert [view.id for view in found.items] == [numbers[2]]
        await town.schedules.change(numbers[0], ScheduleChange(name="z"))
        assert [row.name for row in await town.schedules.index()] == ["a", "c", "z"]

    play(database_url, tmp_path, story)


def test_next_times_begin_with_the_run_that_waits(database_url: str, tmp_path: Path) -> None:
    async def story(town: Town) -> None:
        start = town.clock.wall
        nightly = await town.schedule(
            first_run=when(town.clock, 60), every="{count: 1, unit: hour}"
        )
        times = await town.schedules.next_times(nightly, 3)
        assert [at - start for at in times] == [60, 3660, 7260]
        by_hand = await town.schedule("by-hand")
        assert await town.schedules.next_times(by_hand, 3) == []

    play(database_url, tmp_path, story)


def test_a_backfill_leaves_the_rhythm_alone(database_url: str, tmp_path: Path) -> None:
    async def story(town: Town) -> None:
        start = town.clock.wall
        nightly = await town.schedule(
            first_run=when(town.clock, 60), every="{count: 1, unit: hour}", enabled=False
        )
        core = town.schedule_core
        made = await backfill(core, nightly, start - 3 * 3600, start)
        await town.settle()
        runs = [await town.runs.get(number) for number in made]
        assert [run.due_at - start for run in runs] == [-10740, -7140, -3540]
        assert await town.waiting(nightly) == [-10740, -7140, -3540, 60]
        for number in made:
            await town.do(number)
        with pytest.raises(InvalidInputError):
            await backfill(core, nightly, start, town.clock.wall + 10)
        with pytest.raises(InvalidInputError, match="more than"):
            await backfill(core, nightly, start - 10 * 365 * 86_400, start)
        with pytest.raises(InvalidInputError, match="neither"):
            await backfill(core, await town.schedule("by-hand"), start - 60, start)

    play(database_url, tmp_path, story)


def test_a_run_that_takes_its_return_back_runs_on(database_url: str, tmp_path: Path) -> None:
    async def story(town: Town) -> None:
        nightly = await town.schedule()
        run = await town.by_hand(nightly)
        await town.do(run, success=False)
        worker = await town.worker("w1")
        await town.runs.change(run, RunChange(returned_at=None, success=None), worker)
        assert await town.job(run) is JobState.RUNNING
        town.clock.go(5)
        await town.end(run)
        assert await town.job(run) is JobState.COMPLETE
        view = await town.schedules.get(nightly)
        assert (view.runs_succeeded, view.runs_failed) == (1, 0)

    play(database_url, tmp_path, story)
