"""The exchanges that MLBench's document prints, in its order, on an empty server."""

import ast
import re
import subprocess
from typing import Any

from tests.mlbench.talk import DATE, OLD, Mlbench

POINT = {
    "pod_name": "quiet-mink-mlbench-worker-1",
    "run_id": 2,
    "name": "accuracy",
    "date": "2018-08-03T09:21:44.331823Z",
    "value": "0.7845",
    "cumulative": False,
    "metadata": "some additional data",
}
RUN = {"name": "Name of the run", "num_workers": 5, "num_cpus": 4, "max_bandwidth": 10000}
UUID = r"[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}"


def test_pods(fresh: Mlbench) -> None:
    reply = fresh.get("/pods", headers=OLD)
    assert reply.status_code == 200
    assert reply.headers["content-type"] == "text/javascript"
    assert reply.headers["vary"] == "Accept"
    pods = reply.json()
    assert len(pods) == 2
    for pod in pods:
        assert list(pod) == ["name", "labels", "phase", "ip"]
        labels = ast.literal_eval(pod["labels"])
        assert labels["app"] == "mlbench"
        assert labels["component"] == "worker"
        assert pod["name"].startswith(f"{labels['release']}-mlbench-worker-")
        assert pod["phase"] == "Running"


def test_a_point_and_both_ways_to_read_it(fresh: Mlbench) -> None:
    reply = fresh.post("/metrics", json=POINT, headers=OLD)
    assert reply.status_code == 201
    assert reply.headers["content-type"] == "text/javascript"
    assert reply.headers["vary"] == "Accept"
    assert reply.json() == {key: value for key, value in POINT.items() if key != "run_id"}
    reply = fresh.get("/metrics", headers=OLD)
    assert reply.status_code == 200
    assert reply.headers["content-type"] == "text/javascript"
    shown = {"date": POINT["date"], "value": "0.7845", "cumulative": False}
    assert reply.json() == {POINT["pod_name"]: {"accuracy": [shown]}}
    one = fresh.get(f"/metrics/{POINT['pod_name']}/", headers=OLD)
    assert one.json() == {"accuracy": [shown]}


def test_a_run(fresh: Mlbench) -> None:
    assert fresh.get("/runs/", headers=OLD).json() == []
    reply = fresh.post("/runs/", json=RUN, headers=OLD)
    assert reply.status_code == 200
    assert reply.headers["content-type"] == "text/javascript"
    run = reply.json()
    check_run(run)
    again = fresh.get("/runs/1/", headers=OLD)
    assert again.status_code == 200
    check_run(again.json())
    (listed,) = fresh.get("/runs/", headers=OLD).json()
    check_run(listed)
    reply = fresh.post("/runs/", json=RUN, headers=OLD)
    assert reply.status_code == 409
    assert reply.json() == {"status": "Conflict", "message": "There is already an active run"}


def check_run(run: dict[str, Any]) -> None:
    assert run["id"] == 1
    assert run["name"] == "Name of the run"
    assert re.fullmatch(DATE, run["created_at"])
    assert run["state"] == "STARTED"
    assert re.fullmatch(UUID, run["job_id"])
    assert run["num_workers"] == 5
    assert run["finished_at"] is None
    assert isinstance(run["job_metadata"], dict)


def test_curl_as_anybody_would_type_it(fresh: Mlbench) -> None:
    words = ["curl", "-sS", "-w", " %{http_code}", "-d"]
    url = fresh.server.url_http
    created = subprocess.run(
        [*words, '{"name": "Name of the run", "num_workers": 5, "num_cpus": 4}', f"{url}/api/runs"],
        capture_output=True, text=True, check=True,
    )  # fmt: skip
    assert created.stdout.endswith(" 200"), created
    posted = subprocess.run(
        [*words, "run_id=1&name=loss&value=0.5", f"{url}/api/metrics"],
        capture_output=True, text=True, check=True,
    )  # fmt: skip
    assert posted.stdout.endswith(" 201"), posted
    assert fresh.series(1, metric_type="run")["loss"][0]["value"] == "0.5"
