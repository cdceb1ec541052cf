"""The real clients, unchanged, drive every command they have."""

import datetime as dt
import json
import re
import tarfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.agent.shelf import open_shelf
from tests.e2e.harness import LIMIT, RunningServer, eventually
from tests.prominence.clients import NEW, OLD, Cli, token_file
from tests.prominence.talk import IMAGE, Prominence, description

LONG = "sh -c 'echo begun; sleep 300'"
NEEDS = ("--memory", "0.1", "--disk", "1")


@pytest.fixture(params=[NEW, OLD], ids=["0.21.0", "1.5.1"])
def cli(request: pytest.FixtureRequest, user: Prominence, tmp_path: Path) -> Cli:
    """Either client; its user has the token in a file."""
    token_file(tmp_path, user.token if request.param is OLD else _token_json(user))
    return Cli(request.param, user, tmp_path, {})


@pytest.fixture
def member(mill: RunningServer) -> Iterator[Prominence]:
    """A user who is in a group."""
    talk = Prominence(mill, groups=["lab"])
    yield talk
    talk.close()


@pytest.fixture
def new(member: Prominence, tmp_path: Path) -> Cli:
    """The newer client of a user in a group; the token is in the environment."""
    return Cli(NEW, member, tmp_path, {"PROMINENCE_TOKEN": member.token})


def _token_json(user: Prominence) -> str:
    return json.dumps({"access_token": user.token})


def created(said: str, what: str = "Job") -> int:
    """Return the id in what a client said."""
    found = re.search(rf"{what} created with id (\d+)", said)
    assert found is not None, said
    return int(found.group(1))


def rows(said: str) -> list[str]:
    """Return the first columns of a table below its headings."""
    first, *lines = said.rstrip("\n").split("\n")
    assert first.startswith("ID "), said
    return [line.split()[0] for line in lines]


def test_a_job_is_created_listed_described_and_deleted(cli: Cli, user: Prominence) -> None:
    number = created(
        cli.run("create", "--name", "long", "--label", "a=b", "--env", "X=1", *_less(cli),
                IMAGE, LONG)
    )  # fmt: skip
    user.wait(number, "running")
    for words in (("list",), ("list", "jobs"), ("list", "--all")):
        assert rows(cli.run(*words)) == [str(number)]
    assert rows(cli.run("list", "--constraint", "a=b")) == [str(number)]
    assert rows(cli.run("list", "--constraint", "a=c")) == []
    found = json.loads(cli.run("describe", str(number)))
    assert found["status"] == "running"
    assert found["labels"] == {"a": "b"}
    assert found["tasks"][0]["env"] == {"X": "1"}
    eventually(lambda: "begun" in cli.run("stdout", str(number)), what="output")
    assert cli.run("stderr", str(number)).strip() == ""
    assert "Success" in cli.run("delete", str(number))
    assert rows(cli.run("list")) == []
    assert rows(cli.run("list", "--completed")) == [str(number)]
    assert rows(cli.run("list", "--completed", "--last", "5")) == [str(number)]
    assert "No such job" in cli.run("delete", "job", str(number), fails=True)


def _less(cli: Cli) -> tuple[str, ...]:
    """Return options for little memory and disk, as far as the client takes fractions."""
    return NEEDS if cli.client is NEW else ("--disk", "1")


def test_a_description_is_run_from_a_file(cli: Cli, user: Prominence) -> None:
    path = cli.home / "job.json"
    path.write_text(json.dumps(description("echo from a file")))
    number = created(cli.run("run", str(path)))
    user.wait(number, "completed")
    assert cli.run("stdout", str(number)) == "from a file\n\n"


def test_a_description_is_run_from_a_url(cli: Cli, user: Prominence) -> None:
    with open_shelf(cli.home / "shelf") as shelf:
        (shelf.folder / "job.json").write_text(json.dumps(description("echo from a URL")))
        number = created(cli.run("run", f"{shelf.url}/job.json"))
    user.wait(number, "completed")
    assert cli.run("stdout", str(number)) == "from a URL\n\n"


