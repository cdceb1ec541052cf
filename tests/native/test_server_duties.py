"""Large batches beside small requests, and what the interface says when the store is gone."""

import threading
import time

import apsw
import httpx2
import msgspec
import pytest

from gristmill.services import readiness
from tests.native.place import Place, error_of


def test_a_hundred_thousand_jobs_in_one_request_leave_room_for_others(own_place: Place) -> None:
    jobs = [{"command": f"echo {n}", "group": f"g{n % 7}"} for n in range(100_000)]
    body = msgspec.json.encode(jobs)
    replies: list[httpx2.Response] = []

    def submit() -> None:
        replies.append(own_place.admin.post("/v1/jobs", content=body))

    submitting = threading.Thread(target=submit)
    submitting.start()
    client, pauses = own_place.client(None), []
    while submitting.is_alive():
        asked = time.monotonic()
        assert client.get("/healthz").status_code == 200
        pauses.append(time.monotonic() - asked)
    submitting.join()

    assert replies[0].status_code == 201
    ids = replies[0].json()["ids"]
    assert len(set(ids)) == replies[0].json()["added"] == 100_000
    assert own_place.total() == 100_000
    assert own_place.admin.get(f"/v1/jobs/{ids[-1]}").json()["command"] == "echo 99999"
    # A blocked loop would show as one pause as long as the whole.
    assert len(pauses) > 20
    assert sorted(pauses)[len(pauses) * 9 // 10] < 0.5


def test_a_store_that_cannot_be_written_is_503_and_comes_back(
    own_place: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(readiness, "READY_LIMIT", 0.2)
    other = apsw.Connection(str(own_place.home / "gristmill.db"))
    other.execute("begin immediate")
    try:
        reply = own_place.stranger.get("/readyz")
        assert error_of(reply)["code"] == "unavailable"
        assert (reply.status_code, reply.headers["retry-after"]) == (503, "1")
        assert own_place.stranger.get("/healthz").status_code == 200
        assert own_place.admin.get("/v1/jobs").status_code == 200
        refused = own_place.admin.post("/v1/jobs", json={"command": "true"})
        assert (refused.status_code, refused.headers["retry-after"]) == (503, "1")
        assert error_of(refused)["code"] == "unavailable"
    finally:
        other.execute("rollback")
        other.close()
    assert own_place.stranger.get("/readyz").status_code == 200
    assert own_place.total() == 0
    assert own_place.admin.post("/v1/jobs", json={"command": "true"}).status_code == 201


def test_a_defect_is_500_with_an_id_and_nothing_else(
    own_place: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def fail(*_: object) -> None:
        raise RuntimeError("a secret detail")

    monkeypatch.setattr(own_place.house.listing, "counts", fail)
    reply = own_place.admin.get("/v1/jobs/counts")
    error = error_of(reply)
    assert (reply.status_code, error["code"]) == (500, "internal")
    assert error["id"] in error["message"]
    assert "secret" not in reply.text
    assert own_place.admin.get("/v1/jobs").status_code == 200
