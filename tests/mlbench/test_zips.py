"""Archives of metrics."""

import io
import json
import zipfile

import httpx2
import pytest

from tests.mlbench.talk import Mlbench

OCTETS = "application/octet-stream"


def files_of(reply: httpx2.Response) -> dict[str, bytes]:
    """Return the files of an archive that was sent."""
    assert reply.status_code == 200, reply.text
    assert reply.headers["content-type"] == OCTETS
    assert reply.headers["content-disposition"].startswith("attachment; filename=metrics_")
    with zipfile.ZipFile(io.BytesIO(reply.content)) as archive:
        assert archive.testzip() is None
        assert {each.compress_type for each in archive.infolist()} <= {zipfile.ZIP_DEFLATED}
        return {name: archive.read(name) for name in archive.namelist()}


def test_a_run(idle: Mlbench) -> None:
    run = idle.create(name="Zipped")["id"]
    idle.point(run_id=run, name="loss @ 0", value=0.5)
    idle.point(run_id=run, name="a/b", value=1)
    idle.point(run_id=run, name="TaskResult @ 0", value="It took 3 seconds")
    idle.point(run_id=run, name="loss @ 0", value=0.4, date="2001-01-01T00:00:00Z")
    pod = "zipped-mlbench-worker-gristmill-0"
    idle.point(pod_name=pod, name="cpu", value=0.1)
    idle.point(pod_name=pod, name="cpu", value=0.2, date="2001-01-01T00:00:00Z")
    reply = idle.get(f"/metrics/{run}/", params={"metric_type": "run", "format": "zip"})
    files = files_of(reply)
    assert set(files) == {
        "result_loss @ 0.json", "result_a_b.json", "official_result.txt", f"{pod}_cpu.json",
    }  # fmt: skip
    assert files["official_result.txt"] == b"It took 3 seconds"
    losses = json.loads(files["result_loss @ 0.json"])
    assert [point["value"] for point in losses] == ["0.4", "0.5"], "a run's own points stay"
    assert b"\n  " in files["result_loss @ 0.json"]
    assert [point["value"] for point in json.loads(files[f"{pod}_cpu.json"])] == ["0.1"]
    assert reply.headers["content-disposition"].endswith("metrics_Zipped.zip")
    idle.delete(run)


@pytest.mark.parametrize("way", ["suffix", "query", "accept"])
def test_ways_to_ask(idle: Mlbench, way: str) -> None:
    idle.point(pod_name="zip pod", name="m")
    suffix = ".zip" if way == "suffix" else "/"
    query = {"format": "zip"} if way == "query" else {}
    headers = {"Accept": OCTETS} if way == "accept" else {}
    reply = idle.get(f"/metrics/zip pod{suffix}", params=query, headers=headers)
    assert list(files_of(reply)) == ["result_m.json"]
    assert reply.headers["content-disposition"].endswith("metrics_zip_pod.zip")


def test_an_empty_one_and_one_of_nobody(idle: Mlbench) -> None:
    assert files_of(idle.get("/metrics/gristmill-mlbench-worker-0.zip")) == {}
    assert idle.get("/metrics/nobody-at-all.zip").status_code == 404


def test_filters_apply(idle: Mlbench) -> None:
    for number in range(4):
        idle.point(pod_name="short", value=number)
    files = files_of(idle.get("/metrics/short/", params={"format": "zip", "last_n": 1}))
    assert len(json.loads(files["result_m.json"])) == 1


def test_names_cannot_leave_the_archive(idle: Mlbench) -> None:
    for name in ("../../etc/passwd", "/abs", "a\\b", "a:b", "x" * 1000):
        idle.point(pod_name="sly", name=name)
    files = files_of(idle.get("/metrics/sly.zip"))
    assert len(files) == 5
    assert not [name for name in files if "/" in name or "\\" in name or len(name) > 250]
