"""Runs: claims, returns, and what follows from them."""

import itertools
import threading
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta

import pytest

from tests.job_runner.conftest import Place
from tests.job_runner.talk import Json, Worker

_numbers = itertools.count(1)


def now(**ahead: float) -> str:
    return (datetime.now(UTC) + timedelta(**ahead)).isoformat(" ")


def a_job(place: Place, **fields: Json) -> str:
    """Make a job of its own; return its URI."""
    w1 = place.w1
    document = {
        "title": f"runs-{next(_numbers)}",
        "job_template": w1.titled("job_template", "bash")["resource_uri"],
        "worker_pool": w1.titled("worker_pool", "outside")["resource_uri"],
        **fields,
    }
    return w1.post("job", document)


def a_run(place: Place, job: str = "", **fields: Json) -> str:
    """Make a run that is due; return its URI."""
    job = job or a_job(place)
    return place.w1.post("run", {"job": job, "schedule_dts": now(), "is_manual": True, **fields})


def claim(worker: Worker, run: str, at: str = "") -> int:
    """Claim a run as the worker does; return the status."""
    me = worker.myself["resource_uri"]
    return worker.status("PATCH", run, {"enqueue_dts": at or now(), "worker": me})


def finish(worker: Worker, run: str, *, success: bool | None = True) -> str:
    """Claim, begin and return a run; return when."""
    assert claim(worker, run) == 202
    worker.patch(run, {"start_dts": now()})
    at = now()
    worker.patch(run, {"return_dts": at, "return_success": success})
    return at


def runs_of(place: Place, job: str, state: str = "") -> list[Json]:
    number = job.split("/")[-2]
    return place.w1.objects(f"run/?job={number}&state={state}")


def test_the_first_claim_wins(place: Place) -> None:
    run = a_run(place)
    at = now()
    assert claim(place.w1, run, at) == 202
    assert claim(place.w1, run, at) == 202
    assert claim(place.w2, run) == 409
    assert claim(place.w3, run) == 401
    assert place.w1.get(run)["worker"] == place.w1.myself["resource_uri"]
    assert place.w2.status("PATCH", run, {"start_dts": now()}) == 401


def test_a_refused_claim_says_why(place: Place) -> None:
    run = a_run(place)
    assert claim(place.w1, run) == 202
    me = place.w2.myself["resource_uri"]
    reply = place.w2.send("PATCH", run, {"enqueue_dts": now(), "worker": me})
    assert (reply.status_code, list(reply.json())) == (409, ["error"])


def test_a_run_that_is_not_due_cannot_be_claimed(place: Place) -> None:
    run = a_run(place, schedule_dts=now(hours=1))
    assert claim(place.w1, run) == 409
    assert place.w1.get(run)["enqueue_dts"] is None


def test_one_active_run_of_a_job(place: Place) -> None:
    job = a_job(place)
    first, second = a_run(place, job), a_run(place, job)
    assert claim(place.w1, second) == 202
    assert claim(place.w2, first) == 409
    place.w1.patch(second, {"start_dts": now()})
    place.w1.patch(second, {"return_dts": now(), "return_success": True})
    assert claim(place.w2, first) == 202


def test_a_worker_gives_back_what_it_held(place: Place) -> None:
    run = a_run(place)
    assert claim(place.w1, run) == 202
    place.w1.patch(run, {"start_dts": now()})
    place.w1.patch(run, {"enqueue_dts": None, "start_dts": None})
    after = place.w1.get(run)
    assert (after["enqueue_dts"], after["start_dts"]) == (None, None)
    assert after["worker"] == place.w1.myself["resource_uri"]
    assert claim(place.w2, run) == 409
    assert claim(place.w1, run) == 202


def test_null_leaves_the_worker(place: Place) -> None:
    run = a_run(place)
    assert claim(place.w1, run) == 202
    place.w1.patch(run, {"worker": None, "pid": 5})
    assert place.w1.get(run)["worker"] == place.w1.myself["resource_uri"]
    place.w1.patch(run, {"pid": None})
    assert place.w1.get(run)["pid"] is None


def test_returning_twice_chains_once(place: Place) -> None:
    job = a_job(place)
    child = a_job(place, parent=job)
    run = a_run(place, job)
    at = finish(place.w1, run)
    place.w1.patch(run, {"return_dts": at, "return_success": True})
    place.w1.patch(run, {"pid": 7})
    assert len(runs_of(place, child)) == 1
    (following,) = runs_of(place, child)
    assert (following["is_manual"], following["schedule_children"]) == (False, True)


@pytest.mark.parametrize(
    ("success", "on_error", "chains", "children"),
    [
        (True, False, True, 1), (False, False, True, 0), (False, True, True, 1),
        (None, False, True, 0), (None, True, True, 0), (True, False, False, 0),
        (False, True, False, 0),
    ],
)  # fmt: skip
def test_chains(
    place: Place, success: bool | None, on_error: bool, chains: bool, children: int
) -> None:
    job = a_job(place, schedule_children_on_error=on_error)
    child = a_job(place, parent=job)
    disabled = a_job(place, parent=job, enqueue_is_enabled=False)
    finish(place.w1, a_run(place, job, schedule_children=chains), success=success)
    assert len(runs_of(place, child)) == children
    assert runs_of(place, disabled) == []


