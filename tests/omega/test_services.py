"""Models, scripts and notebooks called by their names alone: the answer is the bare result."""

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gristmill.dialects.omega_ml.errors import RefusedError
from gristmill.dialects.omega_ml.services import bare, rows_of
from tests.e2e.conftest import Start
from tests.omega.talk import Omega

CODE = """
def run(om, *args, **kwargs):
    if "raise" in kwargs:
        said = {"text": "so it is", "object": {"why": [1]}, "list": [1], "odd": {1, 2}}
        raise ValueError(said[kwargs["raise"]], int(kwargs.get("code", 404)))
    return args[0] if kwargs.get("bare") else {"args": args, "kwargs": kwargs}
"""


@pytest.fixture(scope="module", name="ready")
def _ready(omega: Omega) -> Omega:
    """A fitted model ``m``, a script ``s`` and a notebook ``n``."""
    omega.ok("PUT", "dataset/d", 204, json={"data": {"x": [0, 1, 2], "y": [0, 2, 4]}})
    omega.ok("POST", "model/", 201, json={"name": "m", "pipeline": [["LinearRegression", {}]]})
    omega.ok("PUT", "model/m/fit?datax=d[x]&datay=d[y]", 202)
    omega.ok("PUT", "script/s", 202, json={"code": CODE})
    omega.ok("POST", "job/n", 201, json={"code": "print(1)"})
    return omega


def test_a_model(ready: Omega) -> None:
    for method, status in (("GET", 200), ("POST", 201), ("PUT", 202), ("DELETE", 202)):
        assert ready.ok(method, "service/m", status, json={"x": 3}) == [6.0]
    base = f"{ready.server.url_http}/api/service"
    for name in ("m", "m/", "m/predict", "m@latest/predict/"):
        assert ready.ok("POST", f"{base}/{name}", 201, json=[{"x": 3}, {"x": 4}]) == [6.0, 8.0]
    assert ready.ok("POST", "service/m", 201, json=[[3], [4]]) == [6.0, 8.0]
    assert ready.ok("POST", "service/m", 201, json=[3, 4]) == [6.0, 8.0]
    assert ready.ok("GET", "service/m?datax=d[x]", 200) == [0.0, 2.0, 4.0]
    score = ready.ok("GET", "service/m/score?datax=d[x]&datay=d[y]", 200)
    assert score == {"data": 1.0}
    later = ready.task(ready("POST", "service/m?async=1", json={"x": 3})).json()
    assert (later["status"], later["response"]) == ("SUCCESS", [6.0])
    assert ready.ok("GET", "model/m", 200)["model"] == "m"


def test_a_script(ready: Omega) -> None:
    said = ready.ok("POST", "service/s?n=1", 201, json={"a": 1})
    assert said == {"args": [{"a": 1}], "kwargs": {"n": "1"}}
    assert ready.ok("GET", "service/s/run?bare=1", 200, json=[7]) == [7]
    assert ready.ok("PUT", "service/s?bare=1", 202, json=7) == {"data": 7}
    assert ready.ok("DELETE", "service/s?bare=1", 202) == {}
    ready.ok("GET", "script/s", 200)


@pytest.mark.parametrize(
    ("said", "code", "status", "reply"),
    [
        ("text", 404, 404, {"message": "so it is"}),
        ("text", 503, 503, {"message": "so it is"}),
        ("object", 418, 418, {"why": [1]}),
        ("list", 422, 422, [1]),
        ("odd", 400, 400, {"message": "{1, 2}"}),
    ],
)
def test_what_a_script_raises_with_a_status(
    ready: Omega, said: str, code: int, status: int, reply: object
) -> None:
    query = f"raise={said}&code={code}"
    refused = ready("POST", f"service/s?{query}")
    assert (refused.status_code, refused.json()) == (status, reply)
    assert ready("POST", f"script/s/run?{query}").status_code == 400
    failed = ready.task(ready("POST", f"service/s?{query}&async=1"))
    assert failed.status_code == 400
    assert (failed.json()["status"], failed.json()["code"]) == ("FAILURE", code)


def test_other_numbers_are_no_status(ready: Omega) -> None:
    assert "so it is" in ready.refused("POST", "service/s?raise=text&code=200", 400)


def test_a_notebook(ready: Omega) -> None:
    ran = ready.ok("POST", "service/n", 201)
    assert list(ran["job_runs"].values()) == ["OK"]
    assert ran["name"] == "n.ipynb"


@pytest.mark.parametrize(
    ("method", "path", "status", "word"),
    [
        ("GET", "service/nix", 404, "nix"),
        ("GET", "service/m/fit", 404, "fit"),
        ("GET", "service/m/run", 400, "run"),
        ("GET", "service/s/predict", 400, "predict"),
        ("GET", "service/m", 400, "datax"),
        ("GET", "service/m@nix", 404, "nix"),
        ("POST", "service/m/doc", 405, "GET"),
        ("GET", "service/", 404, "service"),
        ("PATCH", "service/m", 405, "GET"),
    ],
)
def test_refusals(ready: Omega, method: str, path: str, status: int, word: str) -> None:
    assert word in ready.refused(method, path, status)


@pytest.mark.parametrize("body", [b"{", b"7", b'{}],"shape":[1', b"[1]]", b"\xff"])
def test_bodies_that_are_no_rows(ready: Omega, body: bytes) -> None:
    assert "body" in ready.refused("POST", "service/m", 400, data=body)


def test_the_document_of_one_service(ready: Omega) -> None:
    made = ready.ok("GET", "service/m/doc", 200)
    assert (made["swagger"], made["basePath"], made["info"]["title"]) == ("2.0", "/api", "m")
    assert set(made["paths"]["/service/m"]) == {"get", "post", "put", "delete"}
    assert "/service/m/predict" in made["paths"]
    assert "/service/m/run" not in made["paths"]
    assert "/service/s/run" in ready.ok("GET", "service/s/doc", 200)["paths"]


