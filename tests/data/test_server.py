"""A real server with its agent and workers, over HTTP: the whole way, and hostile input."""

import io
import tarfile
import threading
import time
from typing import Any

import httpx2
import pytest

from tests.e2e.harness import RunningServer

LIMIT = 120.0


@pytest.fixture(scope="module", name="api")
def _api(shared_server: RunningServer) -> Any:
    headers = {"Authorization": f"Bearer {shared_server.token}"}
    with httpx2.Client(
        base_url=shared_server.url_http, headers=headers, timeout=LIMIT, trust_env=False
    ) as client:
        yield client


def _ok(reply: httpx2.Response, status: int = 200) -> Any:
    assert reply.status_code == status, reply.text
    return reply.json() if reply.content else None


def _field(reply: httpx2.Response) -> str:
    assert reply.status_code == 400, reply.text
    return str(reply.json()["error"]["field"])


@pytest.fixture(scope="module", name="line")
def _line(api: httpx2.Client) -> str:
    """A fitted model named ``line`` of tables x and y: y is twice x."""
    for name, data in (("x", list(range(10))), ("y", [2 * n for n in range(10)])):
        _ok(api.put(f"/v1/datasets/{name}", json={"data": {name: data}, "orient": "list"}))
    recipe = {"name": "line", "pipeline": [["LinearRegression", {}]]}
    _ok(api.post("/v1/models", json=recipe), 201)
    done = _ok(api.post("/v1/models/line/fit", params={"datax": "x", "datay": "y"}))
    assert (done["state"], done["result"]) == ("complete", "ok")
    return "line"


def test_a_table_over_http(api: httpx2.Client) -> None:
    body = {"data": {"x": {"0": 1, "1": 2}}, "dtypes": {"x": "int64"}}
    made = _ok(api.put("/v1/datasets/project/t", json=body))
    assert (made["rows"], made["columns"]) == (2, [{"name": "x", "dtype": "int64"}])
    rows = _ok(api.get("/v1/datasets/project/t/rows", params={"where": "x__gt=1"}))
    assert rows["data"] == {"x": {"0": 2}}
    assert rows["index"] == {"type": "Int64Index", "values": [1]}
    _ok(api.put("/v1/datasets/project/t", params={"append": False}, json={"data": {"x": [9]}}))
    assert _ok(api.get("/v1/datasets/project/t/rows"))["data"] == {"x": {"0": 9}}
    assert api.delete("/v1/datasets/project/t").status_code == 204
    assert api.get("/v1/datasets/project/t").status_code == 404


def test_documents_over_http_and_from_scripts(api: httpx2.Client) -> None:
    made = _ok(api.put("/v1/datasets/d", json={"kind": "python.data", "data": [1]}))
    assert (made["kind"], made["rows"], made["columns"]) == ("python.data", 1, [])
    code = (
        "def run(om, *args, **kw):\n"
        "    om.datasets.put({'a': 2}, 'd')\n"
        "    return om.datasets.get('d')"
    )
    _ok(api.put("/v1/scripts/adds", json={"code": code}))
    assert _ok(api.post("/v1/scripts/adds/run"))["result"]["result"] == [[1], {"a": 2}]
    assert _ok(api.get("/v1/datasets/d/rows"))["data"] == [[1], {"a": 2}]


def test_a_model_over_http(api: httpx2.Client, line: str) -> None:
    said = _ok(api.post(f"/v1/models/{line}/predict", params={"datax": "x"}))
    assert said["result"] == pytest.approx([2 * n for n in range(10)])
    inline = {"columns": ["v"], "data": {"v": {"0": 21}}}
    assert _ok(api.post(f"/v1/models/{line}/predict", json=inline))["result"] == pytest.approx([42])
    score = _ok(api.post(f"/v1/models/{line}/score", params={"datax": "x", "datay": "y"}))
    assert score["result"] == pytest.approx(1.0)
    versions = _ok(api.get(f"/v1/models/{line}/versions"))["versions"]
    assert [each["action"] for each in versions] == ["fit", "create"]
    job = _ok(api.get(f"/v1/jobs/{versions[0]['job']}"))
    assert job["state"] == "complete"
    later = _ok(api.post(f"/v1/models/{line}/predict", params={"datax": "x", "wait": 0}), 202)
    done = _ok(api.get(f"/v1/tasks/{later['id']}", params={"wait": 60}))
    assert done["result"]["result"] == said["result"]