def test_failures_disable_a_job(place: Place) -> None:
    job = a_job(place, disable_enqueue_after_fails=1)

    def enabled() -> bool:
        found: bool = place.w1.get(job)["enqueue_is_enabled"]
        return found

    finish(place.w1, a_run(place, job), success=False)
    assert enabled()
    finish(place.w1, a_run(place, job), success=True)
    finish(place.w1, a_run(place, job), success=False)
    assert enabled()
    finish(place.w1, a_run(place, job), success=False)
    assert not enabled()
    place.w1.patch(job, {"enqueue_is_enabled": True})
    finish(place.w1, a_run(place, job), success=False)
    assert enabled()


def test_the_next_run_is_made(place: Place) -> None:
    job = a_job(place, reschedule_interval=1, reschedule_interval_type="HOUR")
    run = place.w1.post("run", {"job": job, "schedule_dts": now()})
    finish(place.w1, run)
    (following,) = runs_of(place, job, "scheduled")
    before = datetime.fromisoformat(place.w1.get(run)["schedule_dts"])
    assert datetime.fromisoformat(following["schedule_dts"]) - before == timedelta(hours=1)
    finish(place.w1, a_run(place, job))
    assert len(runs_of(place, job, "scheduled")) == 1


def test_a_disabled_job_waits(place: Place) -> None:
    job = a_job(place, enqueue_is_enabled=False)
    run = place.w1.post("run", {"job": job, "schedule_dts": now()})
    assert claim(place.w1, run) == 409
    assert claim(place.w1, a_run(place, job)) == 202


def test_order_of_a_list(place: Place) -> None:
    job = a_job(place)
    returned = [a_run(place, job) for _ in range(2)]
    for run in returned:
        finish(place.w1, run)
    started = a_run(place, job)
    assert claim(place.w1, started) == 202
    later = a_run(place, job, schedule_dts=now(hours=2))
    sooner = a_run(place, job, schedule_dts=now(hours=1))
    assert [run["resource_uri"] for run in runs_of(place, job)] == [
        *reversed(returned), started, sooner, later,
    ]  # fmt: skip
    assert [run["resource_uri"] for run in runs_of(place, job, "anything")] == [
        *reversed(returned), started, sooner, later,
    ]  # fmt: skip


def test_second_logs_are_refused(place: Place) -> None:
    run = a_run(place)
    log = place.w1.post("run_log", {"run": run, "content": "a"})
    assert place.w1.refused("POST", "run_log/", {"run": run, "content": "b"}).startswith("run: ")
    assert place.w1.post("run_log", {"run": run, "content": "a"}) == log
    assert place.w1.refused("POST", "run_log/", {"run": run}).startswith("run: ")


def test_long_logs(place: Place) -> None:
    content = "\x01é" * 400_000
    log = place.w1.post("run_log", {"run": a_run(place), "content": content})
    assert place.w1.get(log)["content"] == content


def test_what_cannot_move(place: Place) -> None:
    run, other = a_run(place), a_run(place)
    log = place.w1.post("run_log", {"run": run})
    kill = place.w1.post("kill_request", {"run": run})
    assert place.w1.refused("PATCH", log, {"run": other}).startswith("run: ")
    assert place.w1.refused("PATCH", kill, {"run": other}).startswith("run: ")
    job = place.w1.get(other)["job"]
    assert place.w1.refused("PATCH", run, {"job": job}).startswith("job: ")
    place.w1.patch(run, {"job": place.w1.get(run)["job"]})


def test_twenty_workers_race_for_two_hundred_runs(place: Place) -> None:
    names = [f"racer-{number}" for number in range(20)]
    declared = "\n".join(
        f"  - {{name: {name}, pools: [outside], api_key: {name}, secret: s}}" for name in names
    )
    place.server.client().apply(f"workers:\n{declared}\n")
    racers = [place.worker(name, "s") for name in names]
    mine = [racer.myself["resource_uri"] for racer in racers]
    runs = [a_run(place) for _ in range(200)]
    start = threading.Barrier(len(racers))

    def race(number: int) -> list[str]:
        racer, won = racers[number], []
        start.wait()
        for run in runs[number * 10 :] + runs[: number * 10]:
            document = {"enqueue_dts": now(), "worker": mine[number]}
            status = racer.status("PATCH", run, document)
            assert status in (202, 409), status
            if status == 202:
                won.append(run)
        return won

    with ThreadPoolExecutor(len(racers)) as pool:
        won = list(pool.map(race, range(len(racers))))
    assert sorted(itertools.chain(*won)) == sorted(runs)
    for number, claimed in enumerate(won):
        for run in claimed:
            assert place.w1.get(run)["worker"] == mine[number]
