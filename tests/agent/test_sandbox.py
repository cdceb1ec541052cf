"""Jobs in a sandbox: real containers, real files over HTTP, in and out."""

import asyncio
import base64
import contextlib
import io
import os
import shutil
import socket
import subprocess
import tarfile
import zipfile
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import msgspec
import pytest

from gristmill.containers.engines import PROGRAMS, detect
from gristmill.containers.run import ContainerEngine
from gristmill.domain.job import JobSpec, Task
from gristmill.domain.outcome import (
    ARTIFACT_DOWNLOAD_FAILED,
    ARTIFACT_UNPACK_FAILED,
    CANCELLED_BY_USER,
    IMAGE_UNAVAILABLE,
    LOST,
    MOUNT_FAILED,
    NON_ZERO_EXIT,
    OVER_WALLTIME,
    STAGE_OUT_MISSING,
    STAGE_OUT_UPLOAD_FAILED,
    AttemptDetails,
)
from gristmill.domain.resources import Resources
from gristmill.domain.staging import Artifact, Input, Staging, Storage
from gristmill.protocol.messages import Finished, GangPlace
from tests.agent.shelf import Shelf, open_shelf
from tests.agent.workshop import LocalQuestions, Workshop
from tests.containers.rootfs import busybox_rootfs, tar_of

IMAGE = "bb"


@pytest.fixture(scope="module")
def engine() -> ContainerEngine:
    found = detect("bubblewrap")
    if found is None:
        pytest.skip("bubblewrap does not work here")
    return found


@pytest.fixture
def shelf(tmp_path: Path) -> Iterator[Shelf]:
    with open_shelf(tmp_path / "shelf") as shelf:
        yield shelf


class Ward:
    """Runs jobs in sandboxes of one workshop."""

    def __init__(self, tmp_path: Path, engine: ContainerEngine | None, shelf: Shelf) -> None:
        self.home, self.engine, self.shelf = tmp_path / "home", engine, shelf
        self.home.mkdir()
        self.rootfs = busybox_rootfs(tmp_path / "rootfs")

    def run(self, *specs: JobSpec, secrets: Sequence[str] = (), **options: Any) -> list[Finished]:
        async def go() -> list[Finished]:
            workshop = Workshop(
                self.home, engine=self.engine, on_host=self.engine is None, **options
            )
            workshop.images.add(IMAGE, self.rootfs)
            workshop.questions.secrets = list(secrets)
            workshop.questions.place = self.shelf.url + "/put"
            workshop.questions.objects = {
                "object:///mine.tgz": f"{self.shelf.url}/mine.tgz?signed=1"
            }
            async with workshop:
                ends = await workshop.run(*specs)
            assert os.listdir(self.home / "sandboxes") == []
            return ends

        return asyncio.run(go())

    def stored(self, name: str, job: int = 1) -> Path:
        return self.shelf.folder / "put" / str(job) / name


@pytest.fixture
def ward(tmp_path: Path, engine: ContainerEngine, shelf: Shelf) -> Ward:
    return Ward(tmp_path, engine, shelf)


@pytest.fixture
def on_host(tmp_path: Path, shelf: Shelf) -> Ward:
    return Ward(tmp_path, None, shelf)


def task(text: str, **fields: Any) -> Task:
    return Task(argv=("/bin/sh", "-c", text), image=IMAGE, **fields)


def job(*tasks: Task, **fields: Any) -> JobSpec:
    return JobSpec(tasks=tasks, sandbox=True, **fields)


def text(end: Finished) -> str:
    assert end.stdout is not None, (end.reason, end.message, end.stderr)
    return end.stdout.data.decode()


def details(end: Finished) -> AttemptDetails:
    assert end.details is not None
    return end.details


def test_tasks_share_home_and_tmp_and_nothing_of_them_stays(ward: Ward) -> None:
    first = task("pwd; echo $HOME $USER $TMP $TEMP $TMPDIR; echo kept > file; echo also > /tmp/t")
    second = task("pwd; cat ../../file", workdir="deep/er")
    (end,) = ward.run(job(first, task("cat file /tmp/t"), second))
    assert end.succeeded, (end.reason, end.message)
    assert text(end).splitlines() == [
        "/home/user",
        "/home/user user /tmp /tmp /tmp",
        "kept",
        "also",
        "/home/user/deep/er",
        "kept",
    ]