@pytest.mark.parametrize(
    ("path", "wish", "field"),
    [
        ("predict", {}, "datax"),
        ("predict", {"params": {"datax": "x[nope]"}}, "columns"),
        ("predict", {"content": b"{"}, "body"),
        ("predict", {"json": {"data": {"a": [1], "b": [2]}}}, "data"),
        ("transform", {"params": {"datax": "x"}}, "action"),
        ("score", {"params": {"datax": "x"}}, "datay"),
        ("fit", {"params": {"datax": "x", "datay": "y", "tag": "no/tag"}}, "tag"),
        ("partial_fit", {"params": {"datax": "x", "classes": "["}}, "classes"),
        ("fit", {"params": {"datax": "x[x"}}, "datax"),
        ("fit", {"params": {"datax": "x[nope]", "datay": "y"}}, "columns"),
        ("gridsearch", {"params": {"datax": "x", "datay": "y"}}, "parameters"),
    ],
)
def test_bad_calls_name_the_field(
    api: httpx2.Client, line: str, path: str, wish: Any, field: str
) -> None:
    assert _field(api.post(f"/v1/models/{line}/{path}", **wish)) == field


def test_unknown_things_are_not_found(api: httpx2.Client, line: str) -> None:
    for reply in (
        api.post(f"/v1/models/{line}/predict", params={"datax": "none"}),
        api.post("/v1/models/none/predict", params={"datax": "x"}),
        api.post(f"/v1/models/{line}/__class__"),
        api.get("/v1/tasks/none"),
        api.post("/v1/notebooks/none/run"),
        api.post("/v1/scripts/none/run"),
        api.get("/v2/models/none"),
    ):
        assert reply.status_code == 404, reply.text


def test_the_open_inference_protocol(api: httpx2.Client, line: str) -> None:
    assert _ok(api.get("/v2/health/live")) == {"live": True}
    assert _ok(api.get("/v2/health/ready")) == {"ready": True}
    assert _ok(api.get(f"/v2/models/{line}"))["versions"] == ["1", "2"]
    assert _ok(api.get(f"/v2/models/{line}/versions/2/ready"))["ready"] is True
    tensor = {"name": "x", "shape": [2, 1], "datatype": "FP64", "data": [[1], [2]]}
    reply = _ok(api.post(f"/v2/models/{line}/infer", json={"id": "7", "inputs": [tensor]}))
    (output,) = reply["outputs"]
    assert (reply["id"], reply["model_name"], reply["model_version"]) == ("7", line, "2")
    assert (output["shape"], output["datatype"]) == ([2, 1], "FP64")
    assert output["data"] == pytest.approx([2, 4])
    wrongs: tuple[Any, ...] = (
        {"inputs": []},
        {"inputs": [{**tensor, "shape": [3, 1]}]},
        {"inputs": [{**tensor, "datatype": "PICKLE"}]},
        {"inputs": [{**tensor, "shape": [-1, 1]}]},
    )
    for wrong in wrongs:
        refused = api.post(f"/v2/models/{line}/infer", json=wrong)
        assert refused.status_code == 400
        assert list(refused.json()) == ["error"]
    unfitted = api.post(f"/v2/models/{line}/versions/1/infer", json={"inputs": [tensor]})
    assert unfitted.status_code == 400


def test_a_notebook_runs_and_shows_itself_without_the_network(api: httpx2.Client) -> None:
    _ok(api.put("/v1/notebooks/n", json={"code": "print('hel' + 'lo')\n1/0"}))
    done = _ok(api.post("/v1/notebooks/n/run"))
    (run,) = _ok(api.get("/v1/notebooks/n/runs"))["runs"]
    assert (run["run"], run["status"]) == (done["run"], "ERROR")
    assert run["message"] == "ZeroDivisionError: division by zero"
    copy = _ok(api.get("/v1/notebooks/n/content", params={"run": run["run"]}))
    assert copy["cells"][0]["outputs"][0]["text"] in ("hello\n", ["hello\n"])
    assert not _ok(api.get("/v1/notebooks/n/content"))["cells"][0]["outputs"]
    page = api.get("/v1/notebooks/n/html", params={"run": run["run"]})
    assert page.headers["content-type"].startswith("text/html")
    assert "hello" in page.text
    assert "src=" not in page.text
    assert "<script" not in page.text
    assert "@import" not in page.text
    for bad in ({}, {"code": "1", "content": {}}, {"content": {"nbformat": 3}}, {"code": 7}):
        assert api.put("/v1/notebooks/n", json=bad).status_code == 400


