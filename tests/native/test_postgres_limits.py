"""What one database takes and the other does not must not show."""

import pytest

from tests.native.place import Place

WIDE = "".join(chr(0x1F300 + n % 700) for n in range(512))
"""The most characters of a name, each of the most bytes, and hard to compress."""


@pytest.mark.parametrize(
    "spec",
    [
        {"name": WIDE, "group": WIDE, "project": WIDE, "key": WIDE, "mutex": WIDE, "pool": WIDE},
        {"labels": {WIDE[n : n + 128]: WIDE for n in range(100)}},
        {"constraints": {WIDE[:256] + str(n): WIDE for n in range(100)}},
        {"dep_groups": [WIDE[n:] for n in range(50)]},
        {"after_groups": [WIDE[n:] for n in range(50, 100)]},
        {"env": {"A": "x" * (1 << 20)}},
        {"name": "quote ' \" ; -- \\ %s $1 :name ?", "labels": {"%s": "$1"}},
        {"name": "\u202e\ufeff\ufffe\u0085"},
        {"priority": -1_000_000, "resources": {"cpus": 1e-300, "memory": 1 << 40, "nodes": 10_000}},
        {"delay": 315_360_000, "queue_timeout": 5e-324},
        {"labels": {"a" * 128: "v" * 512}},
    ],
    ids=lambda spec: ",".join(spec),
)
def test_the_largest_and_strangest_values_are_stored(place: Place, spec: dict[str, object]) -> None:
    user = place.user()
    reply = user.post("/v1/jobs", json={"command": "true", **spec})
    assert reply.status_code == 201, reply.text[:500]
    detail = user.get(f"/v1/jobs/{reply.json()['id']}")
    assert detail.status_code == 200
    stored = detail.json()["spec"]
    for field, value in spec.items():
        assert stored[field] == value or field == "resources", field
    for field in ("name", "group", "key"):
        if field in spec:
            found = user.get("/v1/jobs", params={field: str(spec[field])}).json()["jobs"]
            assert [view["id"] for view in found] == [reply.json()["id"]]


def test_the_greatest_ids_are_only_unknown(place: Place) -> None:
    greatest = (1 << 63) - 1
    for path in (f"jobs/{greatest}", f"jobs/{greatest}/stdout", f"agents/{greatest}"):
        assert place.admin.get(f"/v1/{path}").status_code == 404
    assert place.admin.post("/v1/jobs/retry", json={"ids": [greatest]}).status_code == 404
    assert place.admin.get(f"/v1/jobs?cursor={10**18 * 9 + 9}").status_code == 200
    assert place.admin.get("/v1/jobs?cursor=9999999999999999999").status_code == 200