@pytest.mark.parametrize("name", [name for name in PROGRAMS if name != "bubblewrap"])
def test_every_engine_shows_the_same(name: str, tmp_path: Path, shelf: Shelf) -> None:
    engine = detect(name)
    if engine is None:
        pytest.skip(f"{name} does not work here")
    (shelf.folder / "tree" / "data").mkdir(parents=True)
    (shelf.folder / "tree" / "data" / "inner").write_text("inner\n")
    tar_of(shelf.folder / "tree", shelf.folder / "packed.tar.gz", "w:gz")
    artifact = Artifact(url=f"{shelf.url}/packed.tar.gz", directory="data", inside="/mnt/d")
    (end,) = Ward(tmp_path, engine, shelf).run(
        job(
            task("echo kept > file; echo also > /tmp/t"),
            task("pwd; echo $HOME $TMPDIR $MINE; cat file /tmp/t /mnt/d/inner; echo out > out"),
            staging=Staging(artifacts=(artifact,), output_files=("out",)),
            env={"MINE": "mine"},
        ),
        grace=0.2,
    )
    assert end.succeeded, (end.reason, end.message, end.stderr)
    assert text(end).splitlines() == [
        "/home/user", "/home/user /tmp mine", "kept", "also", "inner",
    ]  # fmt: skip
    assert (shelf.folder / "put" / "1" / "out").read_text() == "out\n"


def test_facts_are_told_under_chosen_names_and_substituted(ward: Ward) -> None:
    facts = {
        "MY_JOB": "{job}",
        "MY_URL": "{url}/api",
        "MY_TOKEN": "{token}",
        "MY_TASK": "{task}",
        "MY_SHARE": "{cpus}/{memory_gb}/{nodes}/{node}/{runtime}/{workflow}",
    }
    words = ("/bin/echo", "$MY_JOB", "${MY_JOB}x", "$MY_URL", "$OTHER")
    spec = job(
        Task(argv=words, image=IMAGE),
        task("echo $MY_TASK $MY_URL $MY_TOKEN $MY_SHARE $MINE"),
        facts=facts,
        substitute=("MY_JOB",),
        env={"MINE": "mine"},
        resources=Resources(cpus=2, memory=1536),
    )
    (end,) = ward.run(spec)
    assert text(end).splitlines() == [
        "1 1x $MY_URL $OTHER",
        "1 http://mill.example/api token-of-1 2/1.5/1/0/bubblewrap/7 mine",
    ]


def test_inputs_and_artifacts_come_in(ward: Ward) -> None:
    folder = ward.shelf.folder
    (folder / "plain.txt").write_text("plain\n")
    (folder / "run.sh").write_text("#!/bin/sh\necho ran\n")
    tree = folder / "tree"
    (tree / "data").mkdir(parents=True)
    (tree / "data" / "inner").write_text("inner\n")
    tar_of(tree, folder / "packed.tar.gz", "w:gz")
    tar_of(tree, folder / "mine.tgz", "w:gz")
    with zipfile.ZipFile(folder / "z.zip", "w") as archive:
        archive.writestr("zipped/file", "zipped\n")
    staging = Staging(
        artifacts=(
            Artifact(url=f"{ward.shelf.url}/plain.txt"),
            Artifact(url=f"{ward.shelf.url}/run.sh", executable=True),
            Artifact(url=f"{ward.shelf.url}/packed.tar.gz?x=1", directory="data", inside="/mnt/d"),
            Artifact(url=f"{ward.shelf.url}/z.zip"),
        ),
        inputs=(Input(name="a/b/in.sh", content=base64.b64encode(b"#!/bin/sh\necho in\n").decode(),
                      executable=True),),
    )  # fmt: skip
    (end,) = ward.run(
        job(task("cat plain.txt data/inner /mnt/d/inner zipped/file; ./run.sh; ./in.sh; ls"),
            staging=staging)
    )  # fmt: skip
    assert end.succeeded, (end.reason, end.message)
    lines = text(end).splitlines()
    assert lines[:6] == ["plain", "inner", "inner", "zipped", "ran", "in"]
    assert lines[6:] == ["data", "in.sh", "plain.txt", "run.sh", "zipped"]
    assert details(end).stage_in > 0


