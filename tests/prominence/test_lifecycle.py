"""What becomes of jobs, and how it is told. The jobs run in real containers."""

import io
import shutil
import tarfile
import time
from pathlib import Path

import pytest

from tests.agent.shelf import open_shelf
from tests.e2e.harness import LIMIT, eventually
from tests.prominence.talk import Prominence, description


def test_a_job_from_its_start_to_its_end(user: Prominence) -> None:
    number = user.run("sh -c 'echo one; echo two >&2; sleep 2; echo three'")
    running = user.wait(number, "running")
    assert "endTime" not in running["events"]
    assert user.ids() == user.ids(status="running") == [number]
    eventually(lambda: user.output(number) == "one\n", what="output while it runs")
    assert user.output(number, "stderr") == "two\n"
    done = user.wait(number, "completed")
    assert user.output(number) == "one\nthree\n"
    assert user.output(number, offset="4") == "three\n"
    assert user.output(number, offset="10") == user.output(number, offset="999") == ""
    assert done["events"]["startTime"] <= done["events"]["endTime"]
    assert "statusReason" not in done
    assert user.ids() == []
    assert user.ids(completed="true") == [number]


def test_output_of_nodes_that_are_not_there(user: Prominence) -> None:
    number = user.run("true")
    for name in ("stdout", "stderr"):
        for node in ("1", "-1"):
            text = user.refused("GET", f"/jobs/{number}/{name}?node={node}")
            assert text == f"{name} does not exist"
        for wrong in ("node=x", "offset=x", "offset=-1", "offset=1.5"):
            user.refused("GET", f"/jobs/{number}/{name}?{wrong}")
    for unknown in ("999999999", "0", "-5", "9" * 18):
        assert user.refused("GET", f"/jobs/{unknown}/stdout") == "Job does not exist"


def test_long_output_comes_whole(user: Prominence) -> None:
    number = user.run("sh -c 'i=0; while [ $i -lt 300 ]; do echo $i; i=$((i+1)); done'")
    user.wait(number, "completed")
    assert user.output(number).split() == [str(line) for line in range(300)]


def test_an_exit_code_does_not_make_a_job_fail(user: Prominence) -> None:
    number = user.run("sh -c 'exit 7'")
    done = user.wait(number, "completed")
    assert [task["exitCode"] for task in done["execution"]["tasks"]] == [7]
    assert "statusReason" not in done


def test_a_failing_task_ends_the_sequence_unless_it_is_ignored(user: Prominence) -> None:
    base = description()["tasks"][0]
    tasks = [{**base, "cmd": f"sh -c 'echo {n}; exit {n}'"} for n in (0, 3, 0)]
    stops = user.run(tasks=tasks)
    goes_on = user.run(tasks=tasks, policies={"ignoreTaskFailures": True})
    misspelled = user.run(tasks=tasks, policies={"ignoreTaskTailures": True})
    for number, codes, said in (
        (stops, [0, 3], "0\n3\n"),
        (goes_on, [0, 3, 0], "0\n3\n0\n"),
        (misspelled, [0, 3, 0], "0\n3\n0\n"),
    ):
        done = user.wait(number, "completed")
        assert [task["exitCode"] for task in done["execution"]["tasks"]] == codes
        assert user.output(number) == said


def test_a_job_is_retried_while_it_ends_badly(user: Prominence) -> None:
    number = user.run("sh -c 'exit 1'", policies={"maximumRetries": 2})
    done = user.wait(number, "completed")
    assert done["execution"]["retries"] == 2
    content = user.run(
        "sh -c 'exit 1'",
        policies={"maximumRetries": 2, "reportJobSuccessOnTaskFailure": True},
    )
    assert "retries" not in user.wait(content, "completed")["execution"]


def test_a_task_is_retried_while_its_exit_code_is_not_zero(user: Prominence) -> None:
    number = user.run(
        "sh -c 'echo x >> seen; test $(wc -l < seen) -ge 3'", policies={"maximumTaskRetries": 4}
    )
    done = user.wait(number, "completed")
    (task,) = done["execution"]["tasks"]
    assert (task["exitCode"], task["retries"]) == (0, 2)


