"""OpenAPI for the operations that read their body themselves."""

from dataclasses import dataclass
from typing import Any

import msgspec
from litestar.openapi.spec import OpenAPIMediaType, Operation, RequestBody, Schema

from gristmill.domain.job import JobSpec

_REFERENCES = "#/components/schemas/{name}"


def _body(schema: Schema, media_type: str = "application/json") -> RequestBody:
    return RequestBody(content={media_type: OpenAPIMediaType(schema=schema)}, required=True)


def job_schemas() -> dict[str, Any]:
    """Return the JSON Schemas of a job and its parts, by name."""
    _, components = msgspec.json.schema_components([JobSpec], ref_template=_REFERENCES)
    return components


@dataclass
class JobOrJobs(Operation):
    """Takes one job, or an array of jobs."""

    def __post_init__(self) -> None:
        """Say what the body is."""
        from litestar.openapi.spec import Reference

        job = Reference(ref="#/components/schemas/JobSpec")
        self.request_body = _body(Schema(any_of=[job, Schema(type="array", items=job)]))  # type: ignore[arg-type]


@dataclass
class YamlText(Operation):
    """Takes declarations as YAML."""

    def __post_init__(self) -> None:
        """Say what the body is."""
        self.request_body = _body(Schema(type="string"), "application/yaml")  # type: ignore[arg-type]


JOB_OR_JOBS, YAML_TEXT = JobOrJobs, YamlText
