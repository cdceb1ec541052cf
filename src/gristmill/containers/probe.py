"""A tiny image that proves whether an engine works: one program that ends with a known code."""

import contextlib
import os
import platform
import struct
import subprocess
import tempfile

from gristmill.containers.assemble import make_standard_places
from gristmill.containers.images import Image
from gristmill.containers.run import ContainerEngine, ContainerRun
from gristmill.domain.errors import GristmillError, UnavailableError

ANSWER = 42
PATIENCE = 30.0

_BASE = 0x400000
_HEADERS = 64 + 56
_PROGRAMS = {
    # mov edi, 42; mov eax, 60 (exit); syscall
    "x86_64": (62, b"\xbf\x2a\x00\x00\x00\xb8\x3c\x00\x00\x00\x0f\x05"),
    # mov x0, 42; mov x8, 93 (exit); svc 0
    "aarch64": (183, b"\x40\x05\x80\xd2\xa8\x0b\x80\xd2\x01\x00\x00\xd4"),
}


def works(engine: ContainerEngine) -> bool:
    """Whether the engine really runs a container on this node, as this user.

    On processors for which there is no probe, an engine that is installed is trusted.
    """
    program = _program()
    if program is None:
        return True
    with tempfile.TemporaryDirectory(prefix="gristmill-probe-") as folder:
        rootfs = os.path.join(folder, "rootfs")
        os.mkdir(rootfs)
        make_standard_places(rootfs)
        path = os.path.join(rootfs, "probe")
        with open(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o755), "wb") as file:
            file.write(program)
        image = Image(name="probe", rootfs=rootfs, digest="sha256:probe", entrypoint=("/probe",))
        token = os.path.basename(folder)
        return _answers(engine, ContainerRun(image=image, token=token, scratch=folder))


def _answers(engine: ContainerEngine, run: ContainerRun) -> bool:
    try:
        done = subprocess.run(
            engine.command(run),
            env=engine.environment(run),
            stdin=subprocess.DEVNULL,
            capture_output=True,
            timeout=PATIENCE,
            check=False,
        )
    except (OSError, subprocess.TimeoutExpired, GristmillError):
        with contextlib.suppress(UnavailableError):
            engine.cleanup(run.token)
        return False
    return done.returncode == ANSWER


def _program() -> bytes | None:
    """Return a static program for this processor that does nothing but end with ANSWER."""
    known = _PROGRAMS.get(platform.machine())
    if known is None:
        return None
    machine, code = known
    size = _HEADERS + len(code)
    identity = b"\x7fELF\x02\x01\x01" + bytes(9)
    header = struct.pack(
        "<16sHHIQQQIHHHHHH",
        identity, 2, machine, 1, _BASE + _HEADERS, 64, 0, 0, 64, 56, 1, 0, 0, 0,
    )  # fmt: skip
    segment = struct.pack("<IIQQQQQQ", 1, 5, 0, _BASE, _BASE, size, size, 0x1000)
    return header + segment + code