def test_a_missing_image(user: Prominence) -> None:
    job = description()
    job["tasks"][0]["image"] = "no-such-image"
    done = user.wait(user.submit(job), "failed")
    assert done["statusReason"] == "Container image pull failed"
    assert done["execution"]["tasks"] == [{"imagePullStatus": "failed"}]


def test_a_job_that_uses_too_much_memory(user: Prominence) -> None:
    job = description("sh -c 'x=aaaaaaaaaaaaaaaa; while :; do x=$x$x; done'")
    job["resources"]["memory"] = 0.05
    found = user.wait(user.submit(job), "killed")
    assert found["statusReason"] == "Job used too much memory"


def test_ranks_of_an_mpi_task(user: Prominence) -> None:
    if shutil.which("mpirun") is None:
        pytest.skip("Open MPI is not installed (run scripts/system-packages)")
    job = description("sh -c 'echo rank $OMPI_COMM_WORLD_RANK of $OMPI_COMM_WORLD_SIZE'")
    job["tasks"][0] |= {"type": "openmpi", "procsPerNode": 1}
    job["resources"]["nodes"] = 2
    number = user.submit(job)
    done = user.wait(number, "completed")
    assert sorted(user.output(number).splitlines()) == ["rank 0 of 2", "rank 1 of 2"]
    assert user.output(number, node="1") == ""
    assert done["execution"]["provisionedResources"]["nodes"] == 2


def test_a_sidecar_runs_beside_the_tasks_and_is_ended(user: Prominence) -> None:
    base = description()["tasks"][0]
    number = user.run(
        tasks=[
            {**base, "cmd": "sh -c 'while ! test -e seen; do sleep 0.1; done; echo a > up'"},
            {**base, "cmd": "sh -c 'touch seen; sleep 300'", "type": "sidecar"},
        ]
    )
    done = user.wait(number, "completed")
    assert [task["exitCode"] for task in done["execution"]["tasks"]] == [0]


def test_more_than_any_worker_has(user: Prominence) -> None:
    job = description("true")
    job["resources"]["cpus"] = 10_000
    patient = user.submit({**job, "policies": {"maximumTimeInQueue": -1}})
    found = user.wait(patient, "pending", good=lambda job: "statusReason" in job)
    assert found["statusReason"] == "No matching resources currently available"
    begun = time.monotonic()
    failed = user.wait(user.submit(job), "failed")
    assert time.monotonic() - begun < 15
    assert failed["statusReason"] == "No matching resources"
    assert "startTime" not in failed["events"]
    assert failed["events"]["endTime"] >= failed["events"]["createTime"]
    assert "execution" not in failed
    assert user.job(patient)["status"] == "pending"


def test_deletion_is_at_once_and_output_stays(user: Prominence) -> None:
    number = user.run("sh -c 'trap \"\" TERM; echo begun; sleep 300; echo never'")
    eventually(lambda: user.output(number) == "begun\n", what="output")
    assert user.ask("DELETE", f"/jobs/{number}").json() == {}
    found = user.job(number)
    assert (found["status"], found["statusReason"]) == ("deleted", "Job deleted by user")
    assert isinstance(found["events"]["endTime"], int)
    assert user.ids() == []
    assert user.ids(completed="true") == [number]
    assert user.refused("DELETE", f"/jobs/{number}") == "No such job(s)"
    eventually(lambda: "endTime" in user.job(number)["events"])
    client = user.server.client(user.token)
    eventually(lambda: client.get(number).state == "cancelled", LIMIT, "the end of its processes")
    assert user.output(number) == "begun\n"
    assert user.job(number)["status"] == "deleted"


