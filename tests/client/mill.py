"""A real HTTP server in this process that keeps the native interface's promises in memory."""

import itertools
import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, unquote, urlsplit

import msgspec

from gristmill.domain.job import JobSpec
from gristmill.domain.state import BY_WORD

TOKEN = "t" * 43
ENDED = ("complete", "buried", "cancelled")
NOW = "2026-03-01T12:00:00.250000Z"


class RefusalError(Exception):
    def __init__(self, status: int, code: str, message: str, field: str | None = None) -> None:
        super().__init__(message)
        self.status = status
        problem = {"code": code, "message": message, **({"field": field} if field else {})}
        self.document = {"error": problem}


class Mill:
    """What the server knows; tests steer it directly."""

    def __init__(self) -> None:
        self.changed = threading.Condition()
        self.jobs: dict[int, dict[str, Any]] = {}
        self.specs: dict[int, dict[str, Any]] = {}
        self.output: dict[tuple[int, str], bytes] = {}
        self.keys: dict[str, list[int]] = {}
        self.events: list[dict[str, Any]] = []
        self.seen: list[tuple[str, str, dict[str, str]]] = []
        self.tokens: list[dict[str, Any]] = []
        self.images: list[dict[str, Any]] = []
        self.lose_answers = 0
        self.unavailable = 0
        self.cut_after = 0
        self.closing = False

    def add(self, spec: dict[str, Any]) -> int:
        msgspec.convert(spec, JobSpec)
        number = len(self.jobs) + 1
        resources = {"cpus": 1.0, "memory": 1024, "disk": 0, "gpus": 0, "nodes": 1}
        self.specs[number] = spec
        self.jobs[number] = {
            "id": number,
            "name": spec.get("name", ""),
            "group": spec.get("group", ""),
            "state": "ready",
            "owner": "admin",
            "project": "",
            "dialect": "native",
            "priority": spec.get("priority", 0),
            "labels": spec.get("labels", {}),
            "command": spec.get("command", "")[:200],
            "resources": {**resources, "walltime": None, **spec.get("resources", {})},
            "created_at": NOW,
            "ready_at": None,
            "started_at": None,
            "ended_at": None,
            "exit_code": None,
            "reason": "",
            "attempts": 0,
            "retries_left": 0,
            "agent": None,
            "hostname": None,
            "pid": None,
            "cwd": None,
            "peak_memory": None,
            "cpu_seconds": None,
            "key": spec.get("key"),
        }
        return number

    def finish(self, number: int, state: str = "complete", exit_code: int = 0) -> None:
        with self.changed:
            self.jobs[number].update(state=state, exit_code=exit_code, attempts=1)
            self.jobs[number].update(
                started_at=NOW,
                ended_at=NOW,
                reason="" if state == "complete" else "command exited non-zero",
            )
            self.changed.notify_all()

    def write(self, number: int, data: bytes, stream: str = "stdout") -> None:
        with self.changed:
            self.output[number, stream] = self.output.get((number, stream), b"") + data
            self.changed.notify_all()

    def happen(self, kind: str, *jobs: int) -> None:
        with self.changed:
            event = {
                "id": len(self.events) + 1,
                "at": NOW,
                "kind": kind,
                "jobs": list(jobs),
                "data": {},
            }
            self.events.append(event)
            self.changed.notify_all()

    def ended(self, number: int) -> bool:
        return self.closing or self.jobs[number]["state"] in ENDED

    def counts(self, group: str | None) -> dict[str, Any]:
        counts = dict.fromkeys(BY_WORD, 0)
        for job in self.jobs.values():
            if group is None or job["group"] == group:
                counts[job["state"]] += 1
        return {"counts": counts, "total": sum(counts.values())}


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    mill: Mill

    def log_message(self, *_: object) -> None:
        pass

    def do_GET(self) -> None:
        self.dispatch()

    def do_POST(self) -> None:
        self.dispatch()

    def do_DELETE(self) -> None:
        self.dispatch()

    def dispatch(self) -> None:
        parts = urlsplit(self.path)
        self.query = parse_qs(parts.query, keep_blank_values=True)
        self.words = [unquote(word) for word in parts.path.split("/")[2:]]
        self.body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        self.mill.seen.append((self.command, self.path, dict(self.headers)))
        try:
            self.check()
            getattr(self, f"{self.command.lower()}_{self.words[0]}")(*self.words[1:])
        except RefusalError as refusal:
            self.reply(refusal.document, refusal.status)
        except (BrokenPipeError, ConnectionResetError):
            self.close_connection = True

    def check(self) -> None:
        if self.headers.get("Authorization") != f"Bearer {TOKEN}":
            raise RefusalError(401, "not_authenticated", "the token is not known")
        if self.mill.unavailable:
            self.mill.unavailable -= 1
            raise RefusalError(503, "unavailable", "the disk is full; free some space")

    def reply(self, document: Any, status: int = 200, **headers: str) -> None:
        if self.mill.lose_answers:
            self.mill.lose_answers -= 1
            self.close_connection = True
            return
        data = document if isinstance(document, bytes) else json.dumps(document).encode()
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name.replace("_", "-"), value)
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)

    def one(self, name: str, default: str | None = None) -> str | None:
        return self.query.get(name, [default])[0]

    def job(self, word: str) -> dict[str, Any]:
        try:
            return self.mill.jobs[int(word)]
        except (KeyError, ValueError):
            raise RefusalError(404, "not_found", f"there is no job {word}") from None

    def get_jobs(self, *rest: str) -> None:
        match rest:
            case ():
                self.list_jobs()
            case ("counts",):
                self.reply(self.mill.counts(self.one("group")))
            case (word,):
                job = self.job(word)
                detail = {
                    "spec": self.mill.specs[job["id"]],
                    "history": [],
                    "why": "it waits for an agent",
                }
                self.reply({**job, **detail})
            case (word, "wait"):
                job = self.job(word)
                with self.mill.changed:
                    timeout = float(self.one("timeout") or 0)
                    self.mill.changed.wait_for(lambda: self.mill.ended(job["id"]), timeout)
                self.reply(job)
            case (word, ("stdout" | "stderr") as stream):
                self.stream_output(self.job(word)["id"], stream)

    def list_jobs(self) -> None:
        states = (self.one("state") or "").split(",")
        wanted = [
            job
            for job in self.mill.jobs.values()
            if (states == [""] or job["state"] in states)
            and self.one("group") in (None, job["group"])
            and {f"{name}={word}" for name, word in job["labels"].items()}.issuperset(
                self.query.get("label", [])
            )
        ]
        if self.one("order") != "oldest":
            wanted.reverse()
        start, size = int(self.one("cursor") or 0), int(self.one("limit") or 100)
        more = start + size < len(wanted)
        self.reply(
            {"jobs": wanted[start : start + size], "next": str(start + size) if more else None}
        )

    def stream_output(self, number: int, stream: str) -> None:
        offset = int(self.one("offset") or 0)
        if self.one("follow") != "true":
            limit = int(self.one("limit") or 1 << 20)
            data = self.mill.output.get((number, stream), b"")[offset : offset + limit]
            ended = "true" if self.mill.ended(number) else "false"
            end = str(offset + len(data))
            return self.reply(data, Gristmill_Next_Offset=end, Gristmill_Ended=ended)
        self.begin_chunks("text/plain; charset=utf-8")
        sent = 0
        while data := self.more_output(number, stream, offset):
            if self.mill.cut_after and sent + len(data) >= self.mill.cut_after:
                self.chunk(data[: self.mill.cut_after - sent])
                self.mill.cut_after = 0
                self.close_connection = True
                return None
            self.chunk(data)
            sent += len(data)
            offset += len(data)
        return self.chunk(b"")

    def more_output(self, number: int, stream: str, offset: int) -> bytes:
        output = self.mill.output
        with self.mill.changed:
            self.mill.changed.wait_for(
                lambda: len(output.get((number, stream), b"")) > offset or self.mill.ended(number)
            )
            return output.get((number, stream), b"")[offset:]

    def get_events(self) -> None:
        after = int(self.headers.get("Last-Event-ID") or self.one("after") or 0)
        self.begin_chunks("text/event-stream")
        self.chunk(b": here\n\n")
        for event in self.later_events(after):
            if not event["kind"].startswith(self.one("kind") or ""):
                continue
            text = f"id: {event['id']}\nevent: {event['kind']}\ndata: {json.dumps(event)}\n\n"
            self.chunk(text.encode())
            if self.mill.cut_after:
                self.mill.cut_after = 0
                self.close_connection = True
                return
        self.chunk(b"")

    def later_events(self, after: int) -> Iterator[dict[str, Any]]:
        mill = self.mill
        for number in itertools.count(after):
            with mill.changed:
                while len(mill.events) <= number and not mill.closing:
                    mill.changed.wait()
                if mill.closing:
                    return
                event = mill.events[number]
            yield event

    def begin_chunks(self, kind: str) -> None:
        self.send_response(200)
        self.send_header("Content-Type", kind)
        self.send_header("Transfer-Encoding", "chunked")
        self.end_headers()

    def chunk(self, data: bytes) -> None:
        self.wfile.write(b"%x\r\n%s\r\n" % (len(data), data))

    def post_jobs(self, *rest: str) -> None:
        match rest:
            case ():
                self.submit()
            case (("cancel" | "retry") as verb,):
                self.change_many(verb, json.loads(self.body))
            case (word, ("cancel" | "retry") as verb):
                job = self.job(word)
                if (job["state"] in ENDED) == (verb == "cancel"):
                    raise RefusalError(409, "conflict", f"job {word} is {job['state']}")
                job["state"] = "cancelled" if verb == "cancel" else "ready"
                self.reply(job)

    def change_many(self, verb: str, body: dict[str, Any]) -> None:
        numbers = body.get("ids") or [
            job["id"] for job in self.mill.jobs.values() if job["group"] == body.get("group")
        ]
        changed, unchanged = [], []
        for number in numbers:
            job = self.mill.jobs[number]
            if (job["state"] in ENDED) == (verb == "cancel"):
                unchanged.append({"id": number, "state": job["state"]})
            else:
                job["state"] = "cancelled" if verb == "cancel" else "ready"
                changed.append(number)
        self.reply({"changed": changed, "unchanged": unchanged})

    def submit(self) -> None:
        body = json.loads(self.body)
        key = self.headers["Idempotency-Key"]
        specs = body if isinstance(body, list) else [body]
        known = key in self.mill.keys
        if not known:
            for number, spec in enumerate(specs):
                if spec.get("command") == "refuse me":
                    raise RefusalError(
                        400, "invalid_input", "cannot be run", f"jobs[{number}].command"
                    )
            self.mill.keys[key] = [self.mill.add(spec) for spec in specs]
        ids = self.mill.keys[key]
        if isinstance(body, list):
            self.reply({"ids": ids, "added": 0 if known else len(ids)}, 201)
        else:
            self.reply(self.mill.jobs[ids[0]], 201)

    def delete_jobs(self, word: str) -> None:
        job = self.job(word)
        if job["state"] not in ENDED:
            raise RefusalError(409, "conflict", f"job {word} is {job['state']}")
        del self.mill.jobs[job["id"]]
        self.reply(b"", 204)

    def get_agents(self, *_: str) -> None:
        amounts = {"cpus": 2.0, "memory": 4096, "disk": 1000, "gpus": 0}
        agent = {
            "id": 1,
            "name": "here",
            "hostname": "host",
            "state": "online",
            "capacity": amounts,
            "free": amounts,
            "running": 0,
            "pools": ["default"],
            "labels": {},
            "runtimes": ["host"],
            "notes": ["no cgroups: memory is watched by polling"],
            "last_seen_at": NOW,
        }
        self.reply({"agents": [agent]})

    def post_agents(self, _word: str, _verb: str) -> None:
        self.reply({})

    def get_images(self) -> None:
        self.reply({"images": self.mill.images})

    def post_images(self) -> None:
        self.mill.images.append(json.loads(self.body))
        self.reply(self.mill.images[-1], 201)

    def delete_images(self, *words: str) -> None:
        self.mill.images = [image for image in self.mill.images if image["name"] != "/".join(words)]
        self.reply(b"", 204)

    def get_tokens(self) -> None:
        self.reply({"tokens": self.mill.tokens})

    def post_tokens(self) -> None:
        wish = json.loads(self.body)
        if wish["user"] == "nobody":
            raise RefusalError(403, "not_permitted", "only an administrator makes tokens")
        token = {"id": "k1", "groups": [], "scopes": ["read"], **wish, "expires_at": NOW}
        self.mill.tokens.append(token)
        self.reply({"id": "k1", "token": "s3cret", "expires_at": NOW}, 201)

    def delete_tokens(self, word: str) -> None:
        self.mill.tokens = [token for token in self.mill.tokens if token["id"] != word]
        self.reply(b"", 204)

    def post_apply(self) -> None:
        if b"colour" in self.body:
            raise RefusalError(400, "invalid_input", "line 1: unknown field", "users[0].colour")
        self.reply({"created": ["users/alice"], "updated": [], "unchanged": 3, "pruned": []})

    def get_export(self) -> None:
        self.reply(b"users:\n- {name: alice}\n")

    def get_info(self) -> None:
        self.reply(
            {
                "version": "1",
                "user": "admin",
                "scopes": ["admin"],
                "engine": "local",
                "uptime": 65.0,
            }
        )


@contextmanager
def running_mill(home: Path) -> Iterator[Mill]:
    """Serve on a free port, with the files a server leaves in its home."""
    mill = Mill()
    handler = type("BoundHandler", (Handler,), {"mill": mill})
    server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    url = f"http://127.0.0.1:{server.server_address[1]}"
    (home / "server.json").write_text(
        json.dumps({"pid": 1, "http": url, "https": None, "version": "1"})
    )
    (home / "client.token").write_text(TOKEN + "\n")
    try:
        yield mill
    finally:
        with mill.changed:
            mill.closing = True
            mill.changed.notify_all()
        server.shutdown()
        server.server_close()
        thread.join()
