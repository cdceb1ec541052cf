"""How the client that mounts S3 stores is called."""

import os

from gristmill.agent.remote import Access, Place
from gristmill.agent.steps import DEFAULT_PATH
from gristmill.domain.job import Mount, MountTarget

CLIENT = "s3fs"


def client_words(
    place: Place, point: str, access: Access, mount: Mount, target: MountTarget, cache: str
) -> list[str]:
    """Return the words that show a place at a folder, in the foreground.

    cache: the folder where files are kept, empty when they are not.
    """
    options = _options(access, mount, target, cache)
    return [CLIENT, f"{place.bucket}:{place.path or '/'}", point, "-f", *options]


def _options(access: Access, mount: Mount, target: MountTarget, cache: str) -> list[str]:
    """Return the client's options."""
    options = [
        f"retries={max(1, mount.retries)}",
        "umask=0022",
        "mp_umask=0022",
        "connect_timeout=20",
    ]
    if not target.write:
        options.append("ro")
    if access.endpoint:
        options += [f"url={access.endpoint}", "use_path_request_style"]
    if access.region:
        options.append(f"endpoint={access.region}")
    if not access.access_key:
        options.append("public_bucket=1")
    if access.token:
        options.append("use_session_token")
    if cache:
        options.append(f"use_cache={cache}")
    if os.geteuid() == 0:
        options.append("allow_other")
    if mount.verbose:
        options.append("dbglevel=info")
    return [word for option in options for word in ("-o", option)]


def client_variables(access: Access) -> dict[str, str]:
    """Return the environment of a helper: nothing of the job's, and no files but those meant."""
    variables = {"PATH": os.environ.get("PATH", DEFAULT_PATH), "HOME": "/nonexistent"}
    if access.access_key:
        variables["AWS_ACCESS_KEY_ID"] = access.access_key
        variables["AWS_SECRET_ACCESS_KEY"] = access.secret_key
    if access.token:
        variables["AWS_SESSION_TOKEN"] = access.token
    return variables