def test_the_server_dies_while_a_job_runs(user: Prominence) -> None:
    number = user.run("sh -c 'echo before; sleep 3; echo after; echo kept > o'", outputFiles=["o"])
    eventually(lambda: user.output(number) == "before\n", what="output")
    kept = user.run("echo later", policies={"leaveInQueue": True})
    user.server.kill9()
    user.server.restart()
    done = user.wait(number, "completed")
    assert user.output(number) == "before\nafter\n"
    assert "retries" not in done["execution"]
    plain = {"Authorization": ""}
    (output,) = done["outputFiles"]
    assert user.client.get(output["url"], headers=plain).content == b"kept\n"
    user.wait(kept, "completed")
    assert user.ids() == [kept]


def test_several_are_deleted_in_one_go(user: Prominence) -> None:
    job = description("sleep 300")
    job["resources"]["cpus"] = 10_000
    job["policies"] = {"maximumTimeInQueue": -1}
    one, two, three = (user.submit(job) for _ in range(3))
    assert user.refused("DELETE", "/jobs") == "a job id or list of job ids must be provided"
    assert user.ask("DELETE", f"/jobs?id={one},{two},999999999").json() == {}
    assert user.refused("DELETE", f"/jobs?id={one},{two}") == "No such job(s)"
    assert user.ids() == [three]
    user.ask("DELETE", f"/jobs/{three}")


def test_a_clone_is_submitted_from_scratch(user: Prominence) -> None:
    number = user.run("echo hello", labels={"a": "b"}, name="twin")
    reply = user.ask("PUT", f"/jobs/{number}/clone")
    assert reply.status_code == 201
    clone = reply.json()["id"]
    assert clone > number
    assert user.wait(clone, "completed")["labels"] == {"a": "b"}
    assert user.output(clone) == "hello\n"
    assert user.refused("PUT", "/jobs/999999999/clone") == "Job does not exist"


def test_commands_run_inside_a_job(user: Prominence) -> None:
    number = user.run("sh -c 'echo 1 > made; sleep 300'")
    user.wait(number, "running")
    eventually(
        lambda: user.client.post(f"/jobs/{number}/exec?command=cat,made").text == "1\n",
        what="a file of the job",
    )
    reply = user.ask("POST", f"/jobs/{number}/exec?command=pwd")
    assert (reply.text, reply.headers["content-type"]) == (
        "/home/user\n",
        "text/plain; charset=utf-8",
    )
    for wrong in ("cat,missing", "no-such-program", "", ","):
        text = user.refused("POST", f"/jobs/{number}/exec", params={"command": wrong})
        assert text == "Unable to execute command"
    commands = user.job(number)["execution"]["commands"]
    assert {"cat made", "pwd"} <= {each["command"] for each in commands}
    assert all(isinstance(each["time"], int) for each in commands)
    user.ask("DELETE", f"/jobs/{number}")
    assert user.refused("POST", f"/jobs/{number}/exec?command=pwd") == "Job is not running"


def test_a_command_is_in_the_container_of_the_task_that_runs(user: Prominence) -> None:
    base = description()["tasks"][0]
    number = user.run(
        tasks=[
            {**base, "cmd": "true"},
            {**base, "cmd": "sh -c 'echo lost > /dev/shm/x; echo up; exec sleep 3456'",
             "env": {"MINE": "mine"}},
        ]
    )  # fmt: skip
    eventually(lambda: user.output(number) == "up\n", what="the second task")

    def say(command: str) -> str:
        reply = user.ask("POST", f"/jobs/{number}/exec", params={"command": command})
        assert reply.status_code == 200, reply.text
        return reply.text

    assert "sleep 3456" in say("ps,-o,args")
    assert say("cat,/dev/shm/x") == "lost\n"
    told = dict(line.split("=", 1) for line in say("env").splitlines())
    assert (told["MINE"], told["HOME"]) == ("mine", "/home/user")
    assert (told["PROMINENCE_JOB_ID"], told["PROMINENCE_TASK_NUM"]) == (str(number), "1")
    headers = {"Authorization": f"Bearer {told['PROMINENCE_TOKEN']}"}
    found = user.client.get(f"{told['PROMINENCE_URL']}/jobs/{number}", headers=headers).json()
    assert found[0]["status"] == "running"
    user.ask("DELETE", f"/jobs/{number}")