def test_a_stored_object_is_found_by_the_server(ward: Ward) -> None:
    (ward.shelf.folder / "tree").mkdir()
    (ward.shelf.folder / "tree" / "x").write_text("x\n")
    tar_of(ward.shelf.folder / "tree", ward.shelf.folder / "mine.tgz", "w:gz")
    good = Staging(artifacts=(Artifact(url="object:///mine.tgz"),))
    bad = Staging(artifacts=(Artifact(url="object:///other.tgz"),))
    ends = ward.run(job(task("cat x"), staging=good), job(task("cat x"), staging=bad))
    assert text(ends[0]) == "x\n"
    assert ends[1].reason == ARTIFACT_DOWNLOAD_FAILED
    assert "signed" not in ends[1].message


def test_a_download_is_tried_three_times(ward: Ward) -> None:
    (ward.shelf.folder / "f").write_text("f")
    ward.shelf.refuse = 2
    staging = Staging(artifacts=(Artifact(url=f"{ward.shelf.url}/f"),))
    (end,) = ward.run(job(task("cat f"), staging=staging))
    assert end.succeeded
    assert ward.shelf.got == ["/f"] * 3


def test_what_cannot_come_in_says_why_and_nothing_runs(ward: Ward) -> None:
    folder = ward.shelf.folder
    (folder / "broken.tgz").write_bytes(b"no archive at all")
    with tarfile.open(folder / "escape.tar", "w") as archive:
        info = tarfile.TarInfo("../../outside")
        info.size = 3
        archive.addfile(info, io.BytesIO(b"out"))
    with zipfile.ZipFile(folder / "bomb.zip", "w", zipfile.ZIP_DEFLATED) as archive_:
        archive_.writestr("zeros", b"\0" * (3 << 20))
    output = ("out.txt",)
    ends = ward.run(
        *(
            job(
                task("echo ran > out.txt"),
                staging=Staging(
                    artifacts=(Artifact(url=f"{ward.shelf.url}/{name}"),), output_files=output
                ),
                resources=Resources(disk=2),
            )
            for name in ("broken.tgz", "escape.tar", "bomb.zip")
        )
    )
    assert [end.reason for end in ends] == [ARTIFACT_UNPACK_FAILED] * 3
    assert [end.tasks for end in ends] == [[], [], []]
    assert not (folder / "put").exists()
    assert not list(ward.home.rglob("outside"))


def test_links_of_an_artifact_lead_nothing_out_of_the_folder(ward: Ward, tmp_path: Path) -> None:
    victim = tmp_path / "victim"
    victim.write_text("untouched")
    with tarfile.open(ward.shelf.folder / "links.tar", "w") as archive:
        for name, target in (("in.txt", str(victim)), ("later.txt", str(victim))):
            info = tarfile.TarInfo(name)
            info.type, info.linkname = tarfile.SYMTYPE, target
            archive.addfile(info)
    (ward.shelf.folder / "later.txt").write_text("later")
    staging = Staging(
        artifacts=(
            Artifact(url=f"{ward.shelf.url}/links.tar"),
            Artifact(url=f"{ward.shelf.url}/later.txt"),
        ),
        inputs=(Input(name="in.txt", content=base64.b64encode(b"mine").decode()),),
    )
    (end,) = ward.run(job(task("cat in.txt later.txt"), staging=staging))
    assert text(end) == "minelater"
    assert victim.read_text() == "untouched"


def test_outputs_go_out_even_when_a_task_failed(ward: Ward) -> None:
    spec = job(
        task("echo one > out.txt; mkdir -p a/d; echo deep > a/d/f; echo p > x.dat; exit 3"),
        staging=Staging(output_files=("out.txt", "*.dat"), output_dirs=("a/d",)),
    )
    (end,) = ward.run(spec)
    assert (end.reason, end.exit_code) == (NON_ZERO_EXIT, 3)
    assert ward.stored("out.txt").read_text() == "one\n"
    assert ward.stored("x.dat").read_text() == "p\n"
    with tarfile.open(ward.stored("a/d.tgz")) as archive:
        assert sorted(archive.getnames()) == ["d", "d/f"]
    assert [(o.name, o.object, o.size > 0, o.folder) for o in details(end).outputs] == [
        ("out.txt", "out.txt", True, False),
        ("*.dat", "x.dat", True, False),
        ("a/d", "a/d.tgz", True, True),
    ]
    assert details(end).stage_out > 0