ROWS = {"type": "array", "items": {"type": "object", "required": ["x"]}, "maxItems": 2}


def test_schemas_that_are_linked(ready: Omega) -> None:
    signature = {"X": ROWS, "Y": {"items": {"maximum": 10}}, "actions": {"GET": "score"}}
    recipe = {"name": "bound", "pipeline": [["LinearRegression", {}]], "signature": signature}
    ready.ok("POST", "model/", 201, json=recipe)
    ready.ok("PUT", "model/bound/fit?datax=d[x]&datay=d[y]", 202)
    assert ready.ok("POST", "service/bound", 201, json={"x": 3}) == [6.0]
    assert ready.ok("GET", "service/bound/predict?datax=d[x]", 200) == [0.0, 2.0, 4.0]
    for body in ([{"x": 1}] * 3, [{"z": 1}], [{"x": 6}]):
        assert "ValidationError" in ready.refused("POST", "service/bound/predict", 400, json=body)
    ready.ok("PUT", "model/bound/predict", 202, json={"data": [{"x": 6}]})
    assert ready.ok("GET", "service/bound?datax=d[x]&datay=d[y]", 200) == {"data": 1.0}
    assert ready.ok("GET", "service/bound/doc", 200)["definitions"]["X"] == ROWS


def test_schemas_of_scripts(ready: Omega) -> None:
    signature = {"X": {"type": "string", "pattern": "^a+$"}, "Y": {"minLength": 2}}
    query = "service/bound-script?bare=1"
    ready.ok("PUT", "script/bound-script", 202, json={"code": CODE, "signature": signature})
    assert ready.ok("POST", query, 201, json="aa") == {"data": "aa"}
    for value in ("b", 7, "a"):
        assert "ValidationError" in ready.refused("POST", query, 400, json=value)
    assert ready.ok("POST", "script/bound-script/run?bare=1", 201, json="b")["result"] == "b"


@pytest.mark.parametrize(
    ("signature", "field"),
    [
        (7, "signature"),
        ({"X": {"type": 7}}, "signature.X"),
        ({"Y": {"patternProperties": {"(a+)+": {}}}}, "signature.Y"),
        ({"Z": {}}, "signature"),
        ({"actions": {"PATCH": "predict"}}, "signature.actions"),
    ],
)
def test_signatures_that_are_none(ready: Omega, signature: object, field: str) -> None:
    recipe = {"name": "nix", "pipeline": [["Ridge", {}]], "signature": signature}
    assert field in ready.refused("POST", "model/", 400, json=recipe)
    script = {"code": CODE, "signature": signature}
    assert field in ready.refused("PUT", "script/nix", 400, json=script)
    for path in ("model/nix", "script/nix"):
        ready.refused("GET", path, 404)


@pytest.mark.parametrize(
    "schema",
    [
        {"$ref": "#"},
        {"$ref": "http://192.0.2.1/schema.json"},
        {"$ref": "file:///etc/passwd"},
        {"type": "array", "items": {"pattern": "(?=a)"}},
    ],
)
def test_schemas_that_lead_nowhere(ready: Omega, schema: object) -> None:
    body = {"code": CODE, "signature": {"X": schema}}
    ready.ok("PUT", "script/nowhere", 202, json=body)
    assert "ValidationError" in ready.refused("POST", "service/nowhere", 400, json=["a"])


def test_rules_know_actions_and_methods(start: Start) -> None:
    rules = ("service/m/predict", "service/s/get", "(model|dataset|script)/.*/.*")
    server = start(*(word for rule in rules for word in ("--omega-rule", rule)))
    omega = Omega(server)
    omega.ok("PUT", "dataset/d", 204, json={"data": {"x": [0, 1], "y": [0, 2]}})
    omega.ok("POST", "model/", 201, json={"name": "m", "pipeline": [["LinearRegression", {}]]})
    omega.ok("PUT", "model/m/fit?datax=d[x]&datay=d[y]", 202)
    omega.ok("PUT", "script/s", 202, json={"code": CODE})
    for path in ("service/m", "service/m/predict"):
        assert omega.ok("POST", path, 201, json={"x": 3}) == [6.0]
    omega.refused("GET", "service/m/score?datax=d&datay=d", 403)
    omega.refused("GET", "service/m/doc", 403)
    omega.ok("GET", "service/s", 200)
    for method, path in (("POST", "service/s"), ("GET", "service/s/run"), ("GET", "service/nix")):
        omega.refused(method, path, 403)
    done = omega.task(omega("GET", "service/s?async=1")).json()
    assert done["status"] == "SUCCESS"


@given(st.lists(st.integers(), min_size=1), st.text(" \n\t", max_size=3))
def test_rows(values: list[int], space: str) -> None:
    text = space.encode() + msgspec.json.encode(values)
    assert msgspec.json.decode(rows_of(text)) == {"data": {"0": values}}
    rows = [{"a": value} for value in values]
    assert msgspec.json.decode(rows_of(msgspec.json.encode(rows))) == {"data": rows}
    assert msgspec.json.decode(rows_of(msgspec.json.encode(rows[0]))) == {"data": rows[:1]}


def test_scalars_are_no_rows_and_no_replies() -> None:
    with pytest.raises(RefusedError):
        rows_of(b'"a"')
    for text in (b"1", b'"a"', b"null"):
        encoded = msgspec.json.encode(bare(msgspec.Raw(text)))
        assert encoded == b'{"data":' + text + b"}"
