import os
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.containers.rootfs import busybox_rootfs


@pytest.fixture
def shared() -> Iterator[Path]:
    """A folder that every user may enter; pytest's own are private."""
    folder = Path(tempfile.mkdtemp(prefix="gristmill-test-"))
    folder.chmod(0o755)
    yield folder
    shutil.rmtree(folder)


@pytest.fixture(scope="session")
def rootfs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A busybox root file system; copy it or leave it as it is."""
    return busybox_rootfs(tmp_path_factory.mktemp("busybox") / "rootfs")


needs_root = pytest.mark.skipif(os.geteuid() != 0, reason="needs root to become somebody else")
