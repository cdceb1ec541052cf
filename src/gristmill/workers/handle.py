"""``om``: how a script reaches its owner's tables and models, through the server."""

from functools import cached_property
from typing import Any
from urllib.parse import quote

import httpx2
import pandas as pd

LIMIT = 600.0


class Om:
    """The stores of one owner. socket: of the server."""

    def __init__(self, socket: str, token: str, bucket: str) -> None:
        self._socket, self._token, self.bucket = socket, token, bucket

    @cached_property
    def _client(self) -> httpx2.Client:
        return httpx2.Client(
            base_url="http://gristmill",
            transport=httpx2.HTTPTransport(uds=self._socket),
            headers={"Authorization": f"Bearer {self._token}"},
            params={"bucket": self.bucket} if self.bucket else {},
            timeout=LIMIT,
            trust_env=False,
        )

    def ask(self, method: str, path: str, **more: Any) -> Any:
        """Return the JSON of a reply. Raises RuntimeError with the server's words."""
        reply = self._client.request(method, path, **more)
        if reply.status_code >= 400:
            raise RuntimeError(reply.json()["error"]["message"])
        return reply.json() if reply.content else None

    @property
    def datasets(self) -> "Datasets":
        """Tables."""
        return Datasets(self)

    @property
    def models(self) -> "Models":
        """Models."""
        return Models(self)


TABLE, DOCUMENTS = "pandas.dfrows", "python.data"


class Datasets:
    """Tables and documents by name."""

    def __init__(self, om: Om) -> None:
        self._om = om

    def list(self) -> "list[str]":
        """Return the names."""
        return [each["name"] for each in self._om.ask("GET", "/v1/datasets")["objects"]]

    def get(self, name: str, **filters: Any) -> Any:
        """Return a table, or the rows that meet filters such as ``x__gt=3``.

        Of what was put without being a table the list of all that was put.
        """
        params = {"orient": "list", "where": [f"{key}={value}" for key, value in filters.items()]}
        reply = self._om.ask("GET", f"/v1/datasets/{quote(name)}/rows", params=params)
        index = reply["index"]
        if index is None:
            return reply["data"]
        frame = pd.DataFrame(reply["data"])
        if index["type"] == "MultiIndex":
            frame.index = pd.MultiIndex.from_tuples(
                map(tuple, index["values"]), names=index["names"]
            )
        elif len(frame.columns):
            frame.index = pd.Index(index["values"])
        return frame

    def put(self, value: Any, name: str, *, append: bool = True) -> None:
        """Store a table, or anything else that JSON knows, after what is there or instead."""
        if isinstance(value, pd.DataFrame):
            document = {"kind": TABLE, "append": append, **self._table(value)}
        else:
            document = {"kind": DOCUMENTS, "append": append, "data": value}
        self._om.ask("PUT", f"/v1/datasets/{quote(name)}", json=document)

    def _table(self, frame: pd.DataFrame) -> dict[str, Any]:
        return {
            "data": {str(column): frame[column].tolist() for column in frame},
            "dtypes": {str(column): str(dtype) for column, dtype in frame.dtypes.items()},
            "orient": "list",
            "index": {"type": type(frame.index).__name__, "values": frame.index.tolist()},
        }

    def drop(self, name: str) -> None:
        """Delete a table."""
        self._om.ask("DELETE", f"/v1/datasets/{quote(name)}")


class Models:
    """Models by name."""

    def __init__(self, om: Om) -> None:
        self._om = om

    def list(self) -> "list[str]":
        """Return the names."""
        return [each["name"] for each in self._om.ask("GET", "/v1/models")["objects"]]

    def fit(self, name: str, datax: str, datay: str | None = None) -> Any:
        """Fit a model with stored tables."""
        data = {"datax": datax, **({"datay": datay} if datay else {})}
        return self._om.ask("POST", f"/v1/models/{quote(name)}/fit", params=data)

    def predict(self, name: str, datax: str) -> Any:
        """Return predictions for a stored table."""
        reply = self._om.ask("POST", f"/v1/models/{quote(name)}/predict", params={"datax": datax})
        return reply["result"]
