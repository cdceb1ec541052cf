"""Runs come when it is their turn: due, switched on, one at a time, to whoever claims first."""

import asyncio
from pathlib import Path

import pytest

from gristmill.domain.errors import ConflictError, NotFoundError, NotPermittedError
from gristmill.domain.runs import RunChange
from gristmill.domain.state import JobState
from gristmill.services.schedules.runs import NewRun
from tests.schedules.town import Town, play, when

HOUR = 3600.0


def test_a_first_run_is_created_once_and_waits_for_its_time(
    database_url: str, tmp_path: Path
) -> None:
    async def story(town: Town) -> None:
        fields = {"first_run": when(town.clock, 60), "every": "{count: 1, unit: hour}"}
        nightly = await town.schedule(**fields)
        await town.schedule(description="again", **fields)
        run = await town.only(nightly)
        assert (run.set_id, run.due_at, run.enqueued_at) == (run.id, town.clock.wall + 60, None)
        assert await town.job(run.id) is JobState.DELAYED
        assert town.calls() == []
        with pytest.raises(ConflictError, match="not due"):
            await town.claim(run.id)
        await town.go(60)
        assert [(kind, number) for kind, _, number in town.calls()] == [("enqueue", run.id)]
        assert await town.job(run.id) is JobState.READY
        # The one after it is there as soon as this one is let out.
        assert await town.waiting(nightly) == [0, HOUR]

    play(database_url, tmp_path, story)


def test_a_run_is_claimed_begun_and_returned_by_an_external_worker(
    database_url: str, tmp_path: Path
) -> None:
    async def story(town: Town) -> None:
        nightly = await town.schedule(first_run=when(town.clock))
        run = await town.only(nightly)
        claimed = await town.claim(run.id)
        assert (claimed.worker_id, claimed.enqueued_at) == (
            await town.worker("w1"), town.clock.wall,
        )  # fmt: skip
        assert await town.job(run.id) is JobState.RESERVED
        assert (await town.claim(run.id)).enqueued_at == town.clock.wall
        worker = await town.worker("w1")
        await town.runs.change(run.id, RunChange(started_at=town.clock.wall), worker)
        assert await town.job(run.id) is JobState.RUNNING
        await town.runs.change(run.id, RunChange(pid=77), worker)
        town.clock.go(2.5)
        done = await town.end(run.id)
        assert (done.success, done.pid, done.returned_at) == (True, 77, town.clock.wall)
        assert await town.job(run.id) is JobState.COMPLETE
        (attempt,) = await town.listing.attempts(run.id)
        assert (attempt.pid, attempt.ended_at) == (77, town.clock.wall)
        assert town.happened() == [
            ("run", "enqueued", run.id), ("run", "started", run.id), ("run", "returned", run.id),
        ]  # fmt: skip
        assert (await town.schedules.get(nightly)).last_completed_set == run.id

    play(database_url, tmp_path, story)


def test_only_workers_of_the_pool_and_only_the_claiming_one(
    database_url: str, tmp_path: Path
) -> None:
    async def story(town: Town) -> None:
        nightly = await town.schedule(first_run=when(town.clock))
        run = (await town.only(nightly)).id
        with pytest.raises(NotPermittedError):
            await town.claim(run, "stranger")
        worker, other = await town.worker("w1"), await town.worker("w2")
        with pytest.raises(NotPermittedError):
            await town.runs.change(run, RunChange(enqueued_at=1.0, worker_id=other), worker)
        await town.claim(run, "w1")
        with pytest.raises(ConflictError):
            await town.claim(run, "w2")
        with pytest.raises(NotPermittedError):
            await town.end(run, "w2")
        with pytest.raises(NotFoundError):
            await town.claim(999)
        assert (await town.runs.get(run)).returned_at is None

    play(database_url, tmp_path, story)


def test_a_race_of_twenty_workers_claims_each_of_200_runs_once(
    database_url: str, tmp_path: Path
) -> None:
    async def story(town: Town) -> None:
        names = [f"r{number}" for number in range(20)]
        rows = "".join(
            f"- {{name: {name}, pools: [outside], api_key: {name}, secret: x}}\n" for name in names
        )
        await town.declarations.apply(f"workers:\n{rows}")
        schedules = "".join(
            f"- {{name: s{number}, project: etl, template: bash, pool: outside,"
            f" first_run: {when(town.clock)}}}\n"
            for number in range(200)
        )
        await town.declarations.apply(f"schedules:\n{schedules}")
        await town.settle()
        runs = [run.id for run in (await town.runs.list()).items]
        assert len(runs) == 200
        workers = {name: await town.worker(name) for name in names}
        won: dict[int, list[int]] = {run: [] for run in runs}

        async def race(worker: int) -> None:
            for run in runs:
                try:
                    change = RunChange(enqueued_at=town.clock.wall, worker_id=worker)
                    await town.runs.change(run, change, worker)
                    won[run].append(worker)
                except ConflictError:
                    continue

        await asyncio.gather(*(race(worker) for worker in workers.values()))
        assert all(len(winners) == 1 for winners in won.values())
        assert {run.id: [run.worker_id] for run in (await town.runs.list()).items} == won

    play(database_url, tmp_path, story)


