"""What the document leaves open: windows, filters, versions, scripts, tasks, buckets."""

import io
import tarfile
from typing import Any

import pandas as pd
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.omega.talk import Auth, Json, Omega

FRAME = pd.DataFrame(
    {
        "a": [1, 2, 3, 4],
        "b": [True, False, True, False],
        "s": ["x", "y", None, "zebra"],
        "t": pd.to_datetime(["2024-01-01", "2024-01-02", "2024-01-03", "2024-01-04"]),
        "limit": [9, 8, 7, 6],
    }
)


@pytest.fixture(scope="module", name="table")
def _table(omega: Omega) -> str:
    omega.put("p/t", FRAME)
    return "p/t"


@pytest.mark.parametrize(
    ("query", "rows"),
    [
        ("", [1, 2, 3, 4]),
        ("a=2", [2]),
        ("a__gt=1&a__lte=3", [2, 3]),
        ("a__in=1,4", [1, 4]),
        ("a__between=2,3", [2, 3]),
        ("b=False", [2, 4]),
        ("s__startswith=z", [4]),
        ("s__isnull=true", [3]),
        ("t__gte=2024-01-03", [3, 4]),
        ("limit__eq=7", [3]),
        ("a=9", []),
        ("limit=2", [1, 2]),
        ("limit=2&page=2", [3, 4]),
        ("skip=3", [4]),
        ("async=1&format=json&resource_uri=x", [1, 2, 3, 4]),
    ],
)
def test_rows(omega: Omega, table: str, query: str, rows: list[int]) -> None:
    said = omega.ok("GET", f"dataset/{table}?{query}", 200)
    assert list(said["data"]["a"].values()) == rows
    assert list(said["data"]) == list(FRAME.columns)


@pytest.mark.parametrize(
    ("query", "field"),
    [
        ("nix=1", "nix"),
        ("a__gt=x", "a__gt"),
        ("limit=-1", "limit"),
        ("limit=x", "limit"),
        ("page=1", "page"),
        ("page=0&limit=1", "page"),
        ("orient=fancy", "orient"),
        ("s__regex=(", "s__regex"),
    ],
)
def test_rows_that_make_no_sense(omega: Omega, table: str, query: str, field: str) -> None:
    assert field in omega.refused("GET", f"dataset/{table}/?{query}", 400)


def test_projections_and_orients(omega: Omega, table: str) -> None:
    for text, columns in (("[a]", ["a"]), ("%5Ba:s%5D", ["a", "b", "s"]), ("[^t]", 4)):
        said = omega.ok("GET", f"dataset/p%2Ft{text}/", 200)
        assert said["name"] == table
        assert list(said["data"]) == columns or len(said["data"]) == columns
    said = omega.ok("GET", f"dataset/{table}[a]?orient=records&limit=2", 200)
    assert (said["orient"], said["data"]) == ("records", [{"a": 1}, {"a": 2}])
    omega.refused("GET", f"dataset/{table}[nix]", 400)


def test_pages_of_lists(omega: Omega) -> None:
    bucket = {"Bucket": "pages"}
    for number in range(5):
        omega.ok("PUT", f"dataset/d{number}", 204, json={"data": {"x": [1]}}, headers=bucket)
    omega.ok("PUT", "dataset/.hidden", 204, json={"data": {"x": [1]}}, headers=bucket)
    seen, path = [], "dataset/?limit=2&kind=x"
    while path:
        page = omega.ok("GET", path, 200, headers=bucket)
        seen.append([each["data"]["name"] for each in page["objects"]])
        path = (page["meta"]["next"] or "").removeprefix("/api/v1/")
        assert page["meta"]["total_count"] == 5
        assert not path or "kind=x" in path
    assert seen == [["d0", "d1"], ["d2", "d3"], ["d4"]]
    assert page["meta"]["previous"] == "/api/v1/dataset/?limit=2&offset=2&kind=x"
    assert len(omega.ok("GET", "dataset?limit=0", 200, headers=bucket)["objects"]) == 5
    assert "offset" in omega.refused("GET", "dataset/?offset=-1", 400, headers=bucket)