def test_no_command_runs_before_the_files_are_there(user: Prominence, tmp_path: Path) -> None:
    with open_shelf(tmp_path / "shelf") as shelf:
        (shelf.folder / "in.txt").write_text("in\n")
        shelf.flowing.clear()
        try:
            number = user.run(
                "sh -c 'echo ready; exec sleep 300'", artifacts=[{"url": f"{shelf.url}/in.txt"}]
            )
            eventually(lambda: shelf.got == ["/in.txt"], what="the artifact's download")
            user.wait(number, "running")
            text = user.refused("POST", f"/jobs/{number}/exec", params={"command": "cat,in.txt"})
            assert text == "Job is not running"
            native = user.server.request("POST", f"/v1/jobs/{number}/exec", json={"argv": ["ls"]})
            assert native.status_code == 409
        finally:
            shelf.flowing.set()
    eventually(lambda: user.output(number) == "ready\n", what="the task")
    reply = user.ask("POST", f"/jobs/{number}/exec", params={"command": "cat,in.txt"})
    assert (reply.status_code, reply.text) == (200, "in\n")
    user.ask("DELETE", f"/jobs/{number}")


def test_a_snapshot_of_a_running_job(user: Prominence) -> None:
    number = user.run("sh -c 'mkdir d; echo 1 > d/made; echo ready; sleep 300'")
    eventually(lambda: user.output(number) == "ready\n", what="the job's files")
    assert user.refused("PUT", f"/jobs/{number}/snapshot") == "A path to snapshot must be specified"
    for wrong in ("..", "d/../..", "/etc/passwd", "/", "missing"):
        text = user.refused("PUT", f"/jobs/{number}/snapshot", params={"path": wrong})
        assert text == "Invalid path"
    assert user.ask("PUT", f"/jobs/{number}/snapshot", params={"path": "d"}).json() == {}
    url = user.get(f"/jobs/{number}/snapshot")["url"]
    fetched = user.client.get(url, headers={"Authorization": ""})
    assert fetched.status_code == 200
    assert fetched.content[:2] == b"\x1f\x8b"
    user.ask("DELETE", f"/jobs/{number}")


def test_a_snapshot_of_an_artifact_and_the_last_one_counts(user: Prominence) -> None:
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w:gz") as archive:
        entry = tarfile.TarInfo("in/deep")
        entry.size = 5
        archive.addfile(entry, io.BytesIO(b"deep\n"))
    place = user.ask("POST", "/data/upload", json={"filename": "in.tgz"})
    assert place.status_code == 201
    sent = user.client.put(
        place.json()["url"], content=packed.getvalue(), headers={"Authorization": ""}
    )
    assert sent.status_code in (200, 201, 204)
    number = user.run(
        "sh -c 'echo 1 > made; echo ready; sleep 300'",
        artifacts=[{"url": "in.tgz", "mountpoint": "in:/mnt/in"}],
    )
    eventually(lambda: user.output(number) == "ready\n", what="the job's files")
    for wrong in ("/mnt", "/mnt/in/deep", "/mnt/in/.."):
        text = user.refused("PUT", f"/jobs/{number}/snapshot", params={"path": wrong})
        assert text == "Invalid path"
    for path, name in (("made", "made"), ("/mnt/in", "deep")):
        taken = user.ask("PUT", f"/jobs/{number}/snapshot", params={"path": path})
        assert (taken.status_code, taken.content) == (200, b"{}\n")
        shown = user.ask("GET", f"/jobs/{number}/snapshot")
        assert (shown.status_code, list(shown.json())) == (200, ["url"])
        content = user.client.get(shown.json()["url"], headers={"Authorization": ""}).content
        with tarfile.open(fileobj=io.BytesIO(content)) as archive:
            assert [each for each in archive.getnames() if each.endswith(name)], path
    user.ask("DELETE", f"/jobs/{number}")


