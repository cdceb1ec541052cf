"""A plain web server of files: gives what lies in its folder, keeps what is PUT there."""

import contextlib
import threading
from collections.abc import Iterator
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path


class Shelf:
    """url: of the folder. got: paths that were asked for, in order; refuse: answer 503 so often.

    flowing: cleared, nothing is answered.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.got: list[str] = []
        self.refuse = 0
        self.flowing = threading.Event()
        self.flowing.set()
        self.server = ThreadingHTTPServer(("127.0.0.1", 0), self._handler())
        self.url = f"http://127.0.0.1:{self.server.server_port}"

    def _handler(self) -> type[SimpleHTTPRequestHandler]:
        shelf = self

        class Handler(SimpleHTTPRequestHandler):
            def __init__(self, *args: object) -> None:
                super().__init__(*args, directory=str(shelf.folder))  # type: ignore[arg-type]

            def log_message(self, *_: object) -> None:
                pass

            def do_GET(self) -> None:
                shelf.got.append(self.path)
                shelf.flowing.wait()
                if shelf.refuse > 0:
                    shelf.refuse -= 1
                    self.send_error(503)
                    return
                super().do_GET()

            def do_PUT(self) -> None:
                data = self.rfile.read(int(self.headers["Content-Length"]))
                path = shelf.folder / self.path.partition("?")[0].lstrip("/")
                path.parent.mkdir(parents=True, exist_ok=True)
                path.write_bytes(data)
                self.send_response(201)
                self.send_header("Content-Length", "0")
                self.end_headers()

        return Handler


@contextlib.contextmanager
def open_shelf(folder: Path) -> Iterator[Shelf]:
    """Serve a folder until the end."""
    folder.mkdir(exist_ok=True)
    shelf = Shelf(folder)
    thread = threading.Thread(target=shelf.server.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    try:
        yield shelf
    finally:
        shelf.server.shutdown()
        shelf.server.server_close()
        thread.join()