def test_writing_by_post_and_deleting(omega: Omega) -> None:
    body = {"name": "posted", "data": {"x": [1, 2]}}
    made = omega.ok("POST", "dataset/", 201, json=body)
    assert made["resource_uri"] == "/api/v1/dataset/posted/"
    omega.ok("PUT", "dataset/posted?append=false", 204, json={**body, "append": True})
    assert len(omega.frame("posted")) == 2
    omega.ok("DELETE", "dataset/posted/", 202)
    omega.refused("DELETE", "dataset/posted/", 404)
    omega.refused("GET", "dataset/posted/", 404)


def test_documents(omega: Omega) -> None:
    first, second = {"a": [1, None]}, [1, "zwei", 3.5]
    for document in (first, second):
        body = {"kind": "python.data", "data": document}
        omega.ok("PUT", "dataset/documents/", 204, json=body)
    said = omega.ok("GET", "dataset/documents", 200)
    assert said == {
        "data": [first, second], "dtypes": None, "index": None, "name": "documents",
        "orient": "records", "resource_uri": "/api/v1/dataset/documents/",
    }  # fmt: skip
    assert omega.ok("GET", "dataset/documents?limit=1&page=2", 200)["data"] == [second]
    (listed,) = [
        each["data"]
        for each in omega.ok("GET", "dataset/", 200)["objects"]
        if each["data"]["name"] == "documents"
    ]
    assert listed["kind"] == "python.data"
    wrong = {"kind": "pandas.dfrows", "data": {"x": [1]}}
    assert "kind" in omega.refused("PUT", "dataset/documents", 400, json=wrong)
    assert "kind" in omega.refused("PUT", "dataset/new", 400, json={"data": 1, "kind": "x"})
    assert "x" in omega.refused("GET", "dataset/documents?x=1", 400)
    omega.refused("GET", "dataset/documents[x]", 400)
    omega.ok("POST", "model/", 201, json={"name": "m", "pipeline": [["LinearRegression", {}]]})
    assert "columns" in omega.refused("PUT", "model/m/fit?datax=documents", 400)
    omega.ok("PUT", "dataset/documents?append=false", 204, json={"data": {"x": [1]}})
    assert omega.ok("GET", "dataset/documents", 200)["dtypes"] == {"x": "int64"}


def test_buckets_and_environments_are_apart(omega: Omega) -> None:
    body = {"data": {"x": [1]}}
    for headers in ({"Bucket": "one"}, {"Qualifier": "lab"}, {"Qualifier": "lab", "Bucket": "one"}):
        omega.refused("GET", "dataset/apart", 404, headers=headers)
        omega.ok("PUT", "dataset/apart", 204, json=body, headers=headers)
        assert omega.ok("GET", "dataset/", 200, headers=headers)["meta"]["total_count"] == 1
        omega.refused("GET", "dataset/apart", 404)
    omega.ok("PUT", "dataset/apart", 204, json=body, headers={"Bucket": "store"})
    omega.ok("GET", "dataset/apart", 200)
    for headers in ({"Bucket": "a..b"}, {"Bucket": "a/b"}, {"Qualifier": "../x"}):
        omega.refused("GET", "dataset/apart", 400, headers=headers)


