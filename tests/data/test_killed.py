"""kill -9 in every phase: readers see the old or the new, tasks and their results survive."""

import os
import signal
import threading
import time
from pathlib import Path
from random import Random
from typing import Any

import httpx2
import msgspec

from gristmill.agent.processes import all_pids, read_file
from tests.e2e.conftest import Start
from tests.e2e.harness import RunningServer, eventually

ROWS = 30_000
KILLS = 3
WRITES = 4


def _put(server: RunningServer, number: int) -> int | None:
    """Replace the table by rows that all hold number; return the status, None when cut off."""
    document = {"data": {"x": [number] * ROWS}, "orient": "list", "append": False}
    try:
        reply = server.request("PUT", "/v1/datasets/t", json=document)
    except httpx2.HTTPError:
        return None
    return reply.status_code


def _value(server: RunningServer) -> int:
    reply = server.request("GET", "/v1/datasets/t/rows?orient=list")
    assert reply.status_code == 200, reply.text
    column = reply.json()["data"]["x"]
    assert len(column) == ROWS
    (value,) = set(column)
    return int(value)


def _blobs(server: RunningServer) -> list[Path]:
    return [path for path in (server.home / "blobs").rglob("*") if path.is_file()]


def _workers_of(server: RunningServer) -> list[int]:
    """Return the processes below the agent that work on tables, their parent first."""
    mark = f"--parent\0{server.agent.pid}\0".encode()
    found = []
    for pid in all_pids():
        try:
            if mark in read_file(f"/proc/{pid}/cmdline"):
                found.append(pid)
        except OSError:
            continue
    return sorted(found)


def test_a_write_is_there_whole_or_not_at_all(start: Start) -> None:
    server, random = start(), Random(7)
    assert _put(server, 0) == 200
    acknowledged = tried = 0
    for kill in range(KILLS):
        stop = threading.Timer(random.uniform(0.01, 0.25), server.kill9)
        stop.start()
        while server.process.poll() is None:
            tried += 1
            if _put(server, tried) == 200:
                acknowledged = tried
        stop.join()
        server.restart()
        seen = _value(server)
        assert acknowledged <= seen <= tried, kill
        acknowledged = seen
    eventually(lambda: len(_blobs(server)) == 1, what="what was half written to be swept")


def test_workers_that_die_are_replaced_and_change_nothing(start: Start) -> None:
    server = start()
    assert _put(server, 0) == 200
    last = 0
    for number in range(1, WRITES):
        victim = _workers_of(server)[number % 2]
        killer = threading.Timer(0.01 * number / 2, os.kill, (victim, signal.SIGKILL))
        killer.start()
        status = _put(server, number)
        killer.join()
        assert status in (200, 503)
        seen = _value(server)
        assert seen == number if status == 200 else seen in (last, number)
        last = seen


def _fit(server: RunningServer, **params: Any) -> Any:
    params = {"datax": "x", "datay": "y", **params}
    return server.request("POST", "/v1/models/m/fit", params=params).json()


def _prepare(server: RunningServer, rows: int) -> None:
    for name in ("x", "y"):
        body = {"data": {name: list(range(rows))}, "orient": "list"}
        assert server.request("PUT", f"/v1/datasets/{name}", json=body).status_code == 200
    recipe = {"name": "m", "pipeline": [["RandomForestRegressor", {"n_estimators": 20}]]}
    assert server.request("POST", "/v1/models", json=recipe).status_code == 201


def _versions(server: RunningServer) -> list[Any]:
    found = server.request("GET", "/v1/models/m/versions").json()["versions"]
    assert isinstance(found, list)
    return found


def _ended(server: RunningServer, task: str) -> Any:
    reply = server.request("GET", f"/v1/tasks/{task}?wait=60")
    assert reply.status_code == 200, reply.text
    return reply.json()


def test_a_fit_goes_on_while_the_server_is_dead(start: Start) -> None:
    server = start()
    _prepare(server, 3000)
    task = _fit(server, wait=0)["id"]
    server.kill9()
    server.restart()
    assert _ended(server, task)["state"] == "complete"
    assert [each["action"] for each in _versions(server)] == ["fit", "create"]
    server.kill9()
    server.restart()
    again = _ended(server, task)
    assert (again["state"], again["result"]) == ("complete", "ok")


