"""What a hostile network sends: refused in the interface's own shape, and nothing has changed."""

import io
import pickle
import tarfile
from typing import Any

import pytest

from tests.omega.talk import Omega

DEEP = b"[" * 100_000 + b"]" * 100_000
JSON = {"Content-Type": "application/json"}


@pytest.fixture(scope="module", name="before")
def _before(omega: Omega) -> dict[str, Any]:
    """One of each kind."""
    omega.ok("PUT", "dataset/d", 204, json={"data": {"x": [1, 2], "s": ["a", "b"]}})
    omega.ok("POST", "model/", 201, json={"name": "m", "pipeline": [["LinearRegression", {}]]})
    omega.ok("PUT", "model/m/fit?datax=d[x]&datay=d[x]", 202)
    omega.ok("POST", "job/j", 201, json={"code": "1"})
    return _everything(omega)


def _everything(omega: Omega) -> dict[str, Any]:
    found = {kind: omega.ok("GET", f"{kind}/", 200) for kind in ("dataset", "model", "job")}
    found["script"] = omega.ok("GET", "script/", 200)
    found["rows"] = omega.ok("GET", "dataset/d", 200)
    found["versions"] = omega.ok("GET", "model/m/versions", 200)
    return found


def _step(name: Any, arguments: Any = None) -> dict[str, Any]:
    return {"name": "m", "pipeline": [[name, arguments or {}]]}


@pytest.mark.parametrize(
    ("recipe", "field"),
    [
        (_step("os.system"), "pipeline"),
        (_step("subprocess.Popen", {"args": "true"}), "pipeline"),
        (_step("sklearn.utils._joblib.load"), "pipeline"),
        (_step("builtins.eval"), "pipeline"),
        (_step("__import__"), "pipeline"),
        (_step(7), "pipeline"),
        (_step("LinearRegression", {"nix": 1}), "pipeline"),
        ({"name": "m", "pipeline": [["a", "Ridge", {}], ["a", "Ridge", {}]]}, "pipeline"),
        ({"name": "m", "pipeline": []}, "pipeline"),
        ({"name": "m"}, "pipeline"),
        ({"name": "../m", "pipeline": [["Ridge", {}]]}, "name"),
        ({"name": "m@x", "pipeline": [["Ridge", {}]]}, "name"),
        ({"name": "a/fit", "pipeline": [["Ridge", {}]]}, "name"),
        ({"pipeline": [["Ridge", {}]]}, "name"),
        ({"name": 7}, "name"),
    ],
)
def test_recipes(omega: Omega, before: dict[str, Any], recipe: Any, field: str) -> None:
    reply = omega("POST", "model/", json=recipe)
    assert reply.status_code == 400, reply.text
    assert any(field in name for name in reply.json()["errors"]), reply.text
    assert _everything(omega) == before


