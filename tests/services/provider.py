"""A real OpenID Connect provider on this machine, and people who log in there."""

import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any
from urllib.parse import parse_qs, urlsplit

import httpx2

BACK = "http://client.example/back"
CLIENT = ("client", "secret")
LIMIT = 60.0


class Provider:
    """The provider's address, and its doors."""

    def __init__(self, url: str) -> None:
        self.url = url
        self._http = httpx2.Client(base_url=url, trust_env=False)

    def log_in(self, sub: str, **claims: Any) -> str:
        """Return an access token of a user with these claims."""
        if claims:
            done = self._http.put(f"/users/{sub}", json=claims)
            assert done.status_code == 204, done.text
        query = {
            "client_id": CLIENT[0],
            "redirect_uri": BACK,
            "response_type": "code",
            "scope": "openid profile email groups entitlements",
        }
        sent = self._http.post("/oauth2/authorize", params=query, data={"sub": sub})
        assert sent.status_code == 302, sent.text
        (code,) = parse_qs(urlsplit(sent.headers["location"]).query)["code"]
        form = {"grant_type": "authorization_code", "code": code, "redirect_uri": BACK}
        reply = self._http.post("/oauth2/token", data=form, auth=CLIENT)
        assert reply.status_code == 200, reply.text
        token: str = reply.json()["access_token"]
        return token

    def wait(self, limit: float) -> None:
        """Return once it answers."""
        deadline = time.monotonic() + limit
        while True:
            try:
                self._http.get("/.well-known/openid-configuration").raise_for_status()
            except httpx2.TransportError:
                assert time.monotonic() < deadline, "the provider did not start"
                time.sleep(0.05)
            else:
                return

    def revoke(self, sub: str) -> None:
        """Make the user's tokens invalid."""
        assert self._http.post(f"/users/{sub}/revoke-tokens").status_code == 204

    def close(self) -> None:
        """Close the connections."""
        self._http.close()


@contextmanager
def running_provider() -> Iterator[Provider]:
    """Run a provider, in a process of its own, until the end of the block."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    command = [sys.executable, "-W", "ignore", "-m", "oidc_provider_mock", "--port", str(port)]
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    provider = Provider(f"http://127.0.0.1:{port}")
    try:
        provider.wait(LIMIT)
        yield provider
    finally:
        provider.close()
        process.terminate()
        process.wait()
