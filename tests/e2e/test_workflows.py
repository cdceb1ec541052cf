"""A thousand jobs into one, watched at every step, with the server killed on the way."""

import threading
from pathlib import Path
from random import Random

import msgspec
import pytest

from gristmill.client import Client, UnavailableError, WorkflowSpec
from tests.e2e.conftest import Start
from tests.e2e.harness import LIMIT, RunningServer, eventually

POINTS = 1_000
KILLS = 4

POINT = """
echo "$GRISTMILL_JOB_ID $GRISTMILL_ATTEMPT $n" >>"$NOTES/points"
"""
REDUCE = """
wc -l <"$NOTES/points" >"$NOTES/reduced"
cut -d' ' -f3 "$NOTES/points" | awk '{ sum += $1 } END { print sum }'
"""


def _workflow(notes: Path) -> WorkflowSpec:
    small = {"resources": {"cpus": 0, "memory": 1}, "env": {"NOTES": str(notes)}}
    return msgspec.convert(
        {
            "name": "thousand",
            "jobs": {
                "point": {"command": POINT, **small},
                "reduce": {"command": REDUCE, **small},
            },
            "after": {"reduce": ["point"]},
            "factories": [
                {
                    "type": "sweep",
                    "jobs": ["point"],
                    "parameters": [{"name": "n", "start": 1, "end": POINTS, "step": 1}],
                }
            ],
        },
        WorkflowSpec,
    )


@pytest.mark.timeout(240)
def test_progress_is_exact_and_kills_lose_and_repeat_nothing(start: Start, folder: Path) -> None:
    notes = folder / "notes"
    notes.mkdir()
    server = start()
    client = server.client()
    workflow = client.workflows.submit(_workflow(notes)).id
    over = threading.Event()
    killer = threading.Thread(target=_kill_now_and_then, args=(server, notes, over))
    killer.start()
    try:
        _watch(client, workflow)
    finally:
        over.set()
        killer.join(LIMIT)
    assert not killer.is_alive()
    _check(client, workflow, notes)


def _kill_now_and_then(server: RunningServer, notes: Path, over: threading.Event) -> None:
    """Kill the server each time that another part of the points has begun."""
    random = Random(4)
    for part in range(KILLS):
        wanted = POINTS * (part + 1) // (KILLS + 2)
        eventually(lambda wanted=wanted: over.is_set() or _begun(notes) >= wanted)  # type: ignore[misc]
        server.kill9()
        over.wait(random.uniform(0.0, 0.2))
        server.restart()


def _begun(notes: Path) -> int:
    points = notes / "points"
    return points.read_bytes().count(b"\n") if points.exists() else 0


def _watch(client: Client, workflow: int) -> None:
    """Look until the end: what is counted never contradicts itself, and never goes back."""
    done, looks = 0, 0
    while True:
        try:
            view = client.workflows.get(workflow)
        except UnavailableError:
            continue
        looks += 1
        progress = view.progress
        assert progress.total == POINTS + 1
        assert progress.total == (
            progress.done + progress.failed + progress.queued + progress.waiting
        )
        assert progress.failed == 0
        assert progress.waiting == (1 if progress.done < POINTS else 0)
        assert progress.done >= done
        assert sum(node.progress.done for node in view.nodes) == progress.done
        done = progress.done
        if view.ended:
            assert view.succeeded, view
            assert looks > KILLS
            return


def _check(client: Client, workflow: int, notes: Path) -> None:
    lines = [line.split() for line in (notes / "points").read_text().splitlines()]
    assert sorted(int(n) for _, _, n in lines) == list(range(1, POINTS + 1)), "one ran twice"
    assert {attempt for _, attempt, _ in lines} == {"1"}
    jobs = list(client.jobs(workflow=workflow, limit=1000))
    assert len(jobs) == POINTS + 1
    assert {job.state for job in jobs} == {"complete"}
    assert {int(number) for number, _, _ in lines} == {
        job.id for job in jobs if job.node == "point"
    }
    (reduce,) = (job for job in jobs if job.node == "reduce")
    assert (notes / "reduced").read_text().split() == [str(POINTS)]
    assert client.stdout(reduce.id).split() == [str(POINTS * (POINTS + 1) // 2).encode()]