def test_every_option_of_the_older_create(user: Prominence, tmp_path: Path) -> None:
    token_file(tmp_path, user.token)
    cli = Cli(OLD, user, tmp_path, {})
    (tmp_path / "in.txt").write_text("input\n")
    said = cli.run(
        "create", "--name", "all", "--memory", "1", "--cpus", "1", "--nodes", "1", "--disk", "1",
        "--walltime", "5", "--input", "in.txt", "--workdir", "deep", "--env", "A=1",
        "--label", "k=v", "--runtime", "udocker", "--retries", "2",
        IMAGE, "sh -c 'cat ../in.txt; pwd; echo $A'",
    )  # fmt: skip
    number = created(said)
    done = user.wait(number, "completed")
    assert user.output(number) == "input\n/home/user/deep\n1\n"
    assert (done["policies"], done["labels"]) == ({"maximumRetries": 2}, {"k": "v"})
    said = cli.run(
        "create", "--openmpi", "--cpus", "2", "--omp-procs-per-node", "1", "--disk", "1",
        IMAGE, "sh -c 'echo $OMP_NUM_THREADS'",
    )  # fmt: skip
    ranks = created(said)
    user.wait(ranks, "completed")
    assert user.output(ranks) == "1\n"
    assert "placement" in cli.run("create", "--placement", "{}", IMAGE, "true", fails=True)
    (tmp_path / "job.yaml").write_text(
        f"name: yaml\nresources: {{cpus: 1, memory: 1, disk: 1}}\n"
        f"tasks: [{{image: {IMAGE}, runtime: singularity, cmd: echo from YAML}}]\n"
    )
    plain = created(cli.run("run", "job.yaml"))
    user.wait(plain, "completed")
    assert user.output(plain) == "from YAML\n"


def test_wrong_and_missing_tokens(cli: Cli) -> None:
    token_file(cli.home, "a.b.c")
    said = cli.run("list", fails=True).lower()
    assert ("authentication failed" if cli.client is OLD else "token") in said


def test_a_wrong_url_is_told(user: Prominence, tmp_path: Path) -> None:
    wrong = {"PROMINENCE_TOKEN": user.token, "PROMINENCE_URL": f"{user.root}/nowhere"}
    said = Cli(NEW, user, tmp_path, wrong).run("list", fails=True)
    assert "Invalid PROMINENCE URL" in said


def test_the_other_root_serves_the_client_too(user: Prominence, tmp_path: Path) -> None:
    for root in ("/prominence/v1", "/prominence/api/v1"):
        url = f"{user.server.url_http}{root}"
        cli = Cli(NEW, user, tmp_path, {"PROMINENCE_TOKEN": user.token, "PROMINENCE_URL": url})
        assert rows(cli.run("list", "--all")) == []


def test_every_option_of_create(new: Cli, member: Prominence) -> None:
    (new.home / "in.txt").write_text("input\n")
    (new.home / "folder").mkdir()
    (new.home / "folder" / "inside.txt").write_text("folder\n")
    said = new.run(
        "create", "--name", "all", "--cpus-range", "1,2", "--memory-per-cpu", "0.1", "--disk", "1",
        "--walltime", "5", "--input", "in.txt", "--output", "out.txt", "--outputdir", "made",
        "--env", "A=1", "--label", "k=v", "--retries", "1", "--task-retries", "1",
        "--max-time-in-queue", "10", "--leave-in-queue", "--priority", "7",
        "--directory", "folder", "--runtime", "udocker", IMAGE,
        "sh -c 'cat in.txt inside.txt; cp in.txt out.txt; mkdir made; cp in.txt made'",
    )  # fmt: skip
    number = created(said)
    done = member.wait(number, "completed")
    assert new.run("stdout", str(number)) == "input\nfolder\n\n"
    assert done["policies"] == {
        "priority": 7, "maximumRetries": 1, "maximumTaskRetries": 1, "maximumTimeInQueue": 10,
        "leaveInQueue": True,
    }  # fmt: skip
    assert rows(new.run("list")) == [str(number)]
    assert "Job removed from queue" in new.run("remove", str(number))
    assert rows(new.run("list")) == []
    assert "no longer in the queue" in new.run("remove", "job", str(number), fails=True)
    new.run("download", str(number))
    assert (new.home / "out.txt").read_text() == "input\n"
    with tarfile.open(new.home / "made.tgz") as packed:
        assert any(name.endswith("in.txt") for name in packed.getnames())
    new.run("download", "--dir", "job", str(number))
    assert (new.home / str(number) / "out.txt").read_text() == "input\n"


