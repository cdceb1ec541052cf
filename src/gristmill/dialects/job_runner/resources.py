"""The nine resources: their fields, the methods they take and what they can be filtered by.

Schema documents, checks of bodies and filters all derive from these tables.
"""

from collections.abc import Mapping
from typing import Any, Literal, NamedTuple

from gristmill.dialects.job_runner.paging import DEFAULT_LIMIT

FieldType = Literal["string", "integer", "boolean", "datetime", "related"]
NO_DEFAULT = "No default provided."
ANY_LOOKUP = 1
THROUGH = 2
"""Any lookup, and on through the relation to what can be filtered there."""

GET: tuple[str, ...] = ("GET",)

_HELP: dict[FieldType, str] = {
    "string": 'Text, such as "nightly".',
    "integer": "A whole number, such as 42.",
    "boolean": "true or false.",
    "datetime": 'A date and time, such as "2026-01-02T03:04:05".',
    "related": "The URI of another resource.",
}


class Field(NamedTuple):
    """One field. to: the resource a relation leads to. many: it leads to any number of them.

    required: a POST must bring it. written: a body may set it; other fields in one are ignored.
    """

    name: str
    type: FieldType
    to: str = ""
    many: bool = False
    nullable: bool = False
    unique: bool = False
    default: Any = NO_DEFAULT
    required: bool = False
    written: bool = True


class Resource(NamedTuple):
    """One resource. key: the wire's name. listing, single: methods of its list and its objects."""

    key: str
    listing: tuple[str, ...]
    single: tuple[str, ...]
    fields: tuple[Field, ...]
    filtering: Mapping[str, str | int] = {}

    def field(self, name: str) -> Field | None:
        """Return a field by name."""
        return next((field for field in self.fields if field.name == name), None)


URI = Field("resource_uri", "string", written=False)
ID = Field("id", "integer", unique=True, default="", written=False)
TITLE = Field("title", "string")
DESCRIPTION = Field("description", "string", default="")
ENABLED = Field("enqueue_is_enabled", "boolean", default=True)


def _relation(name: str, to: str = "", **more: Any) -> Field:
    return Field(name, "related", to=to or name, **more)


def _moment(name: str, **more: Any) -> Field:
    return Field(name, "datetime", **{"nullable": True, **more})


_GROUP = Resource("group", GET, GET, (Field("name", "string", unique=True), URI))

_PROJECT = Resource(
    "project", GET, GET,
    (
        ID, TITLE, DESCRIPTION, ENABLED, URI,
        _relation("worker_pools", "worker_pool", many=True),
        _relation("auth_groups", "group", many=True),
    ),
    {"id": "exact", "title": "exact"},
)  # fmt: skip

_WORKER_POOL = Resource(
    "worker_pool", GET, GET,
    (ID, TITLE, DESCRIPTION, ENABLED, URI, _relation("workers", "worker", many=True)),
    {"title": "exact"},
)  # fmt: skip

_WORKER = Resource(
    "worker", GET, ("GET", "PATCH"),
    (
        ID, TITLE, DESCRIPTION, ENABLED, URI,
        Field("api_key", "string", unique=True, written=False),
        _moment("ping_response_dts"),
        Field("worker_version", "string", nullable=True),
        Field("concurrent_jobs", "integer", nullable=True),
    ),
    {"api_key": ANY_LOOKUP},
)  # fmt: skip

_JOB_TEMPLATE = Resource(
    "job_template", GET, GET,
    (ID, TITLE, DESCRIPTION, ENABLED, URI, _relation("project")),
    {"project": THROUGH, "title": "exact"},
)  # fmt: skip

_JOB = Resource(
    "job", ("GET", "POST"), ("GET", "PUT", "PATCH"),
    (
        ID, TITLE._replace(required=True), DESCRIPTION, ENABLED, URI,
        _relation("job_template", required=True),
        _relation("worker_pool", required=True),
        _relation("parent", "job", nullable=True),
        _relation("children", "job", many=True, nullable=True),
        Field("script_content_partial", "string", default=""),
        Field("script_content", "string", default="", written=False),
        Field("reschedule_interval", "integer", nullable=True),
        Field("reschedule_interval_type", "string", default=""),
        Field("run_on_all_workers", "boolean", default=False),
        Field("schedule_children_on_error", "boolean", default=False),
        Field("notification_addresses", "string", default=""),
        Field("disable_enqueue_after_fails", "integer", nullable=True),
    ),
    {"job_template": THROUGH, "title": "exact"},
)  # fmt: skip

_RUN = Resource(
    "run", ("GET", "POST"), ("GET", "PATCH"),
    (
        ID, URI,
        _relation("job", required=True),
        Field("schedule_id", "integer", nullable=True, written=False),
        _moment("schedule_dts", nullable=False, required=True),
        _moment("enqueue_dts"), _moment("start_dts"), _moment("return_dts"),
        Field("return_success", "boolean", nullable=True),
        Field("pid", "integer", nullable=True),
        _relation("worker", nullable=True),
        _relation("run_log", nullable=True, written=False),
        Field("is_manual", "boolean", default=False),
        Field("schedule_children", "boolean", default=True),
    ),
    {"is_manual": ANY_LOOKUP, "job": THROUGH, "schedule_dts": ANY_LOOKUP, "worker": THROUGH},
)  # fmt: skip

_KILL_REQUEST = Resource(
    "kill_request", ("GET", "POST"), ("GET", "PATCH"),
    (
        ID, URI,
        _relation("run", required=True),
        _moment("schedule_dts", nullable=False, written=False),
        _moment("enqueue_dts"), _moment("execute_dts"),
    ),
)  # fmt: skip

_RUN_LOG = Resource(
    "run_log", ("GET", "POST"), ("GET", "PATCH"),
    (ID, URI, _relation("run", required=True), Field("content", "string", nullable=True)),
)  # fmt: skip

RESOURCES: Mapping[str, Resource] = {
    one.key: one
    for one in (
        _GROUP, _PROJECT, _WORKER_POOL, _WORKER, _JOB_TEMPLATE, _JOB, _RUN, _KILL_REQUEST, _RUN_LOG
    )
}  # fmt: skip


def root_document(base: str) -> dict[str, Any]:
    """Return what there is. base: path of the interface, ``/api/v1/`` below any mount."""
    return {
        key: {"list_endpoint": f"{base}{key}/", "schema": f"{base}{key}/schema/"}
        for key in RESOURCES
    }


def schema_document(resource: Resource) -> dict[str, Any]:
    """Return the description of a resource."""
    document: dict[str, Any] = {
        "allowed_detail_http_methods": [method.lower() for method in resource.single],
        "allowed_list_http_methods": [method.lower() for method in resource.listing],
        "default_format": "application/json",
        "default_limit": DEFAULT_LIMIT,
        "fields": {field.name: _describe(field) for field in resource.fields},
    }
    if resource.filtering:
        document["filtering"] = dict(resource.filtering)
    return document


def _describe(field: Field) -> dict[str, Any]:
    described: dict[str, Any] = {
        "blank": field.default == "",
        "default": field.default,
        "help_text": _HELP[field.type],
        "nullable": field.nullable,
        "readonly": field is URI,
        "type": field.type,
        "unique": field.unique,
    }
    if field.type == "related":
        described["related_type"] = "to_many" if field.many else "to_one"
    return described
