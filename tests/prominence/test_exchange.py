"""Long lists are sent in parts that are one array together."""

import asyncio
import json
from collections.abc import AsyncIterator
from typing import Any

import pytest

from gristmill.dialects.prominence.exchange import Exchange, Message


async def _pages(pages: list[list[int]]) -> AsyncIterator[list[Any]]:
    for page in pages:
        yield page


@pytest.mark.parametrize(
    "pages",
    [
        [],
        [[]],
        [[1, 2]],
        [[1], [2, 3]],
        [[], [1]],
        [[], [], [1], [], [2], []],
        [[1], [2], [3], [4, 5, 6]],
    ],
)
def test_a_list_of_pages(pages: list[list[int]]) -> None:
    sent: list[Message] = []

    async def send(message: Message) -> None:
        sent.append(message)

    async def receive() -> Message:
        raise AssertionError("nothing is to be read")

    exchange = Exchange({"query_string": b"", "headers": []}, receive, send, "/api/v1")
    asyncio.run(exchange.reply_list(_pages(pages)))
    body = b"".join(message.get("body", b"") for message in sent[1:])
    assert json.loads(body) == [number for page in pages for number in page]
    assert body.endswith(b"]\n")
    told = dict(sent[0]["headers"]).get(b"content-length")
    assert told == (None if sum(map(bool, pages)) > 1 else b"%d" % len(body))
    assert [message.get("more_body", False) for message in sent[1:]] == [
        *[True] * (len(sent) - 2),
        False,
    ]