def test_a_fit_whose_agent_dies_fails_and_leaves_nothing(start: Start) -> None:
    server = start()
    _prepare(server, 20_000)
    task = _fit(server, wait=0)["id"]

    def running() -> bool:
        state = server.request("GET", f"/v1/tasks/{task}").json()["state"]
        assert state in {"ready", "reserved", "running"}, state
        return bool(state == "running")

    eventually(running, what="the fit to run")
    server.kill9_agent()
    done = _ended(server, task)
    assert done["state"] == "buried"
    assert done["message"]
    assert len(_versions(server)) == 1
    assert _fit(server)["state"] == "complete"
    assert len(_versions(server)) == 2
    eventually(lambda: len(_blobs(server)) == 4, what="what was half written to be swept")


def test_a_notebook_goes_on_while_the_server_is_dead(start: Start) -> None:
    server = start()
    gate = server.home / "gate"
    code = f"import os, time\nwhile not os.path.exists({str(gate)!r}): time.sleep(0.02)\nprint(7)"
    body = msgspec.json.encode({"code": code})
    assert server.request("PUT", "/v1/notebooks/n", content=body).status_code == 200
    task = server.request("POST", "/v1/notebooks/n/run?wait=0").json()["id"]
    eventually(
        lambda: server.request("GET", f"/v1/tasks/{task}").json()["state"] == "running",
        what="the notebook to run",
    )
    server.kill9()
    gate.touch()
    time.sleep(0.1)
    server.restart()
    done = _ended(server, task)
    assert done["state"] == "complete"
    (run,) = server.request("GET", "/v1/notebooks/n/runs").json()["runs"]
    assert (run["run"], run["status"]) == (done["run"], "OK")


def test_workers_leave_when_nobody_asks_and_come_back(start: Start) -> None:
    server = start("--data-idle", "1s", "--data-call-limit", "1s")
    assert _put(server, 1) == 200
    eventually(lambda: not _workers_of(server), what="the workers to leave")
    assert _value(server) == 1


def test_a_task_is_not_done_twice(start: Start) -> None:
    server = start()
    _prepare(server, 50)
    done = _fit(server)
    assert done["state"] == "complete"
    bad = _fit(server, datay="x[x]", datax="y[y]", wait=0)
    job = bad["job"]
    server.request("POST", "/v1/jobs/cancel", json={"ids": [job]})
    _ended(server, bad["id"])
    versions = len(_versions(server))
    server.request("POST", "/v1/jobs/retry", json={"ids": [job, done["job"]]})
    server.request("GET", f"/v1/jobs/{job}/wait?timeout=20")
    assert len(_versions(server)) == versions


def test_a_notebook_whose_agent_dies_leaves_no_run_and_no_kernel(start: Start) -> None:
    server = start()
    mark, go = server.home.parent / "mark", server.home.parent / "go"
    code = f"import os, time\nopen({str(mark)!r}, 'w').close()\n"
    code += f"while not os.path.exists({str(go)!r}):\n    time.sleep(0.05)"
    assert server.request("PUT", "/v1/notebooks/n", json={"code": code}).status_code == 200
    before = set(_blobs(server))
    task = server.request("POST", "/v1/notebooks/n/run?wait=0").json()["id"]
    eventually(mark.exists, what="the cell to run")
    assert _kernels(server)
    server.kill9_agent()
    done = _ended(server, task)
    assert (done["state"], done["run"]) == ("buried", None)
    assert done["message"]
    assert _runs(server) == []
    eventually(lambda: not _kernels(server), what="the kernel's end")
    eventually(lambda: set(_blobs(server)) == before, what="what was half written to be swept")
    go.touch()
    again = server.request("POST", "/v1/notebooks/n/run").json()
    assert again["state"] == "complete"
    assert [run["run"] for run in _runs(server)] == [again["run"]]


def _runs(server: RunningServer) -> list[Any]:
    found = server.request("GET", "/v1/notebooks/n/runs").json()["runs"]
    assert isinstance(found, list)
    return found


def _kernels(server: RunningServer) -> list[int]:
    """Return the kernels that work in folders of this server."""
    found = []
    for pid in all_pids():
        try:
            words = read_file(f"/proc/{pid}/cmdline")
            folder = os.readlink(f"/proc/{pid}/cwd")
            if b"ipykernel" in words and folder.startswith(str(server.home)):
                found.append(pid)
        except OSError:
            continue
    return found
