"""What Litestar cannot tell from a handler: conflicts, and bodies that it reads itself."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from litestar.datastructures import ResponseHeader
from litestar.openapi.datastructures import ResponseSpec
from litestar.openapi.spec import (
    Example,
    OpenAPIMediaType,
    OpenAPIType,
    Operation,
    Reference,
    RequestBody,
    Schema,
)

from gristmill.native.wire import ErrorReply

Responses = Mapping[int, ResponseSpec]


def _error(description: str) -> ResponseSpec:
    return ResponseSpec(ErrorReply, generate_examples=False, description=description)


CONFLICT: Responses = {409: _error("Its state does not allow the change.")}

OUTPUT_HEADERS = [
    ResponseHeader(
        name="Gristmill-Next-Offset",
        documentation_only=True,
        description="Where the next read goes on; not with follow.",
    ),
    ResponseHeader(
        name="Gristmill-Ended",
        documentation_only=True,
        description="true when nothing will follow what exists now; not with follow.",
    ),
]

ONE_JOB = {
    "command": "python3 train.py --epochs 10",
    "name": "train",
    "group": "first try",
    "resources": {"cpus": 2, "memory": 4096, "walltime": 3600},
    "retry": {"retries": 2},
}


def _reference(name: str) -> Reference:
    return Reference(ref=f"#/components/schemas/{name}")


def _body(
    schema: Schema | Reference, examples: Mapping[str, Any], media_type: str = "application/json"
) -> RequestBody:
    shown: dict[str, Example | Reference] = {
        name: Example(value=value) for name, value in examples.items()
    }
    content = OpenAPIMediaType(schema=schema, examples=shown)
    return RequestBody(content={media_type: content}, required=True)


@dataclass
class JobOrJobs(Operation):
    """Takes one job, or an array of jobs."""

    def __post_init__(self) -> None:
        """Say what the body is."""
        job = _reference("JobSpec")
        several = Schema(type=OpenAPIType.ARRAY, items=job, max_items=1_000_000)
        examples = {
            "one": ONE_JOB,
            "many": [{"command": "echo first"}, {"command": "echo second"}],
        }
        self.request_body = _body(Schema(any_of=[job, several]), examples)


@dataclass
class Choice(Operation):
    """Takes a choice of jobs."""

    def __post_init__(self) -> None:
        """Say what the body is."""
        examples = {"by id": {"ids": [1, 2]}, "by group": {"group": "first try"}}
        self.request_body = _body(_reference("JobChoice"), examples)


@dataclass
class ImageBody(Operation):
    """Takes an image's name and path."""

    def __post_init__(self) -> None:
        """Say what the body is."""
        example = {"name": "busybox", "path": "/srv/images/busybox.tar"}
        self.request_body = _body(_reference("NewImage"), {"archive": example})


@dataclass
class TokenBody(Operation):
    """Takes what a credential is to be good for."""

    def __post_init__(self) -> None:
        """Say what the body is."""
        example = {"user": "alice", "scopes": ["read", "write"], "expires": "30d"}
        self.request_body = _body(_reference("NewToken"), {"a month": example})


@dataclass
class YamlText(Operation):
    """Takes declarations as YAML."""

    def __post_init__(self) -> None:
        """Say what the body is."""
        declared = Schema(type=OpenAPIType.OBJECT, description="what is to be, by kind")
        examples = {"a user": {"users": [{"name": "alice"}]}}
        self.request_body = _body(declared, examples, "application/yaml")


JOB_OR_JOBS, CHOICE, YAML_TEXT = JobOrJobs, Choice, YamlText
IMAGE_BODY, TOKEN_BODY = ImageBody, TokenBody
