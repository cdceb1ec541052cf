"""A worker of the tests' own that does what the real one does, in the same order."""

import contextlib
import json
import os
import shlex
import signal
import subprocess
import tempfile
import threading
import time
from datetime import UTC, datetime
from pathlib import Path
from queue import Empty, SimpleQueue

import psutil
import zmq

from tests.e2e.harness import LIMIT
from tests.job_runner.talk import Json, Worker

VERSION = "2.1.2"
SLICE = 20
"""Milliseconds between looks at whether to stop."""


def now() -> str:
    """The present as the real worker writes it."""
    return datetime.now(UTC).isoformat(" ")


class StandIn:
    """One daemon: a loop that listens, threads that run and kill."""

    def __init__(
        self, talk: Worker, broadcast: int, events: int, folder: Path, slots: int = 2
    ) -> None:
        self.talk, self._folder, self._slots = talk, folder, slots
        self.refused: list[str] = []
        self._ports = broadcast, events
        self._stop = threading.Event()
        self._runs: SimpleQueue[Json] = SimpleQueue()
        self._events: SimpleQueue[Json] = SimpleQueue()
        targets = [self._listen, self._publish, *[self._execute] * slots]
        self._threads = [threading.Thread(target=target, daemon=True) for target in targets]

    def start(self) -> None:
        """Give back what an earlier life held, then begin to listen."""
        self._clean_up()
        for thread in self._threads:
            thread.start()

    def stop(self) -> None:
        """End every thread."""
        self._stop.set()
        for thread in self._threads:
            thread.join(LIMIT)
            assert not thread.is_alive(), thread.name

    def _clean_up(self) -> None:
        for state in ("in_queue", "started"):
            target = f"run/?state={state}&worker__api_key={self.talk.api_key}"
            while target:
                page = self.talk.get(target)
                for run in page["objects"]:
                    self._patch(run["resource_uri"], {"enqueue_dts": None, "start_dts": None})
                target = page["meta"]["next"]

    def _patch(self, uri: str, fields: Json) -> bool:
        """Say whether it was done: the real worker gives up at a 4xx."""
        reply = self.talk.send("PATCH", uri, fields)
        assert reply.status_code < 500, reply.text
        if reply.status_code != 202:
            self.refused.append(f"{reply.status_code} {uri} {sorted(fields)}")
        return reply.status_code == 202

    def _tell(self, kind: str, event: str, number: int) -> None:
        self._events.put({"kind": kind, "event": event, f"{kind}_id": number})

    def _listen(self) -> None:
        context = zmq.Context()
        subscriber = context.socket(zmq.SUB)
        subscriber.setsockopt(zmq.LINGER, 0)
        topic = f"master.broadcast.{self.talk.api_key}".encode()
        subscriber.setsockopt(zmq.SUBSCRIBE, topic)
        subscriber.connect(f"tcp://127.0.0.1:{self._ports[0]}")
        while not self._stop.is_set():
            if subscriber.poll(SLICE):
                found, content = subscriber.recv_multipart()
                if found == topic:
                    self._obey(json.loads(content))
        context.destroy(linger=0)

    def _obey(self, message: Json) -> None:
        if message["action"] == "ping":
            self._pong()
        elif message["action"] == "enqueue":
            self._enqueue(message["run_id"])
        elif message["action"] == "kill":
            self._kill(message["kill_request_id"])

    def _pong(self) -> None:
        uri = self.talk.myself["resource_uri"]
        answer = {"ping_response_dts": now(), "worker_version": VERSION}
        self._patch(uri, {**answer, "concurrent_jobs": self._slots})

    def _enqueue(self, number: int) -> None:
        me = self.talk.myself["resource_uri"]
        reply = self.talk.send("GET", f"run/{number}/")
        if reply.status_code != 200 or reply.json()["enqueue_dts"] is not None:
            return
        run = reply.json()
        if self._patch(run["resource_uri"], {"enqueue_dts": now(), "worker": me}):
            self._runs.put(run)
            self._tell("run", "enqueued", number)

    def _execute(self) -> None:
        while not self._stop.is_set():
            with contextlib.suppress(Empty):
                self._run(self._runs.get(timeout=SLICE / 1000))

    def _run(self, run: Json) -> None:
        uri = run["resource_uri"]
        self._patch(uri, {"start_dts": now()})
        self._tell("run", "started", run["id"])
        script = self.talk.get(run["job"])["script_content"].replace("\r", "")
        first = script.split("\n", 1)[0]
        success, output = False, f"no shebang: {first}"
        if first.startswith("#!"):
            success, output = self._spawn(uri, first.removeprefix("#!"), script)
        log = self.talk.get(uri)["run_log"]
        if log:
            self._patch(log, {"content": output})
        else:
            self.talk.post("run_log", {"run": f"/api/v1/run/{run['id']}/", "content": output})
        self._patch(uri, {"return_dts": now(), "return_success": success})
        self._tell("run", "returned", run["id"])

    def _spawn(self, uri: str, interpreter: str, script: str) -> tuple[bool, str]:
        with tempfile.NamedTemporaryFile("w", dir=self._folder, delete=False) as file:
            file.write(script)
        words = [*shlex.split(interpreter), file.name]
        process = subprocess.Popen(words, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
        self._patch(uri, {"pid": process.pid})
        output, _ = process.communicate()
        return process.returncode == 0, output.decode("utf-8", "replace")

    def _kill(self, number: int) -> None:
        request = self.talk.get(f"kill_request/{number}/")
        if request["enqueue_dts"] is not None:
            return
        uri = request["resource_uri"]
        self._patch(uri, {"enqueue_dts": now()})
        self._tell("kill_request", "enqueued", number)
        pid = self.talk.get(request["run"])["pid"]
        with contextlib.suppress(psutil.NoSuchProcess):
            for child in psutil.Process(pid).children(recursive=True):
                child.kill()
            os.kill(pid, signal.SIGKILL)
        self._patch(uri, {"execute_dts": now()})
        self._tell("kill_request", "executed", number)

    def _publish(self) -> None:
        context = zmq.Context()
        publisher = context.socket(zmq.PUB)
        publisher.connect(f"tcp://127.0.0.1:{self._ports[1]}")
        while not self._stop.is_set():
            with contextlib.suppress(Empty):
                event = self._events.get(timeout=SLICE / 1000)
                publisher.send_multipart([b"worker.event", json.dumps(event).encode()])
        time.sleep(SLICE / 1000)
        context.destroy(linger=1000)
