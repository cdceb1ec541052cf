"""What a job of the queue runs to have a worker do its task. Standard library alone: it is quick.

Words: the socket of the tasks, and the folder of the task, which holds the question as one frame.
The answer is put beside it as one frame, and is durable when this ends. Exits 0, 1 when the
question was refused, 66 when there is none any more, 69 when there is no worker, 70 when the
worker died.
"""

import os
import socket
import sys

PREFIX_SIZE = 13
PIECE = 1 << 20


def main(words: list[str]) -> int:
    """Hand the question over, wait, keep the answer."""
    path, folder = words
    connection = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    try:
        connection.connect(path)
    except OSError as error:
        print(f"no worker takes tasks at {path}: {error}", file=sys.stderr)
        return 69
    try:
        with open(os.path.join(folder, "question"), "rb") as question:
            connection.sendfile(question)
    except FileNotFoundError:
        print("this task has ended; ask for a new one", file=sys.stderr)
        return 66
    return _keep(connection, folder)


def _keep(connection: socket.socket, folder: str) -> int:
    fresh = os.path.join(folder, "answer.new")
    head = b""
    size = 0
    with open(fresh, "wb") as answer:
        while piece := connection.recv(PIECE):
            answer.write(piece)
            size += len(piece)
            if len(head) < PREFIX_SIZE:
                head = (head + piece)[:PREFIX_SIZE]
        answer.flush()
        os.fsync(answer.fileno())
    whole = PREFIX_SIZE + int.from_bytes(head[1:5], "big") + int.from_bytes(head[5:], "big")
    if len(head) < PREFIX_SIZE or size != whole:
        print("the worker ended before it had an answer: out of memory, or killed", file=sys.stderr)
        return 70
    os.rename(fresh, os.path.join(folder, "answer"))
    _sync(folder)
    if head[0]:
        with open(os.path.join(folder, "answer"), "rb") as answer:
            answer.seek(-int.from_bytes(head[5:], "big"), os.SEEK_END)
            print(answer.read().decode("utf-8", "replace"), file=sys.stderr)
    return head[0]


def _sync(folder: str) -> None:
    descriptor = os.open(folder, os.O_RDONLY)
    os.fsync(descriptor)
    os.close(descriptor)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
