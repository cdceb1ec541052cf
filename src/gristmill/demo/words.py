"""The work of the demo's jobs: finding the names that a tree of Python sources uses most.

Runs as a plain script with nothing but Python itself, so that a job costs little more than its
own work: ``words.py split|count|merge|plot …``.
"""

import os
import re
import sys
from collections import Counter
from collections.abc import Iterator

NAME = re.compile(rb"[A-Za-z_][A-Za-z_0-9]*")
FOREIGN = frozenset({"site-packages", "dist-packages", "__pycache__"})
"""Folders inside the standard library's that do not belong to it."""

MOST_BARS = 20


def sources(root: str) -> list[str]:
    """Return the readable Python files below root, sorted."""
    found = []
    for folder, subfolders, files in os.walk(root):
        subfolders[:] = [name for name in subfolders if name not in FOREIGN]
        paths = (os.path.join(folder, name) for name in files if name.endswith(".py"))
        found += [path for path in paths if os.path.isfile(path) and os.access(path, os.R_OK)]
    return sorted(found)


def tally(paths: list[str]) -> Counter[bytes]:
    """Count every name in the files."""
    counts: Counter[bytes] = Counter()
    for path in paths:
        with open(path, "rb") as file:
            counts.update(NAME.findall(file.read()))
    return counts


def split(root: str, folder: str, chunks: int) -> None:
    """Write the lists ``folder/N.list``, each of about the same number of bytes."""
    lists: list[list[str]] = [[] for _ in range(chunks)]
    sizes = [0] * chunks
    for path in sorted(sources(root), key=os.path.getsize, reverse=True):
        smallest = sizes.index(min(sizes))
        lists[smallest].append(path)
        sizes[smallest] += os.path.getsize(path)
    for number, paths in enumerate(lists):
        _write(f"{folder}/{number}.list", b"\0".join(map(os.fsencode, paths)))


def count(folder: str, number: int) -> None:
    """Count the names in the files of ``folder/N.list`` into ``folder/N.counts``."""
    with open(f"{folder}/{number}.list", "rb") as file:
        paths = [os.fsdecode(path) for path in file.read().split(b"\0") if path]
    _write(f"{folder}/{number}.counts", _lines(tally(paths)))
    print(f"{len(paths)} files")


def merge(folder: str, chunks: int) -> None:
    """Add up the counts of all chunks into ``folder/words.tsv``, the most frequent first."""
    total: Counter[bytes] = Counter()
    for number in range(chunks):
        total.update(read_counts(f"{folder}/{number}.counts"))
    _write(f"{folder}/words.tsv", _lines(total))
    print(f"{total.total()} names, {len(total)} different")


def read_counts(path: str) -> dict[bytes, int]:
    """Return what count or merge wrote, in its order."""
    with open(path, "rb") as file:
        pairs = (line.split(b"\t") for line in file.read().splitlines())
        return {name: int(number) for name, number in pairs}


def plot(folder: str) -> None:
    """Draw the most frequent names of ``folder/words.tsv`` as ``folder/words.svg``."""
    counts = list(read_counts(f"{folder}/words.tsv").items())[:MOST_BARS]
    _write(f"{folder}/words.svg", "\n".join(_svg(counts)).encode())


def _lines(counts: Counter[bytes]) -> bytes:
    ranked = sorted(counts.items(), key=lambda item: (-item[1], item[0]))
    return b"".join(b"%s\t%d\n" % item for item in ranked)


def _svg(counts: list[tuple[bytes, int]]) -> Iterator[str]:
    longest = counts[0][1]
    height = 22 * len(counts) + 50
    yield f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 640 {height}"'
    yield ' font-family="sans-serif" font-size="13">'
    yield f'<rect width="640" height="{height}" fill="#fff"/>'
    yield '<text x="12" y="24" font-size="15">Names in the Python standard library</text>'
    for row, (name, number) in enumerate(counts):
        y, width = 22 * row + 40, 400 * number / longest
        yield f'<text x="118" y="{y + 14}" text-anchor="end">{name.decode()}</text>'
        yield f'<rect x="126" y="{y + 2}" width="{width:.1f}" height="16" fill="#3b6ea5"/>'
        yield f'<text x="{132 + width:.1f}" y="{y + 14}">{number:,}</text>'
    yield "</svg>"


def _write(path: str, data: bytes) -> None:
    """Write so that nobody ever reads half of it, and a repeated job does no harm."""
    fresh = f"{path}.{os.getpid()}.new"
    with open(fresh, "wb") as file:
        file.write(data)
    os.replace(fresh, path)


def main(words: list[str]) -> None:
    """Do the named step."""
    match words:
        case ["split", root, folder, chunks]:
            split(root, folder, int(chunks))
        case ["count", folder, number]:
            count(folder, int(number))
        case ["merge", folder, chunks]:
            merge(folder, int(chunks))
        case ["plot", folder]:
            plot(folder)
        case _:
            sys.exit(f"words.py: split, count, merge or plot, not {words}")


if __name__ == "__main__":
    main(sys.argv[1:])
