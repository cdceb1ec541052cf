import os
import tempfile

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gristmill.containers.names import check_name, folder_name, spellings
from gristmill.containers.paths import clamp_link, resolve_inside
from gristmill.domain.errors import InvalidInputError

NAMES = st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=512)


@given(NAMES)
def test_folder_names_are_safe(name: str) -> None:
    folder = folder_name(name)
    assert 1 <= len(folder) <= 80
    assert set(folder) <= set("abcdefghijklmnopqrstuvwxyz0123456789-")
    assert not folder.startswith("-")


@given(NAMES, NAMES)
def test_different_names_have_different_folders(one: str, other: str) -> None:
    assert (folder_name(one) == folder_name(other)) == (one == other)
    assert folder_name("A/b") != folder_name("a/b")


@pytest.mark.parametrize(
    "name",
    ["eoscprominence/testpi", "localhost/bb:1", "a/b:tag@sha256:" + "0" * 64, "/cvmfs/x.sif",
     "../../etc/passwd", "docker://x", "host:5000/a b", "ä/ö:1", "n" * 512],
)  # fmt: skip
def test_names_that_are_taken(name: str) -> None:
    assert check_name(name) == name


@pytest.mark.parametrize("name", ["", " a", "a\n", "a\0b", "a\x7f", "\ud800", "n" * 513])
def test_names_that_are_refused(name: str) -> None:
    with pytest.raises(InvalidInputError) as caught:
        check_name(name)
    assert caught.value.field == "name"


def test_spellings() -> None:
    assert spellings("a/b") == ["a/b", "a/b:latest"]
    assert spellings("docker://a:latest") == ["docker://a:latest", "a:latest", "a"]
    assert spellings("host:5000/a") == ["host:5000/a", "host:5000/a:latest"]
    assert spellings("a@sha256:00") == ["a@sha256:00"]


PARTS = st.lists(st.sampled_from(["..", ".", "a", "b", ""]), min_size=1, max_size=12)


@given(PARTS, PARTS)
def test_clamped_links_never_climb_above_the_root(location: list[str], target: list[str]) -> None:
    where = "/".join(part for part in location if part != "..")
    if not where:
        return
    clamped = clamp_link(where, "/".join(target))
    if clamped.startswith("/"):
        return
    depth = len([part for part in where.split("/")[:-1] if part not in {"", "."}])
    for part in clamped.split("/"):
        depth += {"..": -1, ".": 0, "": 0}.get(part, 1)
        assert depth >= 0


LINKS = st.lists(
    st.tuples(
        st.sampled_from(["a", "b", "d/a", "d/b", "d/e/a"]),
        st.sampled_from(["/", "..", "../..", "/d", "d/a", "../../../tmp", "/etc", "a", "./b/../a"]),
    ),
    max_size=6,
)


@given(LINKS, st.lists(st.sampled_from(["a", "b", "d", "e", "..", ".", "x"]), max_size=10))
def test_resolved_paths_never_leave_the_root(links: list[tuple[str, str]], path: list[str]) -> None:
    with tempfile.TemporaryDirectory() as folder:
        root = os.path.join(os.path.realpath(folder), "root")
        os.makedirs(f"{root}/d/e")
        for name, target in links:
            if not os.path.lexists(f"{root}/{name}"):
                os.symlink(target, f"{root}/{name}")
        try:
            resolved = resolve_inside(root, "/".join(path))
        except InvalidInputError:
            return
        assert resolved == root.rstrip("/") or resolved.startswith(f"{root}/")
        assert os.path.realpath(resolved) == os.path.normpath(resolved)
