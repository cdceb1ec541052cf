"""The process of a script's job: its environment made ready, its ``run`` called."""

import importlib
import importlib.util
import json
import os
import shutil
import subprocess
import sys
import tarfile
import time
import traceback
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any

from gristmill.workers.blobs import blobs_at
from gristmill.workers.handle import Om
from gristmill.workers.refusals import RefusedError
from gristmill.workers.task_folder import read_question, write_answer, write_refusal
from gristmill.workers.wire import Header

MARK = ".complete"
STATUSES = range(400, 600)
"""What a script may raise beside its message: ``raise ValueError("not here", 404)``."""

LONGEST_MESSAGE = 20_000


def environment_of(header: Header) -> Path:
    """Return the folder with the script's modules, made when it is not there yet."""
    place: Path = Path(header["environments"]) / header["script"].replace("/", "-")
    if (place / MARK).exists():
        return place
    place.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    fresh = place.with_name(f"{place.name}.{os.getpid()}")
    shutil.rmtree(fresh, ignore_errors=True)
    fresh.mkdir(mode=0o700)
    data = blobs_at(header["root"]).read(header["script"])
    if header["form"] == "code":
        (fresh / f"{module_name(header['name'])}.py").write_bytes(data)
    else:
        _install(data, fresh)
    (fresh / MARK).touch()
    try:
        fresh.rename(place)
    except OSError:
        # Another run was quicker, and what it made is the same.
        shutil.rmtree(fresh, ignore_errors=True)
    return place


def _install(data: bytes, target: Path) -> None:
    archive = target / "source.tar.gz"
    archive.write_bytes(data)
    source = target / "source"
    with tarfile.open(archive, "r:gz") as file:
        file.extractall(source, filter="data")
    (package,) = source.iterdir()
    words = [sys.executable, "-m", "pip", "install", "--quiet", "--no-build-isolation"]
    words += [
        "--disable-pip-version-check",
        "--no-warn-script-location",
        "--target",
        str(target),
        str(package),
    ]
    done = subprocess.run(words, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        raise RefusedError(
            f"the package cannot be installed: {done.stderr.strip()[-1500:]}", "script"
        )
    shutil.rmtree(source)
    archive.unlink()


def module_name(name: str) -> str:
    """Return what the script's module is called."""
    return name.rpartition("/")[2].replace("-", "_")


def load(header: Header, place: Path) -> ModuleType:
    """Import the script. Raises RefusedError when it has no ``run``."""
    sys.path.insert(0, str(place))
    name = module_name(header["name"])
    if importlib.util.find_spec(name) is None:
        found = [each.stem for each in place.iterdir() if (each / "__init__.py").exists()]
        name = found[0] if len(found) == 1 else name
    try:
        module = importlib.import_module(name)
    except ImportError as error:
        raise RefusedError(f"cannot import {name!r}: {error}", "script") from error
    if not callable(getattr(module, "run", None)):
        raise RefusedError(f"{name!r} has no run(om, *args, **kwargs)", "script")
    return module


def call(run: Callable[..., Any], header: Header, body: bytes) -> dict[str, Any]:
    """Return the result with its times and what it was made from.

    Raises RefusedError with what the script raised.
    """
    given = json.loads(body) if body.strip() else {}
    _check(header, "X", given)
    started = time.time()
    try:
        result = run(
            Om(header["socket"], header["token"], header["bucket"]), given, **header["kwargs"]
        )
    except Exception as error:
        traceback.print_exc()
        raise _refusal(error) from error
    ended = time.time()
    _check(header, "Y", result)
    return {
        "result": result,
        "runtimes": ended - started,
        "started": started,
        "ended": ended,
        "args": [given],
        "kwargs": header["kwargs"],
    }


def _check(header: Header, part: str, value: Any) -> None:
    if header.get("signature"):
        from gristmill.workers.signatures import check

        check(header["signature"], part, value)


def _refusal(error: Exception) -> RefusedError:
    """Return why a script failed: raised with a message and a status, both are told."""
    match error.args:
        case (said, int(code)) if not isinstance(code, bool) and code in STATUSES:
            told = {"code": code, "said": _shown(said)}
            text = said if isinstance(said, str) else json.dumps(told["said"])
            return RefusedError(text[:2000], "script", told=told)
    return RefusedError(f"{type(error).__name__}: {error}"[:2000], "script")


def _shown(said: Any) -> Any:
    """Return a message as JSON can show it."""
    try:
        text = json.dumps(said, allow_nan=False)
    except (TypeError, ValueError):
        return str(said)[:LONGEST_MESSAGE]
    return said if len(text) <= LONGEST_MESSAGE else f"{text[:LONGEST_MESSAGE]}…"


def main(words: list[str]) -> int:
    """Run the script of a task's folder."""
    folder = Path(words[0])
    question = read_question(folder)
    try:
        module = load(question.header, environment_of(question.header))
        reply = call(module.run, question.header, question.body)
        try:
            body = json.dumps(reply, allow_nan=False).encode()
        except (TypeError, ValueError) as error:
            raise RefusedError(f"the result is no JSON: {error}", "script") from error
    except RefusedError as error:
        write_refusal(folder, error)
        print(error, file=sys.stderr)
        return 1
    write_answer(folder, {}, body)
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
