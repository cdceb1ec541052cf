"""``gristmill data``, ``model``, ``notebook``, ``script``: objects, and what is done with them."""

import json
import sys
from collections.abc import Sequence
from typing import Annotated, Any

import typer

from gristmill.cli.session import Session
from gristmill.domain.errors import ConflictError, InvalidInputError, NotFoundError

A_WAIT = 20
"""Seconds of one request that waits for the end of a task; then another follows."""

Name = Annotated[str, typer.Argument(metavar="NAME")]
File = Annotated[str, typer.Argument(metavar="FILE", help="- for standard input.")]
Output = Annotated[
    str | None, typer.Option("--output", "-o", metavar="FILE", help="Write there instead.")
]
Bucket = Annotated[str, typer.Option(metavar="NAME", help="Another bucket than the default one.")]
Wait = Annotated[bool, typer.Option(help="Wait for the end.")]
_Params = list[tuple[str, str]]


def put_table(
    session: Session,
    name: Name,
    file: File,
    *,
    replace: Annotated[bool, typer.Option(help="Instead of adding rows.")] = False,
    orient: Annotated[str | None, typer.Option(help="As in pandas; JSON only.")] = None,
    document: Annotated[
        bool, typer.Option("--document", help="The JSON is no table, but a value to keep.")
    ] = False,
    bucket: Bucket = "",
) -> None:
    """Store a table: JSON with data, dtypes and index, or CSV with a header."""
    body = _read(file)
    if document:
        body = b'{"kind":"python.data","data":' + body + b"}"
    elif file.lower().endswith(".csv"):
        body, orient = _from_csv(body), "list"
    params = [("append", "false" if replace else "true")]
    if orient is not None:
        params.append(("orient", orient))
    made = _ask(session, "PUT", f"datasets/{name}", bucket, params, body)
    what = "documents" if document else "rows"
    _say(session, made, f"{made['name']}: {made['rows']} {what}, version {made['version']}")


def get_table(
    session: Session,
    name: Name,
    *,
    columns: Annotated[str | None, typer.Option(help="x,y or a:b or ^y.")] = None,
    where: Annotated[list[str] | None, typer.Option(help="Such as x__gt=3; repeat it.")] = None,
    skip: Annotated[int, typer.Option(min=0)] = 0,
    limit: Annotated[int | None, typer.Option(min=0)] = None,
    orient: Annotated[str, typer.Option(help="As in pandas.")] = "records",
    output: Output = None,
    bucket: Bucket = "",
) -> None:
    """Print rows as JSON."""
    params = [("orient", orient), ("skip", str(skip))]
    params += [("where", condition) for condition in where or ()]
    params += [("columns", columns)] if columns is not None else []
    params += [("limit", str(limit))] if limit is not None else []
    _write(output, _send(session, "GET", f"datasets/{name}/rows", bucket, params))


def make_model(
    session: Session,
    name: Name,
    steps: Annotated[
        list[str], typer.Argument(metavar="STEP…", help="CLASS, or CLASS={…} with arguments.")
    ],
    *,
    bucket: Bucket = "",
) -> None:
    """Make a model of scikit-learn's estimators, such as: StandardScaler Ridge='{"alpha": 2}'."""
    body = _encode({"name": name, "pipeline": [_step(text) for text in steps]})
    made = _ask(session, "POST", "models", bucket, [], body)
    _say(session, made, f"{made['name']}: version {made['version']}")


def fit(
    session: Session,
    name: Name,
    datax: Annotated[str, typer.Argument(metavar="X", help="A table, such as sample[x,y].")],
    datay: Annotated[str | None, typer.Argument(metavar="Y")] = None,
    *,
    tag: Annotated[str | None, typer.Option(help="Names the new version.")] = None,
    bucket: Bucket = "",
    wait: Wait = True,
) -> None:
    """Fit a model with stored tables."""
    params = [("datax", datax), ("wait", "0")]
    params += [("datay", datay)] if datay is not None else []
    params += [("tag", tag)] if tag is not None else []
    _task(session, f"models/{name}/fit", bucket, params, None, wait=wait)


