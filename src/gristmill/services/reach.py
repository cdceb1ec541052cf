"""Under which address this server is reached: by its clients, and by jobs on the nodes."""

import re

_HOST = re.compile(r"[A-Za-z0-9._-]{1,255}(:[0-9]{1,5})?|\[[0-9A-Fa-f:.]{2,45}\](:[0-9]{1,5})?")


class Reach:
    """public_url: what an administrator said, such as ``https://mill.example``; '' for nothing."""

    def __init__(self, public_url: str = "") -> None:
        self._public = public_url.rstrip("/")
        self._listening = ""

    def listens_on(self, url: str) -> None:
        """Take note of an own address that nodes can reach."""
        self._listening = url

    def for_jobs(self) -> str:
        """Return the base URL that jobs use, without a slash at its end."""
        return self._public or self._listening

    def for_client(self, scheme: str, host: str) -> str:
        """Return the base URL that a client uses. host: of its request's Host header."""
        if self._public or not _HOST.fullmatch(host):
            return self.for_jobs()
        return f"{scheme}://{host}"
