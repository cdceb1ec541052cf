"""Every text with which a job's description is refused, and that nothing comes of it."""

import copy
import json
from pathlib import Path
from typing import Any

import pytest

from gristmill.dialects.prominence.errors import RefusedError
from gristmill.dialects.prominence.validation.job import check_job
from tests.prominence.talk import Prominence

TASK = {"image": "busybox", "runtime": "singularity"}
GOOD = {"resources": {"cpus": 2, "memory": 1}, "tasks": [TASK]}
WEBDAV = {"url": "https://x", "username": "u", "password": "p"}
LONG = "x" * 513
BOTH = "cannot both be defined"
RANGE = "cpusRange must be a list containing the min and max allowed number of CPUs"
OPTIONS = "cpusOptions must be a list containing the two possible number of CPUs"
TOTAL = "totalCpusRange must be a list containing the min and max allowed total number of CPUs"
RUNTIME = "the container runtime must be either udocker or singularity"
CREDENTIAL = "a username and token must be specified in the image pull credential"
PROCESSES = "number of processes per node"
MPIRUN = "it is not necessary to include mpirun in the cmd if an MPI flavour has been specified"
MPI_COMMAND = "A command to execute must be specified for MPI jobs"
SIDECARS = "a job cannot contain only sidecar tasks"
MOUNTPOINT = "the mountpoint for an artifact must be an absolute path"
AUTO_SCALING = "autoScalingType, if defined, must be none, dedicated or shared"
INPUT = "each input must contain base64 encoded content"


def job(**more: Any) -> dict[str, Any]:
    return {**GOOD, **more}


def resources(**more: Any) -> dict[str, Any]:
    return job(resources={"cpus": 2, "memory": 1, **more})


def bare(**wish: Any) -> dict[str, Any]:
    return job(resources=wish)


def task(**more: Any) -> dict[str, Any]:
    return job(tasks=[{**TASK, **more}])


def policies(**more: Any) -> dict[str, Any]:
    return job(policies=more)


def placement(**more: Any) -> dict[str, Any]:
    return policies(placement=more)


def artifact(**more: Any) -> dict[str, Any]:
    return job(artifacts=[{"url": "https://x/a", **more}])


def file(**more: Any) -> dict[str, Any]:
    return job(inputs=[{"filename": "x", "content": "", **more}])


def storage(**more: Any) -> dict[str, Any]:
    return job(storage={"type": "webdav", "mountpoint": "/m", "webdav": WEBDAV, **more})


def onedata(**more: Any) -> dict[str, Any]:
    return job(storage={"type": "onedata", "mountpoint": "/m", **more})


def notification(**more: Any) -> dict[str, Any]:
    return job(notifications=[{"event": "jobFinished", "type": "email", **more}])


def without(key: str) -> dict[str, Any]:
    return {name: value for name, value in GOOD.items() if name != key}