def predict(
    session: Session,
    name: Name,
    data: Annotated[str, typer.Argument(metavar="X", help="A table, or a JSON file, or -.")],
    *,
    action: Annotated[str, typer.Option(help="Such as predict_proba.")] = "predict",
    bucket: Bucket = "",
) -> None:
    """Print what a model says of a stored table, or of rows in a file."""
    inline = data == "-" or data.lower().endswith(".json")
    params = [] if inline else [("datax", data)]
    body = _read(data) if inline else None
    _write(None, _send(session, "POST", f"models/{name}/{action}", bucket, params, body))


def versions(session: Session, name: Name, *, bucket: Bucket = "") -> None:
    """List the versions of a model, newest first."""
    found = _ask(session, "GET", f"models/{name}/versions", bucket)["versions"]
    if session.output.as_json:
        session.output.json(found)
        return
    rows = (
        (each["version"], each["commit"][:12], " ".join(each["tags"]), each["action"], each["job"],
         " ".join(source["name"] for source in each["sources"]), each["created_at"])
        for each in found
    )  # fmt: skip
    session.output.table(("VERSION", "COMMIT", "TAGS", "BY", "JOB", "FROM", "CREATED"), rows)


def put_notebook(session: Session, name: Name, file: File, *, bucket: Bucket = "") -> None:
    """Store a notebook: an .ipynb file, or Python for a single cell."""
    data = _read(file)
    if file.endswith(".py"):
        body = _encode({"code": data.decode()})
    else:
        body = b'{"content":' + data + b"}"
    made = _ask(session, "PUT", f"notebooks/{name}", bucket, [], body)
    _say(session, made, f"{made['name']}: version {made['version']}")


def run_notebook(session: Session, name: Name, *, bucket: Bucket = "", wait: Wait = True) -> None:
    """Run a notebook in a fresh kernel."""
    _task(session, f"notebooks/{name}/run", bucket, [("wait", "0")], None, wait=wait)


def notebook_runs(session: Session, name: Name, *, bucket: Bucket = "") -> None:
    """List the runs of a notebook, oldest first."""
    found = _ask(session, "GET", f"notebooks/{name}/runs", bucket)["runs"]
    if session.output.as_json:
        session.output.json(found)
        return
    rows = ((r["run"], r["status"], r["job"], r["ended_at"], r["message"]) for r in found)
    session.output.table(("RUN", "STATUS", "JOB", "ENDED", "MESSAGE"), rows)


def get_notebook(
    session: Session,
    name: Name,
    *,
    run: Annotated[int | None, typer.Option(help="That run's executed copy.")] = None,
    html: Annotated[bool, typer.Option("--html", help="As a page of its own.")] = False,
    output: Output = None,
    bucket: Bucket = "",
) -> None:
    """Print a notebook, or an executed copy."""
    params = [("run", str(run))] if run is not None else []
    what = "html" if html else "content"
    _write(output, _send(session, "GET", f"notebooks/{name}/{what}", bucket, params))


def put_script(session: Session, name: Name, file: File, *, bucket: Bucket = "") -> None:
    """Store a script: Python with run(om, *args, **kwargs), or a source distribution."""
    data = _read(file)
    if file.endswith(".gz"):
        sent = _send(session, "PUT", f"scripts/{name}", bucket, [], data, "application/gzip")
    else:
        body = _encode({"code": data.decode()})
        sent = _send(session, "PUT", f"scripts/{name}", bucket, [], body)
    made = json.loads(sent)
    _say(session, made, f"{made['name']}: version {made['version']}")


def run_script(
    session: Session,
    name: Name,
    argument: Annotated[list[str] | None, typer.Argument(metavar="NAME=VALUE…")] = None,
    *,
    body: Annotated[str, typer.Option(metavar="JSON", help="Its first argument.")] = "{}",
    bucket: Bucket = "",
    wait: Wait = True,
) -> None:
    """Run a script; its result is printed."""
    params = [("wait", "0"), *(("argument", each) for each in argument or ())]
    _task(session, f"scripts/{name}/run", bucket, params, body.encode(), wait=wait)


