"""Runs inside images, on a node with a container engine."""

import shutil
from collections.abc import Iterator

import pytest

from tests.containers.rootfs import busybox_rootfs
from tests.e2e.harness import short_folder, start_server
from tests.mlbench.talk import Mlbench

pytestmark = pytest.mark.skipif(shutil.which("bwrap") is None, reason="no bubblewrap here")


@pytest.fixture(scope="module")
def contained() -> Iterator[Mlbench]:
    with short_folder() as place:
        root = busybox_rootfs(place / "root")
        (root / "etc" / "hostname-of-image").write_text("small\n")
        server = start_server(place / "h", "--https", "off", "--container-engine", "bubblewrap")
        talk = Mlbench(server)
        try:
            server.client().add_image("lab/small:1", str(root))
            yield talk
        finally:
            talk.close()
            server.close()
        server.check_logs()


@pytest.mark.parametrize("backend", ["MPI", "GLOO"])
def test_ranks_in_images(contained: Mlbench, backend: str) -> None:
    command = "sh -c 'echo rank {rank} of $WORLD_SIZE in $(cat /etc/hostname-of-image) {backend}'"
    created = contained.command(
        command, custom_image_name="lab/small:1", num_workers="2", backend=backend
    )
    run = contained.wait_for(created["id"], "finished", "failed")
    assert run["state"] == "finished", run["job_metadata"]
    said = sorted(line for line in run["job_metadata"]["stdout"] if line.startswith("rank"))
    assert said == [f"rank {n} of 2 in small {backend.lower()}" for n in range(2)]


def test_an_image_that_is_not_there_fails_the_run(contained: Mlbench) -> None:
    created = contained.command("true", custom_image_name="lab/absent:1")
    run = contained.wait_for(created["id"], "failed")
    assert "lab/absent" in run["job_metadata"]["reason"]


def test_built_in_templates_need_no_engine(contained: Mlbench) -> None:
    created = contained.create(image_name="0a", num_workers="2", backend="GLOO")["id"]
    contained.wait(created, lambda run: run["state"] in {"started", "finished"})
    contained.delete(created)
