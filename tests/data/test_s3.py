"""Tables and models in a store that is compatible with S3, as a real server keeps them there."""

from collections.abc import Iterator

import pytest

from gristmill.workers.blobs import RemoteBlobs
from gristmill.workers.refusals import RefusedError
from tests.e2e.conftest import Start
from tests.e2e.harness import RunningServer, eventually
from tests.store_s3 import S3Store, s3_server

BUCKET = "kept"


@pytest.fixture(scope="module", name="store")
def _store() -> Iterator[S3Store]:
    with s3_server() as store:
        store.put(BUCKET)
        yield store


def _blobs(store: S3Store, below: str) -> list[str]:
    """Return the objects that have bytes: the client makes empty ones for folders."""
    return [
        name
        for name in store.names(BUCKET)
        if name.startswith(f"{below}/") and not name.endswith("/")
    ]


def test_blobs(store: S3Store, monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in store.variables.items():
        monkeypatch.setenv(name, value)
    blobs = RemoteBlobs(f"s3://{BUCKET}/plain")
    assert blobs.write("datasets/ab/one", memoryview(b"first")) == 5
    assert store.get(BUCKET, "plain/datasets/ab/one") == b"first"
    assert blobs.read("datasets/ab/one") == b"first"
    with blobs.open("datasets/ab/one") as file:
        file.seek(2)
        assert file.read() == b"rst"
    blobs.delete("datasets/ab/one")
    blobs.delete("datasets/ab/one")
    assert _blobs(store, "plain") == []
    for act in (blobs.read, blobs.open):
        with pytest.raises(RefusedError) as refused:
            act("datasets/ab/one")
        assert refused.value.kind == "missing"


def _ok(server: RunningServer, method: str, path: str, **more: object) -> object:
    reply = server.request(method, path, **more)
    assert reply.status_code < 300, reply.text
    return reply.json() if reply.content else None


def test_a_server_that_keeps_its_data_in_s3(store: S3Store, start: Start) -> None:
    variables = {**store.variables, "AWS_REGION": "us-east-1"}
    server = start("--data-url", f"s3://{BUCKET}/tables/here", variables=variables)
    body = {"data": {"x": [0, 1, 2], "y": [0, 2, 4]}, "orient": "list", "append": False}
    for _ in range(2):
        _ok(server, "PUT", "/v1/datasets/d", json=body)
    recipe = {"name": "m", "pipeline": [["LinearRegression", {}]]}
    _ok(server, "POST", "/v1/models", json=recipe)
    _ok(server, "POST", "/v1/models/m/fit?datax=d[x]&datay=d[y]")
    assert not (server.home / "blobs" / "data").exists()
    server.kill9()
    server.restart()
    rows = _ok(server, "GET", "/v1/datasets/d/rows?where=x__gt=0&orient=list")
    assert isinstance(rows, dict)
    assert rows["data"] == {"x": [1, 2], "y": [2, 4]}
    said = _ok(server, "POST", "/v1/models/m/predict", json={"data": {"x": [5]}})
    assert isinstance(said, dict)
    assert said["result"] == pytest.approx([10])
    for path in ("datasets/d", "models/m"):
        _ok(server, "DELETE", f"/v1/{path}")
    eventually(lambda: _blobs(store, "tables/here") == [], what="what is deleted to be swept")