def test_more_options_of_create(new: Cli, member: Prominence) -> None:
    said = new.run(
        "create", *NEEDS, "--openmpi", "--nodes", "2", "--procs-per-node", "1",
        "--max-time-in-queue", "-1", "--workdir", "deep", IMAGE, "pwd",
    )  # fmt: skip
    ranks = created(said)
    (new.home / "dav.json").write_text(
        '"storage": {"type": "webdav", "mountpoint": "/data", "webdav": '
        '{"url": "http://127.0.0.1:9/x", "username": "u", "password": "secret"}}'
    )
    stored = created(new.run("create", *NEEDS, "--storage", "dav.json", IMAGE, "ls /data"))
    wide = created(
        new.run("create", *NEEDS, "--mpich", "--cpus-range", "1,2", "--total-cpus-range", "2,2",
                "--max-time-in-queue", "-1", IMAGE, "true")
    )  # fmt: skip
    assert member.job(wide)["resources"]["totalCpusRange"] == [2, 2]
    assert "nodes" not in member.job(wide)["resources"]
    member.wait(ranks, "completed")
    assert new.run("stdout", str(ranks)) == "/home/user/deep\n" * 2 + "\n"
    failed = member.wait(stored, "failed")
    assert failed["statusReason"] == "Unable to mount storage volume"
    assert "secret" not in new.run("describe", str(stored))


def test_what_is_wrong_is_told(new: Cli) -> None:
    said = new.run("create", "--name", "a*b", IMAGE, "true", fails=True)
    assert said.strip() == "Error: invalid job name"
    said = new.run("create", "--cpus-options", "1,2", "--dry-run", IMAGE, fails=False)
    assert json.loads(said)["resources"]["cpusOptions"] == [1, 2]


def test_clone_describe_input_and_run_again(new: Cli, member: Prominence) -> None:
    number = created(new.run("create", *NEEDS, "--output", "o", IMAGE, "sh -c 'echo 1 | tee o'"))
    member.wait(number, "completed")
    clone = created(new.run("clone", str(number)))
    member.wait(clone, "completed")
    (new.home / "again.json").write_text(new.run("describe", "--input", str(number)))
    again = created(new.run("run", "again.json"))
    member.wait(again, "completed")
    assert new.run("stdout", "-n", "0", str(again)) == "1\n\n"
    assert "No such job" in new.run("describe", "999999999", fails=True)


def test_output_is_followed(new: Cli, member: Prominence) -> None:
    command = "sh -c 'for i in 1 2 3; do echo $i; echo e$i >&2; sleep 1; done; sleep 3'"
    number = created(new.run("create", *NEEDS, IMAGE, command))
    member.wait(number, "running")
    with new.start("stderr", "--tail", str(number)) as other:
        assert new.run("stdout", "--tail", str(number)).split() == list("123")
        said, _ = other.communicate(timeout=LIMIT)
    assert said.split() == [f"e{number}" for number in range(1, 4)]


def test_inside_a_running_job(new: Cli, member: Prominence) -> None:
    number = created(
        new.run("create", *NEEDS, IMAGE, "sh -c 'echo 1 > made; echo ready; exec sleep 4567'")
    )
    eventually(lambda: "ready" in member.output(number), what="the job's files")
    assert new.run("exec", str(number), "cat made") == "1\n\n"
    assert "sleep 4567" in new.run("exec", str(number), "ps -o args")
    assert "Unable to execute" in new.run("exec", str(number), "false", fails=True)
    new.run("snapshot", str(number), "made")
    with tarfile.open(new.home / "snapshot.tgz") as packed:
        assert any(name.endswith("made") for name in packed.getnames())
    new.run("delete", str(number))
    assert "not running" in new.run("exec", str(number), "true", fails=True)


