"""What each endpoint takes and gives; the routes table says which endpoints there are."""

from typing import Any, NamedTuple

from gristmill.dialects.prominence.login import GRANT
from gristmill.dialects.prominence.openapi_descriptions import (
    TEXT,
    Json,
    array,
    exact,
    reference,
)
from gristmill.dialects.prominence.states import PENDING, RUNNING
from gristmill.services.kv import LARGEST_VALUE

PLAIN, JSON_TYPE = "text/plain", "application/json"
FORM, BYTES = "application/x-www-form-urlencoded", "application/octet-stream"

TOKEN, LOGIN, NOBODY = "token", "client", ""
"""What a caller shows: a token, the credentials of a registered client, or nothing."""


class Documented(NamedTuple):
    """One endpoint. gaps: what the gaps of its path stand for.

    bare: its path may end before the rest that ``*`` stands for. query: parameters. body: by
    media type. replies: schemas by status and media type, None for an empty body. errors: the
    statuses of refusals that are the endpoint's own.
    """

    summary: str
    gaps: tuple[str, ...] = ()
    bare: bool = False
    query: tuple[Json, ...] = ()
    body: Json | None = None
    replies: dict[int, dict[str, Json] | None] = {}  # noqa: RUF012
    errors: tuple[int, ...] = (400,)
    caller: str = TOKEN


def _parameter(name: str, text: str, schema: Json | None = None, **more: Any) -> Json:
    return {
        "name": name,
        "in": "query",
        "description": text,
        "schema": schema if schema is not None else TEXT,
        **more,
    }


def _flag(name: str, text: str) -> Json:
    return _parameter(name, f"{text}, whatever its value", allowEmptyValue=True)


def _number(name: str, text: str, least: int, usual: int) -> Json:
    schema = {"type": "integer", "minimum": least, "maximum": 10**18 - 1, "default": usual}
    return _parameter(name, text, schema)


def _body(schema: Json, media_type: str = JSON_TYPE, *, required: bool = True) -> Json:
    return {"required": required, "content": {media_type: {"schema": schema}}}


def _json(status: int, schema: Json) -> dict[int, dict[str, Json] | None]:
    return {status: {JSON_TYPE: schema}}


def _list_of(short: str, full: str) -> dict[int, dict[str, Json] | None]:
    return _json(200, array({"anyOf": [reference(short), reference(full)]}))


_ID_LIST: Json = {"type": "string", "pattern": "^[0-9]{1,18}(,[0-9]{1,18})*$"}
_ACTIVE: Json = {"type": "string", "enum": ["idle", PENDING, RUNNING]}
_IDS = _parameter("id", "a comma list of ids", _ID_LIST)
_FILTERS = (
    _parameter("completed", "true: what has ended, the latest end first"),
    _number("num", "of those that ended; negative: all", -1, 1),
    _flag("all", "everything"),
    _parameter("status", "of what has not ended", _ACTIVE),
    _IDS,
    _flag("detail", "full objects"),
    _parameter("name", "an exact name"),
    _parameter(
        "constraint",
        "key=value of a label; all that are given must hold",
        array({"type": "string", "pattern": "^[^=]*=[^=]*$"}),
        style="form",
        explode=True,
    ),
)
_OF_WORKFLOW = _parameter("workflow", "true: id is of workflows, and their jobs are wanted")
_DONE = _json(200, reference("Nothing"))
_CREATED = _json(201, reference("Created"))
_LOCATION = _json(201, reference("Location"))
_RAW: dict[int, dict[str, Json] | None] = {200: {PLAIN: TEXT}}
_OFFSET = _number("offset", "in bytes", 0, 0)
_READING = (_number("node", "which node's", 0, 0), _OFFSET)
_NODE_OR_JOB = (_parameter("node", "which node's, 0 by default"), _OFFSET)
_COMMAND = _parameter("command", "words joined by commas", required=True)
_PATH = _parameter("path", "below the scratch folder", required=True)
_OWN = (400, 403)
_INSTANCE = ("id", "job", "instance")
_UPLOAD = Documented(
    "Ask where to upload an object.",
    query=(_parameter("name", "instead of a body"), _parameter("checksum", "SHA-256 in hex")),
    body=_body(
        {
            "type": "object",
            "properties": {
                "filename": {"type": ["string", "null"]},
                "checksum": {"type": ["string", "null"], "description": "SHA-256 in hex"},
            },
        },
        required=False,
    ),
    replies=_LOCATION,
    errors=_OWN,
)
_USAGE = Documented(
    "Tell what was used.",
    query=(
        _parameter("start", "first day", {"type": "string", "format": "date"}, required=True),
        _parameter("end", "last day", {"type": "string", "format": "date"}, required=True),
        _parameter("by_group", "true: by group instead of user"),
        _parameter("show_all_users", "true: all users of the caller's groups"),
    ),
    replies=_json(200, reference("Usage")),
)