def test_what_cannot_go_out_says_why(ward: Ward, tmp_path: Path) -> None:
    secret = tmp_path / "secret"
    secret.write_text("secret")
    ends = ward.run(
        job(task("echo a > a"), staging=Staging(output_files=("b", "a"))),
        job(task(f"/bin/busybox ln -s {secret} stolen"), staging=Staging(output_files=("stolen",))),
        job(task("mkdir d"), staging=Staging(output_files=("d",))),
    )
    assert [end.reason for end in ends] == [STAGE_OUT_MISSING] * 3
    assert [output.size for output in details(ends[0]).outputs] == [-1, 2]
    assert ward.stored("a").read_text() == "a\n"
    assert not ward.stored("stolen", 2).exists()


def test_an_output_that_nobody_takes(ward: Ward, monkeypatch: pytest.MonkeyPatch) -> None:
    async def nowhere(*_: object) -> list[str]:
        return ["http://127.0.0.1:1/x"]

    monkeypatch.setattr("tests.agent.workshop.LocalQuestions.places", nowhere)
    (end,) = ward.run(job(task("echo a > a"), staging=Staging(output_files=("a",))))
    assert end.reason == STAGE_OUT_UPLOAD_FAILED


def test_results_of_tasks_tell_how_images_were_had(ward: Ward) -> None:
    (end,) = ward.run(job(task("true"), task("true"), Task(argv=("true",), image="absent")))
    assert [result.pull_status for result in end.tasks] == ["completed", "cached", "failed"]
    assert [result.exit_code for result in end.tasks] == [0, 0, None]
    assert end.tasks[0].pull_seconds >= 0 > end.tasks[1].pull_seconds
    assert len(end.tasks[0].image_digest) == 64
    assert end.reason == IMAGE_UNAVAILABLE


def test_an_image_is_fetched_from_a_url_and_from_a_file_of_the_job(ward: Ward) -> None:
    tar_of(ward.rootfs, ward.shelf.folder / "image.tgz", "w:gz")
    (ward.shelf.folder / "bare").write_bytes((ward.shelf.folder / "image.tgz").read_bytes())
    url = f"{ward.shelf.url}/image.tgz"
    staging = Staging(
        artifacts=(Artifact(url=f"{ward.shelf.url}/bare"),),
    )
    say = ("/bin/echo", "hello")
    (end,) = ward.run(
        job(
            Task(argv=say, image=url),
            Task(argv=say, image=url),
            Task(argv=say, image="/home/user/bare"),
            staging=staging,
        )
    )
    assert text(end) == "hello\n" * 3, (end.reason, end.message)
    assert [result.pull_status for result in end.tasks] == ["completed", "cached", "completed"]
    assert ward.shelf.got.count("/image.tgz") == 1


def test_an_image_that_cannot_be_fetched(ward: Ward) -> None:
    ends = ward.run(
        job(Task(argv=("true",), image=f"{ward.shelf.url}/none.tar")),
        job(Task(argv=("true",), image="/etc/passwd")),
    )
    assert [end.reason for end in ends] == [IMAGE_UNAVAILABLE] * 2


def test_failures_can_be_ignored_and_can_count_as_success(ward: Ward) -> None:
    tasks = (task("echo a; exit 3"), task("echo b"))
    ends = ward.run(
        job(*tasks),
        job(*tasks, ignore_task_failures=True),
        job(*tasks, ignore_task_failures=True, nonzero_succeeds=True),
        job(Task(argv=("true",), image="absent"), tasks[1], ignore_task_failures=True),
        job(Task(argv=("true",), image="absent"), nonzero_succeeds=True),
    )
    assert [(end.succeeded, end.exit_code) for end in ends[:3]] == [
        (False, 3), (False, 3), (True, 3),
    ]  # fmt: skip
    assert [text(end) for end in ends[:4]] == ["a\n", "a\nb\n", "a\nb\n", "b\n"]
    assert [end.reason for end in ends[3:]] == [IMAGE_UNAVAILABLE] * 2


def test_a_sidecar_runs_beside_the_tasks_and_ends_with_them(ward: Ward) -> None:
    side = task("echo side > ready; exec sleep 1000", kind="sidecar")
    main = task("while ! test -e ready; do sleep 0.05; done; cat ready")
    (end,) = ward.run(job(main, side), grace=0.2)
    assert end.succeeded, (end.reason, end.message)
    assert text(end) == "side\n"
    assert len(end.tasks) == 1


