"""The work of the demo's jobs, on small trees."""

import subprocess
import sys
import xml.etree.ElementTree as ET
from collections import Counter
from pathlib import Path

import pytest

from gristmill.demo import words


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    root = tmp_path / "tree"
    (root / "inner").mkdir(parents=True)
    (root / "one.py").write_text("self self other_1 'self'\n")
    (root / "inner" / "two.py").write_bytes(b"other_1 \xff\xfe caf\xc3\xa9")
    (root / "inner" / "odd name\n.py").write_text("alone")
    (root / "empty.py").touch()
    (root / "not.txt").write_text("self")
    (root / "site-packages").mkdir()
    (root / "site-packages" / "foreign.py").write_text("self")
    (root / "dangling.py").symlink_to("nowhere")
    return root


EXPECTED = Counter({b"self": 3, b"other_1": 2, b"caf": 1, b"alone": 1})


def test_sources_are_the_readable_python_files_of_the_tree_itself(tree: Path) -> None:
    found = [Path(path).name for path in words.sources(str(tree))]
    assert sorted(found) == ["empty.py", "odd name\n.py", "one.py", "two.py"]


def test_tally_counts_every_name_whatever_the_bytes_around_it(tree: Path) -> None:
    assert words.tally(words.sources(str(tree))) == EXPECTED


@pytest.mark.parametrize("chunks", [1, 2, 7])
def test_chunks_add_up_to_the_whole(tree: Path, tmp_path: Path, chunks: int) -> None:
    folder = str(tmp_path)
    words.main(["split", str(tree), folder, str(chunks)])
    for number in range(chunks):
        words.main(["count", folder, str(number)])
    words.main(["merge", folder, str(chunks)])
    merged = words.read_counts(f"{folder}/words.tsv")
    assert merged == dict(EXPECTED)
    assert list(merged.values()) == sorted(merged.values(), reverse=True)


def test_merge_misses_no_chunk_silently(tmp_path: Path) -> None:
    (tmp_path / "0.counts").write_bytes(b"a\t1\n")
    with pytest.raises(FileNotFoundError):
        words.main(["merge", str(tmp_path), "2"])


def test_plot_is_a_picture_with_a_bar_for_each_name(tmp_path: Path) -> None:
    (tmp_path / "words.tsv").write_bytes(b"self\t30\ndef\t10\n")
    words.main(["plot", str(tmp_path)])
    picture = ET.parse(tmp_path / "words.svg").getroot()
    labels = [element.text for element in picture.iter("{http://www.w3.org/2000/svg}text")]
    assert labels[1:] == ["self", "30", "def", "10"]


def test_the_script_needs_nothing_but_python(tree: Path, tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-I", "-S", words.__file__, "split", str(tree), str(tmp_path), "1"],
        check=False, capture_output=True,
    )  # fmt: skip
    assert (done.returncode, done.stderr) == (0, b"")
    assert (tmp_path / "0.list").stat().st_size > 0


def test_an_unknown_step_is_refused() -> None:
    with pytest.raises(SystemExit, match="split, count, merge or plot"):
        words.main(["sort"])
