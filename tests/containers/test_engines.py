"""Real containers, with every engine that works on this machine."""

import os
import select
import shutil
import signal
import socket
import stat
import subprocess
import threading
import time
from pathlib import Path

import pytest

from gristmill.containers import engines
from gristmill.containers.images import Image, ImageStore
from gristmill.containers.podman import Podman
from gristmill.containers.run import Bind, ContainerEngine, ContainerRun
from gristmill.domain.errors import InvalidInputError, NotFoundError
from tests.containers.conftest import needs_root
from tests.containers.nobody import NOBODY, as_nobody

ISOLATING = ("bubblewrap", "crun", "runc", "podman")


@pytest.fixture(params=list(engines.PROGRAMS))
def engine(request: pytest.FixtureRequest) -> ContainerEngine:
    found = engines.detect(request.param)
    if found is None:
        pytest.skip(f"{request.param} is not installed or does not work here")
    return found


@pytest.fixture
def bubblewrap() -> ContainerEngine:
    found = engines.detect("bubblewrap")
    if found is None:
        pytest.skip("bubblewrap is not installed or does not work here")
    return found


@pytest.fixture
def image(shared: Path, rootfs: Path) -> Image:
    return ImageStore(shared / "images").add("localhost/bb:1", rootfs)


@pytest.fixture
def base(shared: Path, image: Image) -> ContainerRun:
    scratch = shared / "scratch"
    scratch.mkdir()
    return ContainerRun(image=image, token=shared.name, scratch=str(scratch))


def changed(base: ContainerRun, **changes: object) -> ContainerRun:
    return ContainerRun(**{name: getattr(base, name) for name in base.__struct_fields__} | changes)


def start(engine: ContainerEngine, run: ContainerRun) -> subprocess.Popen[str]:
    return subprocess.Popen(
        engine.command(run), env=engine.environment(run), text=True, start_new_session=True,
        stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
    )  # fmt: skip


def output(engine: ContainerEngine, run: ContainerRun, code: int = 0) -> str:
    with start(engine, run) as child:
        out, err = child.communicate(timeout=30)
        assert child.returncode == code, err
        return out


def shell(text: str) -> tuple[str, ...]:
    return ("sh", "-c", text)


def test_output_and_exit_code(engine: ContainerEngine, base: ContainerRun) -> None:
    run = changed(base, argv=shell("echo out; echo err >&2; exit 7"))
    with start(engine, run) as child:
        out, err = child.communicate(timeout=30)
        assert (out, child.returncode) == ("out\n", 7)
        assert "err\n" in err


def test_environment(engine: ContainerEngine, base: ContainerRun) -> None:
    env = {"PLAIN": "a b=c\nd", "LD_LIBRARY_PATH": "/nowhere", "EMPTY": "", "TMPDIR": "/tmp"}
    text = 'echo "$PLAIN|$LD_LIBRARY_PATH|${EMPTY-unset}|$TMPDIR|$PATH"'
    out = output(engine, changed(base, argv=shell(text), env=env))
    assert out.startswith("a b=c\nd|/nowhere||/tmp|/usr/local/sbin:")


def test_values_stay_off_the_command_line(engine: ContainerEngine, base: ContainerRun) -> None:
    run = changed(base, argv=("true",), env={"PASSWORD": "very secret"})
    assert not any("very secret" in word for word in engine.command(run))
    assert "PYTEST_CURRENT_TEST" in os.environ
    assert "PYTEST_CURRENT_TEST" not in engine.environment(run)


def test_folders_are_bound_where_the_image_has_none(
    engine: ContainerEngine, base: ContainerRun, shared: Path
) -> None:
    for name in ("one", "two", "three"):
        (shared / name).mkdir()
        (shared / name / "given").write_text(name)
    (shared / "file").write_text("file")
    run = changed(
        base,
        workdir="/home/user/deep",
        binds=(
            Bind(str(shared / "two"), "/home/user/deep"),
            Bind(str(shared / "one"), "/home/user"),
            Bind(str(shared / "three"), "/data/new"),
            Bind(str(shared / "file"), "/etc/given"),
        ),
        argv=shell(
            "pwd; cat given ../given /data/new/given /etc/given; echo made > made; ls /bin/sh"
        ),
    )
    assert output(engine, run) == "/home/user/deep\ntwoonethreefile/bin/sh\n"
    assert (shared / "two" / "made").read_text() == "made\n"


