"""Large bodies leave in pieces, so that one client's reply does not hold up all others."""

import asyncio

import pytest

from gristmill.server.asgi import PIECE, Message, send_in_pieces


def _sent(message: Message) -> list[Message]:
    sent: list[Message] = []

    async def send(part: Message) -> None:
        sent.append(part)

    asyncio.run(send_in_pieces(send, message))
    return sent


@pytest.mark.parametrize("size", [PIECE + 1, 2 * PIECE, 2 * PIECE + 7])
@pytest.mark.parametrize("more", [False, True])
def test_a_large_body_is_sent_whole_in_pieces(size: int, more: bool) -> None:
    body = bytes(at % 251 for at in range(size))
    sent = _sent({"type": "http.response.body", "body": body, "more_body": more})
    assert b"".join(part["body"] for part in sent) == body
    assert max(len(part["body"]) for part in sent) == PIECE
    assert [part["more_body"] for part in sent] == [True] * (len(sent) - 1) + [more]


@pytest.mark.parametrize(
    "message",
    [
        {"type": "http.response.body"},
        {"type": "http.response.body", "body": b"x" * PIECE},
        {"type": "http.response.start", "status": 200, "headers": []},
    ],
)
def test_other_messages_go_as_they_are(message: Message) -> None:
    assert _sent(message) == [message]
