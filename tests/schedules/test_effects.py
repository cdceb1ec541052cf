"""What follows when a run returns: the next run, the children, failures, and what people hear."""

from pathlib import Path

import pytest

from gristmill.domain.declared import Every
from gristmill.domain.runs import RunChange
from gristmill.domain.state import JobState
from gristmill.services.schedules.defining import ScheduleChange
from gristmill.services.schedules.workers import WorkerChange
from tests.schedules.town import Town, play, when

HOUR = 3600.0
HOURLY = "{count: 1, unit: hour}"


def test_a_success_starts_the_children_that_are_switched_on(
    database_url: str, tmp_path: Path
) -> None:
    async def story(town: Town) -> None:
        parent = await town.schedule("parent", first_run=when(town.clock))
        child = await town.schedule("child", parent="parent")
        off = await town.schedule("idle", parent="parent", enabled=False)
        await town.do((await town.only(parent)).id)
        run = await town.only(child)
        assert (run.due_at, run.manual, run.chains) == (town.clock.wall, False, True)
        assert await town.runs_of(off) == []
        failed = await town.by_hand(parent)
        await town.do(failed, success=False)
        unjudged = await town.by_hand(parent)
        await town.do(unjudged, success=None)
        assert len(await town.runs_of(child)) == 1

    play(database_url, tmp_path, story)


def test_children_follow_an_error_where_the_schedule_says_so(
    database_url: str, tmp_path: Path
) -> None:
    async def story(town: Town) -> None:
        parent = await town.schedule("parent", run_children_on_error=True)
        child = await town.schedule("child", parent="parent")
        await town.do(await town.by_hand(parent), success=False)
        assert len(await town.runs_of(child)) == 1
        await town.do(await town.by_hand(parent, chains=False), success=True)
        assert len(await town.runs_of(child)) == 1

    play(database_url, tmp_path, story)


def test_a_sibling_that_failed_holds_the_children_back(database_url: str, tmp_path: Path) -> None:
    async def story(town: Town) -> None:
        parent = await town.schedule("parent", run_on_all_workers=True)
        child = await town.schedule("child", parent="parent")
        await town.by_hand(parent)
        names = {await town.worker(name): name for name in ("w1", "w2")}
        runs = [(run.id, names[run.worker_id or 0]) for run in await town.runs_of(parent)]
        for (run, name), success in zip(runs, (False, True), strict=True):
            await town.begin(run, name)
            await town.end(run, name, success=success)
        assert await town.runs_of(child) == []

    play(database_url, tmp_path, story)


def test_a_return_told_twice_has_its_effects_once(database_url: str, tmp_path: Path) -> None:
    async def story(town: Town) -> None:
        parent = await town.schedule("parent", first_run=when(town.clock), every=HOURLY)
        child = await town.schedule("child", parent="parent")
        run = (await town.runs_of(parent))[0].id
        await town.begin(run)
        first = await town.end(run, success=True)
        await town.end(run, success=True)
        await town.runs.change(run, RunChange(chains=True), await town.worker("w1"))
        assert len(await town.runs_of(child)) == 1
        assert len(await town.runs_of(parent)) == 2
        town.clock.go(1)
        await town.end(run, success=True)
        assert len(await town.runs_of(child)) == 2
        # The same time as at first is no news either.
        again = RunChange(returned_at=first.returned_at)
        await town.runs.change(run, again, await town.worker("w1"))
        assert len(await town.runs_of(child)) == 2
        assert len(await town.runs_of(parent)) == 2

    play(database_url, tmp_path, story)


def test_a_schedule_that_keeps_failing_is_switched_off(database_url: str, tmp_path: Path) -> None:
    async def story(town: Town) -> None:
        nightly = await town.schedule(disable_after_failures=3)
        for failures in (1, 2, 3):
            await town.do(await town.by_hand(nightly), success=False)
            view = await town.schedules.get(nightly)
            assert (view.failures, view.enabled) == (failures, True)
        await town.do(await town.by_hand(nightly), success=False)
        view = await town.schedules.get(nightly)
        assert (view.failures, view.enabled) == (4, False)
        assert [kind for kind, _ in town.recorder.told] == ["run_failed"] * 4
        await town.schedules.change(nightly, ScheduleChange(enabled=True))
        view = await town.schedules.get(nightly)
        assert (view.failures, view.enabled) == (0, True)
        await town.do(await town.by_hand(nightly), success=False)
        await town.do(await town.by_hand(nightly), success=True)
        assert (await town.schedules.get(nightly)).failures == 0

    play(database_url, tmp_path, story)


def test_declaring_a_schedule_enabled_again_forgets_its_failures(
    database_url: str, tmp_path: Path
) -> None:
    async def story(town: Town) -> None:
        nightly = await town.schedule(disable_after_failures=0)
        await town.do(await town.by_hand(nightly), success=False)
        assert not (await town.schedules.get(nightly)).enabled
        await town.schedule(enabled=True)
        view = await town.schedules.get(nightly)
        assert (view.failures, view.enabled) == (0, True)

    play(database_url, tmp_path, story)


def test_a_schedule_without_a_next_time_tells_once(database_url: str, tmp_path: Path) -> None:
    async def story(town: Town) -> None:
        nightly = await town.schedule(
            first_run=when(town.clock), every=HOURLY,
            exclude='[{from: "00:00", to: "23:59:59"}]',
        )  # fmt: skip
        await town.do((await town.only(nightly)).id)
        assert await town.waiting(nightly) == []
        assert town.recorder.told == [("cannot_reschedule", nightly)]

    play(database_url, tmp_path, story)


