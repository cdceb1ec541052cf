"""The commands for tables, models, notebooks and scripts, against a real server."""

import json
import subprocess
from pathlib import Path

from tests.e2e.harness import GRISTMILL, RunningServer, environment


def _say(server: RunningServer, *words: str, code: int = 0) -> str:
    done = subprocess.run(
        [*GRISTMILL, *words], env=environment(GRISTMILL_HOME=str(server.home)),
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == code, done.stdout + done.stderr
    assert "Traceback" not in done.stderr
    return done.stdout if code == 0 else done.stderr


def test_from_a_file_to_a_prediction(shared_server: RunningServer, tmp_path: Path) -> None:
    table = tmp_path / "sample.csv"
    table.write_text("x,y\n1,2\n2,4\n3,6\n")
    assert "3 rows, version 1" in _say(shared_server, "data", "put", "sample", str(table))
    found = json.loads(_say(shared_server, "data", "get", "sample", "--where", "x__gt=2"))
    assert found["data"] == [{"x": 3, "y": 6}]
    _say(shared_server, "model", "create", "m", "StandardScaler", 'Ridge={"alpha": 0.001}')
    words = ("model", "fit", "m", "sample[x]", "sample[y]", "--tag", "best")
    assert json.loads(_say(shared_server, *words)) == "ok"
    said = json.loads(_say(shared_server, "model", "predict", "m@best", "sample[x]"))
    assert [round(value) for value in said["result"]] == [2, 4, 6]
    versions = json.loads(_say(shared_server, "model", "versions", "m", "--json"))
    assert [each["action"] for each in versions] == ["fit", "create"]
    assert "NAME" in _say(shared_server, "model", "list")
    _say(shared_server, "model", "delete", "m")
    _say(shared_server, "model", "predict", "m", "sample[x]", code=5)


def test_a_document(shared_server: RunningServer, tmp_path: Path) -> None:
    file = tmp_path / "notes.json"
    file.write_text('{"a": [1, 2]}')
    words = ("data", "put", "notes", str(file), "--document")
    assert "1 documents, version 1" in _say(shared_server, *words)
    assert json.loads(_say(shared_server, "data", "get", "notes"))["data"] == [{"a": [1, 2]}]


def test_a_script_and_what_is_wrong_with_others(
    shared_server: RunningServer, tmp_path: Path
) -> None:
    script = tmp_path / "s.py"
    script.write_text("def run(om, *args, **kw):\n    return [args, kw]\n")
    _say(shared_server, "script", "put", "s", str(script))
    result = json.loads(_say(shared_server, "script", "run", "s", "a=b", "--body", "[1]"))
    assert result["result"] == [[[1]], {"a": "b"}]
    script.write_text("nothing = 1")
    assert "must define run" in _say(shared_server, "script", "put", "s", str(script), code=2)
    assert "no file" in _say(shared_server, "data", "put", "t", "/no/such", code=5)
    assert "os.system" in _say(shared_server, "model", "create", "m", "os.system", code=2)