def test_one_run_of_a_schedule_is_active_at_a_time(database_url: str, tmp_path: Path) -> None:
    async def story(town: Town) -> None:
        nightly = await town.schedule(first_run=when(town.clock), every="{count: 10, unit: minute}")
        first = (await town.only(nightly, state="scheduled", due_to=town.clock.wall)).id
        await town.begin(first)
        manual = await town.by_hand(nightly)
        await town.go(3 * HOUR)
        for run in await town.runs_of(nightly, state="scheduled"):
            with pytest.raises(ConflictError, match="turn"):
                await town.claim(run.id)
        await town.end(first)
        # What was missed meanwhile is made up for once: the run that waited, then from now on.
        assert await town.waiting(nightly) == [-3 * HOUR, -3 * HOUR + 600]
        await town.do(manual)
        late = (await town.runs_of(nightly, state="scheduled"))[0].id
        await town.do(late)
        (following,) = await town.waiting(nightly)
        assert 0 <= following < 600

    play(database_url, tmp_path, story)


def test_a_worker_that_restarts_gives_its_runs_back_and_is_offered_them_again(
    database_url: str, tmp_path: Path
) -> None:
    async def story(town: Town) -> None:
        nightly = await town.schedule(first_run=when(town.clock))
        run = (await town.only(nightly)).id
        await town.begin(run)
        town.calls()
        worker = await town.worker("w1")
        back = await town.runs.change(run, RunChange(enqueued_at=None, started_at=None), worker)
        assert (back.enqueued_at, back.started_at, back.worker_id) == (None, None, worker)
        await town.settle()
        assert town.calls() == [("enqueue", "k1", run)]
        with pytest.raises(ConflictError):
            await town.claim(run, "w2")
        await town.do(run)
        assert await town.job(run) is JobState.COMPLETE

    play(database_url, tmp_path, story)


@pytest.mark.parametrize("what", ["schedule", "template", "project", "pool"])
def test_four_switches_hold_runs_up_but_not_manual_ones(
    database_url: str, tmp_path: Path, what: str
) -> None:
    switch = {
        "schedule": "schedules: [{name: nightly, project: etl, template: bash, enabled: %s}]",
        "template": "templates: [{name: bash, project: etl, enabled: %s}]",
        "project": "projects: [{name: etl, enabled: %s}]",
        "pool": "pools: [{name: outside, enabled: %s}]",
    }[what]

    async def story(town: Town) -> None:
        nightly = await town.schedule(first_run=when(town.clock))
        run = (await town.only(nightly)).id
        assert await town.job(run) is JobState.READY
        await town.declarations.apply(switch % "false")
        await town.settle()
        assert await town.job(run) is JobState.WAITING
        with pytest.raises(ConflictError, match="turn"):
            await town.claim(run)
        await town.do(await town.by_hand(nightly))
        await town.declarations.apply(switch % "true")
        await town.settle()
        await town.do(run)

    play(database_url, tmp_path, story)


def test_no_enabled_worker_leaves_a_run_scheduled(database_url: str, tmp_path: Path) -> None:
    async def story(town: Town) -> None:
        await town.declarations.apply(
            "workers: [{name: w1, enabled: false}, {name: w2, enabled: false}]"
        )
        nightly = await town.schedule(first_run=when(town.clock), every="{count: 1, unit: hour}")
        run = await town.only(nightly)
        assert await town.job(run.id) is JobState.WAITING
        assert town.calls() == []
        await town.declarations.apply("workers: [{name: w2, enabled: true}]")
        await town.settle()
        assert town.calls() == [("enqueue", "k2", run.id)]

    play(database_url, tmp_path, story)


