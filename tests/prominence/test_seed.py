"""The examples of the interface's own document, as printed there."""

import json
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.containers.rootfs import busybox_rootfs
from tests.e2e.harness import GRISTMILL, LIMIT, RunningServer, environment, start_server
from tests.e2e.harness import short_folder as short
from tests.prominence.clients import NEW, installed, token_file
from tests.prominence.talk import Prominence, description

TESTPI = """{
  "resources": {
    "memory": 1,
    "cpus": 1,
    "nodes": 1,
    "disk": 10
  },
  "name": "calculate-pi",
  "tasks": [
    {
      "image": "eoscprominence/testpi",
      "runtime": "singularity"
    }
  ]
}
"""
FIRST_ID = 1699
ENTRYPOINT = "#!/bin/sh\necho Pi is 3.1415926535\necho done >&2\n"

SCRIPT = """
import json
import os
import requests

# Define a job
job = {
    "resources": {
        "memory": 1,
        "cpus": 1,
        "nodes": 1,
        "disk": 10
    },
    "name": "calculate-pi",
    "tasks": [
        {
            "image": "eoscprominence/testpi",
            "runtime": "singularity"
        }
    ]
}

# Read the access token
if os.path.isfile(os.path.expanduser('~/.prominence/token')):
    with open(os.path.expanduser('~/.prominence/token')) as json_data:
        data = json.load(json_data)

    if 'access_token' in data:
        token = data['access_token']
    else:
        print('The saved token file does not contain access_token')
        exit(1)

# Create the header including the auth token
headers = {'Authorization':'Bearer %s' % token}

# Submit the job
response = requests.post('BASE/api/v1/jobs', json=job, headers=headers)

# Check if the submission was successful and get the job id
if response.status_code == 201:
    if 'id' in response.json():
        print('Job submitted with id %d' % response.json()['id'])
else:
    print('Job submission failed with http status code %d and error: %s' % (
        response.status_code, response.text))
"""


@pytest.fixture(scope="module")
def seed_idle() -> Iterator[Prominence]:
    """A server that runs nothing and whose next id is the printed one."""
    with short() as place:
        server = start_server(place / "h", "--engine", "none", "--https", "off")
        try:
            server.client().submit_many(["true"] * (FIRST_ID - 1))
            talk = Prominence(server)
            yield talk
            talk.close()
        finally:
            server.close()
        server.check_logs()


@pytest.fixture(scope="module")
def seed_mill() -> Iterator[Prominence]:
    """A server that has the printed image, added as a person would."""
    with short() as place:
        server = start_server(place / "h", "--https", "off")
        try:
            rootfs = busybox_rootfs(place / "rootfs")
            program = rootfs / "bin" / "testpi"
            program.write_text(ENTRYPOINT)
            program.chmod(0o755)
            words = ["image", "add", "eoscprominence/testpi", str(rootfs)]
            words += ["--entrypoint", "/bin/testpi", "--home", str(server.home)]
            subprocess.run(
                [*GRISTMILL, *words],
                check=True, env=environment(), timeout=LIMIT, capture_output=True,
            )  # fmt: skip
            talk = Prominence(server)
            yield talk
            talk.close()
        finally:
            server.close()
        server.check_logs()


def curl(talk: Prominence, path: str, *words: str, cwd: Path | None = None) -> str:
    """Run curl as printed; return what it wrote."""
    base = talk.server.url_http
    authorization = f"Authorization: Bearer {talk.token}"
    done = subprocess.run(
        ["curl", "-s", "-H", authorization, *words, f"{base}{path}"],
        check=True, timeout=LIMIT, capture_output=True, text=True, cwd=cwd, env=environment(),
    )  # fmt: skip
    return done.stdout


def headers_of(said: str) -> tuple[str, dict[str, str], str]:
    """Return the status, the headers and the body of what ``curl -i`` wrote."""
    head, _, body = said.replace("\r\n", "\n").partition("\n\n")
    status, *lines = head.split("\n")
    pairs = (line.split(": ", 1) for line in lines)
    return status.split()[1], {name.lower(): value for name, value in pairs}, body


