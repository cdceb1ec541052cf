"""Our own agents serve pools: runs come to them through the queue, and are stamped for them."""

from pathlib import Path

from gristmill.domain.state import JobState
from gristmill.services.schedules.defining import ScheduleChange
from gristmill.services.schedules.kills import KillChange
from tests.schedules.town import Town, play, when
from tests.services.mill import EVERYBODY

HOURLY = "{count: 1, unit: hour}"


def test_an_agent_that_names_no_pools_serves_those_that_are_for_agents(
    database_url: str, tmp_path: Path
) -> None:
    async def story(town: Town) -> None:
        agent = await town.agent()
        far = await town.agent("far", pools=["elsewhere"])
        outside = await town.schedule("outside", first_run=when(town.clock))
        inside = await town.schedule(
            "inside", pool="inside", first_run=when(town.clock), script="echo $0"
        )
        await town.ask(agent, far)
        run = (await town.only(inside)).id
        assert (list(agent.holding), list(far.holding)) == ([run], [])
        assert await town.job((await town.only(outside)).id) is JobState.READY
        spec = (await town.listing.get(EVERYBODY, run)).row.spec
        assert spec.tasks[0].script == "#!/bin/sh\necho $0\n"
        assert (spec.pool, spec.project, spec.merge_output) == ("inside", "etl", True)

    play(database_url, tmp_path, story)


def test_an_agents_run_is_stamped_and_has_its_effects(database_url: str, tmp_path: Path) -> None:
    async def story(town: Town) -> None:
        agent = await town.agent()
        inside = await town.schedule(
            pool="inside", first_run=when(town.clock), every=HOURLY, script="date"
        )
        child = await town.schedule("child", pool="inside", parent="nightly")
        run = (await town.runs_of(inside, due_to=town.clock.wall))[0].id
        await agent.ask()
        view = await town.runs.get(run)
        assert (view.enqueued_at, view.started_at, view.worker_id) == (town.clock.wall, None, None)
        town.clock.go(1)
        await agent.start(run)
        view = await town.runs.get(run)
        assert (view.started_at, view.pid) == (town.clock.wall, 4_000 + run)
        town.clock.go(1)
        await agent.finish(run, stdout=b"out\xff\n")
        await town.settle()
        view = await town.runs.get(run)
        assert (view.returned_at, view.success, view.log_id) == (town.clock.wall, True, run)
        assert (await town.logs.get_many([run]))[run].content == "out\ufffd\n"
        assert town.happened() == [
            ("run", "enqueued", run), ("run", "started", run), ("run", "returned", run),
        ]  # fmt: skip
        assert len(await town.runs_of(child)) == 1
        assert await town.waiting(inside) == [3600 - 2]

    play(database_url, tmp_path, story)


def test_a_failure_of_an_agents_run_counts(database_url: str, tmp_path: Path) -> None:
    async def story(town: Town) -> None:
        agent = await town.agent()
        inside = await town.schedule(pool="inside", disable_after_failures=0)
        run = await town.by_hand(inside)
        await town.work_one(agent, exit_code=3)
        assert (await town.runs.get(run)).success is False
        assert await town.job(run) is JobState.BURIED
        assert not (await town.schedules.get(inside)).enabled

    play(database_url, tmp_path, story)


def test_the_script_is_the_one_at_the_time_of_the_run(database_url: str, tmp_path: Path) -> None:
    async def story(town: Town) -> None:
        agent = await town.agent()
        inside = await town.schedule(
            pool="inside", first_run=when(town.clock, 60), script="echo old"
        )
        await town.schedules.change(inside, ScheduleChange(script="echo\r\nnew", name="renamed"))
        await town.go(60)
        (run,) = await agent.lease()
        row = (await town.listing.get(EVERYBODY, run)).row
        assert (row.spec.tasks[0].script, row.name) == ("#!/bin/sh\necho\nnew\n", "renamed")

    play(database_url, tmp_path, story)


def test_one_run_of_a_schedule_is_with_the_agents_at_a_time(
    database_url: str, tmp_path: Path
) -> None:
    async def story(town: Town) -> None:
        agent = await town.agent()
        inside = await town.schedule(pool="inside")
        first, second = await town.by_hand(inside), await town.by_hand(inside)
        assert await agent.lease() == [first]
        assert await agent.lease() == []
        await agent.start(first)
        await agent.finish(first)
        await town.settle()
        assert await agent.lease() == [second]

    play(database_url, tmp_path, story)


def test_an_agent_that_dies_fails_its_run_and_the_next_one_follows(
    database_url: str, tmp_path: Path
) -> None:
    async def story(town: Town) -> None:
        agent = await town.agent()
        inside = await town.schedule(pool="inside", first_run=when(town.clock), every=HOURLY)
        (run,) = await agent.lease()
        await agent.start(run)
        await agent.die()
        await agent.register()
        await town.settle()
        view = await town.runs.get(run)
        assert (view.success, await town.job(run)) == (False, JobState.BURIED)
        assert await town.waiting(inside) == [3600]
        assert town.recorder.told == [("run_failed", run)]

    play(database_url, tmp_path, story)


def test_a_lease_that_is_given_back_is_no_claim(database_url: str, tmp_path: Path) -> None:
    async def story(town: Town) -> None:
        agent = await town.agent()
        inside = await town.schedule(pool="inside")
        run = await town.by_hand(inside)
        await agent.lease()
        await agent.give_back(run)
        assert (await town.runs.get(run)).enqueued_at is None
        await town.settle()
        assert await agent.lease() == [run]

    play(database_url, tmp_path, story)


