"""Archives of metrics."""

import io
import re
import zipfile
from collections.abc import Mapping, Sequence

import msgspec

from gristmill.dialects.mlbench.points import write_point
from gristmill.domain.metrics import Point

RESULT = "TaskResult"
OFFICIAL = "TaskResult @ 0"

Series = Mapping[str, Sequence[Point]]


class Archive:
    """A zip in the making; of names that clash the later ones are numbered."""

    def __init__(self) -> None:
        self._file = io.BytesIO()
        self._zip = zipfile.ZipFile(self._file, "w", zipfile.ZIP_DEFLATED)
        self._names: set[str] = set()

    def add_series(self, prefix: str, series: Series) -> None:
        """Add a file ``<prefix>_<metric>.json`` for each series."""
        for name, points in series.items():
            shown = [write_point(point) for point in points]
            text = msgspec.json.format(msgspec.json.encode(shown), indent=2)
            self._add(f"{prefix}_{name}", ".json", text)

    def add_run(self, series: Series) -> None:
        """Add a run's own series, and its official result if there is one."""
        self.add_series("result", {n: p for n, p in series.items() if RESULT not in n})
        if series.get(OFFICIAL):
            self._add("official_result", ".txt", series[OFFICIAL][-1].value.encode())

    def close(self) -> bytes:
        """Return the archive."""
        self._zip.close()
        return self._file.getvalue()

    def _add(self, stem: str, suffix: str, data: bytes) -> None:
        stem = re.sub(r"[\x00-\x1f/\\:]", "_", stem)[:200]
        name, number = stem + suffix, 2
        while name in self._names:
            name, number = f"{stem}_{number}{suffix}", number + 1
        self._names.add(name)
        # A fixed time: the same points make the same archive.
        self._zip.writestr(zipfile.ZipInfo(name, (1980, 1, 1, 0, 0, 0)), data, zipfile.ZIP_DEFLATED)


def file_name(of: str) -> str:
    """Return the name to save an archive under."""
    return f"metrics_{re.sub(r'[^A-Za-z0-9_.-]', '', of.replace(' ', '_')) or 'run'}.zip"
