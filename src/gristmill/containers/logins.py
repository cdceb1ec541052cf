"""Logins at image registries, as the engines' clients read them."""

import base64
import os
from typing import NamedTuple

import msgspec

DOCKER_HUB = "https://index.docker.io/v1/"
Login = tuple[str, str]


class PullCall(NamedTuple):
    """How an image is fetched ahead of its run. reference: what the run then names."""

    words: list[str]
    env: dict[str, str]
    reference: str


def registry_of(reference: str) -> str:
    """Return the host a reference is fetched from, or the name Docker Hub has in such files."""
    first, slash, _ = reference.rpartition("://")[2].partition("/")
    is_host = bool(slash) and ("." in first or ":" in first or first == "localhost")
    return first if is_host and first != "docker.io" else DOCKER_HUB


def write_login(path: str, reference: str, login: Login) -> None:
    """Write the file in which docker and podman look for logins. Raises OSError."""
    auth = base64.b64encode(f"{login[0]}:{login[1]}".encode()).decode()
    hosts = [registry_of(reference)]
    if hosts == [DOCKER_HUB]:
        hosts.append("docker.io")
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o600)
    with open(descriptor, "wb") as file:
        file.write(msgspec.json.encode({"auths": {host: {"auth": auth} for host in hosts}}))