OPERATIONS: dict[tuple[str, str], Documented] = {
    ("POST", "jobs"): Documented(
        "Submit a job.", body=_body(reference("JobDescription")), replies=_CREATED
    ),
    ("GET", "jobs"): Documented(
        "List jobs.", query=(*_FILTERS, _OF_WORKFLOW), replies=_list_of("ShortJob", "Job")
    ),
    ("DELETE", "jobs"): Documented(
        "End several jobs.", query=({**_IDS, "required": True},), replies=_DONE
    ),
    ("GET", "jobs/{}"): Documented(
        "Tell all about a job, in an array that is empty when there is none.",
        ("id",),
        replies=_json(200, array(reference("Job"), maxItems=1)),
    ),
    ("DELETE", "jobs/{}"): Documented("End a job.", ("id",), replies=_DONE),
    ("PUT", "jobs/{}/clone"): Documented(
        "Submit a job's description again.", ("id",), replies=_CREATED, errors=_OWN
    ),
    ("PUT", "jobs/{}/remove"): Documented(
        "List no more what was left in the queue.", ("id",), replies=_DONE, errors=_OWN
    ),
    ("GET", "jobs/{}/stdout"): Documented(
        "Read the standard output.", ("id",), query=_READING, replies=_RAW, errors=_OWN
    ),
    ("GET", "jobs/{}/stderr"): Documented(
        "Read the standard error.", ("id",), query=_READING, replies=_RAW, errors=_OWN
    ),
    ("POST", "jobs/{}/exec"): Documented(
        "Run a command in a running job.",
        ("id",),
        query=(_COMMAND,),
        replies=_RAW,
        errors=_OWN,
    ),
    ("PUT", "jobs/{}/snapshot"): Documented(
        "Pack a path of a running job.", ("id",), query=(_PATH,), replies=_DONE, errors=_OWN
    ),
    ("GET", "jobs/{}/snapshot"): Documented(
        "Tell where the last snapshot is.",
        ("id",),
        replies=_json(200, reference("Location")),
        errors=_OWN,
    ),
    ("POST", "workflows"): Documented(
        "Submit a workflow.", body=_body(reference("WorkflowDescription")), replies=_CREATED
    ),
    ("GET", "workflows"): Documented(
        "List workflows.", query=_FILTERS, replies=_list_of("ShortWorkflow", "Workflow")
    ),
    ("DELETE", "workflows"): Documented(
        "End several workflows.", query=({**_IDS, "required": True},), replies=_DONE
    ),
    ("GET", "workflows/{}"): Documented(
        "Tell all about a workflow, in an array that is empty when there is none.",
        ("id",),
        replies=_json(200, array(reference("Workflow"), maxItems=1)),
    ),
    ("PUT", "workflows/{}"): Documented(
        "Run again what failed, under a new id.",
        ("id",),
        replies=_json(200, reference("Created")),
        errors=_OWN,
    ),
    ("DELETE", "workflows/{}"): Documented("End a workflow.", ("id",), replies=_DONE),
    ("PUT", "workflows/{}/clone"): Documented(
        "Submit a workflow's description again.", ("id",), replies=_CREATED, errors=_OWN
    ),
    ("PUT", "workflows/{}/remove"): Documented(
        "List no more what was left in the queue.", ("id",), replies=_DONE, errors=_OWN
    ),
    **{
        ("GET", f"workflows/{{}}/{{}}/{name}"): Documented(
            f"Read the {title} of a job, of its first instance if it has several.",
            _INSTANCE[:2],
            query=_NODE_OR_JOB,
            replies=_RAW,
            errors=_OWN,
        )
        for name, title in (("stdout", "standard output"), ("stderr", "standard error"))
    },
    **{
        ("GET", f"workflows/{{}}/{{}}/{{}}/{name}"): Documented(
            f"Read the {title} of an instance of a job.",
            _INSTANCE,
            query=_NODE_OR_JOB,
            replies=_RAW,
            errors=_OWN,
        )
        for name, title in (("stdout", "standard output"), ("stderr", "standard error"))
    },
    ("POST", "data/upload"): _UPLOAD,
    ("POST", "data"): _UPLOAD,
    ("POST", "data/output"): Documented(
        "Ask where a running job may leave an output; with the job's own token.",
        body=_body({"type": "object", "properties": {"name": TEXT}, "required": ["name"]}),
        replies=_LOCATION,
    ),
    ("GET", "data/*"): Documented(
        "List objects: one's own, or those of a group below a path.",
        ("path",),
        bare=True,
        replies=_json(200, array(reference("Object"))),
        errors=_OWN,
    ),
    ("DELETE", "data/*"): Documented(
        "Delete an object.", ("path",), replies={204: None}, errors=_OWN
    ),
    ("GET", "kv/*"): Documented(
        "Read a value, or list keys that begin alike.",
        ("key",),
        bare=True,
        query=(_flag("list", "list keys"), _flag("values", "with list: keys with values")),
        replies={
            200: {
                PLAIN: TEXT,
                JSON_TYPE: array(
                    {"anyOf": [TEXT, {"type": "object", "additionalProperties": TEXT}]}
                ),
            }
        },
        errors=(400, 404),
    ),
    ("POST", "kv/*"): Documented(
        "Set a value.",
        ("key",),
        query=(_parameter("prev", "what the value must be now"),),
        body=_body({"type": "string", "minLength": 1, "maxLength": LARGEST_VALUE}, BYTES),
        replies=_json(201, reference("Nothing")),
    ),
    ("DELETE", "kv/*"): Documented(
        "Delete a key, or all that begin alike.",
        ("key",),
        bare=True,
        query=(_flag("prefix", "all keys that begin so; its value where there is no key"),),
        replies=_DONE,
    ),
    ("GET", "accounting"): _USAGE,
    ("GET", "usage"): _USAGE,
    ("GET", "resources"): Documented(
        "List the workers.", replies=_json(200, reference("Existing")), errors=()
    ),
    ("GET", "health"): Documented(
        "Tell whether all is well.",
        replies={204: None, 409: {JSON_TYPE: reference("Unhealthy")}},
        errors=(),
        caller=NOBODY,
    ),
    ("GET", "ts/{}"): Documented("Not offered.", ("id",), errors=()),
    ("POST", "ts"): Documented("Not offered.", errors=()),
    ("POST", "register"): Documented(
        "Register a client that logs people in.",
        body=_body({"type": "object"}),
        replies=_json(201, reference("Client")),
        caller=NOBODY,
    ),
    ("POST", "devicecode"): Documented(
        "Begin a login.",
        body=_body(exact({"scope": TEXT, "client_id": TEXT}), FORM),
        replies=_json(200, reference("Login")),
        caller=LOGIN,
    ),
    ("POST", "token"): Documented(
        "Get the token of a login that was approved.",
        body=_body(
            exact({"grant_type": {"enum": [GRANT]}, "device_code": TEXT}, "grant_type"), FORM
        ),
        replies=_json(200, reference("Token")),
        caller=LOGIN,
    ),
}