def test_versions_and_inline_rows(omega: Omega) -> None:
    frame = pd.DataFrame({"x": range(6), "y": [0, 0, 0, 1, 1, 1]})
    omega.put("cls", frame)
    omega.ok("POST", "model/", 201, json={"name": "c", "pipeline": [["s", "StandardScaler", {}],
             ["SGDClassifier", {"random_state": 1, "loss": "log_loss"}]]})  # fmt: skip
    assert "fitted" in omega.refused("GET", "model/c/predict?datax=cls[x]", 400)
    omega.ok("PUT", "model/c/fit?datax=cls[x]&datay=cls[y]&tag=first", 202)
    omega.ok("PUT", "model/c/fit/?datax=cls[x]&datay=cls[y]", 202)
    listed = omega.ok("GET", "model/c/versions/", 200)["objects"]
    assert [each["tags"] for each in listed] == [["latest"], ["first"], []]
    inline = {"columns": ["x"], "data": {"x": {"0": 0, "1": 5}}}
    for name in ("c", "c@latest", "c@first", "c^", f"c@{listed[1]['commit']}"):
        said = omega.ok("PUT", f"model/{name}/predict/", 202, json=inline)
        assert (said["result"], said["model"], said["datax"]) == ([0, 1], name, None)
    chances = omega.ok("GET", "model/c/predict_proba/", 200, json=inline)["result"]
    assert [len(row) for row in chances] == [2, 2]
    for name, status in (("c^^", 400), ("c^^^", 404), ("c@nix", 404)):
        omega.refused("PUT", f"model/{name}/predict", status, json=inline)
    score = omega.ok("GET", "model/c/score?datax=cls[x]&datay=cls[y]", 200)["result"]
    assert score == 1.0
    known = omega.ok("GET", "model/c@first/metadata", 200)
    assert (known["model"], known["result"]["name"]) == ("c@first", "c")
    omega.ok("DELETE", "model/c/", 202)
    omega.refused("GET", "model/c", 404)


@pytest.mark.parametrize(
    ("method", "path", "status", "word"),
    [
        ("GET", "model/m/fit?datax=a&datay=a", 405, "PUT"),
        ("PUT", "model/m/fly?datax=a", 404, "fly"),
        ("PUT", "model/m/__class__", 404, "__class__"),
        ("PUT", "model/m/predict", 400, "datax"),
        ("PUT", "model/m/predict?datax=nix", 404, "nix"),
        ("PUT", "model/m/transform?datax=a", 400, "transform"),
        ("PUT", "model/nix/fit?datax=a", 404, "nix"),
        ("PUT", "model/m/partial_fit?datax=a&classes=x", 400, "classes"),
        ("PUT", "model/m/fit?datax=a&datay=a&tag=a%20b", 400, "tag"),
        ("PATCH", "dataset/a", 405, "GET"),
        ("DELETE", "job/", 405, "GET"),
        ("GET", "ping/x", 404, "ping"),
        ("GET", "task/nix/result", 404, "nix"),
        ("GET", "task/nix/fly", 400, "fly"),
        ("POST", "job/results/x", 400, "results"),
        ("PUT", "script/x/run", 400, "action"),
        ("POST", "job/nix/run", 404, "nix"),
        ("GET", "job/results/nix_1.ipynb", 404, "nix"),
        ("GET", "job/results/nix", 404, "nix"),
        ("POST", "script/nix/run", 404, "nix"),
        ("GET", "config/?user=other", 403, "user"),
    ],
)
def test_refusals(omega: Omega, method: str, path: str, status: int, word: str) -> None:
    omega.ok("POST", "model/", 201, json={"name": "m", "pipeline": [["LinearRegression", {}]]})
    omega.ok("PUT", "dataset/a", 204, json={"data": {"x": [1]}, "append": False})
    reply = omega(method, path)
    assert reply.status_code == status, reply.text
    assert word in reply.json()["message"]
    if status == 405:
        assert word in reply.headers["Allow"]


def test_a_notebook_that_fails_is_a_run(omega: Omega) -> None:
    omega.ok("PUT", "job/p/bad.ipynb", 202, json={"code": "1/0"})
    ran = omega.ok("POST", "job/p/bad/run", 201)
    assert list(ran["job_runs"].values()) == ["ERROR"]
    assert "ZeroDivisionError" in ran["runs"][0]["message"]
    (cell,) = omega.ok("GET", f"job/{ran['job_results'][0]}", 200)["content"]["cells"]
    assert cell["outputs"][0]["output_type"] == "error"
    assert omega.ok("GET", "job/export/p/bad", 200)["name"] == "p/bad.ipynb"
    again = omega.task(omega("POST", "job/p/bad/run", headers={"async": "true"})).json()
    assert len(again["response"]["job_runs"]) == 2
    omega.ok("DELETE", "job/p/bad", 202)
    omega.refused("GET", "job/p/bad", 404)


