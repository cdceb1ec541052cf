"""What the agent asks of the helper, and what the helper answers; files of msgpack."""

import msgspec

from gristmill.domain.staging import Artifact, Input

PLAN, ANSWER = "plan", "answer"
"""Names of the two files in the folder that is the helper's only argument."""


class _Plan(msgspec.Struct, tag=True, kw_only=True):
    """folder: the job's own, never left. most: megabytes it may come to. authority: CA file."""

    folder: str
    most: int
    authority: str = ""


class StageIn(_Plan):
    """Fetch artifacts, whose urls are addresses by now, and write inputs."""

    artifacts: list[Artifact]
    inputs: list[Input]


class WantedOutput(msgspec.Struct):
    """An output. path: below the job's folder, or a pattern of one. url: where it is sent."""

    path: str
    folder: bool
    url: str = ""


class Find(_Plan):
    """Find what output patterns mean; answered by Found."""

    outputs: list[WantedOutput]


class StageOut(_Plan):
    """Send outputs; folders are packed first, into the folder work."""

    outputs: list[WantedOutput]
    work: str


class Snapshot(_Plan):
    """Pack a file or folder of the job and send it."""

    path: str
    work: str
    url: str


class Pull(_Plan):
    """Make an image of a file: fetched from a url, or of the job's own at a path in its folder.

    store: folder of the image store that takes it, under name.
    """

    url: str
    path: str
    store: str
    name: str


class Sent(msgspec.Struct):
    """What became of one output: its path, its size in bytes or -1."""

    path: str
    size: int = -1


class Answer(msgspec.Struct, kw_only=True):
    """reason: of domain/outcome, empty when all went well; message: in words.

    sent: of StageOut, in order. found: of Find, each pattern's path or the pattern itself.
    digest: of a pulled image.
    """

    reason: str = ""
    message: str = ""
    sent: list[Sent] = []
    found: list[str] = []
    digest: str = ""


Plan = StageIn | Find | StageOut | Snapshot | Pull
