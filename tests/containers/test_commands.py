"""What cannot run everywhere: the words handed to apptainer and docker, and GPUs."""

import os
from pathlib import Path

import msgspec
import pytest

from gristmill.containers.apptainer import Apptainer
from gristmill.containers.bubblewrap import Bubblewrap
from gristmill.containers.charliecloud import Charliecloud
from gristmill.containers.gpus import LIBRARIES, device_nodes, libraries_in
from gristmill.containers.images import Image
from gristmill.containers.podman import Docker, Podman
from gristmill.containers.run import Bind, ContainerRun
from gristmill.domain.errors import InvalidInputError

CACHE = """2 libs found in cache `/etc/ld.so.cache'
\tlibz.so.1 (libc6,x86-64) => /lib/x86_64-linux-gnu/libz.so.1
\tlibnvidia-ml.so.1 (libc6,x86-64) => /lib/x86_64-linux-gnu/libnvidia-ml.so.1
\tlibnvidia-container.so.1 (libc6,x86-64) => /lib/x86_64-linux-gnu/libnvidia-container.so.1
\tlibcuda.so.1 (libc6,x86-64) => /lib/x86_64-linux-gnu/libcuda.so.1
\tlibcuda.so.1 (libc6) => /lib/i386-linux-gnu/libcuda.so.1
"""


@pytest.fixture
def image(tmp_path: Path) -> Image:
    rootfs = tmp_path / "rootfs"
    rootfs.mkdir()
    return Image(name="a", rootfs=str(rootfs), digest="sha256:00", env={"FROM": "image"})


def run_of(
    image: Image | str, tmp_path: Path, *argv: str, gpus: tuple[int, ...] = ()
) -> ContainerRun:
    return ContainerRun(
        image=image, token="t1", scratch=str(tmp_path), argv=argv or None, gpus=gpus,
        env={"A": "secret", "PATH": "/own"}, binds=(Bind(str(tmp_path), "/x", writable=False),),
    )  # fmt: skip


def test_apptainer_runs_a_stored_image(image: Image, tmp_path: Path) -> None:
    engine = Apptainer("/opt/bin/apptainer")
    run = run_of(image, tmp_path, "echo", "a b")
    words = engine.command(run)
    assert words[:2] == ["/opt/bin/apptainer", "exec"]
    assert f"{tmp_path}:/x:ro" in words
    assert words[-3:] == [image.rootfs, "echo", "a b"]
    environment = engine.environment(run)
    assert environment["APPTAINERENV_A"] == "secret"
    assert environment["APPTAINERENV_FROM"] == "image"
    assert environment["APPTAINERENV_PATH"] == "/own"
    assert environment["PATH"] == os.environ["PATH"]


def test_apptainer_fetches_references(tmp_path: Path) -> None:
    engine = Apptainer("/opt/bin/singularity")
    run = run_of("a/b:1", tmp_path, gpus=(0,))
    assert engine.command(run)[1] == "run"
    assert engine.command(run)[-1] == "docker://a/b:1"
    assert "--nv" in engine.command(run)
    assert engine.environment(run)["SINGULARITYENV_A"] == "secret"
    for reference in ("/srv/x.sif", "shub://a/b"):
        assert engine.command(run_of(reference, tmp_path))[-1] == reference


@pytest.mark.parametrize("engine", [Docker("/usr/bin/docker"), Podman("/usr/bin/podman")])
def test_clients_of_services_fetch_references(engine: Docker | Podman, tmp_path: Path) -> None:
    words = engine.command(run_of("docker://a/b:1", tmp_path))
    assert words[-1] == "a/b:1"
    assert {"--env", "A", "PATH=/own", "--name", "gristmill-t1", f"{tmp_path}:/x:ro"} <= set(words)
    assert engine.environment(run_of("a", tmp_path))["PATH"] == os.environ["PATH"]
    words = engine.command(run_of("a/b:1", tmp_path, "echo", "x"))
    assert words[-4:] == ["--entrypoint", "echo", "a/b:1", "x"]


def test_gpus_by_engine(image: Image, tmp_path: Path) -> None:
    run = run_of("a", tmp_path, "true", gpus=(1, 3))
    assert '"device=1,3"' in Docker("/usr/bin/docker").command(run)
    assert "nvidia.com/gpu=3" in Podman("/usr/bin/podman").command(run)
    own = ContainerRun(image=image, token="t", scratch=str(tmp_path), argv=("true",), gpus=(0,))
    with pytest.raises(InvalidInputError, match="GPU"):
        Charliecloud("/usr/bin/ch-run").command(own)
    assert LIBRARIES in Bubblewrap("/usr/bin/bwrap").command(own)


def test_gpu_devices_and_libraries(tmp_path: Path) -> None:
    for name in ("nvidiactl", "nvidia-uvm", "nvidia0", "nvidia1"):
        (tmp_path / name).touch()
    nodes = device_nodes((1, 7), str(tmp_path))
    assert [os.path.basename(node) for node in nodes] == ["nvidiactl", "nvidia-uvm", "nvidia1"]
    assert device_nodes((), str(tmp_path)) == []
    assert {(bind.host, bind.inside, bind.writable) for bind in libraries_in(CACHE)} == {
        ("/lib/x86_64-linux-gnu/libcuda.so.1", f"{LIBRARIES}/libcuda.so.1", False),
        ("/lib/x86_64-linux-gnu/libnvidia-ml.so.1", f"{LIBRARIES}/libnvidia-ml.so.1", False),
    }


def test_places_below_another_bind_are_made_in_it_and_no_link_is_followed(
    image: Image, tmp_path: Path
) -> None:
    outer, inner, elsewhere = (tmp_path / name for name in ("outer", "inner", "elsewhere"))
    for folder in (outer, inner, elsewhere):
        folder.mkdir()
    (outer / "link").symlink_to(elsewhere)
    (tmp_path / "file").touch()
    binds = [
        Bind(str(outer), "/o"),
        Bind(str(inner), "/o/a/b"),
        Bind(str(tmp_path / "file"), "/o/f"),
    ]
    run = ContainerRun(
        image=image, token="t1", scratch=str(tmp_path), argv=("true",), binds=tuple(binds)
    )
    Charliecloud("/bin/ch-run").command(run)
    assert (outer / "a" / "b").is_dir()
    assert (outer / "f").is_file()
    bad = msgspec.structs.replace(run, binds=(binds[0], Bind(str(inner), "/o/link/x")))
    with pytest.raises(InvalidInputError, match="no place for '/o/link/x'"):
        Charliecloud("/bin/ch-run").command(bad)
    assert list(elsewhere.iterdir()) == []


@pytest.mark.parametrize("engine", [Docker("/bin/docker"), Podman("/bin/podman")])
def test_a_command_for_a_running_container(
    engine: Docker | Podman, image: Image, tmp_path: Path
) -> None:
    entry = engine.enter(run_of(image, tmp_path, "ls", "-l"))
    assert entry.words == [
        f"/bin/{engine.name}", "exec", "--env", "PATH=/own", "--env", "FROM", "--env", "A",
        "--workdir", "/", "gristmill-t1", "ls", "-l",
    ]  # fmt: skip
    assert (entry.env["A"], entry.env["FROM"], entry.joins) == ("secret", "image", "nothing")


def test_a_command_beside_the_first_one_is_checked(image: Image, tmp_path: Path) -> None:
    for engine in (Bubblewrap("/bin/bwrap"), Apptainer("/bin/apptainer"), Docker("/bin/docker")):
        with pytest.raises(InvalidInputError, match="first word is a program"):
            engine.enter(run_of(image, tmp_path, "--privileged"))