CODE = """
def run(om, *args, **kwargs):
    if kwargs.get("fail"):
        raise ValueError("so it is")
    return {"args": args, "kwargs": kwargs}
"""


def test_scripts(omega: Omega) -> None:
    omega.ok("PUT", "script/tool/", 202, json={"code": CODE})
    ran = omega.ok("POST", "script/tool/run/?n=1&resource_uri=x", 201, json={"a": [1]})
    assert ran["result"] == {"args": [{"a": [1]}], "kwargs": {"n": "1"}}
    assert isinstance(ran["runtimes"], float)
    assert pd.Timestamp(ran["ended"]) >= pd.Timestamp(ran["started"])
    assert omega.ok("POST", "script/tool/", 201)["result"] == {"args": [{}], "kwargs": {}}
    done = omega.task(omega("POST", "script/tool/run?n=2&async=yes", json=[1])).json()["response"]
    assert (done["args"], done["kwargs"]) == ([[1]], {"n": "2"})
    assert "so it is" in omega.refused("POST", "script/tool/run?fail=1", 400)
    failed = omega.task(omega("POST", "script/tool/run?fail=1&async=1"))
    assert failed.status_code == 400
    said = failed.json()
    assert (said["status"], said["response"]) == ("FAILURE", None)
    assert "so it is" in said["message"]
    status = omega.ok("GET", f"task/{said['task_id']}/status", 200)
    assert (status["status"], status["response"]) == ("FAILURE", None)
    assert "JSON" in omega.refused("POST", "script/tool/run", 400, data="{nix")
    card = omega.ok("GET", "script/tool", 200)
    assert card["script"]["kind"] == "python.package"
    omega.ok("DELETE", "script/tool", 202)
    omega.refused("GET", "script/tool", 404)


def _sdist() -> bytes:
    files = {
        "setup.py": "from setuptools import setup\nsetup(name='pack', version='1', "
        "py_modules=['pack'])\n",
        "pack.py": CODE,
    }
    made = io.BytesIO()
    with tarfile.open(fileobj=made, mode="w:gz") as archive:
        for name, text in files.items():
            entry = tarfile.TarInfo(f"pack-1/{name}")
            entry.size = len(text)
            archive.addfile(entry, io.BytesIO(text.encode()))
    return made.getvalue()


def test_a_source_distribution(omega: Omega) -> None:
    packed = _sdist()
    omega.ok("PUT", "script/pack", 202, data=packed, headers={"Content-Type": "application/gzip"})
    omega.ok("PUT", "script/pack", 202, files={"file": ("pack-1.tar.gz", packed)})
    assert omega.ok("POST", "script/pack/run?x=1", 201)["result"]["kwargs"] == {"x": "1"}
    assert "file" in omega.refused("PUT", "script/pack", 400, files={"a": (None, "b")})


def test_a_task_can_be_revoked(omega: Omega) -> None:
    code = "import time\ndef run(om, *args, **kwargs):\n    time.sleep(600)\n"
    omega.ok("PUT", "script/slow", 202, json={"code": code})
    made = omega("POST", "script/slow/run?async=1")
    task = made.json()["task_id"]
    assert omega.ok("GET", f"task/{task}/result", 200)["response"] is None
    omega.refused("GET", f"task/{task}/result", 404, headers={"Bucket": "other"})
    omega.ok("DELETE", f"task/{task}", 202)
    assert omega.task(made).json()["status"] == "REVOKED"


