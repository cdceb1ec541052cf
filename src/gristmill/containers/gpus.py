"""What a container needs of the node to reach NVIDIA GPUs: device nodes and driver libraries."""

import glob
import os
import re
import subprocess

from gristmill.containers.run import Bind

LIBRARIES = "/usr/local/lib/gristmill-gpu"
"""Where the driver's libraries appear inside."""

_CONTROL = ("nvidiactl", "nvidia-uvm", "nvidia-uvm-tools", "nvidia-modeset", "nvidia-caps")
_LIBRARY = re.compile(
    r"^\s*((?:libcuda|libcudadebugger|libnvidia-(?!container)\S+?|libnvcuvid|libnvoptix)"
    r"\.so[.\d]*) .*=> (/\S+)$",
    re.MULTILINE,
)


def device_nodes(gpus: tuple[int, ...], folder: str = "/dev") -> list[str]:
    """Return the existing device nodes for these GPUs, with those all of them share."""
    names = [*_CONTROL, *(f"nvidia{index}" for index in gpus)]
    paths = [os.path.join(folder, name) for name in names]
    return [path for path in paths if os.path.exists(path)] if gpus else []


def driver_binds() -> list[Bind]:
    """Return read-only binds of the driver's libraries and of nvidia-smi, where installed."""
    ldconfig = next(iter(glob.glob("/sbin/ldconfig") + glob.glob("/usr/sbin/ldconfig")), None)
    if ldconfig is None:
        return []
    cache = subprocess.run([ldconfig, "-p"], capture_output=True, text=True, check=False).stdout
    return libraries_in(cache)


def libraries_in(cache: str) -> list[Bind]:
    """Return binds for the driver libraries that the text of ``ldconfig -p`` lists."""
    found = dict(reversed(_LIBRARY.findall(cache)))
    return [Bind(path, f"{LIBRARIES}/{name}", writable=False) for name, path in found.items()]