def test_manual_runs_never_move_the_rhythm(database_url: str, tmp_path: Path) -> None:
    async def story(town: Town) -> None:
        nightly = await town.schedule(first_run=when(town.clock), every=HOURLY)
        await town.do((await town.runs_of(nightly))[0].id)
        town.clock.go(100)
        await town.do(await town.by_hand(nightly))
        (waits,) = await town.waiting(nightly)
        assert waits == HOUR - 102
        by_hand = await town.schedule("by-hand", every=HOURLY)
        await town.do(await town.by_hand(by_hand))
        assert await town.waiting(by_hand) == []

    play(database_url, tmp_path, story)


@pytest.mark.parametrize(("policy", "left"), [("one", 1), ("skip", 0), ("all", 5)])
def test_what_was_missed_is_made_up_for_as_the_policy_says(
    database_url: str, tmp_path: Path, policy: str, left: int
) -> None:
    async def story(town: Town) -> None:
        nightly = await town.schedule(first_run=when(town.clock, 60), every=HOURLY, catch_up=policy)
        # The server is away: nothing is done meanwhile.
        town.clock.go(60 + 4 * HOUR + 1)
        await town.settle()
        done = []
        while due := await town.runs_of(nightly, state="scheduled", due_to=town.clock.wall):
            await town.do(due[0].id)
            done.append(due[0].due_at)
        assert len(done) == left
        assert done == sorted(set(done))
        (waits,) = await town.waiting(nightly)
        assert 0 < waits < HOUR

    play(database_url, tmp_path, story)


def test_jitter_delays_runs_but_not_the_rhythm(database_url: str, tmp_path: Path) -> None:
    async def story(town: Town) -> None:
        start = town.clock.wall
        nightly = await town.schedule(first_run=when(town.clock, 60), every=HOURLY, jitter=600)
        run = await town.only(nightly)
        assert run.due_at == start + 60
        await town.go(60)
        assert await town.job(run.id) is JobState.DELAYED
        await town.go(600)
        await town.do(run.id)
        assert await town.waiting(nightly) == [start + 60 + HOUR - town.clock.wall]

    play(database_url, tmp_path, story)


def test_marked_as_failed_by_the_server(database_url: str, tmp_path: Path) -> None:
    async def story(town: Town) -> None:
        nightly = await town.schedule(first_run=when(town.clock))
        run = (await town.only(nightly)).id
        assert await town.runs.mark_failed(run, "the moon is in the wrong quarter")
        view = await town.runs.get(run)
        assert (view.success, view.returned_at, view.log_id) == (False, town.clock.wall, run)
        assert view.enqueued_at == view.started_at == town.clock.wall
        assert "quarter" in str((await town.logs.get_many([run]))[run].content)
        assert not await town.runs.mark_failed(run, "again")
        assert town.recorder.told == [("run_failed", run)]

    play(database_url, tmp_path, story)


def test_what_silent_workers_have_fails_and_an_outage_is_told_once(
    database_url: str, tmp_path: Path
) -> None:
    async def story(town: Town) -> None:
        nightly = await town.schedule(first_run=when(town.clock), every=HOURLY)
        run = (await town.runs_of(nightly))[0].id
        await town.begin(run, "w1")
        answered = WorkerChange(answered_at=town.clock.wall, version="2.1.2", slots=4)
        await town.workers.change(await town.worker("w1"), answered)
        # A new worker has a full window of grace, and so has one that answered just in time.
        town.clock.go(915)
        await town.workers.check_health()
        assert (await town.runs.get(run)).returned_at is None
        town.clock.go(1)
        await town.workers.check_health()
        await town.workers.check_health()
        await town.settle()
        view = await town.runs.get(run)
        assert (view.success, view.returned_at) == (False, town.clock.wall)
        pool = (await town.schedules.get(nightly)).pool_id
        assert town.recorder.told == [("run_failed", run), ("pool_unresponsive", pool)]
        assert len(await town.waiting(nightly)) == 1
        w2 = await town.worker("w2")
        await town.workers.change(w2, WorkerChange(answered_at=town.clock.wall))
        await town.workers.check_health()
        town.clock.go(916)
        await town.workers.check_health()
        assert town.recorder.told[2:] == [("pool_unresponsive", pool)]

    play(database_url, tmp_path, story)


def test_pings_go_to_every_worker(database_url: str, tmp_path: Path) -> None:
    async def story(town: Town) -> None:
        await town.declarations.apply("workers: [{name: w2, enabled: false}]")
        town.calls()
        await town.workers.ping()
        assert town.calls() == [("ping", "k1", None), ("ping", "k2", None), ("ping", "k3", None)]

    play(database_url, tmp_path, story)


def test_a_changed_interval_counts_from_the_last_time(database_url: str, tmp_path: Path) -> None:
    async def story(town: Town) -> None:
        nightly = await town.schedule(first_run=when(town.clock), every=HOURLY)
        run = (await town.runs_of(nightly))[0].id
        await town.schedules.change(nightly, ScheduleChange(every=Every(count=1, unit="day")))
        await town.do(run)
        following = (await town.runs_of(nightly, state="scheduled"))[0].id
        await town.go(HOUR)
        await town.do(following)
        (waits,) = await town.waiting(nightly)
        assert 86_400 - 10 < waits <= 86_400

    play(database_url, tmp_path, story)