REFUSED: list[tuple[Any, str]] = [
    (job(tags=1), 'invalid item "tags" in job description'),
    (job(constraints={}), 'invalid item "constraints" in job description'),
    (resources(gpus=1), 'invalid item "gpus" in resources'),
    (task(command="x"), 'invalid item "command" in task'),
    (policies(retries=1), 'invalid item "retries" in policies'),
    (notification(to="x"), 'invalid item "to" in notifications'),
    (placement(where=1), 'invalid item "where" in placement policy'),
    (placement(requirements={"site": []}), 'invalid item "site" in requirements'),
    (placement(preferences={"site": []}), 'invalid item "site" in preferences'),
    (artifact(size=1), "invalid item size in artifact"),
    (file(size=1), "invalid item size in input"),
    (job(name=LONG), "job name must be less than 512 characters in length"),
    (job(name="a*b"), "invalid job name"),
    (job(name=7), "invalid job name"),
    (job(name="é"), "invalid job name"),
    (job(labels=["a"]), "labels must be defined as a dict"),
    (job(labels={LONG: "a"}), "label names must be less than 512 characters in length"),
    (job(labels={"a": LONG}), "label values must be less than 512 characters in length"),
    (job(labels={"a-b": "c"}), 'label name "a-b" is invalid'),
    (job(labels={"": "c"}), 'label name "" is invalid'),
    (job(labels={"a": "b c"}), 'label value "b c" is invalid'),
    (job(labels={"a": 1}), 'label value "1" is invalid'),
    (without("resources"), "a job must contain resources"),
    (resources(nodes="1"), "number of nodes must be an integer"),
    (resources(nodes=True), "number of nodes must be an integer"),
    (resources(nodes=1.5), "number of nodes must be an integer"),
    (resources(nodes=0), "number of nodes must be at least 1"),
    (resources(cpus="1"), "number of cpus must be an integer"),
    (resources(cpus=0), "number of cpus must be at least 1"),
    (resources(cpus=-1), "number of cpus must be at least 1"),
    (bare(memory=1), "one of cpus, cpusRange, cpusOptions must be defined"),
    (bare(memory=1, cpusRange=4), RANGE),
    (bare(memory=1, cpusRange=[1]), RANGE),
    (bare(memory=1, cpusRange=["1", 2]), RANGE),
    (bare(memory=1, cpusRange=[4, 2]), RANGE),
    (bare(memory=1, cpusOptions={}), OPTIONS),
    (bare(memory=1, cpusOptions=[1, 2, 3]), OPTIONS),
    (resources(totalCpusRange=[1]), TOTAL),
    (resources(cpusRange=[1, 2]), f"cpus and cpusRange {BOTH}"),
    (resources(cpusOptions=[1, 2]), f"cpus and cpusOptions {BOTH}"),
    (
        bare(memory=1, cpusRange=[1, 2], cpusOptions=[1, 2]),
        f"cpusRange and cpusOptions {BOTH}",
    ),
    (resources(memory="1"), "memory must be an integer"),
    (resources(memory=None), "memory must be an integer"),
    (resources(memory=0), "memory must be at least 1"),
    (resources(memory=-0.5), "memory must be at least 1"),
    (bare(cpus=1), "memory or memoryPerCpu (in GB) must be defined"),
    (resources(memoryPerCpu=1), f"memory and memoryPerCpu {BOTH}"),
    (bare(cpus=1, memoryPerCpu=[]), "memoryPerCpu must be an integer"),
    (bare(cpus=1, memoryPerCpu=0), "memoryPerCpu must be at least 1"),
    (resources(disk="10"), "required disk must be an integer"),
    (resources(disk=0), "disk must be at least 1"),
    (resources(walltime=1.5), "required walltime must be an integer"),
    (resources(walltime=0), "walltime must be at least 1 minute"),
    (without("tasks"), "a job must contain tasks"),
    (job(tasks={"image": "x"}), "an array of tasks must be provided"),
    (job(tasks=[{"runtime": "singularity"}]), "each task must specify a container image"),
    (task(image=5), "each task must specify a container image"),
    (task(imagePullCredential={"username": "u"}), CREDENTIAL),
    (task(imagePullCredential="u:p"), CREDENTIAL),
    (job(tasks=[{"image": "x"}]), "a container runtime must be defined"),
    (task(runtime="docker"), RUNTIME),
    (task(runtime=["singularity"]), RUNTIME),
    (task(env=["A=b"]), "environment variables must be defined as a dict"),
    (task(runtime="udocker", app="x"), "app is only supported by Singularity"),
    (task(app=1), "app must be a string"),
    (task(procsPerNode="2"), f"{PROCESSES} must be an integer"),
    (task(procsPerNode=0), f"{PROCESSES} must be at least 1"),
    (task(procsPerNode=3), f"{PROCESSES} must be less than number of CPU cores per node"),
    (task(cmd=["echo"]), "cmd must be a string"),
    (task(type="mpi"), "invalid task type"),
    (task(type={}), "invalid task type"),
    (task(type="openmpi", cmd="mpirun -n 2 x"), MPIRUN),
    (task(type="mpich"), MPI_COMMAND),
    (task(type="intelmpi", cmd=" "), MPI_COMMAND),
    (task(type="sidecar", cmd="x"), SIDECARS),
    (job(tasks=[]), SIDECARS),
    (job(artifacts="a"), "an array of artifacts must be provided"),
    (job(artifacts=["a"]), "an array of artifacts must be provided"),
    (job(artifacts=[{}]), "an artifact must contain a URL"),
    (artifact(url=1), "an artifact must contain a URL"),
    (artifact(mountpoint="data"), "invalid mountpoint for artifact"),
    (artifact(mountpoint=1), "invalid mountpoint for artifact"),
    (artifact(mountpoint="a:/b:c"), "invalid mountpoint for artifact"),
    (artifact(mountpoint="a/b:/c"), "invalid source in mountpoint for artifact"),
    (artifact(mountpoint="..:/c"), "invalid source in mountpoint for artifact"),
    (artifact(mountpoint="a:b"), MOUNTPOINT),
    (artifact(executable=1), "executable must be either true or false"),
    (job(outputFiles="a"), "an array of outputFiles must be provided"),
    (job(outputFiles=[1]), "outputFiles must be a list of strings"),
    (job(outputDirs={}), "an array of outputDirs must be provided"),
    (job(outputDirs=[None]), "outputDirs must be a list of strings"),
    (job(inputs={}), "an array of inputs must be provided"),
    (job(inputs=[{"content": ""}]), "each input must contain a filename"),
    (file(filename="a/.."), "each input must contain a filename"),
    (job(inputs=[{"filename": "a"}]), INPUT),
    (file(content="!!"), INPUT),
    (file(content=5), INPUT),
    (job(storage={}), "storage type must be defined"),
    (job(storage={"type": "onedata"}), "a mount point must be defined"),
    (storage(mountpoint="m"), "the mountpoint must be an absolute path"),
    (storage(mountpoint=5), "the mountpoint must be an absolute path"),
    (storage(default="yes"), "default must be either true or false"),
    (onedata(), "OneData storage details must be defined"),
    (onedata(onedata={"token": "t"}), "OneData provider must be defined"),
    (onedata(onedata={"provider": "p"}), "OneData token must be defined"),
    (policies(preemptible=1), "preemptible must be either true or false"),
    (policies(leaveInQueue="true"), "leaveInQueue must be either true or false"),
    (policies(ignoreTaskFailures=0), "ignoreTaskFailures must be either true or false"),
    (
        policies(reportJobSuccessOnTaskFailure=None),
        "reportJobSuccessOnTaskFailure must be either true or false",
    ),
    (
        policies(runSerialTasksOnAllNodes=[]),
        "runSerialTasksOnAllNodes must be either true or false",
    ),
    (policies(priority="1"), "the priority must be an integer"),
    (policies(autoScalingType="x"), AUTO_SCALING),
    (policies(autoScalingType=[]), AUTO_SCALING),
    (policies(maximumRetries="1"), "the number of retries must be an integer"),
    (policies(maximumRetries=0), "the number of retries must be greater than 0"),
    (policies(maximumRetries=7), "the number of retries must be less than 6"),
    (policies(maximumTaskRetries=1.5), "the number of task retries must be an integer"),
    (policies(maximumTaskRetries=7), "the number of task retries must be less than 6"),
    (policies(maximumTimeInQueue="x"), "the maximum time in queue must be an integer"),
    (policies(maximumTimeInQueue=44641), "the maximum time in queue must be less than 44640"),
    (policies(maximumTimeInQueue=-2), "the maximum time in queue must be at least -1"),
    (placement(requirements={"sites": "x"}), "sites in requirements must be a list"),
    (placement(requirements={"regions": "x"}), "regions in requirements must be a list"),
    (placement(preferences={"sites": {}}), "sites in preferences must be a list"),
    (placement(preferences={"regions": 1}), "regions in preferences must be a list"),
    (job(notifications={}), "notifications must be in the form of a list"),
    (notification(event="jobStarted"), 'invalid notification event "jobStarted"'),
    (notification(type="sms"), 'invalid notification type "sms"'),
]

