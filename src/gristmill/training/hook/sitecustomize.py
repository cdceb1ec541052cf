"""Makes mlbench_core post its metrics to ``MLBENCH_API_URL``, outside of the cluster it expects.

Python imports the first ``sitecustomize`` on its path when it starts. The library's logger is
changed as soon as it has been imported; a program that does not use the library notices nothing.
"""

import importlib.machinery
import importlib.util
import os
import sys
from collections.abc import Sequence
from importlib.abc import Loader, MetaPathFinder
from types import ModuleType

LOGGER = "mlbench_core.utils.log_metrics"
HERE = os.path.dirname(os.path.abspath(__file__))


class _Pointing(Loader):
    """Loads the logger as it is, then gives it a client of its own."""

    def __init__(self, inner: Loader) -> None:
        self._inner = inner

    def create_module(self, spec: importlib.machinery.ModuleSpec) -> ModuleType | None:
        return self._inner.create_module(spec)

    def exec_module(self, module: ModuleType) -> None:
        self._inner.exec_module(module)
        point(module)


class _Finder(MetaPathFinder):
    def find_spec(
        self,
        name: str,
        path: Sequence[str] | None,
        target: ModuleType | None = None,
    ) -> importlib.machinery.ModuleSpec | None:
        if name != LOGGER:
            return None
        spec = importlib.machinery.PathFinder.find_spec(name, path, target)
        if spec is not None and spec.loader is not None:
            spec.loader = _Pointing(spec.loader)
        return spec


def point(module: ModuleType) -> None:
    """Let the logger of this module post to the address that the run was told."""
    url = os.environ.get("MLBENCH_API_URL", "").rstrip("/")
    logger = module.LogMetrics
    if not url or logger.in_cluster:
        return
    address = url.partition("://")[2].removesuffix("/api")
    logger.api = module.ApiClient(in_cluster=False, url=address, load_config=False)
    # The client knows no TLS; the address itself says what it speaks.
    logger.api.endpoint = f"{url}/"
    logger.in_cluster = True


def _import_hidden() -> None:
    """Run the ``sitecustomize`` that this one hides."""
    path = [folder for folder in sys.path if os.path.abspath(folder or ".") != HERE]
    spec = importlib.machinery.PathFinder.find_spec("sitecustomize", path)
    if spec is not None and spec.loader is not None:
        spec.loader.exec_module(importlib.util.module_from_spec(spec))


if os.environ.get("MLBENCH_API_URL"):
    sys.meta_path.insert(0, _Finder())
_import_hidden()
