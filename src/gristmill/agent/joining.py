"""``python -m gristmill.agent.joining``: run a command beside a container's first process.

Descriptor 3 is a file: it brings the plan as JSON, and takes back why nothing was run.
Everything before the command is run is out of the container's reach: it cannot see this
process, and its child cannot be traced until it is the command, with the rights of the first
process and no more. Nothing may be imported once the container's files are in sight.
"""

import ctypes
import fcntl
import json
import os
import signal
import sys
from typing import Any, Final, NamedTuple, NoReturn

CHANNEL: Final = 3
MOST_PLAN: Final = 64 << 20
NOT_FOUND, NOT_EXECUTABLE, FAILED = 127, 126, 125
"""Exit codes, as shells and container engines use them."""

_USER = 0x10000000
_KINDS = {
    "pid": 0x20000000,
    "net": 0x40000000,
    "ipc": 0x08000000,
    "uts": 0x04000000,
    "cgroup": 0x02000000,
    "mnt": 0x00020000,
}
"""Namespaces and the kernel's flags for them; the last one changes what paths mean."""

_GET_OWNER, _GET_PARENT = 0xB701, 0xB702
_SET_DEATH_SIGNAL, _SET_DUMPABLE, _KEEP_CAPABILITIES = 1, 4, 8
_BOUNDING_READ, _BOUNDING_DROP, _NO_NEW_PRIVILEGES, _AMBIENT = 23, 24, 38, 47
_AMBIENT_RAISE, _AMBIENT_CLEAR = 2, 4
_CAPABILITY_VERSION = 0x20080522

_libc = ctypes.CDLL(None, use_errno=True)


class EndedError(Exception):
    """The container's first process is gone."""


class Rights(NamedTuple):
    """What a process may do, in the terms of the user namespace it was looked at from.

    gains_none: set-user-id programs give it nothing.
    """

    uids: tuple[int, int, int]
    gids: tuple[int, int, int]
    groups: list[int]
    inheritable: int
    permitted: int
    effective: int
    bounding: int
    ambient: int
    gains_none: bool