IN_ORDER = [
    ("zzz", 1, 'invalid item "zzz" in job description'),
    ("name", "*", "invalid job name"),
    ("labels", [], "labels must be defined as a dict"),
    ("resources", {}, "one of cpus, cpusRange, cpusOptions must be defined"),
    ("tasks", 1, "an array of tasks must be provided"),
    ("artifacts", 1, "an array of artifacts must be provided"),
    ("outputFiles", 1, "an array of outputFiles must be provided"),
    ("outputDirs", 1, "an array of outputDirs must be provided"),
    ("inputs", 1, "an array of inputs must be provided"),
    ("storage", {}, "storage type must be defined"),
    ("policies", {"zzz": 1}, 'invalid item "zzz" in policies'),
    ("notifications", 1, "notifications must be in the form of a list"),
]

TAKEN: list[dict[str, Any]] = [
    GOOD,
    job(name="", labels={}, artifacts=[], inputs=[], outputFiles=[], policies={}),
    job(name="A-b_c./ d\te", labels={"a": "b_./-1"}),
    job(name="x" * 512, labels={"k" * 512: "v" * 512}),
    resources(memory=0.5, disk=1, walltime=1, nodes=3),
    bare(cpus=1, memoryPerCpu=2.5),
    bare(cpusRange=[1, 8], memory=1),
    bare(cpus=1, cpusRange=[1, 8], memory=1),
    bare(cpus=1, cpusOptions=[2, 4], memory=1),
    bare(cpus=4, totalCpusRange=[8, 16], memory=1),
    task(cmd="echo 'a b'", env={"A": 1, "B": 1.5, "C": True, "D": "x"}, workdir="sub"),
    task(type="openmpi", cmd="./solve", procsPerNode=2),
    job(tasks=[TASK, {**TASK, "type": "sidecar", "cmd": "sleep 9"}]),
    task(imagePullCredential={"username": "u", "token": "t"}, app="main", imageSha256="ab"),
    artifact(mountpoint="data:/data", executable=True),
    file(filename="a/b.txt", content="aGk=", executable=True),
    job(outputFiles=["*.txt"], outputDirs=["a/b"]),
    storage(default=True),
    storage(mountpoint=None),
    onedata(onedata={"provider": "p", "token": "t", "options": "-v"}),
    job(
        storage={
            "type": "b2drop",
            "mountpoint": "/m",
            "b2drop": {"app-username": "u", "app-password": "p"},
        }
    ),
    policies(maximumRetries=6, maximumTaskRetries=6, maximumTimeInQueue=44640, priority=10**9),
    policies(maximumTimeInQueue=-1, autoScalingType=None, maximumIdleTimePerResource=44640),
    policies(ignoreTaskTailures=True, preemptible=False, leaveInQueue=True),
    placement(requirements={"sites": ["a"]}, preferences={"regions": ["b", "c"]}),
    notification(),
]