def test_a_kill_request_ends_what_an_agent_runs(database_url: str, tmp_path: Path) -> None:
    async def story(town: Town) -> None:
        agent = await town.agent()
        inside = await town.schedule(pool="inside")
        run = await town.by_hand(inside)
        early = await town.kills.create(run)
        await agent.lease()
        await agent.start(run)
        heard = await agent.ask()
        assert [held.job for held in heard.kill] == [run]
        (request,) = (await town.kills.get_many([early])).values()
        assert (request.enqueued_at, request.executed_at) == (town.clock.wall, None)
        town.clock.go(1)
        await agent.finish(run, exit_code=-9, reason="cancelled by user")
        (request,) = (await town.kills.get_many([early])).values()
        assert request.executed_at == town.clock.wall
        assert (await town.runs.get(run)).success is False

    play(database_url, tmp_path, story)


def test_a_kill_request_is_called_out_to_the_worker_until_it_is_taken(
    database_url: str, tmp_path: Path
) -> None:
    async def story(town: Town) -> None:
        outside = await town.schedule()
        run = await town.by_hand(outside)
        await town.claim(run)
        request = await town.kills.create(run)
        town.calls()
        await town.scheduler.say_again()
        assert town.calls() == []
        await town.begin_claimed(run)
        assert town.calls() == [("kill", "k1", request)]
        await town.scheduler.say_again()
        assert town.calls() == [("kill", "k1", request)]
        again = Town(town.database, town.clock, town.folder)
        await again.open()
        assert again.calls() == [("kill", "k1", request)]
        await town.kills.change(request, KillChange(enqueued_at=town.clock.wall))
        await town.scheduler.say_again()
        assert town.calls() == []
        await town.kills.change(request, KillChange(executed_at=town.clock.wall))
        await town.end(run, success=False)
        inert = await town.kills.create(run)
        assert town.calls() == []
        assert {one.id for one in (await town.kills.list()).items} == {request, inert}

    play(database_url, tmp_path, story)


def test_cancelling_the_job_natively_ends_the_run(database_url: str, tmp_path: Path) -> None:
    async def story(town: Town) -> None:
        nightly = await town.schedule(first_run=when(town.clock, 60), every=HOURLY)
        run = (await town.only(nightly)).id
        await town.cancel(run)
        await town.settle()
        view = await town.runs.get(run)
        assert (view.success, view.returned_at) == (None, town.clock.wall)
        assert (await town.schedules.get(nightly)).failures == 0
        (waits,) = await town.waiting(nightly)
        assert waits == 3660
        late = (await town.runs_of(nightly, state="scheduled"))[0].id
        await town.schedules.change(nightly, ScheduleChange(enabled=False))
        await town.go(waits)
        assert await town.job(late) is JobState.WAITING
        await town.cancel(late)
        await town.schedules.change(nightly, ScheduleChange(enabled=True))
        await town.retry(late)
        await town.settle()
        await town.do(late)
        # One that a worker has is ended by its worker.
        held = await town.by_hand(nightly)
        await town.begin(held)
        town.calls()
        await town.cancel(held)
        ((kind, key, _),) = town.calls()
        assert (kind, key) == ("kill", "k1")
        await town.end(held, success=False)
        assert await town.job(held) is JobState.CANCELLED

    play(database_url, tmp_path, story)


def test_retrying_the_job_natively_runs_it_again(database_url: str, tmp_path: Path) -> None:
    async def story(town: Town) -> None:
        agent = await town.agent()
        inside = await town.schedule(pool="inside")
        run = await town.by_hand(inside)
        await town.work_one(agent, exit_code=1)
        await town.retry(run)
        view = await town.runs.get(run)
        assert (view.returned_at, view.enqueued_at, view.success) == (None, None, None)
        await town.settle()
        town.clock.go(1)
        await town.work_one(agent)
        assert (await town.runs.get(run)).success is True
        assert (await town.schedules.get(inside)).failures == 0

    play(database_url, tmp_path, story)


def test_forgetting_the_job_forgets_the_run(database_url: str, tmp_path: Path) -> None:
    async def story(town: Town) -> None:
        agent = await town.agent()
        inside = await town.schedule(pool="inside")
        run = await town.by_hand(inside)
        await town.work_one(agent)
        await town.control.forget(EVERYBODY, run)
        assert await town.runs_of(inside) == []
        assert (await town.logs.list()).total == 0

    play(database_url, tmp_path, story)


def test_running_on_all_workers_includes_each_of_our_agents(
    database_url: str, tmp_path: Path
) -> None:
    async def story(town: Town) -> None:
        first, second = await town.agent("a"), await town.agent("b")
        inside = await town.schedule(pool="inside", run_on_all_workers=True)
        await town.by_hand(inside)
        await town.ask(first, second)
        assert (len(first.holding), len(second.holding)) == (1, 1)
        for agent in (first, second):
            (run,) = list(agent.holding)
            await agent.start(run)
            await agent.finish(run)
        assert len({run.set_id for run in await town.runs_of(inside, state="completed")}) == 1

    play(database_url, tmp_path, story)


def test_pruning_a_schedule_ends_what_is_left_of_it(database_url: str, tmp_path: Path) -> None:
    async def story(town: Town) -> None:
        agent = await town.agent()
        inside = await town.schedule(pool="inside", first_run=when(town.clock), every=HOURLY)
        runs = [run.id for run in await town.runs_of(inside)]
        (held,) = await agent.lease()
        await agent.start(held)
        from tests.schedules.town import DECLARED

        await town.declarations.apply(DECLARED, prune=True)
        heard = await agent.ask()
        assert [order.job for order in heard.kill] == [held]
        (waiting,) = set(runs) - {held}
        assert await town.job(waiting) is JobState.CANCELLED
        await agent.finish(held, exit_code=-9, reason="cancelled by user")
        assert (await town.runs.list()).total == 0
        assert await town.job(held) is JobState.CANCELLED

    play(database_url, tmp_path, story)