def test_objects(new: Cli, member: Prominence) -> None:
    (new.home / "data.txt").write_text("content\n")
    for name in ("mine.txt", "lab/ours.txt"):
        said = new.run("upload", "--name", name, "--filename", "data.txt")
        assert said.strip() == "Success"
    assert new.run("ls").split() == ["mine.txt"]
    assert "mine.txt" in new.run("ls", "-l")
    assert "ours.txt" in new.run("ls", "lab")
    assert "Not authorized" in new.run("ls", "other", fails=True)
    number = created(new.run("create", *NEEDS, "--artifact", "mine.txt", IMAGE, "cat mine.txt"))
    member.wait(number, "completed")
    assert member.output(number) == "content\n"
    assert new.run("rm", "mine.txt").strip() == "Success"
    assert new.run("ls") == ""
    said = new.run("create", "--artifact", "mine.txt", IMAGE, fails=True)
    assert "Artifact mine.txt does not exist" in said


def test_keys_and_values(new: Cli) -> None:
    new.run("kv", "set", "/a/b", "value")
    new.run("kv", "set", "c", "other")
    assert new.run("kv", "get", "/a/b") == "value\n"
    assert sorted(new.run("kv", "list").split()) == ["/a/b", "/c"]
    assert new.run("kv", "list", "/a").split() == ["/a/b"]
    new.run("kv", "delete", "c")
    assert "No such key" in new.run("kv", "get", "c", fails=True)
    new.run("kv", "delete", "--prefix", "/a")
    assert new.run("kv", "list") == ""


def test_usage_and_resources(new: Cli, member: Prominence) -> None:
    number = created(new.run("create", *NEEDS, IMAGE, "true"))
    member.wait(number, "completed")
    today = dt.datetime.now(dt.UTC).date().isoformat()
    said = new.run("usage", today, today)
    assert member.user in said
    assert re.search(r"Number of jobs +1\n", said)
    assert "lab" in new.run("usage", "--group", today, today)
    assert member.user in new.run("usage", "--all", today, today)
    said = new.run("resources")
    assert re.search(r"^[0-9]+ +[0-9]+ +[0-9]+ +[0-9]+ +\S+", said, re.MULTILINE), said


def test_registering_and_logging_in(user: Prominence, tmp_path: Path) -> None:
    variables = {"PROMINENCE_OIDC_URL": user.root, "PYTHONUNBUFFERED": "1"}
    cli = Cli(NEW, user, tmp_path, variables)
    assert "Client registration successful" in cli.run("register")
    with cli.start("login") as process:
        assert process.stdout is not None
        line = process.stdout.readline()
        code = re.search(r"enter the code (\S+) when", line)
        assert code is not None, line
        user.server.client(user.token).approve_login(code.group(1))
        said, _ = process.communicate(timeout=LIMIT)
    assert process.returncode == 0, said
    assert rows(cli.run("list", "--all")) == []


WORKFLOW: dict[str, Any] = {
    "name": "steps",
    "jobs": [
        {**description("sh -c 'echo sweep $frame'"), "name": "sweep"},
        {**description("sh -c 'test -e /nowhere'"), "name": "bad"},
        {**description("echo after"), "name": "after"},
    ],
    "dependencies": {"sweep": ["after"]},
    "factories": [
        {
            "name": "f",
            "type": "parameterSweep",
            "jobs": ["sweep"],
            "parameters": [{"name": "frame", "start": 1, "end": 3, "step": 1}],
        }
    ],
}