def test_read_only_binds_and_image(
    engine: ContainerEngine, base: ContainerRun, image: Image, shared: Path
) -> None:
    (shared / "data").mkdir()
    run = changed(
        base,
        binds=(Bind(str(shared / "data"), "/data", writable=False),),
        argv=shell("for f in /data/x /bin/x /etc/x /x /home/x; do touch $f 2>&1; done; true"),
    )
    if engine.name not in ISOLATING:
        with pytest.raises(InvalidInputError, match="read-only"):
            engine.command(run)
        return
    output(engine, run)
    assert os.listdir(shared / "data") == []
    assert not {"x"} & {name for _, _, names in os.walk(image.rootfs) for name in names}


def test_temporary_folders_are_private_and_writable(
    engine: ContainerEngine, base: ContainerRun
) -> None:
    if engine.name == "proot":
        pytest.skip("proot keeps to the image's own folders")
    run = changed(base, argv=shell("ls -A /tmp; touch /tmp/x && test -c /dev/null && echo fine"))
    assert output(engine, run) == "fine\n"
    assert output(engine, run) == "fine\n"


def test_a_missing_workdir_is_made(engine: ContainerEngine, base: ContainerRun) -> None:
    run = changed(base, workdir="/not/there", argv=shell("touch x && pwd"))
    assert output(engine, run) == "/not/there\n"


def test_the_entrypoint_with_its_command(
    engine: ContainerEngine, base: ContainerRun, shared: Path, rootfs: Path
) -> None:
    store = ImageStore(shared / "images")
    spoken = store.add("spoken", rootfs, ["/bin/echo", "a  b", "$HOME"])
    assert output(engine, changed(base, image=spoken)) == "a  b $HOME\n"
    with pytest.raises(InvalidInputError, match="no entrypoint"):
        engine.command(base)


def test_the_network_of_the_node_or_none(engine: ContainerEngine, base: ContainerRun) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
        hexadecimal = f"0100007F:{port:04X}"
        text = f"grep -c {hexadecimal} /proc/net/tcp || busybox grep -c {hexadecimal} /proc/net/tcp"
        run = changed(base, argv=shell(text.replace("grep -c", "busybox grep -c")))
        assert output(engine, run).strip() == "1"
        assert output(engine, changed(run, network=False), code=1).split() == ["0", "0"]


def test_killing_the_child_leaves_nothing_behind(
    engine: ContainerEngine, base: ContainerRun
) -> None:
    marker = f"98765{os.getpid()}"
    text = (
        f"setsid sh -c 'trap \"\" TERM HUP; sleep {marker} & sleep {marker} & wait' & "
        "echo up; sleep 1000"
    )
    run = changed(base, argv=shell(text))
    with start(engine, run) as child:
        assert child.stdout is not None
        assert child.stdout.readline() == "up\n"
        left = [os.pidfd_open(pid) for pid in await_processes(marker, 2)]
        child.kill()
        child.wait()
        engines.cleanup(engine, run.token)
    for descriptor in left:
        assert select.select([descriptor], [], [], 10)[0]
        os.close(descriptor)
    assert processes_with(marker) == []
    groups = [name for _, names, _ in os.walk("/sys/fs/cgroup") for name in names]
    assert not [name for name in groups if name.endswith(run.token)]


def await_processes(word: str, count: int) -> list[int]:
    """Wait until so many processes have the word; a shell tells before its children run."""
    deadline = time.monotonic() + 10
    while len(found := processes_with(word)) < count:
        assert time.monotonic() < deadline
        time.sleep(0.005)
    return found