def test_under_its_own_prefix(omega: Omega) -> None:
    base = f"{omega.server.url_http}/omega-ml"
    assert omega("GET", f"{base}/api/v1/ping").status_code == 200
    omega.ok("PUT", "dataset/prefixed1", 204, json={"data": {"x": [1]}})
    omega.ok("PUT", "dataset/prefixed2", 204, json={"data": {"x": [1]}})
    page = omega("GET", f"{base}/api/v1/dataset/?limit=1").json()["meta"]
    assert page["next"].startswith("/omega-ml/api/v1/dataset/?limit=1&offset=1")
    assert (
        omega("GET", f"{base}/api/v1/nix/").json()["message"] == "there is nothing at /api/v1/nix/"
    )
    sent = omega("GET", f"{base}/", allow_redirects=False)
    assert (sent.status_code, sent.headers["Location"]) == (302, "/omega-ml/api/doc/v1")


@pytest.mark.parametrize("path", ["/api/doc/v1", "/api/redoc", "/api/doc", "/api/docs"])
def test_pages_need_nothing_from_elsewhere(omega: Omega, path: str) -> None:
    base = omega.server.url_http
    page = omega("GET", f"{base}{path}")
    assert page.status_code == 200
    assert "default-src 'none'" in page.headers["Content-Security-Policy"]
    assert "://" not in page.text
    for part in page.text.split('"'):
        if part.startswith("/"):
            assert omega("GET", f"{base}{part}").status_code == 200, part


CELL: dict[str, st.SearchStrategy[Any]] = {
    "int64": st.integers(-(2**53), 2**53),
    "float64": st.floats(-1e9, 1e9).map(lambda x: round(x, 3)),
    "bool": st.booleans(),
    "object": st.one_of(st.none(), st.text(st.characters(codec="utf-8"), max_size=5)),
}


@st.composite
def frames(draw: st.DrawFn) -> pd.DataFrame:
    """Tables of up to four columns, with labels that may repeat."""
    size = draw(st.integers(0, 5))
    kinds = draw(st.lists(st.sampled_from(sorted(CELL)), min_size=1, max_size=4))
    data = {
        f"c{at} é": pd.Series(draw(st.lists(CELL[kind], min_size=size, max_size=size)), dtype=kind)
        for at, kind in enumerate(kinds)
    }
    labels = draw(st.lists(st.integers(-9, 9), min_size=size, max_size=size, unique=True))
    return pd.DataFrame(data).set_axis(pd.Index(labels, dtype="int64"), axis=0)


def _plain(frame: pd.DataFrame, name: str) -> list[Any]:
    """What is missing looks as pandas likes, which is not always the same."""
    cells = frame[name].tolist() if name in frame else []
    return [None if pd.isna(cell) else cell for cell in cells]


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(frame=frames())
def test_any_frame_comes_back(omega: Omega, frame: pd.DataFrame) -> None:
    omega.put("round", frame)
    said: Json = omega.ok("GET", "dataset/round", 200)
    back = pd.DataFrame.from_dict(said["data"])
    back.index = said["index"]["values"]
    assert said["dtypes"] == {name: str(dtype) for name, dtype in frame.dtypes.items()}
    for name in frame.columns:
        assert _plain(back, name) == _plain(frame, name)
    assert back.index.tolist() == frame.index.tolist()


def test_owners_are_apart(omega: Omega) -> None:
    created = omega.server.client().create_token("alice")
    headers = {"Authorization": f"Bearer {created.token}"}
    omega.ok("PUT", "dataset/mine", 204, json={"data": {"x": [1]}})
    omega.refused("GET", "dataset/mine", 404, headers=headers)
    task = omega("POST", "script/slow/run?async=1").json()["task_id"]
    omega.refused("GET", f"task/{task}/result", 404, headers=headers)
    omega.refused("DELETE", f"task/{task}", 404, headers=headers)
    omega.ok("DELETE", f"task/{task}", 202)
    wrong = omega("GET", "dataset/mine", auth=Auth("alice", "nix"))
    assert wrong.status_code == 401
    assert "ApiKey" in wrong.headers["WWW-Authenticate"]
