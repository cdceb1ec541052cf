"""Callers of the interface: workers that sign, and people who log in."""

import hashlib
import hmac
import json
import re
from typing import Any

import httpx2

from tests.e2e.harness import LIMIT
from tests.job_runner.world import PASSWORD, SECRET

Json = Any
API = "/api/v1/"


def sign(method: str, target: str, body: bytes = b"", secret: str = SECRET) -> str:
    """Return the digest of a request."""
    message = method.encode() + target.encode() + body
    return hmac.new(secret.encode(), message, hashlib.sha1).hexdigest()


class Caller:
    """Sends requests; subclasses add credentials."""

    def __init__(self, url: str, mount: str = "", **options: Any) -> None:
        self.url, self.mount = url, mount
        self.client = httpx2.Client(base_url=url, timeout=LIMIT, trust_env=False, **options)

    def close(self) -> None:
        """Close the connection."""
        self.client.close()

    def headers(self, method: str, target: str, body: bytes) -> dict[str, str]:
        """Return the credentials of a request."""
        del method, target, body
        return {}

    def send(
        self, method: str, target: str, document: Json = None, **headers: str
    ) -> httpx2.Response:
        """Send a request. target: with the query. document: encoded as JSON, bytes as they are."""
        if not target.startswith("/"):
            target = self.mount + API + target
        body = b""
        if isinstance(document, bytes):
            body = document
        elif document is not None:
            body = json.dumps(document).encode()
        names = {"Content-Type": "application/json"}
        names |= {name.replace("_", "-"): value for name, value in headers.items()}
        names = {**self.headers(method, target, body), **names}
        return self.client.request(method, target, content=body or None, headers=names)

    def get(self, target: str) -> Json:
        """Return a document."""
        reply = self.send("GET", target)
        assert reply.status_code == 200, f"{target}: {reply.status_code} {reply.text}"
        assert reply.headers["content-type"] == "application/json"
        return reply.json()

    def objects(self, target: str) -> list[Json]:
        """Return the objects of a list."""
        found: list[Json] = self.get(target)["objects"]
        return found

    def titled(self, resource: str, title: str) -> Json:
        """Return the only object with a title."""
        (found,) = [one for one in self.objects(f"{resource}/?limit=0") if one["title"] == title]
        return found

    def post(self, resource: str, document: Json) -> str:
        """Make an object; return the path of its URI."""
        reply = self.send("POST", f"{resource}/", document)
        assert (reply.status_code, reply.content) == (201, b""), reply.text
        location: str = reply.headers["location"]
        assert location.startswith(self.url + self.mount + API)
        return location.removeprefix(self.url)

    def patch(self, target: str, document: Json) -> None:
        """Change an object."""
        reply = self.send("PATCH", target, document)
        assert (reply.status_code, reply.content) == (202, b""), reply.text

    def status(self, method: str, target: str, document: Json = None, **headers: str) -> int:
        """Return the status alone; no request may make the server fail."""
        code: int = self.send(method, target, document, **headers).status_code
        assert code < 500
        return code

    def refused(self, method: str, target: str, document: Json = None, **headers: str) -> str:
        """Return why a request is refused."""
        reply = self.send(method, target, document, **headers)
        assert reply.status_code == 400, f"{reply.status_code} {reply.text}"
        document = reply.json()
        assert list(document) == ["error"]
        text: str = document["error"]
        return text


class Worker(Caller):
    """Signs every request. name: of the header that carries the signature."""

    def __init__(
        self,
        url: str,
        api_key: str = "blue-heron",
        secret: str = SECRET,
        *,
        mount: str = "",
        name: str = "Authorization",
        **options: Any,
    ) -> None:
        super().__init__(url, mount, **options)
        self.api_key, self.secret, self.name = api_key, secret, name

    def headers(self, method: str, target: str, body: bytes) -> dict[str, str]:
        """Return the signature."""
        return {self.name: f"ApiKey {self.api_key}:{sign(method, target, body, self.secret)}"}

    @property
    def myself(self) -> Json:
        """The worker as the server has it."""
        (found,) = self.objects("worker/")
        return found


class Person(Caller):
    """Logs in with the form, as a browser does; then its requests carry the form token."""

    def __init__(self, url: str, name: str, password: str = PASSWORD, **options: Any) -> None:
        super().__init__(url, **options)
        self.reply = self.log_in(name, password)

    def log_in(self, name: str, password: str, wanted: str = "/somewhere/") -> httpx2.Response:
        """Send the form."""
        page = self.client.get(self.mount + "/accounts/login/", params={"next": wanted})
        assert page.status_code == 200
        token = re.search(r'name="csrfmiddlewaretoken" value="([^"]+)"', page.text)
        assert token is not None
        return self.client.post(
            self.mount + "/accounts/login/",
            data={
                "username": name, "password": password,
                "csrfmiddlewaretoken": token.group(1), "next": wanted,
            },
        )  # fmt: skip

    def headers(self, method: str, target: str, body: bytes) -> dict[str, str]:
        """Return the form token."""
        del target, body
        token = self.client.cookies.get("csrftoken")
        return {"X-CSRFToken": token} if token and method != "GET" else {}
