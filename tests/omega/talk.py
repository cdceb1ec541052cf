"""A client made of ``requests`` alone, as the interface's documents use it."""

import json
import time
import warnings
from typing import Any

import pandas as pd
import requests

from tests.e2e.harness import LIMIT, LOOK, RunningServer

Json = Any


class Auth(requests.auth.AuthBase):
    """What omega-ml's own client sends."""

    def __init__(self, user: str, key: str, qualifier: str = "default", bucket: str = "") -> None:
        self._user, self._key, self._qualifier, self._bucket = user, key, qualifier, bucket

    def __call__(self, request: requests.PreparedRequest) -> requests.PreparedRequest:
        request.headers["Authorization"] = f"ApiKey {self._user}:{self._key}"
        request.headers["Qualifier"] = self._qualifier
        if self._bucket:
            request.headers["Bucket"] = self._bucket
        return request


class Omega:
    """Talks to one server; paths are below ``/api/v1/``."""

    def __init__(self, server: RunningServer, auth: Auth | None = None) -> None:
        self.server, self.auth = server, auth
        self.root = f"{server.url_http}/api/v1/"

    def __call__(self, method: str, path: str, **options: Any) -> requests.Response:
        options.setdefault("auth", self.auth)
        url = path if path.startswith("http") else f"{self.root}{path}"
        return requests.request(method, url, timeout=LIMIT, **options)

    def ok(self, method: str, path: str, status: int, **options: Any) -> Json:
        """Return what a call answers; it must answer with the status."""
        reply = self(method, path, **options)
        assert reply.status_code == status, (reply.status_code, reply.text)
        return reply.json() if reply.content else None

    def refused(self, method: str, path: str, status: int, **options: Any) -> str:
        """Return why a call is refused, as text; it must be with the status."""
        reply = self(method, path, **options)
        assert reply.status_code == status, (reply.status_code, reply.text)
        said = reply.json()
        assert set(said) <= {"message", "errors", "response", "status", "task_id"}, said
        assert "Traceback" not in reply.text
        return " ".join([said["message"], *map(" ".join, said.get("errors", {}).items())])

    def put(self, name: str, frame: pd.DataFrame, *, append: bool = False) -> None:
        """Store a frame as the documents say."""
        self.ok("PUT", f"dataset/{name}/", 204, json=to_api(frame, append=append))

    def frame(self, name: str) -> pd.DataFrame:
        """Read a frame as the documents say."""
        said = self.ok("GET", f"dataset/{name}/", 200)
        frame = pd.DataFrame.from_dict(said["data"])
        frame.index = said["index"]["values"]
        return frame

    def task(self, reply: requests.Response) -> requests.Response:
        """Return the result of a task that was accepted, once it is there."""
        assert reply.status_code == 202, reply.text
        url = self.root.removesuffix("/api/v1/") + reply.headers["Location"]
        deadline = time.monotonic() + LIMIT
        while True:
            found = self("GET", url)
            if found.status_code != 200 or found.json()["status"] not in {"PENDING", "STARTED"}:
                return found
            assert time.monotonic() < deadline, found.text
            time.sleep(LOOK)


def to_api(frame: pd.DataFrame, *, append: bool = False) -> Json:
    """Return a frame in the form that the documents' snippet gives it."""
    with warnings.catch_warnings():
        # Later pandas will write times otherwise; clients of today write milliseconds.
        warnings.simplefilter("ignore", pd.errors.Pandas4Warning)
        data = json.loads(frame.to_json())
    return {
        "append": append,
        "data": data,
        "dtypes": {name: str(dtype) for name, dtype in frame.dtypes.to_dict().items()},
        "orient": "columns",
        "index": {
            "type": type(frame.index).__name__,
            "values": list(frame.index.astype("O").values),
        },
    }