def _package(code: bytes) -> bytes:
    sink = io.BytesIO()
    setup = b"from setuptools import setup\nsetup(name='shouter', packages=['shouter'])"
    with tarfile.open(fileobj=sink, mode="w:gz") as archive:
        for name, data in (("setup.py", setup), ("shouter/__init__.py", code)):
            info = tarfile.TarInfo(f"shouter-1.0/{name}")
            info.size = len(data)
            archive.addfile(info, io.BytesIO(data))
    return sink.getvalue()


def test_a_package_is_installed_for_itself_and_reaches_its_owners_tables(
    api: httpx2.Client, line: str
) -> None:
    code = b"def run(om, *args, **kw):\n    t = om.datasets.get('x')\n    return [len(t), args, kw]"
    kind = {"Content-Type": "application/gzip"}
    _ok(api.put("/v1/scripts/shouter", content=_package(code), headers=kind))
    done = _ok(api.post("/v1/scripts/shouter/run", params={"argument": "a=b"}, json={"q": 1}))
    assert done["result"]["result"] == [10, [{"q": 1}], {"a": "b"}]
    assert api.delete("/v1/scripts/shouter").status_code == 204


def test_what_a_script_raises_is_told(api: httpx2.Client) -> None:
    code = "def run(om, *args, **kwargs):\n    raise ValueError('boom')"
    _ok(api.put("/v1/scripts/s", json={"code": code}))
    reply = api.post("/v1/scripts/s/run")
    assert reply.status_code == 400
    assert reply.json()["error"]["message"] == "ValueError: boom"


def test_a_cancelled_notebook_leaves_no_kernel(
    shared_server: RunningServer, api: httpx2.Client
) -> None:
    _ok(api.put("/v1/notebooks/long", json={"code": "import time\ntime.sleep(600)"}))
    task = _ok(api.post("/v1/notebooks/long/run", params={"wait": 0}), 202)
    while _ok(api.get(f"/v1/tasks/{task['id']}"))["state"] != "running":
        time.sleep(0.05)
    _ok(api.delete(f"/v1/tasks/{task['id']}"))
    done = _ok(api.get(f"/v1/tasks/{task['id']}", params={"wait": 60}))
    assert done["state"] == "cancelled"
    assert not _ok(api.get("/v1/notebooks/long/runs"))["runs"]


def test_strangers_and_readers_change_nothing(shared_server: RunningServer, line: str) -> None:
    url = shared_server.url_http
    for path in ("/v1/datasets", "/v1/models", "/v1/tasks/x", "/v2/models/line", "/v2/health/live"):
        assert httpx2.get(f"{url}{path}").status_code == 401
    reader = shared_server.client().create_token("admin", scopes=["read"]).token
    headers = {"Authorization": f"Bearer {reader}"}
    reply = httpx2.put(f"{url}/v1/datasets/x", headers=headers, json={"data": {"x": [1]}})
    assert reply.status_code == 403
    other = shared_server.client().create_token("other").token
    headers = {"Authorization": f"Bearer {other}"}
    assert httpx2.get(f"{url}/v1/models/{line}", headers=headers).status_code == 404


def test_eight_ask_at_once(shared_server: RunningServer, line: str) -> None:
    results: list[Any] = []

    def ask() -> None:
        headers = {"Authorization": f"Bearer {shared_server.token}"}
        url = f"{shared_server.url_http}/v1/models/{line}/predict"
        with httpx2.Client(headers=headers, timeout=LIMIT, trust_env=False) as client:
            for number in range(10):
                reply = client.post(url, json={"data": {"x": [number]}})
                results.append((reply.status_code, reply.json()["result"][0] - 2 * number))

    threads = [threading.Thread(target=ask) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(results) == 80
    assert all(status == 200 and abs(miss) < 1e-9 for status, miss in results)