def test_runs_on_all_workers_are_siblings(database_url: str, tmp_path: Path) -> None:
    async def story(town: Town) -> None:
        child = await town.schedule("child")
        everywhere = await town.schedule(
            run_on_all_workers=True, first_run=when(town.clock), every="{count: 1, unit: hour}"
        )
        await town.schedule("child", parent="nightly")
        siblings = await town.runs_of(everywhere, due_to=town.clock.wall)
        assert len({run.set_id for run in siblings}) == 1
        (original,) = {run.set_id for run in siblings}
        assert original not in {run.id for run in siblings}
        with pytest.raises(NotFoundError):
            await town.runs.get(original)
        by_worker = {run.worker_id: run.id for run in siblings}
        first, second = by_worker[await town.worker("w1")], by_worker[await town.worker("w2")]
        assert sorted(town.calls()) == [("enqueue", "k1", first), ("enqueue", "k2", second)]
        await town.begin(first, "w1")
        await town.begin(second, "w2")
        await town.end(first, "w1")
        assert await town.runs_of(child) == []
        await town.end(second, "w2")
        assert len(await town.runs_of(child)) == 1
        assert await town.waiting(everywhere) == [HOUR]

    play(database_url, tmp_path, story)


def test_offers_are_repeated_and_then_go_to_another_worker(
    database_url: str, tmp_path: Path
) -> None:
    async def story(town: Town) -> None:
        nightly = await town.schedule(first_run=when(town.clock))
        run = (await town.only(nightly)).id
        ((_, key, _),) = town.calls()
        await town.scheduler.say_again()
        assert town.calls() == [("enqueue", key, run)]
        town.clock.go(31)
        await town.scheduler.say_again()
        assert town.calls() == [("enqueue", {"k1": "k2", "k2": "k1"}[key], run)]
        await town.claim(run)
        await town.scheduler.say_again()
        assert town.calls() == []
        assert not town.board.something.is_set()

    play(database_url, tmp_path, story)


def test_an_offer_leaves_a_worker_that_is_switched_off(database_url: str, tmp_path: Path) -> None:
    async def story(town: Town) -> None:
        nightly = await town.schedule(first_run=when(town.clock))
        run = (await town.only(nightly)).id
        ((_, key, _),) = town.calls()
        name, other = {"k1": ("w1", "k2"), "k2": ("w2", "k1")}[key]
        await town.declarations.apply(f"workers: [{{name: {name}, enabled: false}}]")
        await town.settle()
        assert town.calls() == [("enqueue", other, run)]

    play(database_url, tmp_path, story)


def test_workers_without_a_free_slot_are_offered_nothing_while_others_have_one(
    database_url: str, tmp_path: Path
) -> None:
    async def story(town: Town) -> None:
        from gristmill.services.schedules.workers import WorkerChange

        full = await town.worker("w1")
        await town.workers.change(full, WorkerChange(answered_at=town.clock.wall, slots=1))
        other = await town.schedule("other", first_run=when(town.clock))
        await town.claim((await town.only(other)).id, "w1")
        town.calls()
        for number in range(5):
            await town.schedule(f"s{number}", first_run=when(town.clock))
        assert [key for _, key, _ in town.calls()] == ["k2"] * 5

    play(database_url, tmp_path, story)


def test_what_waits_is_offered_again_after_a_restart(database_url: str, tmp_path: Path) -> None:
    async def story(town: Town) -> None:
        nightly = await town.schedule(first_run=when(town.clock), every="{count: 1, unit: hour}")
        run = (await town.runs_of(nightly))[0].id
        again = Town(town.database, town.clock, town.folder)
        await again.open()
        await again.settle()
        assert [number for _, _, number in again.calls()] == [run]
        assert len(await again.runs_of(nightly)) == 2
        await again.do(run)
        assert len(await again.runs_of(nightly)) == 2

    play(database_url, tmp_path, story)


def test_a_run_can_be_given_another_time(database_url: str, tmp_path: Path) -> None:
    async def story(town: Town) -> None:
        nightly = await town.schedule(first_run=when(town.clock, 60))
        run = (await town.only(nightly)).id
        await town.runs.change(run, RunChange(due_at=town.clock.wall))
        await town.settle()
        assert await town.job(run) is JobState.READY
        await town.runs.change(run, RunChange(due_at=town.clock.wall + 90))
        assert await town.job(run) is JobState.DELAYED
        await town.go(90)
        assert await town.job(run) is JobState.READY

    play(database_url, tmp_path, story)


def test_a_run_may_be_told_of_when_it_is_over(database_url: str, tmp_path: Path) -> None:
    async def story(town: Town) -> None:
        nightly = await town.schedule()
        now = town.clock.wall
        new = NewRun(
            schedule_id=nightly, due_at=now, enqueued_at=now, started_at=now, returned_at=now,
            success=False, worker_id=await town.worker("w1"),
        )  # fmt: skip
        run = await town.runs.create(new)
        assert await town.job(run) is JobState.BURIED
        assert town.recorder.told == [("run_failed", run)]

    play(database_url, tmp_path, story)
