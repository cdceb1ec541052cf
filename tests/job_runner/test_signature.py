"""The signature: its vectors, its header, and what must not pass for one."""

import hashlib
import hmac

import pytest

from gristmill.dialects.job_runner.signature import (
    Signature,
    find_signature,
    is_signed,
    looks_signed,
)
from tests.job_runner.asking import request

SECRET = "tulip-garden-42"
PATCH = b'{"return_dts": "2026-03-01 12:00:05.250000+00:00", "return_success": true}'
VECTORS = [
    ("GET", "/api/v1/worker/", b"", "06c1226afd72dbd1c8c171b35be7beb1a0636e99"),
    (
        "GET", "/api/v1/run/?state=in_queue&worker__api_key=blue-heron", b"",
        "207c1278424ee5422cc2fead54eff2f6205b5883",
    ),
    (
        "POST", "/api/v1/kill_request/", b'{"run": "/api/v1/run/17/"}',
        "4e9a6040bdea8e5a3d207289e83f9e781c6b5670",
    ),
    ("PATCH", "/api/v1/run/17/", PATCH, "a492e31408c1b336631d721c2d3249e3acf9e981"),
]  # fmt: skip


def digest(message: str) -> str:
    return hmac.new(SECRET.encode(), message.encode(), hashlib.sha1).hexdigest()


@pytest.mark.parametrize(("method", "target", "body", "expected"), VECTORS)
def test_vectors(method: str, target: str, body: bytes, expected: str) -> None:
    asked = request(method, target, body)
    assert is_signed(asked, expected, SECRET)
    assert not is_signed(asked, expected, SECRET + " ")
    assert not is_signed(request(method, target, body + b" "), expected, SECRET)
    assert not is_signed(request("PUT", target, body), expected, SECRET)


def test_the_documents_wording_holds_without_a_body_only() -> None:
    target = "/api/v1/run/?state=in_queue"
    twice = digest(f"GET{target}{target}")
    assert is_signed(request("GET", target), twice, SECRET)
    assert not is_signed(request("GET", target, b"{}"), twice, SECRET)
    with_body = digest(f"POST{target}{target}")
    assert not is_signed(request("POST", target, b"{}"), with_body, SECRET)


def test_the_query_is_signed_as_it_was_sent() -> None:
    plus = digest("GET/api/v1/job/?title=a+b")
    assert is_signed(request(target="/api/v1/job/?title=a+b"), plus, SECRET)
    assert not is_signed(request(target="/api/v1/job/?title=a%20b"), plus, SECRET)


def test_the_overriding_method_is_signed() -> None:
    asked = request("POST", "/api/v1/run/17/", PATCH, [("X-HTTP-Method-Override", "patch")])
    assert asked.method == "PATCH"
    assert is_signed(asked, VECTORS[3][3], SECRET)
    assert request("GET", headers=[("X-HTTP-Method-Override", "PATCH")]).method == "GET"


DIGEST = "0" * 40


@pytest.mark.parametrize("name", ["Authorization", "Authentication"])
def test_both_header_names(name: str) -> None:
    asked = request(headers=[(name, f"ApiKey blue:{DIGEST}")])
    assert find_signature(asked.headers) == Signature("blue", DIGEST)


def test_authorization_comes_first() -> None:
    headers = [("Authentication", f"ApiKey b:{DIGEST}"), ("Authorization", f"ApiKey a:{DIGEST}")]
    assert find_signature(request(headers=headers).headers) == Signature("a", DIGEST)


@pytest.mark.parametrize(
    "value",
    [
        f"ApiKey blue:{'A' * 40}", f"ApiKey blue:{DIGEST}0", f"ApiKey blue:{DIGEST} x",
        "ApiKey blue:", "ApiKey blue", "ApiKey ", f"ApiKey a:b:{DIGEST}", f"ApiKey é:{DIGEST[1:]}é",
    ],
)  # fmt: skip
def test_a_bad_signature_is_there_but_fits_nothing(value: str) -> None:
    found = find_signature(request(headers=[("Authorization", value)]).headers)
    assert found is not None
    assert found.digest == ""


@pytest.mark.parametrize("value", [f"apikey blue:{DIGEST}", "Bearer x", "Basic eA==", ""])
def test_other_schemes_are_no_signature(value: str) -> None:
    assert find_signature(request(headers=[("Authorization", value)]).headers) is None


@pytest.mark.parametrize(
    ("value", "ours"),
    [
        (f"ApiKey blue:{DIGEST}", True),
        (f"ApiKey blue:{'F' * 40}", True),
        ("ApiKey ann:some-plain-key", False),
        (f"ApiKey ann:{DIGEST}0", False),
        (f"Bearer {DIGEST}", False),
    ],
)
def test_what_the_gateway_takes_for_signed(value: str, ours: bool) -> None:
    for name in (b"authorization", b"authentication"):
        assert looks_signed([(name, value.encode())]) == ours
    assert not looks_signed([(b"x-else", value.encode())])