def test_workflows(new: Cli, member: Prominence) -> None:
    (new.home / "flow.json").write_text(json.dumps(WORKFLOW))
    number = created(new.run("run", "flow.json"), "Workflow")
    eventually(
        lambda: member.get(f"/workflows/{number}")[0]["status"] == "failed",
        what="the workflow's end",
    )
    assert rows(new.run("list", "workflows")) == []
    assert rows(new.run("list", "workflows", "--completed")) == [str(number)]
    assert len(rows(new.run("list", "--completed", "jobs", str(number)))) == 5
    found = json.loads(new.run("describe", "workflow", str(number)))
    assert (found["progress"]["done"], found["progress"]["total"]) == (4, 5)
    assert new.run("stdout", str(number), "sweep", "1") == "sweep 2\n\n"
    assert new.run("stdout", str(number), "after") == "after\n\n"
    assert new.run("stderr", str(number), "after") == "\n"
    assert new.run("stderr", str(number), "sweep", "2") == "\n"
    rerun = created(new.run("rerun", str(number)), "Workflow")
    assert rerun > number
    clone = created(new.run("clone", "workflow", str(number)), "Workflow")
    eventually(
        lambda: member.get(f"/workflows/{clone}")[0]["status"] == "failed",
        what="the clone's end",
    )
    assert "no longer in the queue" in new.run("remove", "workflow", str(clone), fails=True)
    assert "No such workflow" in new.run("delete", "workflow", str(clone), fails=True)
    new.run("download", "workflow", str(number))


def test_the_older_client_with_workflows(user: Prominence, tmp_path: Path) -> None:
    token_file(tmp_path, user.token)
    cli = Cli(OLD, user, tmp_path, {})
    flow = {key: value for key, value in WORKFLOW.items() if key != "factories"}
    (tmp_path / "flow.json").write_text(json.dumps(flow))
    number = created(cli.run("run", "flow.json"), "Workflow")
    eventually(
        lambda: user.get(f"/workflows/{number}")[0]["status"] == "failed",
        what="the workflow's end",
    )
    assert rows(cli.run("list", "workflows")) == []
    assert rows(cli.run("list", "workflows", "--completed")) == [str(number)]
    assert json.loads(cli.run("describe", "workflow", str(number)))["name"] == "steps"
    assert cli.run("stdout", str(number), "after") == "after\n\n"
    assert cli.run("stderr", str(number), "after") == "\n"
    long = {"name": "long", "jobs": [{**description(LONG), "name": "only"}]}
    (tmp_path / "long.json").write_text(json.dumps(long))
    other = created(cli.run("run", "long.json"), "Workflow")
    assert rows(cli.run("list", "workflows")) == [str(other)]
    assert cli.run("delete", "workflow", str(other)).strip() == "Success"
    for composed, count in (("steps/after", 1), ("steps/sweep", 1), ("steps", 0)):
        assert len(user.ids(name=composed, completed="true", num="-1")) == count
        assert len(user.ids(name=composed, all="1")) == count


def test_a_workflow_is_deleted(new: Cli, member: Prominence) -> None:
    jobs = [{**description(LONG), "name": "only"}]
    (new.home / "flow.json").write_text(json.dumps({"name": "long", "jobs": jobs}))
    number = created(new.run("run", "flow.json"), "Workflow")
    assert rows(new.run("list", "workflows")) == [str(number)]
    assert new.run("delete", "workflow", str(number)).strip() == "Success"
    assert rows(new.run("list", "workflows")) == []
    assert member.get(f"/workflows/{number}")[0]["status"] == "deleted"


def test_the_python_classes(user: Prominence, tmp_path: Path) -> None:
    cli = Cli(NEW, user, tmp_path, {"PROMINENCE_TOKEN": user.token})
    said = cli.python(
        "from prominence import Job, Task\n"
        "job = Job()\n"
        "job.name = 'classes'\n"
        "task = Task()\n"
        f"task.image = '{IMAGE}'\n"
        "task.command = 'echo classes'\n"
        "job.tasks.append(task)\n"
        "job.resources.memory = 0.1\n"
        "job.resources.disk = 1\n"
        "job.policies.ignore_task_failures = True\n"
        "job.create()\n"
        "job.wait()\n"
        "print(job.id, job.status)\n"
    )
    number, status = said.split()
    assert status == "completed"
    assert user.output(int(number)) == "classes\n"
