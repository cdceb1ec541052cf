"""HEAD is answered as GET is, without the body."""

from gristmill.server.asgi import App, Message, Receive, Scope, Send


class AnswerHead:
    """An ASGI app that turns HEAD into GET for the one behind it, and keeps the body back.

    The answer is over once its head is sent; whoever streams a body then sees the client leave.
    """

    def __init__(self, app: App) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        if scope["type"] != "http" or scope["method"] != "HEAD":
            await self._app(scope, receive, send)
            return

        async def send_head(message: Message) -> None:
            if message["type"] == "http.response.start":
                await send(message)
                await send({"type": "http.response.body", "body": b""})

        await self._app({**scope, "method": "GET"}, receive, send_head)
