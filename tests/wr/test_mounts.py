"""Buckets as folders, from the request to the store; a real client, store and server."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from gristmill.agent.mount_table import mounted
from tests.e2e.harness import eventually
from tests.store_s3 import S3Store, s3_store
from tests.wr.conftest import Start
from tests.wr.talk import QUICK, Job, Wr


@pytest.fixture(scope="module")
def store() -> Iterator[S3Store]:
    with s3_store() as made:
        made.put("shelf")
        made.put("shelf", "in/text", b"from the shelf\n")
        yield made


def _job(store: S3Store, command: str, *mounts: Job, **more: object) -> Job:
    env = [f"{name}={value}" for name, value in store.variables.items()]
    return {"cmd": command, "env": env, "mounts": list(mounts), **more}


def test_read_and_written(wr: Wr, store: S3Store, folder: Path) -> None:
    read = {"Mount": str(folder / "in"), "Targets": [{"Path": "shelf/in"}]}
    written = {"Targets": [{"Path": "shelf/out", "Write": True}]}
    (added,) = wr.add(
        _job(store, f"cat {folder}/in/text > copy && ls", read, written,
             on_exit=[{"cleanup": True}])
    )  # fmt: skip
    assert '"Write":true' in added["Mounts"]
    job = wr.wait_for(added["Key"], "complete", "buried", std="true")
    assert (job["State"], job["FailReason"], job["StdErr"]) == ("complete", "", "")
    assert store.get("shelf", "out/copy") == b"from the shelf\n"
    assert not Path(job["CwdBase"] + job["Cwd"]).exists()


def test_where_the_working_directory_matters(wr: Wr, store: S3Store, folder: Path) -> None:
    mount = {"Targets": [{"Path": "shelf/in"}]}
    (added,) = wr.add(_job(store, "cat mnt/text > seen", mount, cwd=str(folder), cwd_matters=True))
    job = wr.wait_for(added["Key"], "complete", "buried", std="true")
    assert (job["State"], job["StdErr"]) == ("complete", "")
    assert [path.name for path in folder.iterdir()] == ["seen"]


def test_what_cannot_be_uploaded_is_tried_again(wr: Wr, store: S3Store, folder: Path) -> None:
    store.put("goes-away")
    mount = {"Targets": [{"Path": "goes-away", "Write": True}], "Retries": 1}
    wr.add(
        _job(store, "echo x > x", mount, retries=1, rep_grp="away",
             on_success=[{"run": f"test -e {folder}/gone && true; touch {folder}/ran; "
                          f"while [ ! -e {folder}/gone ]; do sleep 0.05; done"}])
    )  # fmt: skip
    eventually((folder / "ran").exists)
    store.drop("goes-away")
    (folder / "gone").touch()
    job = wr.wait("away", lambda found: found[0]["FailReason"])[0]
    assert job["FailReason"] == "failed to upload files to remote file system"
    assert job["Exitcode"] == -2
    assert job["State"] == "delayed"
    store.put("goes-away")
    wr.wait_for("away", "complete")
    assert store.get("goes-away", "x") == b"x\n"


def test_an_agent_that_dies_leaves_nothing_mounted(
    start: Start, store: S3Store, folder: Path
) -> None:
    talk = Wr(start(*QUICK))
    try:
        mount = {"Mount": str(folder / "bucket"), "Targets": [{"Path": "shelf", "Write": True}]}
        command = f"echo partial > {folder}/bucket/partial; touch {folder}/up; sleep 1000"
        talk.add(_job(store, command, mount, rep_grp="dies"))
        eventually((folder / "up").exists)
        talk.server.kill9_agent()
        job = talk.wait_for("dies", "buried")
        assert job["FailReason"] == "lost contact with runner"
        eventually(lambda: not [point for point in mounted() if str(folder) in point])
        assert "partial" not in store.names("shelf")
        assert store.get("shelf", "in/text") == b"from the shelf\n"
    finally:
        talk.close()
