"""Files that clients bring, and who may put them where."""

import os
from pathlib import Path

import pytest

from tests.wr.talk import JOBS, Wr

UPLOAD = "/rest/v1/upload/"
ECHO = "3/3/4/d5669e1fb34a7d0583a9773e1b237"


def test_by_content(idle: Wr) -> None:
    reply = idle.client.put(UPLOAD, content=b"echo 1\n")
    path = Path(reply.json()["path"])
    assert path == idle.server.home / "uploads" / ECHO
    assert path.read_bytes() == b"echo 1\n"
    assert path.stat().st_mode & 0o777 == 0o600
    before = path.stat().st_mtime_ns
    assert idle.client.put(UPLOAD, content=b"echo 1\n").content == reply.content
    assert path.stat().st_mtime_ns == before
    assert [entry.name for entry in path.parent.iterdir()] == [path.name]


def test_to_a_path(idle: Wr, folder: Path) -> None:
    target = folder / "a" / "b" / "file"
    for content in (b"a long first version", b"short"):
        reply = idle.client.put(UPLOAD, params={"path": str(target)}, content=content)
        assert reply.json() == {"path": str(target)}
        assert target.read_bytes() == content
    assert target.stat().st_mode & 0o777 == 0o600
    assert len(list(target.parent.iterdir())) == 1


def test_below_the_home_folder(idle: Wr) -> None:
    name = f".gristmill-test-{os.getpid()}"
    reply = idle.client.put(UPLOAD, params={"path": f"~/{name}"}, content=b"x")
    path = Path(os.path.expanduser("~")) / name
    try:
        assert reply.json() == {"path": str(path)}
        assert path.read_bytes() == b"x"
    finally:
        path.unlink(missing_ok=True)


def test_a_script_below_the_home_folder(idle: Wr) -> None:
    name = f".gristmill-test-script-{os.getpid()}"
    path = Path(os.path.expanduser("~")) / name
    path.write_text("#!/bin/sh\n")
    try:
        (job,) = idle.add({"cmd": "a script", "cloud_script": f"~/{name}"})
        assert job["OtherRequests"] == ["cloud_script:#!/bin/sh\n"]
        path.write_text("changed")
        assert idle.job(job["Key"])["OtherRequests"] == job["OtherRequests"]
    finally:
        path.unlink(missing_ok=True)
    refused = idle.client.post(JOBS, json=[{"cmd": "b", "cloud_script": f"~/{name}"}])
    assert refused.status_code == 400
    assert refused.text == (
        "there was a problem interpreting your job: "
        f"path [~/{name}] could not be read: there is no such file\n"
    )


@pytest.mark.parametrize("path", ["relative", "../x", "~other/x", "/tmp", "\0/x"])
def test_bad_paths(idle: Wr, path: str) -> None:
    reply = idle.client.put(UPLOAD, params={"path": path}, content=b"x")
    assert reply.status_code == 400
    assert reply.headers["content-type"] == "text/plain; charset=utf-8"


def test_what_cannot_be_written(idle: Wr) -> None:
    reply = idle.client.put(UPLOAD, params={"path": "/proc/no/file"}, content=b"x")
    assert (reply.status_code, reply.text) == (500, "file upload failed\n")


def test_the_servers_own_files_are_out_of_bounds(idle: Wr, folder: Path) -> None:
    token = idle.server.home / "client.token"
    link = folder / "link"
    link.symlink_to(idle.server.home)
    for path in (token, link / "client.token", idle.server.home / "uploads/../client.token"):
        reply = idle.client.put(UPLOAD, params={"path": str(path)}, content=b"x")
        assert reply.status_code == 403, path
        reply = idle.client.post(JOBS, json=[{"cmd": "a", "cloud_script": str(path)}])
        assert reply.status_code == 400
        assert "permission denied" in reply.text
    assert len(token.read_text()) == 43


def test_others_than_administrators(idle: Wr, folder: Path) -> None:
    token = idle.server.client().create_token("ada").token
    ada = Wr(idle.server, token)
    try:
        path = folder / "mine"
        reply = ada.client.put(UPLOAD, params={"path": str(path)}, content=b"x")
        assert reply.status_code == 403
        assert not path.exists()
        kept = ada.client.put(UPLOAD, content=b"echo 1\n").json()["path"]
        (job,) = ada.add({"cmd": "a", "cloud_script": kept})
        assert job["OtherRequests"] == ["cloud_script:echo 1\n"]
        refused = ada.client.post(JOBS, json=[{"cmd": "b", "cloud_script": "/etc/passwd"}])
        assert refused.status_code == 400
    finally:
        ada.close()


def test_each_user_sees_their_own_jobs(idle: Wr) -> None:
    client = idle.server.client()
    eve = Wr(idle.server, client.create_token("eve").token)
    reader = Wr(idle.server, client.create_token("eve", scopes=["read"]).token)
    try:
        idle.add({"cmd": "true secret", "rep_grp": "secret"})
        eve.add({"cmd": "true open", "rep_grp": "open"})
        assert [job["Cmd"] for job in eve.jobs()] == ["true open"]
        assert [job["Cmd"] for job in eve.jobs(limit="1")] == ["true open"]
        assert eve.jobs("secret") == []
        assert eve.jobs("secret", limit="1") == []
        assert eve.end("deletable", "secret") == []
        (twin,) = eve.add({"cmd": "true secret", "rep_grp": "mine"})
        assert [job["RepGroup"] for job in eve.jobs(twin["Key"])] == ["mine"]
        assert {job["Cmd"] for job in reader.jobs()} == {"true open", "true secret"}
        assert reader.client.post(JOBS, json=[{"cmd": "x"}]).status_code == 403
    finally:
        eve.close()
        reader.close()