@pytest.mark.parametrize(("given", "text"), REFUSED, ids=[text for _, text in REFUSED])
def test_the_text_of_a_refusal(given: Any, text: str) -> None:
    before = copy.deepcopy(given)
    with pytest.raises(RefusedError) as refused:
        check_job(given)
    assert (refused.value.status, refused.value.text) == (400, text)
    assert given == before


@pytest.mark.parametrize("given", [None, [], "job", 7, True])
def test_a_description_that_is_no_object(given: Any) -> None:
    with pytest.raises(RefusedError) as refused:
        check_job(given)
    assert refused.value.text == "a job description must be a JSON object"


def test_the_first_problem_is_told() -> None:
    broken: dict[str, Any] = dict(GOOD)
    for key, value, text in reversed(IN_ORDER):
        broken[key] = value
        with pytest.raises(RefusedError) as refused:
            check_job(broken)
        assert refused.value.text == text


def test_every_refusal_comes_over_the_wire_and_changes_nothing(idle: Prominence) -> None:
    for given, text in REFUSED:
        assert idle.refused("POST", "/jobs", json=given) == text
    assert idle.ids(all="true") == []


@pytest.mark.parametrize("given", TAKEN, ids=lambda given: json.dumps(given)[:60])
def test_what_is_taken_is_described_as_submitted(idle: Prominence, given: Any) -> None:
    found = idle.job(idle.submit(given))
    for key, value in given.items():
        if key not in ("resources", "tasks", "storage", "outputFiles", "outputDirs"):
            assert found[key] == value
    nodes = {} if "totalCpusRange" in given["resources"] else {"nodes": 1}
    assert found["resources"] == {**nodes, **given["resources"]}
    for key in ("outputFiles", "outputDirs"):
        if key in given:
            assert found[key] == [{"name": name, "url": ""} for name in given[key]]