def test_output_is_also_written_to_a_file(ward: Ward) -> None:
    (end,) = ward.run(
        job(
            task("echo out; echo err >&2", stdout="log/all"),
            task("echo more", stdout="log/all"),
            task("cat log/all"),
        )
    )
    assert end.succeeded, (end.reason, end.message)
    assert end.stderr is not None
    assert end.stderr.data == b"err\n"
    lines = text(end).splitlines()
    assert lines[:2] == ["out", "more"]
    assert sorted(lines[2:4]) == ["err", "out"]
    assert lines[4] == "more"


def test_walltime_is_over_all_tasks(ward: Ward) -> None:
    spec = job(
        task("echo a > a"), task("sleep 100"), task("echo never"),
        resources=Resources(walltime=0.5), staging=Staging(output_files=("a",)),
    )  # fmt: skip
    (end,) = ward.run(spec, grace=0.2)
    assert end.reason == OVER_WALLTIME
    assert len(end.tasks) == 2
    assert ward.stored("a").read_text() == "a\n"


def test_the_host_can_stand_in_for_containers(on_host: Ward) -> None:
    spec = job(
        task("cd; pwd | grep -c sandboxes; echo x > $TMPDIR/x; test $HOME = $PWD; cat in"),
        task("cat $TMPDIR/x"),
        staging=Staging(inputs=(Input(name="in", content=base64.b64encode(b"in\n").decode()),)),
    )
    (end,) = on_host.run(spec)
    assert text(end) == "1\nin\nx\n"


def test_a_retried_task_keeps_what_was_wished(ward: Ward) -> None:
    again = task("echo $MY_JOB >> tries; test $(cat tries | wc -l) -ge 3", retries=4)
    (end,) = ward.run(job(again, facts={"MY_JOB": "{job}"}))
    assert end.succeeded
    assert end.tasks[0].retries == 2


def test_an_image_in_a_squashed_file(ward: Ward) -> None:
    if shutil.which("mksquashfs") is None:
        pytest.skip("squashfs-tools is not installed (run scripts/system-packages)")
    script = ward.rootfs / ".singularity.d" / "runscript"
    script.parent.mkdir()
    script.write_text('#!/bin/sh\necho run "$@"\n')
    app = ward.rootfs / "scif" / "apps" / "one" / "scif" / "runscript"
    app.parent.mkdir(parents=True)
    app.write_text('#!/bin/sh\necho app "$@"\n')
    plain = ward.shelf.folder / "plain.sqsh"
    subprocess.run(
        ["mksquashfs", str(ward.rootfs), str(plain), "-quiet", "-no-progress"], check=True
    )
    (ward.shelf.folder / "x.sif").write_bytes(b"S" * 4096 * 3 + plain.read_bytes())
    script.unlink()
    url = f"{ward.shelf.url}/x.sif"
    (end,) = ward.run(job(Task(image=url), Task(argv=("word",), image=url, app="one")))
    assert text(end) == "run\napp word\n", (end.reason, end.message)


def test_storage_is_mounted_while_the_job_runs(ward: Ward, tmp_path: Path) -> None:
    if shutil.which("rclone") is None or not os.access("/dev/fuse", os.W_OK):
        pytest.skip("rclone or /dev/fuse is not there (run scripts/system-packages)")
    remote = tmp_path / "remote"
    remote.mkdir()
    (remote / "there").write_text("there\n")
    with webdav(remote, "ann", "secret") as url:
        good, bad = (
            Storage(kind="webdav", url=url, username="ann", secret=secret, inside="/mnt/far")
            for secret in ("secret", "wrong")
        )
        spec = task("cat /mnt/far/there; echo back > /mnt/far/back")
        ends = ward.run(job(spec, storage=(good,)), secrets=["secret"])
        assert text(ends[0]) == "there\n", (ends[0].reason, ends[0].message)
        assert (remote / "back").read_text() == "back\n"
        assert (remote / "there").exists()
        ends = ward.run(job(task("ls /mnt/far"), storage=(bad,)), secrets=["wrong"])
        assert (ends[0].reason, ends[0].tasks) == (MOUNT_FAILED, [])
    missing = Storage(kind="onedata", url="provider.example", secret="x", inside="/mnt/far")
    if shutil.which("oneclient") is None:
        (end,) = ward.run(job(spec, storage=(missing,)), secrets=["x"])
        assert (end.reason, end.tasks) == (MOUNT_FAILED, [])


