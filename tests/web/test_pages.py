"""What the pages show, to whom, and that it is only ever text."""

import pytest

from tests.native.place import Agent
from tests.web.place import WebPlace, form_token, page_of
from tests.web.test_markup import HOSTILE

ASSETS = {"gristmill.css": "text/css", "gristmill.js": "text/javascript", "icon.svg": "image/svg"}


def test_an_empty_server_tells_what_to_do(own_place: WebPlace) -> None:
    page = page_of(own_place.visitor().get("/ui/"))
    assert f"gristmill submit --home {own_place.home} -- echo hello" in page.text
    assert f"curl {own_place.url}/v1/jobs" in page.text
    assert "No agent is connected" in page.text
    assert "No agent is connected" in page_of(own_place.visitor().get("/ui/agents")).text


def test_a_user_is_not_told_where_the_home_is(own_place: WebPlace) -> None:
    reply = own_place.visitor(own_place.token("ann")["token"]).get("/ui/")
    assert "gristmill submit -- echo hello" in page_of(reply).text
    assert str(own_place.home) not in reply.text


def test_jobs_are_counted_and_listed(own_place: WebPlace) -> None:
    job = own_place.submit(name="first", group="g1", command="echo some words")
    own_place.submit(delay=1000)
    page = page_of(own_place.visitor().get("/ui/"))
    assert f"/ui/jobs/{job}" in page.all("a", "href")
    assert "2 in all" in page.text
    assert "echo some words" in page.text


def test_hostile_words_stay_words(place: WebPlace) -> None:
    name = HOSTILE
    job = place.submit(
        name=name, group=name, command=name, labels={name: name}, key=name, mutex="<x>", image=name
    )
    visitor = place.visitor()
    for path in ("/ui/", f"/ui/jobs/{job}"):
        page = page_of(visitor.get(path))
        assert name in page.text
        assert len(page.all("script", "src")) == 1
        assert [element for element, _ in page.elements].count("script") == 1


def test_filters_narrow_the_table(place: WebPlace) -> None:
    group, visitor = place.name("filtered"), place.visitor()
    ready = place.submit(group=group, name="one")
    delayed = place.submit(group=group, name="two", delay=1000)

    def listed(query: str) -> list[int]:
        links = page_of(visitor.get(f"/ui/?group={group}{query}")).all("a", "href")
        return [int(link.rpartition("/")[2]) for link in links if link.startswith("/ui/jobs/")]

    assert listed("") == [delayed, ready]
    assert listed("&state=ready") == [ready]
    assert listed("&name=two") == [delayed]
    assert listed("&owner=admin") == [delayed, ready]
    assert listed("&owner=nobody") == []
    page = page_of(visitor.get(f"/ui/?group={group}&state=lost"))
    assert "No job fits" in page.text
    assert "lost" in [
        attributes["value"]
        for element, attributes in page.elements
        if element == "option" and "selected" in attributes
    ]


def test_older_jobs_are_a_page_away(place: WebPlace) -> None:
    group, visitor = place.name("long"), place.visitor()
    specs = [{"command": "true", "group": group}] * 60
    ids = place.admin.post("/v1/jobs", json=specs).json()["ids"]
    seen: list[str] = []
    path = f"/ui/?group={group}"
    for _ in range(2):
        page = page_of(visitor.get(path))
        seen += [link for link in page.all("a", "href") if link.startswith("/ui/jobs/")]
        further = [link for link in page.all("a", "href") if "cursor=" in link]
        path = further[0] if further else ""
    assert path == ""
    assert seen == [f"/ui/jobs/{job}" for job in reversed(ids)]


@pytest.mark.parametrize(
    "query",
    ["state=lazy", "cursor=x", "cursor=-1", "cursor=" + "9" * 40, "group=" + "x" * 600],
)
def test_bad_addresses_are_answered_with_a_page(place: WebPlace, query: str) -> None:
    page_of(place.visitor().get(f"/ui/?{query}"), 400)


@pytest.mark.parametrize("path", ["/ui/jobs/999999999", "/ui/jobs/x", "/ui/nothing", "/docs/x"])
def test_what_is_not_there(place: WebPlace, path: str) -> None:
    page_of(place.visitor().get(path), 404)


@pytest.mark.parametrize("path", ["/ui/jobs/0", "/ui/jobs/99999999999999999999", "/ui/jobs/-1"])
def test_numbers_that_no_job_has(place: WebPlace, path: str) -> None:
    reply = place.visitor().get(path)
    assert reply.status_code in {400, 404}
    page_of(reply, reply.status_code)


def test_a_wrong_method_is_answered_with_a_page(place: WebPlace) -> None:
    page_of(place.visitor().get("/ui/jobs/1/cancel"), 405)


