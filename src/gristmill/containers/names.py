"""Image names: what is accepted, and the folder name each one gets."""

import hashlib
import re

from gristmill.domain.errors import InvalidInputError

LONGEST_NAME = 512
DEFAULT_TAG = ":latest"

_UNSAFE = re.compile(r"[^a-z0-9]+")
_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028\u2029\ud800-\udfff]")


def check_name(name: str) -> str:
    """Return name when it can name an image.

    Raises InvalidInputError when it is empty, too long, or holds control characters,
    unpaired surrogates or blanks at an end.
    """
    if not name or name != name.strip():
        raise InvalidInputError(
            f"image name {name[:80]!r} is empty or has blanks at an end", field="name"
        )
    if len(name) > LONGEST_NAME:
        raise InvalidInputError(
            f"image name {name[:40]!r}… has {len(name)} characters; at most {LONGEST_NAME}",
            field="name",
        )
    if _CONTROL.search(name):
        raise InvalidInputError(f"image name {name[:80]!r} holds a control character", field="name")
    return name


def folder_name(name: str) -> str:
    """Return the file name, at most 80 safe characters, that stands for an image name.

    Different names give different file names, also on file systems that ignore case: a
    digest of the name decides, and a readable rest of it goes in front.
    """
    digest = hashlib.sha256(name.encode("utf-8")).hexdigest()[:32]
    readable = _UNSAFE.sub("-", name.lower())[:40].strip("-")
    return f"{readable}-{digest}" if readable else digest


def spellings(reference: str) -> list[str]:
    """Return the names under which an image may be stored, the reference itself first.

    ``docker://a`` also means ``a``, and no tag means ``:latest``.
    """
    found = [reference]
    plain = reference.removeprefix("docker://")
    last = plain.rsplit("/", 1)[-1]
    found.append(plain)
    if plain.endswith(DEFAULT_TAG):
        found.append(plain.removesuffix(DEFAULT_TAG))
    elif plain and ":" not in last and "@" not in last:
        found.append(plain + DEFAULT_TAG)
    return list(dict.fromkeys(each for each in found if each))