def test_curl_submits_describes_lists_and_deletes(seed_idle: Prominence, tmp_path: Path) -> None:
    (tmp_path / "testpi.json").write_text(TESTPI)
    said = curl(
        seed_idle, "/api/v1/jobs", "-i", "-X", "POST",
        "-H", "Content-Type: application/json", "-d@testpi.json", cwd=tmp_path,
    )  # fmt: skip
    status, headers, body = headers_of(said)
    assert (status, headers["content-type"], headers["content-length"], body) == (
        "201", "application/json", "12", '{"id":1699}\n',
    )  # fmt: skip

    (found,) = json.loads(curl(seed_idle, "/api/v1/jobs/1699"))
    created = found["events"]["createTime"]
    task = {"image": "eoscprominence/testpi", "runtime": "singularity"}
    assert isinstance(created, int)
    assert found == {
        "events": {"createTime": created},
        "id": 1699,
        "name": "calculate-pi",
        "resources": {"cpus": 1, "disk": 10, "memory": 1, "nodes": 1},
        "status": "pending",
        "tasks": [task],
    }

    short_one = {
        "events": {"createTime": created},
        "id": 1699,
        "name": "calculate-pi",
        "status": "pending",
        "tasks": [task],
    }
    assert json.loads(curl(seed_idle, "/api/v1/jobs")) == [short_one]
    assert json.loads(curl(seed_idle, "/api/v1/jobs?completed=true")) == []
    for name in ("stdout", "stderr"):
        assert curl(seed_idle, f"/api/v1/jobs/1699/{name}") == ""

    status, headers, body = headers_of(curl(seed_idle, "/api/v1/jobs/1699", "-i", "-X", "DELETE"))
    assert (status, headers["content-type"], headers["content-length"], body) == (
        "200", "application/json", "3", "{}\n",
    )  # fmt: skip
    (gone,) = json.loads(curl(seed_idle, "/api/v1/jobs?completed=true"))
    ended = gone["events"].pop("endTime")
    assert isinstance(ended, int)
    assert gone == {**short_one, "status": "deleted", "statusReason": "Job deleted by user"}
    assert json.loads(curl(seed_idle, "/api/v1/jobs")) == []


def test_requests_submits(seed_mill: Prominence, tmp_path: Path) -> None:
    token_file(tmp_path, json.dumps({"access_token": seed_mill.token}))
    done = subprocess.run(
        [installed(NEW) / "bin" / "python", "-c",
         SCRIPT.replace("BASE", seed_mill.server.url_http)],
        env=environment(HOME=str(tmp_path)), timeout=LIMIT, capture_output=True, text=True,
        check=True,
    )  # fmt: skip
    assert done.stdout.startswith("Job submitted with id "), (done.stdout, done.stderr)
    number = int(done.stdout.split()[-1])
    assert seed_mill.wait(number, "completed")["name"] == "calculate-pi"


def test_pi_is_calculated_in_a_container(seed_mill: Prominence) -> None:
    number = seed_mill.submit(json.loads(TESTPI))
    found = seed_mill.wait(number, "completed")
    events = found["events"]
    assert events["createTime"] <= events["startTime"] <= events["endTime"]
    execution = found["execution"]
    assert isinstance(execution["site"], str)
    assert execution["maxMemoryUsageKB"] > 0
    (task,) = execution["tasks"]
    assert task["exitCode"] == 0
    assert task["retries"] == 0
    assert task["imagePullStatus"] in ("completed", "cached")
    for key in ("cpuTimeUsage", "maxResidentSetSizeKB", "wallTimeUsage"):
        assert task[key] > 0, (key, task)
    del found["execution"], found["events"]
    assert found == {**json.loads(TESTPI), "id": number, "status": "completed"}
    assert curl(seed_mill, f"/api/v1/jobs/{number}/stdout") == "Pi is 3.1415926535\n"
    assert curl(seed_mill, f"/api/v1/jobs/{number}/stderr") == "done\n"
    (last,) = seed_mill.jobs(completed="true")
    assert last["id"] == number
    assert "execution" not in last


def test_ids_are_shared_with_all_jobs_and_never_given_twice(seed_idle: Prominence) -> None:
    first = seed_idle.submit(description("true"))
    seed_idle.ask("DELETE", f"/jobs/{first}")
    native = seed_idle.server.client().submit("true").id
    second = seed_idle.submit(description("true"))
    assert first < native < second


def test_the_server_comes_back_with_every_job(seed_idle: Prominence) -> None:
    before = seed_idle.submit(json.loads(TESTPI))
    server: RunningServer = seed_idle.server
    server.kill9()
    server.restart()
    assert seed_idle.job(before)["name"] == "calculate-pi"