@contextlib.contextmanager
def webdav(folder: Path, user: str, password: str) -> Iterator[str]:
    """Serve a folder by WebDAV."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    words = ["rclone", "serve", "webdav", str(folder), "--addr", f"127.0.0.1:{port}"]
    words += ["--user", user, "--pass", password, "--config", "/dev/null"]
    server = subprocess.Popen(words, stderr=subprocess.PIPE)
    try:
        assert server.stderr is not None
        while b"started on" not in (line := server.stderr.readline()) and line:
            pass
        yield f"http://127.0.0.1:{port}"
    finally:
        server.kill()
        server.wait()
        assert server.stderr is not None
        server.stderr.close()


def test_what_a_task_used_is_known(ward: Ward) -> None:
    busy = "i=0; while test $i -lt 60000; do i=$((i+1)); done"
    large = "x=$(/bin/busybox head -c 30000000 /dev/zero | /bin/busybox tr '\\0' x); echo ${#x}"
    (end,) = ward.run(job(task(busy), task("sleep 0.3"), task(large)))
    assert end.succeeded, (end.reason, end.message, end.stderr)
    first, second, third = end.tasks
    assert first.cpu_seconds > 0.05 > second.cpu_seconds
    assert first.wall_seconds >= first.cpu_seconds * 0.5
    assert 100 < second.peak_memory_kb < 20_000 < third.peak_memory_kb
    assert end.cpu >= first.cpu_seconds


def test_a_job_is_killed_while_its_files_come_in(ward: Ward) -> None:
    (ward.shelf.folder / "f").write_text("f")
    staging = Staging(artifacts=(Artifact(url=f"{ward.shelf.url}/f"),), output_files=("f",))

    async def go() -> Finished:
        async with Workshop(ward.home, engine=ward.engine, grace=0.2) as workshop:
            lease = workshop.lease(job(task("cat f"), staging=staging))
            workshop.runner.accept([lease])
            await workshop.poll(lambda: ward.shelf.got == ["/f"])
            workshop.runner.kill((lease.job, 1, 0))
            await workshop.until(lambda: workshop.runner.finished)
            return workshop.runner.finished[0]

    ward.shelf.flowing.clear()
    try:
        end = asyncio.run(go())
    finally:
        ward.shelf.flowing.set()
    assert (end.reason, end.tasks, end.succeeded) == (CANCELLED_BY_USER, [], False)
    assert os.listdir(ward.home / "sandboxes") == []


def test_an_agent_that_leaves_does_not_wait_for_a_server_that_is_gone(ward: Ward) -> None:
    class Silent(LocalQuestions):
        async def places(self, *_: object) -> list[str]:
            asked.set()
            await asyncio.Event().wait()
            raise AssertionError

    asked = asyncio.Event()

    async def go() -> Finished:
        async with Workshop(ward.home, engine=ward.engine, questions=Silent()) as workshop:
            workshop.images.add(IMAGE, ward.rootfs)
            wanted = Staging(output_files=("a",))
            workshop.runner.accept([workshop.lease(job(task("echo a > a"), staging=wanted))])
            await asked.wait()
            workshop.runner.kill_all(LOST)
            await workshop.until(lambda: workshop.runner.finished)
            return workshop.runner.finished[0]

    assert asyncio.run(go()).reason == LOST


def test_another_node_waits_for_the_first(ward: Ward) -> None:
    gang = GangPlace(2, ["h", "h"], 1)
    spec = job(task("echo mine", nodes="all"), task("echo never", nodes="first"))

    async def go() -> list[Finished]:
        async with Workshop(ward.home, engine=ward.engine, cpus=4) as workshop:
            workshop.images.add(IMAGE, ward.rootfs)
            runner = workshop.runner
            leases = [msgspec.structs.replace(workshop.lease(spec), rank=1, gang=gang)
                      for _ in range(2)]  # fmt: skip
            keys = [(lease.job, 1, 1) for lease in leases]
            runner.accept(leases)
            members = [runner.running[key] for key in keys]
            await workshop.poll(lambda: all(each.results and not each.stage for each in members))
            await asyncio.sleep(0.05)
            assert not runner.finished
            runner.release(keys[0])
            runner.kill(keys[1])
            await workshop.until(lambda: len(runner.finished) == 2)
            return sorted(runner.finished, key=lambda end: end.job)

    first, second = asyncio.run(go())
    assert (first.succeeded, text(first)) == (True, "mine\n")
    assert (second.succeeded, second.reason) == (False, CANCELLED_BY_USER)
