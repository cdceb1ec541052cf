"""Remote storage of a job, mounted by whatever client for it the node has."""

import asyncio
import os
import shutil

from gristmill.agent.member import Member
from gristmill.agent.sandbox import HOME, FailedError, Sandbox
from gristmill.agent.spawning import Helpers
from gristmill.containers.run import Bind
from gristmill.domain.clock import Chance
from gristmill.domain.outcome import MOUNT_FAILED
from gristmill.domain.staging import Storage

B2DROP = "https://b2drop.eudat.eu/remote.php/webdav/"
MOUNT_LIMIT = 30.0
LOOK = 0.1
"""Seconds a client has to mount, and between looks at whether it has: nothing tells."""

_PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"


class Storages:
    """Mounts before the tasks, unmounts after them."""

    def __init__(self, helpers: Helpers, chance: Chance) -> None:
        self._helpers, self._chance = helpers, chance

    async def mount(self, member: Member, sandbox: Sandbox, secrets: list[str]) -> None:
        """Show every storage of the job. Raises FailedError."""
        for number, (storage, secret) in enumerate(zip(member.spec.storage, secrets, strict=True)):
            place = os.path.join(sandbox.folder, f"storage-{number}")
            os.mkdir(place, 0o700)
            await self._mount(member, storage, secret, place)
            sandbox.mounted.append(place)
            if storage.inside is not None:
                sandbox.binds.append(Bind(place, storage.inside.rstrip("/")))
            if storage.default:
                sandbox.binds.append(Bind(place, HOME))

    async def _mount(self, member: Member, storage: Storage, secret: str, place: str) -> None:
        words, env = await self._call(storage, secret, place)
        env["GRISTMILL_MEMBER"] = member.env["GRISTMILL_MEMBER"]
        log = os.open(f"{place}.log", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            pid, ended = self._helpers.start(words, env, stdout=log, stderr=log)
            member.note_process(pid)
            deadline = self._chance.monotonic() + MOUNT_LIMIT
            while not _is_mounted(place):
                if ended.done() or self._chance.monotonic() > deadline:
                    said = os.pread(log, 1000, 0).decode(errors="replace").strip()
                    raise FailedError(MOUNT_FAILED, f"{words[0]}: {said or 'it does not mount'}")
                await asyncio.sleep(LOOK)
            # Clients mount first and log in when they are first asked for something.
            async with asyncio.timeout(MOUNT_LIMIT):
                await asyncio.to_thread(os.listdir, place)
        except (OSError, TimeoutError) as error:
            raise FailedError(MOUNT_FAILED, f"{words[0]}: {error or 'no answer'}") from error
        finally:
            os.close(log)

    async def _call(
        self, storage: Storage, secret: str, place: str
    ) -> tuple[list[str], dict[str, str]]:
        """Return the client's words and environment; secrets stay off the words."""
        env = {"PATH": _PATH, "HOME": os.path.dirname(place)}
        if storage.kind == "onedata":
            client = _find("oneclient")
            env |= {"ONECLIENT_ACCESS_TOKEN": secret, "ONECLIENT_PROVIDER_HOST": storage.url}
            return [client, "--foreground", place], env
        rclone = _find("rclone")
        env |= {
            "RCLONE_WEBDAV_URL": storage.url or B2DROP,
            "RCLONE_WEBDAV_USER": storage.username,
            "RCLONE_WEBDAV_PASS": await self._obscured(rclone, secret),
            "RCLONE_CONFIG": "/dev/null",
        }
        # What is only written goes out before its file is closed: nothing is lost at the end.
        words = [rclone, "mount", ":webdav:", place, "--vfs-cache-mode", "minimal"]
        return [*words, "--vfs-write-back", "0s", "--cache-dir", f"{place}.cache"], env

    async def _obscured(self, rclone: str, secret: str) -> str:
        """Return a password as rclone wants it written."""
        read, write = os.pipe2(os.O_CLOEXEC)
        asked, ask = os.pipe2(os.O_CLOEXEC)
        try:
            os.write(ask, secret.encode() + b"\n")
            os.close(ask)
            _, ended = self._helpers.start(
                [rclone, "obscure", "-"], {"PATH": _PATH}, stdin=asked, stdout=write
            )
            await ended
            os.close(write)
            return os.read(read, 1 << 16).decode().strip()
        finally:
            os.close(read)
            os.close(asked)

    async def unmount(self, sandbox: Sandbox) -> None:
        """Take every storage away again; what was written is sent first."""
        for place in sandbox.mounted:
            if _is_mounted(place):
                words = [_find_any("umount", "fusermount3", "fusermount"), place]
                if not words[0].endswith("/umount"):
                    words.insert(1, "-u")
                _, ended = self._helpers.start(words, {"PATH": _PATH})
                await ended
        sandbox.mounted.clear()


def _is_mounted(place: str) -> bool:
    return os.path.ismount(place)


def _find(name: str) -> str:
    found = shutil.which(name) or shutil.which(name, path=_PATH)
    if found is None:
        raise FailedError(MOUNT_FAILED, f"{name} is not installed on the node")
    return found


def _find_any(*names: str) -> str:
    return next((path for name in names if (path := shutil.which(name, path=_PATH))), names[0])