def processes_with(word: str) -> list[int]:
    found = []
    for pid in filter(str.isdigit, os.listdir("/proc")):
        try:
            words = Path("/proc", pid, "cmdline").read_bytes().split(b"\0")
            state = Path("/proc", pid, "stat").read_text().rpartition(")")[2].split()[0]
        except OSError:
            continue
        if word.encode() in words and state != "Z":
            found.append(int(pid))
    return found


def test_bubblewrap_tells_of_a_signal(bubblewrap: ContainerEngine, base: ContainerRun) -> None:
    output(bubblewrap, changed(base, argv=shell("kill -9 $$")), code=128 + signal.SIGKILL)


def test_below_the_monitor_a_command_may_end_in_its_own_time(
    bubblewrap: ContainerEngine, base: ContainerRun
) -> None:
    assert bubblewrap.monitor
    run = changed(base, argv=shell("trap 'echo asked; exit 3' TERM; echo up; sleep 1000 & wait"))
    with start(bubblewrap, run) as child:
        assert child.stdout is not None
        assert child.stdout.readline() == "up\n"
        for pid in descendants(child.pid):
            os.kill(pid, signal.SIGTERM)
        assert child.stdout.read() == "asked\n"
        assert child.wait(timeout=10) == 3


def descendants(pid: int) -> list[int]:
    found = []
    for task in os.listdir(f"/proc/{pid}/task"):
        children = Path(f"/proc/{pid}/task/{task}/children").read_text().split()
        for child in map(int, children):
            found += [child, *descendants(child)]
    return found


def test_bubblewrap_hides_the_node(bubblewrap: ContainerEngine, base: ContainerRun) -> None:
    text = "ls -d /proc/[0-9]* | wc -l; ls /; busybox grep CapEff /proc/self/status"
    lines = output(bubblewrap, changed(base, argv=shell(text))).split("\n")
    assert int(lines[0]) < 10
    assert "work" not in lines
    capabilities = int(next(line for line in lines if "CapEff" in line).split()[1], 16)
    assert capabilities & (1 << 21 | 1 << 27) == 0


def test_bubblewrap_refuses_folders_it_cannot_rebuild(
    bubblewrap: ContainerEngine, base: ContainerRun, image: Image, shared: Path
) -> None:
    for number in range(2100):
        (Path(image.rootfs) / "home" / str(number)).touch()
    run = changed(base, argv=("true",), binds=(Bind(str(shared), "/home/user"),))
    with pytest.raises(InvalidInputError, match="too many"):
        bubblewrap.command(run)


def test_hostile_links_in_an_image_do_not_move_binds(
    bubblewrap: ContainerEngine, base: ContainerRun, image: Image, shared: Path
) -> None:
    root = Path(image.rootfs)
    (root / "data").symlink_to("/oldroot/etc")
    (root / "out").symlink_to("../../../../../../etc")
    (root / "tmp").rmdir()
    (root / "tmp").symlink_to("/var/tmp")
    (shared / "mine").mkdir()
    binds = (Bind(str(shared / "mine"), "/data/x"), Bind(str(shared / "mine"), "/out/y"))
    text = "touch /data/x/one /out/y/two /tmp/z && ls /etc/y"
    run = changed(base, binds=binds, argv=shell(text))
    assert output(bubblewrap, run).split() == ["one", "two"]
    assert sorted(os.listdir(shared / "mine")) == ["one", "two"]