def test_all_that_a_worker_has_can_be_asked_for(user: Prominence) -> None:
    (worker,) = user.get("/resources")["existing"]
    job = description("sh -c 'echo $PROMINENCE_CPUS'")
    job["resources"] |= {"cpus": worker["capacity"]["cpus"]}
    number = user.submit(job)
    found = user.wait(number, "completed")
    assert found["execution"]["provisionedResources"]["cpus"] == worker["capacity"]["cpus"]
    assert user.output(number) == f"{worker['capacity']['cpus']}\n"
    job["resources"] |= {"cpus": worker["capacity"]["cpus"] + 1}
    too_many = user.submit({**job, "policies": {"maximumTimeInQueue": -1}})
    assert user.job(too_many)["statusReason"] == "No matching resources currently available"
    user.ask("DELETE", f"/jobs/{too_many}")


def test_outputs_are_kept_and_can_be_fetched(user: Prominence) -> None:
    number = user.run(
        "sh -c 'echo 12345 > out.txt; mkdir d; echo 1 > d/a'",
        outputFiles=["*.txt"],
        outputDirs=["d"],
    )
    done = user.wait(number, "completed")
    (file,), (folder,) = done["outputFiles"], done["outputDirs"]
    assert (file["name"], file["size"], folder["name"]) == ("*.txt", 6, "d")
    plain = {"Authorization": ""}
    assert user.client.get(file["url"], headers=plain).content == b"12345\n"
    assert user.client.get(folder["url"], headers=plain).content[:2] == b"\x1f\x8b"


def test_an_output_that_is_not_there(user: Prominence) -> None:
    number = user.run("true", outputFiles=["missing"])
    failed = user.wait(number, "failed")
    assert failed["statusReason"] == "Stageout failed due to no such file or directory"
    assert failed["outputFiles"] == [{"name": "missing", "url": ""}]


def test_an_artifact_that_cannot_be_fetched(user: Prominence) -> None:
    url = f"{user.server.url_http}/v1/blobs/nothing/here.txt"
    failed = user.wait(user.run("true", artifacts=[{"url": url}]), "failed")
    assert failed["statusReason"] == "Artifact download failed"


def test_inputs_are_beside_the_job(user: Prominence) -> None:
    number = user.run("cat b.txt", inputs=[{"filename": "a/b.txt", "content": "aGVsbG8="}])
    user.wait(number, "completed")
    assert user.output(number) == "hello"


@pytest.mark.parametrize(
    ("variable", "value"),
    [
        ("PROMINENCE_CPUS", "1"),
        ("PROMINENCE_NODES", "1"),
        ("PROMINENCE_NODE_NUM", "0"),
        ("PROMINENCE_TASK_NUM", "0"),
        ("PROMINENCE_CONTAINER_RUNTIME", "singularity"),
        ("HOME", "/home/user"),
    ],
)
def test_what_a_job_is_told(user: Prominence, variable: str, value: str) -> None:
    number = user.run(f"sh -c 'echo ${variable}'")
    user.wait(number, "completed")
    assert user.output(number) == f"{value}\n"


def test_a_job_is_told_who_it_is_and_can_call_back(user: Prominence) -> None:
    number = user.run(
        "sh -c 'echo $0 $PROMINENCE_JOB_ID $PROMINENCE_URL $PROMINENCE_TOKEN; sleep 300'"
        " $PROMINENCE_JOB_ID"
    )
    eventually(lambda: user.output(number).endswith("\n"), what="what the job was told")
    first, second, url, token = user.output(number).split()
    assert first == second == str(number)
    headers = {"Authorization": f"Bearer {token}"}
    found = user.client.get(f"{url}/jobs", headers=headers)
    assert found.status_code == 200, found.text
    assert [job["id"] for job in found.json()] == [number]
    user.ask("DELETE", f"/jobs/{number}")
    eventually(
        lambda: user.client.get(f"{url}/jobs", headers=headers).status_code == 401,
        what="the end of the job's token",
    )