@pytest.mark.parametrize(
    ("body", "word"),
    [
        (b"", "body"),
        (b"{", "JSON"),
        (b'{"data": {"x": [NaN]}}', "JSON"),
        (b'{"data": {"x": [1e999]}}', ""),
        (b'{"data": ' + DEEP + b"}", "deep"),
        (b"\xff\xfe", "JSON"),
        (b'"\\ud800"', ""),
        (b"[]", "object"),
        (b"{}", "data"),
        (b'{"data": 7}', "data"),
        (b'{"data": {"x": {"0": 1}}, "dtypes": {"x": "nix"}}', "dtypes"),
        (b'{"data": {"x": ["a"]}, "dtypes": {"x": "int64"}}', "x"),
        (b'{"data": {"x": [1]}, "orient": "nix"}', "orient"),
        (b'{"data": {"x": {"0": 1}}, "index": {"values": [1, 2]}}', "index"),
        (b'{"data": {"x": [1], "y": [1, 2]}}', "data"),
        (pickle.dumps(print), "JSON"),
    ],
)
def test_rows(omega: Omega, before: dict[str, Any], body: bytes, word: str) -> None:
    reply = omega("PUT", "dataset/d?append=false", data=body, headers=JSON)
    if reply.status_code != 204 or not word:
        assert word in omega.refused("PUT", "dataset/d?append=false", 400, data=body, headers=JSON)
    assert reply.status_code == 400, body[:40]
    assert _everything(omega) == before


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [
        ("PUT", "dataset/..%2F..%2Fetc", 400),
        ("PUT", "dataset/a%00b", 400),
        ("PUT", "dataset/a%0Ab", 400),
        ("PUT", f"dataset/{'a' * 600}", 400),
        ("PUT", "dataset/x[y]", 400),
        ("GET", "dataset/d?s__regex=(a*)*(a*)*(a*)*b", 200),
        ("GET", f"dataset/d?s__regex={'(a?)' * 300}", 400),
        ("GET", "dataset/d?x__in=" + "1," * 2000 + "1", 200),
        ("GET", "dataset/d?" + "&".join(f"a{n}=1" for n in range(1100)), 400),
        ("GET", "dataset/d?x=%ff", 400),
        ("GET", "model/m/predict?datax=..%2Fd", 400),
        ("GET", "model/m/predict?datax=d[x,nix]", 400),
        ("GET", f"job/export/j_{'9' * 30}.ipynb", 404),
        ("GET", f"job/results/j_{'9' * 18}.ipynb", 404),
        ("GET", "dataset/?offset=" + "9" * 18, 200),
        ("GET", "dataset/?offset=" + "9" * 40, 400),
        ("GET", "dataset/d?skip=" + "9" * 18 + "&limit=" + "9" * 18, 200),
        ("GET", "task/" + "a" * 3000 + "/result", 404),
        ("GET", "task/%00/result", 404),
        ("DELETE", "model/m@latest", 400),
    ],
)
def test_paths(omega: Omega, before: dict[str, Any], method: str, path: str, status: int) -> None:
    body = {"json": {"data": {"x": [1]}}} if method == "PUT" else {}
    reply = omega(method, path, **body)
    assert reply.status_code == status, reply.text
    assert status == 200 or reply.json()["message"]
    assert _everything(omega) == before


def _archive(*entries: tarfile.TarInfo) -> bytes:
    made = io.BytesIO()
    with tarfile.open(fileobj=made, mode="w:gz") as archive:
        for entry in entries:
            archive.addfile(entry, io.BytesIO(b"\0" * entry.size))
    return made.getvalue()


def _entry(name: str, size: int = 1, link: str = "") -> tarfile.TarInfo:
    entry = tarfile.TarInfo(name)
    entry.size = 0 if link else size
    if link:
        entry.type, entry.linkname = tarfile.SYMTYPE, link
    return entry


@pytest.mark.parametrize(
    "body",
    [
        _archive(_entry("../../escaped")),
        _archive(_entry("p-1/setup.py"), _entry("/etc/escaped")),
        _archive(_entry("p-1/setup.py"), _entry("p-1/link", link="/etc/passwd")),
        _archive(_entry("p-1/setup.py", 600 << 20)),
        _archive(),
        b"\x1f\x8bnix",
        pickle.dumps([1]),
        b'{"code": 7}',
        b"{}",
    ],
    ids=range(9),
)
def test_scripts(omega: Omega, before: dict[str, Any], body: bytes) -> None:
    omega.refused("PUT", "script/s", 400, data=body, headers={"Content-Type": "application/gzip"})
    omega.refused("PUT", "script/s", 400, data=body, headers=JSON)
    form = {"Content-Type": "multipart/form-data; boundary=nix"}
    omega.refused("PUT", "script/s", 400, data=body, headers=form)
    assert _everything(omega) == before


@pytest.mark.parametrize(
    "body", [b"{", b"{}", b'{"code": 7}', b'{"content": {"cells": 7}}', b'{"content": []}', DEEP]
)
def test_notebooks(omega: Omega, before: dict[str, Any], body: bytes) -> None:
    omega.refused("PUT", "job/j", 400, data=body)
    assert _everything(omega) == before


@pytest.mark.parametrize(
    "body",
    [
        b"{",
        b'{"data": 7}',
        b'{"data": {"x": [1]}, "columns": ["y"]}',
        b'{"data": {"x": [[1, 2]]}, "columns": ["x"], "shape": [3]}',
        b'{"data": {"x": [1]}, "columns": 7}',
        b'{"data": {"x": ["a"]}}',
        b'{"data": {"x": [1], "y": [1]}}',
        b'{"data": ' + DEEP + b"}",
    ],
)
def test_inline_rows(omega: Omega, before: dict[str, Any], body: bytes) -> None:
    omega.refused("PUT", "model/m/predict", 400, data=body)
    omega.refused("GET", "model/m/predict?async=0", 400, data=body)
    assert _everything(omega) == before