@needs_root
def test_bubblewrap_works_for_an_ordinary_user(shared: Path, rootfs: Path) -> None:
    home = shared / "home"
    home.mkdir()
    os.chown(home, NOBODY, NOBODY)
    source = shared / "source"
    shutil.copytree(rootfs, source, symlinks=True)

    def work() -> None:
        os.chdir("/")
        image = ImageStore(home / "images").add("a", source)
        scratch = home / "scratch"
        scratch.mkdir()
        data = home / "data"
        data.mkdir()
        binds = (Bind(str(data), "/home/user"), Bind(str(data), "/ro", writable=False))
        text = "id -u; touch x; touch /ro/y 2>/dev/null || echo refused; exit 5"
        for name in ("bubblewrap", "charliecloud", "proot", "crun", "runc"):
            engine = engines.detect(name)
            assert engine is not None or name != "bubblewrap"
            if engine is None:
                continue
            own = binds if name in ISOLATING else binds[:1]
            run = ContainerRun(image=image, token="t", scratch=str(scratch), binds=own,
                               workdir="/home/user", argv=shell(text))  # fmt: skip
            lines = output(engine, run, code=5).split()
            assert lines[0] in {str(NOBODY), "0"}
            assert lines[1:] == ["refused"]
            assert (data / "x").stat().st_uid == NOBODY
            (data / "x").unlink()
            shutil.rmtree(scratch)
            scratch.mkdir()

    as_nobody(work)


def test_auto_prefers_bubblewrap(bubblewrap: ContainerEngine) -> None:
    assert engines.detect() is bubblewrap
    assert engines.detect("bwrap") is bubblewrap


def test_an_engine_that_does_not_work_is_not_chosen(tmp_path: Path) -> None:
    broken = tmp_path / "bwrap"
    broken.write_text("#!/bin/sh\nexit 1\n")
    broken.chmod(broken.stat().st_mode | stat.S_IXUSR)

    def which(name: str) -> str | None:
        return str(broken) if name == "bwrap" else None

    assert engines.detect("bubblewrap", which) is None
    assert engines.detect("auto", which) is None
    with pytest.raises(InvalidInputError, match="choose auto, bubblewrap"):
        engines.detect("virtualbox")


def test_images_are_resolved(bubblewrap: ContainerEngine, shared: Path, rootfs: Path) -> None:
    store = ImageStore(shared / "images")
    store.add("eoscprominence/testpi", rootfs)
    for reference in ("eoscprominence/testpi", "docker://eoscprominence/testpi:latest"):
        with engines.resolve(store, bubblewrap, reference) as lease:
            assert isinstance(lease.image, Image)
    with pytest.raises(NotFoundError, match="gristmill image add"):
        engines.resolve(store, bubblewrap, "other")
    puller = Podman("/usr/bin/podman")
    assert engines.resolve(store, puller, "other:1").image == "other:1"
    for bad in ("--privileged", "a b", "ä"):
        with pytest.raises(InvalidInputError):
            engines.resolve(store, puller, bad)
    with pytest.raises(NotFoundError):
        engines.resolve(store, puller, "/srv/x.sif")


@pytest.mark.parametrize(
    ("changes", "field"),
    [
        ({"token": "a/b"}, "token"),
        ({"token": ""}, "token"),
        ({"argv": ()}, "argv"),
        ({"argv": ("-v", "/:/host")}, "argv"),
        ({"workdir": "relative"}, "workdir"),
        ({"binds": (Bind("/a", "b"),)}, "binds"),
        ({"binds": (Bind("a", "/b"),)}, "binds"),
        ({"binds": (Bind("/a", "/bin/../.."),)}, "binds"),
    ],
)
def test_runs_that_are_refused(
    bubblewrap: ContainerEngine, base: ContainerRun, changes: dict[str, object], field: str
) -> None:
    run = changed(base, **{"argv": ("true",), **changes})
    for engine in (bubblewrap, Podman("/usr/bin/podman")):
        with pytest.raises(InvalidInputError) as caught:
            engine.command(run)
        assert caught.value.field == field


def test_colons_in_paths_cannot_become_options(base: ContainerRun) -> None:
    run = changed(base, argv=("true",), binds=(Bind("/tmp/a:/etc", "/x"),))
    with pytest.raises(InvalidInputError, match="colon"):
        Podman("/usr/bin/podman").command(run)


def test_many_containers_at_once(bubblewrap: ContainerEngine, base: ContainerRun) -> None:
    results: list[str] = []

    def one(number: int) -> None:
        results.append(output(bubblewrap, changed(base, argv=("echo", str(number)))))

    threads = [threading.Thread(target=one, args=(number,)) for number in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(results) == [f"{number}\n" for number in range(8)]
