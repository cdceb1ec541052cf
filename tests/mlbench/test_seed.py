"""The exchanges that MLBench's document prints, on a server that runs nothing."""

import ast
import json
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


def test_pods(idle: Mlbench) -> None:
    reply = idle.get("/pods", headers=OLD)
    assert reply.status_code == 200
    assert reply.headers["content-type"] == "text/javascript"
    assert reply.headers["vary"] == "Accept"
    pods = reply.json()
    standing = [pod for pod in pods if pod["phase"] != "Unknown"]
    assert len(standing) == 2
    for pod in standing:
        assert list(pod) == ["name", "labels", "phase", "ip"]
        labels = ast.literal_eval(pod["labels"])
        assert labels["app"] == "mlbench"
        assert labels["component"] == "worker"
        assert pod["name"].startswith(f"{labels['release']}-mlbench-worker-")
        assert pod["phase"] == "Running"


def test_a_point_and_both_ways_to_read_it(idle: Mlbench) -> None:
    reply = idle.post("/metrics", json=POINT, headers=OLD)
    assert reply.status_code == 201
    assert reply.headers["content-type"] == "text/javascript"
    assert reply.headers["vary"] == "Accept"
    assert reply.json() == {key: value for key, value in POINT.items() if key != "run_id"}
    reply = idle.get("/metrics", headers=OLD)
    assert reply.status_code == 200
    assert reply.headers["content-type"] == "text/javascript"
    shown = {"date": POINT["date"], "value": "0.7845", "cumulative": False}
    assert reply.json()[POINT["pod_name"]] == {"accuracy": [shown]}
    one = idle.get(f"/metrics/{POINT['pod_name']}/", headers=OLD)
    assert one.json() == {"accuracy": [shown]}


def test_a_run(idle: Mlbench) -> None:
    reply = idle.post("/runs/", json=RUN, headers=OLD)
    assert reply.status_code == 200
    assert reply.headers["content-type"] == "text/javascript"
    run = reply.json()
    check_run(run)
    again = idle.get(f"/runs/{run['id']}/", headers=OLD)
    assert again.status_code == 200
    check_run(again.json())
    listed = idle.get("/runs/", headers=OLD).json()
    check_run(next(each for each in listed if each["id"] == run["id"]))
    reply = idle.post("/runs/", json=RUN, headers=OLD)
    assert reply.status_code == 409
    assert reply.json() == {"status": "Conflict", "message": "There is already an active run"}
    idle.delete(run["id"])


def check_run(run: dict[str, Any]) -> None:
    assert isinstance(run["id"], int)
    assert run["name"] == "Name of the run"
    assert re.fullmatch(DATE, run["created_at"])
    assert run["state"] == "STARTED"
    assert re.fullmatch(UUID, run["job_id"])
    assert run["num_workers"] == 5
    assert run["finished_at"] is None
    assert isinstance(run["job_metadata"], dict)


def test_curl_as_anybody_would_type_it(idle: Mlbench) -> None:
    words = ["curl", "-sS", "-w", " %{http_code}", "-d"]
    url = idle.server.url_http
    created = subprocess.run(
        [*words, '{"name": "Name of the run", "num_workers": 5, "num_cpus": 4}', f"{url}/api/runs"],
        capture_output=True, text=True, check=True,
    )  # fmt: skip
    assert created.stdout.endswith(" 200"), created
    run = json.loads(created.stdout.removesuffix(" 200"))["id"]
    posted = subprocess.run(
        [*words, f"run_id={run}&name=loss&value=0.5", f"{url}/api/metrics"],
        capture_output=True, text=True, check=True,
    )  # fmt: skip
    assert posted.stdout.endswith(" 201"), posted
    assert idle.series(run, metric_type="run")["loss"][0]["value"] == "0.5"
    idle.delete(run)