@pytest.mark.parametrize(
    ("given", "text"),
    [
        (artifact(url="missing.tar"), "Artifact missing.tar does not exist"),
        (artifact(url="group/x"), "Artifact group/x does not exist"),
        (task(image="missing.sif"), "Image missing.sif does not exist"),
        (task(image="object:///x"), "Image object:///x does not exist"),
        (artifact(url="object://lab/x"), "Artifact object://lab/x does not exist"),
    ],
)
def test_objects_that_are_named_must_be_there(idle: Prominence, given: Any, text: str) -> None:
    assert idle.refused("POST", "/jobs", json=given) == text


@pytest.mark.parametrize(
    "given",
    [
        task(cmd="echo 'unclosed"),
        task(cmd="echo \0"),
        task(env={"A": "\0"}),
        task(env={"A=B": "c"}),
        task(env={"A": ["b"]}),
        task(workdir="\0"),
        task(image="x\ny"),
        resources(cpus=10**30),
        resources(memory=1e308),
        resources(walltime=10**18),
        job(outputFiles=["../escape"]),
        job(outputFiles=["/etc/passwd"]),
        artifact(url="http://x/\0"),
        policies(priority=-1),
    ],
)
def test_what_no_node_could_run_is_refused(idle: Prominence, given: Any) -> None:
    idle.refused("POST", "/jobs", json=given)


@pytest.mark.parametrize(
    ("given", "field"),
    [
        (job(outputFiles=["../x"]), "outputFiles[0]: "),
        (job(outputDirs=["/x"]), "outputDirs[0]: "),
        (artifact(url="ftp://x/y"), "artifacts[0].url: "),
        (task(cmd="echo \0"), "tasks[0].cmd[1]: "),
    ],
)
def test_the_field_is_named_in_the_clients_words(idle: Prominence, given: Any, field: str) -> None:
    assert idle.refused("POST", "/jobs", json=given).startswith(field)


def test_logins_are_hidden_in_every_answer_and_in_the_files(idle: Prominence) -> None:
    login = {"username": "hush-user", "token": "hush-token"}
    given = {
        **task(imagePullCredential=login),
        "storage": {
            "type": "b2drop",
            "mountpoint": "/m",
            "b2drop": {"app-username": "hush-name", "app-password": "hush-password"},
        },
    }
    number = idle.submit(given)
    clone = idle.ask("PUT", f"/jobs/{number}/clone").json()["id"]
    for path in (f"/jobs/{number}", f"/jobs/{clone}", "/jobs", "/jobs?all=1&detail=1"):
        text = idle.ask("GET", path).text
        assert "hush" not in text
        assert '"imagePullCredential":{"username":"***","token":"***"}' in text
    found = idle.job(clone)
    assert found["storage"]["b2drop"] == {"app-username": "***", "app-password": "***"}
    home: Path = idle.server.home
    for file_ in home.rglob("*"):
        if file_.is_file():
            assert b"hush-token" not in file_.read_bytes()
            assert b"hush-password" not in file_.read_bytes()
