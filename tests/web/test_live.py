"""Open pages hear that something has changed, and only of what they may show."""

import httpx2

from tests.native.place import Reader
from tests.web.place import WebPlace

CHANGE = "event: change"


def follow(visitor: httpx2.Client, query: str = "") -> Reader:
    reader = Reader(visitor, f"/ui/events{query}", Accept="text/event-stream")
    reader.until("retry:")
    return reader


def test_a_change_is_told(place: WebPlace) -> None:
    reader = follow(place.visitor())
    place.submit()
    assert reader.until(CHANGE).count("data: {}") == 1
    reader.leave()
    place.submit()
    reader.join()


def test_many_changes_are_told_together(place: WebPlace) -> None:
    reader = follow(place.visitor())
    for _ in range(20):
        place.submit()
    text = reader.until(CHANGE)
    reader.leave()
    place.submit()
    assert (text + reader.join()).count(CHANGE) < 20


def test_users_hear_of_their_own_jobs_only(place: WebPlace) -> None:
    ann, bob = (place.token(place.name(stem))["token"] for stem in ("ann", "bob"))
    reader = follow(place.visitor(ann))
    place.submit(place.client(bob))
    place.submit()
    mark = place.submit(place.client(ann))
    last = place.admin.get("/v1/jobs", params={"limit": 1}).json()["jobs"][0]["id"]
    assert last == mark
    text = reader.until(CHANGE)
    assert text.count(CHANGE) == 1
    reader.leave()
    place.submit(place.client(ann))
    reader.join()


def test_one_job_s_page_hears_of_that_job(place: WebPlace) -> None:
    job, other = place.submit(delay=1000), place.submit(delay=1000)
    reader = follow(place.visitor(), f"?job={job}")
    place.admin.post(f"/v1/jobs/{other}/cancel")
    place.admin.post(f"/v1/jobs/{job}/cancel")
    assert reader.until(CHANGE).count(CHANGE) == 1
    reader.leave()
    place.admin.post(f"/v1/jobs/{job}/retry")
    reader.join()


def test_a_revoked_token_hears_no_more(place: WebPlace) -> None:
    name = place.name("leaver")
    created, other = place.token(name), place.token(name)
    reader = follow(place.visitor(created["token"]))
    assert place.admin.delete(f"/v1/tokens/{created['id']}").status_code == 204
    place.submit(place.client(other["token"]))
    assert CHANGE not in reader.join()


def test_the_stream_ends_with_the_server(own_place: WebPlace) -> None:
    reader = follow(own_place.visitor())
    own_place.loop.call_soon_threadsafe(own_place.house.release)
    assert CHANGE not in reader.join()
