"""Output on a page: its end, what follows, and all of it."""

from typing import Any

import httpx2

from gristmill.web.output import MOST_A_LOOK
from tests.native.place import Agent
from tests.web.place import WebPlace, page_of


def run(place: WebPlace, stdout: bytes = b"", stderr: bytes = b"") -> int:
    """Return a job that has written this and ended."""
    node = place.name("node")
    agent = Agent(place, node)
    job = place.submit(pool=node)
    lease = agent.take()
    agent.started(lease)
    agent.finished(lease, 0, stdout, stderr)
    return job


def panes(reply: httpx2.Response) -> dict[str, dict[str, str | None]]:
    """Return the attributes of the panes of a job's page, by name."""
    page = page_of(reply)
    found = [attributes for _, attributes in page.elements if "data-more" in attributes]
    return {attributes["id"] or "": attributes for attributes in found}


def test_output_stands_on_the_page_as_text(place: WebPlace) -> None:
    written = b"\x1b[1mbold\x1b[0m <b>&amp;</b>\n10%\r100%\n\x00\xff end"
    job = run(place, written, b"a warning\n")
    reply = place.visitor().get(f"/ui/jobs/{job}")
    text = page_of(reply).text
    assert "bold <b>&amp;</b> 100% \u2400\ufffd end" in text
    assert "a warning" in text
    assert "10%\r" not in reply.text
    found = panes(reply)
    assert found["stdout"]["data-next"] == str(len(written))
    assert "data-ended" in found["stdout"]


def test_a_page_begins_near_the_end_of_much_output(place: WebPlace) -> None:
    lines = [f"line {number} of many\n" for number in range(60_000)]
    job = run(place, "".join(lines).encode())
    reply = place.visitor().get(f"/ui/jobs/{job}")
    text = page_of(reply).text
    assert "line 59999 of many" in text
    assert "line 100 of many" not in text
    assert "without the first" in text
    assert len(reply.content) < 2 * MOST_A_LOOK
    first = text.index(" of many")
    assert text[:first].rpartition(" ")[0].endswith("line")


def test_more_goes_on_where_the_last_look_ended(place: WebPlace) -> None:
    written = "".join(f"zeile {number} grün\n" for number in range(30_000)).encode()
    job, visitor = run(place, written), place.visitor()
    shown, look = "", {"next": 0, "ended": False}
    while not look["ended"]:
        reply = visitor.get(f"/ui/jobs/{job}/stdout/more?attempt=1&offset={look['next']}")
        assert reply.headers["content-type"] == "application/json"
        assert reply.headers["x-content-type-options"] == "nosniff"
        look = reply.json()
        shown += str(look["lines"])
    assert shown == written.decode()
    assert look["next"] == len(written)


def test_all_of_it_is_a_file(place: WebPlace) -> None:
    written = b"\x00<b>\xff\r\n" * 100_000
    reply = place.visitor().get(f"/ui/jobs/{run(place, written)}/stdout/file?attempt=1")
    assert reply.content == written
    assert reply.headers["content-disposition"].startswith("attachment")
    assert reply.headers["content-type"].startswith("text/plain")
    assert reply.headers["x-content-type-options"] == "nosniff"


def test_output_that_does_not_exist(place: WebPlace) -> None:
    visitor, job = place.visitor(), run(place)
    for what in ("stdout/more?attempt=9", "stdout/file?attempt=9"):
        assert visitor.get(f"/ui/jobs/{job}/{what}").status_code == 404
    bad = ("stdin/more?attempt=1", "stdout/more", "stdout/more?attempt=1&offset=-1",
           "stdout/more?attempt=x", "stdout/more?attempt=1&rank=99999999")  # fmt: skip
    for what in bad:
        assert visitor.get(f"/ui/jobs/{job}/{what}").status_code in {400, 404}, what
    page_of(visitor.get(f"/ui/jobs/{job}?attempt=9"), 404)


def test_earlier_attempts_keep_their_output(place: WebPlace) -> None:
    node = place.name("node")
    agent = Agent(place, node)
    job = place.submit(pool=node, retry={"retries": 1, "delay": 0})
    for exit_code, text in ((1, b"first try\n"), (0, b"second try\n")):
        lease = agent.take()
        agent.started(lease)
        agent.finished(lease, exit_code, text)

    def shown(query: str) -> Any:
        return page_of(place.visitor().get(f"/ui/jobs/{job}{query}")).text

    assert "second try" in shown("")
    assert "first try" not in shown("")
    assert "first try" in shown("?attempt=1")
    assert "second try" not in shown("?attempt=1")