def test_pages_have_heads(place: WebPlace) -> None:
    visitor = place.visitor()
    for path in ("/ui/", "/docs", "/ui/agents", "/ui/events", "/ui/login"):
        reply = visitor.head(path)
        assert reply.content == b""
        assert reply.status_code in (200, 303), path
    assert place.browser().head("/ui/").headers["location"] == "/ui/login"


def test_nobody_sees_the_jobs_of_others(place: WebPlace) -> None:
    ann, bob = place.name("ann"), place.name("bob")
    tokens = {name: place.token(name)["token"] for name in (ann, bob)}
    job = place.submit(place.client(tokens[ann]), name="private", delay=1000)
    assert "private" in page_of(place.visitor(tokens[ann]).get("/ui/")).text
    visitor = place.visitor(tokens[bob])
    page = page_of(visitor.get(f"/ui/?owner={ann}"))
    assert "private" not in page.text
    assert "0 in all" in page.text
    page_of(visitor.get(f"/ui/jobs/{job}"), 404)
    for path in ("stdout/more", "stdout/file", "stderr/more"):
        assert visitor.get(f"/ui/jobs/{job}/{path}?attempt=0").status_code == 404
    form = {"form_token": form_token(page)}
    page_of(visitor.post(f"/ui/jobs/{job}/cancel", data=form), 404)
    assert place.admin.get(f"/v1/jobs/{job}").json()["state"] == "delayed"


def test_a_job_can_be_cancelled_and_run_again(place: WebPlace) -> None:
    visitor, job = place.visitor(), place.submit(delay=1000)
    address = f"/ui/jobs/{job}"
    page = page_of(visitor.get(address))
    form = {"form_token": form_token(page)}
    assert f"{address}/cancel" in page.all("form", "action")
    reply = visitor.post(f"{address}/cancel", data=form)
    assert (reply.status_code, reply.headers["location"]) == (303, address)
    page = page_of(visitor.get(address))
    assert "cancelled by user" in page.text
    assert page.all("form", "action") == ["/ui/logout", f"{address}/retry"]
    conflict = page_of(visitor.post(f"{address}/cancel", data=form), 409)
    assert "cancelled" in conflict.text
    assert visitor.post(f"{address}/retry", data=form).status_code == 303
    assert place.admin.get(f"/v1/jobs/{job}").json()["state"] == "ready"


def test_a_job_tells_all_that_is_known_of_it(place: WebPlace) -> None:
    node, visitor = place.name("node"), place.visitor()
    agent = Agent(place, node)
    tasks = [{"command": "echo one"}, {"argv": ["echo", "two words"]}]
    resources = {"cpus": 0.5, "memory": 2048, "walltime": 5400}
    job = place.submit(
        command=None, tasks=tasks, pool=node, name="told", labels={"team": "vision"},
        resources=resources, retry={"retries": 1, "delay": 0},
    )  # fmt: skip
    lease = agent.take()
    agent.started(lease)
    page = page_of(visitor.get(f"/ui/jobs/{job}"))
    for words in ("running", "2 tasks, one after another", "echo two words", "team=vision", "2GB",
                  "1h30m", "0.5", f"{node}.example", "4711", "/work"):  # fmt: skip
        assert words in page.text, words
    assert [attributes for _, attributes in page.elements if "data-since" in attributes]
    agent.finished(lease, 3)
    page = page_of(visitor.get(f"/ui/jobs/{job}"))
    assert "exit code 3" in page.text
    assert f"/ui/jobs/{job}?attempt=1&rank=0#stdout" in page.all("a", "href")


def test_agents_show_what_they_have(place: WebPlace) -> None:
    node = place.name("node")
    agent = Agent(place, node, cpus=16)
    for path in ("/ui/", "/ui/agents"):
        text = page_of(place.visitor().get(path)).text
        assert f"{node}.example" in text
        assert "of 16 cores" in text
    assert "no cgroups here" in text
    assert place.admin.post(f"/v1/agents/{agent.number}/drain").status_code == 200
    assert "draining" in page_of(place.visitor().get("/ui/agents")).text


@pytest.mark.parametrize(("name", "media_type"), ASSETS.items())
def test_assets_are_kept_for_as_long_as_they_stay_the_same(
    place: WebPlace, name: str, media_type: str
) -> None:
    page = page_of(place.browser().get("/ui/login"))
    addresses = page.all("link", "href") + page.all("script", "src")
    (address,) = [found for found in addresses if name in found]
    reply = place.browser().get(address)
    assert reply.headers["content-type"].startswith(media_type)
    assert "immutable" in reply.headers["cache-control"]
    old = place.browser().get(address + "0")
    assert (old.content, old.headers["cache-control"]) == (reply.content, "no-cache")


@pytest.mark.parametrize("name", ["app.py", "..%2Fapp.py", "../app.py", "gristmill.css/x", ""])
def test_only_assets_are_served(place: WebPlace, name: str) -> None:
    assert place.browser().get(f"/ui/static/{name}").status_code == 404