class Place:
    """Where the first process of a container runs. Raises EndedError, OSError."""

    def __init__(self, pid: int, start: int) -> None:
        try:
            self._process = os.open(f"/proc/{pid}", os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        except FileNotFoundError as error:
            raise EndedError from error
        # From here on the descriptor means one process, so a look at its start is final.
        if int(self._read("stat").rpartition(b")")[2].split()[19]) != start:
            raise EndedError
        self._root = os.open("root", os.O_PATH | os.O_DIRECTORY, dir_fd=self._process)
        self._user = self._namespace("user")
        self._others = {name: self._namespace(name) for name in _KINDS}

    def environment(self) -> dict[bytes, bytes]:
        """Return the variables the process was started with."""
        pairs = (entry.partition(b"=") for entry in self._read("environ").split(b"\0"))
        return {name: value for name, _, value in pairs if name}

    def join(self) -> None:
        """Enter its namespaces; only a child is in its process namespace."""
        left = {
            name: descriptor
            for name, descriptor in self._others.items()
            if not _same(descriptor, _own(name))
        }
        own = _own("user")
        for level in _levels(own, self._user):
            if not _same(level, own):
                _check(_libc.setns(level, _USER), "user namespace")
            for name in [name for name, each in left.items() if _same(_owner(each), level)]:
                _check(_libc.setns(left.pop(name), _KINDS[name]), f"{name} namespace")
        if left:
            raise PermissionError(f"cannot enter the container's {', '.join(left)} namespace")

    def enter_root(self) -> None:
        """Make its root this process's own."""
        os.fchdir(self._root)
        os.chroot(".")

    def rights(self) -> Rights:
        """Return its rights in the terms of the user namespace this process is in now."""
        lines = (line.partition(b":") for line in self._read("status").splitlines())
        fields = {name.decode(): value.split() for name, _, value in lines}
        sets = {name: int(value[0], 16) for name, value in fields.items() if name[:3] == "Cap"}
        return Rights(
            uids=_three(fields["Uid"]),
            gids=_three(fields["Gid"]),
            groups=[int(each) for each in fields["Groups"]],
            inheritable=sets["CapInh"],
            permitted=sets["CapPrm"],
            effective=sets["CapEff"],
            bounding=sets["CapBnd"],
            ambient=sets["CapAmb"],
            gains_none=fields["NoNewPrivs"] == [b"1"],
        )

    def _namespace(self, name: str) -> int:
        return os.open(f"ns/{name}", os.O_RDONLY | os.O_CLOEXEC, dir_fd=self._process)

    def _read(self, name: str) -> bytes:
        descriptor = os.open(name, os.O_RDONLY | os.O_CLOEXEC, dir_fd=self._process)
        try:
            parts = []
            while part := os.read(descriptor, 1 << 16):
                parts.append(part)
            return b"".join(parts)
        except ProcessLookupError as error:
            raise EndedError from error
        finally:
            os.close(descriptor)


def _three(numbers: list[bytes]) -> tuple[int, int, int]:
    """Return the real, the effective and the saved id."""
    return int(numbers[0]), int(numbers[1]), int(numbers[2])


def _own(name: str) -> int:
    return os.open(f"/proc/self/ns/{name}", os.O_RDONLY | os.O_CLOEXEC)


def _same(one: int, other: int) -> bool:
    return os.path.samestat(os.fstat(one), os.fstat(other))


def _owner(namespace: int) -> int:
    """Return the user namespace whose root rules a namespace."""
    return fcntl.ioctl(namespace, _GET_OWNER)


def _levels(own: int, innermost: int) -> list[int]:
    """Return the user namespaces on the way to the innermost, our own first."""
    levels = [innermost]
    while not _same(levels[0], own):
        levels.insert(0, fcntl.ioctl(levels[0], _GET_PARENT))
    return levels


def _check(result: int, what: str) -> None:
    if result != 0:
        number = ctypes.get_errno()
        raise OSError(number, f"cannot enter the container's {what}: {os.strerror(number)}")


def _control(option: int, *values: int) -> int:
    """Call prctl. Raises OSError."""
    words = [ctypes.c_ulong(value) for value in (*values, 0, 0, 0, 0)[:4]]
    result: int = _libc.prctl(option, *words)
    if result < 0:
        number = ctypes.get_errno()
        raise OSError(number, f"cannot take over the container's rights: {os.strerror(number)}")
    return result


def take_over(rights: Rights) -> None:
    """Go down to these rights for good. Raises OSError."""
    for number in range(64):
        if not rights.bounding >> number & 1 and _in_bounding_set(number):
            _control(_BOUNDING_DROP, number)
    if sorted(os.getgroups()) != sorted(rights.groups):
        os.setgroups(rights.groups)
    _control(_KEEP_CAPABILITIES, 1)
    if os.getresgid() != rights.gids:
        os.setresgid(*rights.gids)
    if os.getresuid() != rights.uids:
        os.setresuid(*rights.uids)
    _control(_KEEP_CAPABILITIES, 0)
    _control(_AMBIENT, _AMBIENT_CLEAR)
    _set_capabilities(rights)
    for number in range(64):
        if rights.ambient >> number & 1:
            _control(_AMBIENT, _AMBIENT_RAISE, number)
    if rights.gains_none:
        _control(_NO_NEW_PRIVILEGES, 1)


def _in_bounding_set(number: int) -> bool:
    try:
        return _control(_BOUNDING_READ, number) == 1
    except OSError:
        return False  # more than this kernel has


def _set_capabilities(rights: Rights) -> None:
    header = (ctypes.c_uint32 * 2)(_CAPABILITY_VERSION, 0)
    halves = [
        each >> shift & 0xFFFFFFFF
        for shift in (0, 32)
        for each in (rights.effective, rights.permitted, rights.inheritable)
    ]
    if _libc.capset(header, (ctypes.c_uint32 * 6)(*halves)) != 0:
        number = ctypes.get_errno()
        raise OSError(number, f"cannot take over the container's rights: {os.strerror(number)}")


def execute(words: list[bytes], env: dict[bytes, bytes]) -> NoReturn:
    """Become the command, found along the environment's PATH, or leave with a word about it."""
    code, said = NOT_FOUND, b"not found"
    path = env.get(b"PATH", b"/usr/local/bin:/usr/bin:/bin")
    for folder in (b"",) if b"/" in words[0] else path.split(b":"):
        try:
            os.execve(os.path.join(folder, words[0]), words, env)
        except (FileNotFoundError, NotADirectoryError):
            continue
        except OSError as error:
            code, said = NOT_EXECUTABLE, (error.strerror or "not executable").encode()
    os.write(2, words[0] + b": " + said + b"\n")
    os._exit(code)


def run(plan: dict[str, Any]) -> int:
    """Run the plan's command; return its exit code. Raises EndedError, OSError."""
    place = Place(plan["pid"], plan["start"])
    given = {os.fsencode(name): os.fsencode(value) for name, value in plan["env"].items()}
    env = {**place.environment(), **given} if plan["root"] else given
    words = [os.fsencode(word) for word in plan["words"]]
    _control(_SET_DUMPABLE, 0)
    place.join()
    rights = place.rights()
    child = os.fork()
    if child == 0:
        try:
            if plan["root"]:
                place.enter_root()
            take_over(rights)
            _control(_SET_DEATH_SIGNAL, signal.SIGKILL)
            os.chdir(plan["cwd"])
        except BaseException as error:
            refuse(error)
        execute(words, env)
    # Outside the container's process namespace: it never sees this one, but the agent has to.
    _control(_SET_DUMPABLE, 1)
    _, status = os.waitpid(child, 0)
    code = os.waitstatus_to_exitcode(status)
    return code if code >= 0 else 128 - code


def refuse(error: BaseException) -> NoReturn:
    """Leave word of why nothing was run, and end."""
    ended = isinstance(error, EndedError | ProcessLookupError)
    text = "" if ended else getattr(error, "strerror", None) or str(error) or type(error).__name__
    os.pwrite(CHANNEL, json.dumps({"ended": ended, "error": text}).encode(), 0)
    os._exit(FAILED)


def main() -> NoReturn:
    """Carry out the plan that came with descriptor 3."""
    os.set_inheritable(CHANNEL, False)
    plan = json.loads(os.pread(CHANNEL, MOST_PLAN, 0))
    os.ftruncate(CHANNEL, 0)
    try:
        code = run(plan)
    except BaseException as error:
        refuse(error)
    sys.stderr.flush()
    os._exit(code)


if __name__ == "__main__":
    main()