def lister(kind: str) -> Any:
    """Return the command that lists objects."""

    def show(session: Session, *, bucket: Bucket = "") -> None:
        found: list[Any] = []
        while True:
            params = [("limit", "1000"), ("offset", str(len(found)))]
            page = _ask(session, "GET", kind, bucket, params)
            found += page["objects"]
            if len(found) >= page["total"] or not page["objects"]:
                break
        if session.output.as_json:
            session.output.json(found)
            return
        rows = ((each["name"], each["version"], each["modified_at"]) for each in found)
        session.output.table(("NAME", "VERSION", "MODIFIED"), rows)

    show.__doc__ = f"List {kind}."
    return show


def remover(kind: str) -> Any:
    """Return the command that deletes an object."""

    def remove(session: Session, name: Name, *, bucket: Bucket = "") -> None:
        _send(session, "DELETE", f"{kind}/{name}", bucket, [])
        if session.output.as_json:
            session.output.json({"removed": name})

    remove.__doc__ = f"Delete one of the {kind}."
    return remove


def _task(
    session: Session, path: str, bucket: str, params: _Params, body: bytes | None, *, wait: bool
) -> None:
    task = _ask(session, "POST", path, bucket, params, body)
    while wait and task["ended_at"] is None:
        more = [("wait", str(A_WAIT))]
        reply = _send(session, "GET", f"tasks/{task['id']}", bucket, more, wait=A_WAIT)
        task = json.loads(reply)
    if wait and task["state"] != "complete":
        error = InvalidInputError if task["refused"] else ConflictError
        raise error(f"task {task['id']} (job {task['job']}): {task['message']}")
    if session.output.as_json or not wait or task["result"] is None:
        session.output.json(task)
    else:
        session.output.json(task["result"])


def _send(
    session: Session,
    method: str,
    path: str,
    bucket: str,
    params: Sequence[tuple[str, str]],
    body: bytes | None = None,
    media_type: str = "application/json",
    wait: float = 600.0,
) -> bytes:
    query = [*params, ("bucket", bucket)] if bucket else params
    sent: bytes = session.client.send(
        method, f"/v1/{path}", params=query, body=body, media_type=media_type, wait=wait
    )
    return sent


def _ask(
    session: Session,
    method: str,
    path: str,
    bucket: str,
    params: Sequence[tuple[str, str]] = (),
    body: bytes | None = None,
) -> Any:
    return json.loads(_send(session, method, path, bucket, params, body))


def _encode(value: object) -> bytes:
    return json.dumps(value).encode()


def _say(session: Session, made: Any, line: str) -> None:
    if session.output.as_json:
        session.output.json(made)
    else:
        session.output.line(line)


def _read(file: str) -> bytes:
    if file == "-":
        return sys.stdin.buffer.read()
    try:
        with open(file, "rb") as opened:
            return opened.read()
    except FileNotFoundError as error:
        raise NotFoundError(f"there is no file {file}") from error
    except OSError as error:
        raise InvalidInputError(f"cannot read {file}: {error.strerror}") from error


def _write(file: str | None, data: bytes) -> None:
    if file is None:
        sys.stdout.buffer.write(data + b"\n")
        return
    with open(file, "wb") as opened:
        opened.write(data)


def _from_csv(data: bytes) -> bytes:
    """Return the columns of a CSV file; whole columns of numbers become numbers."""
    import csv

    header, *rows = list(csv.reader(data.decode().splitlines())) or [[]]
    if any(len(row) != len(header) for row in rows):
        raise InvalidInputError(f"every line of the CSV must have {len(header)} values")
    columns = {name: _numbers([row[at] for row in rows]) for at, name in enumerate(header)}
    return _encode({"data": columns, "orient": "list"})


def _numbers(texts: list[str]) -> Sequence[object]:
    for kind in (int, float):
        try:
            return [kind(text) if text else None for text in texts]
        except ValueError:
            continue
    return [text or None for text in texts]


def _step(text: str) -> list[object]:
    name, equals, arguments = text.partition("=")
    try:
        return [name, json.loads(arguments) if equals else {}]
    except ValueError as error:
        raise InvalidInputError(f"{text!r}: the arguments are no JSON: {error}") from error
