"""The API document in Swagger 2.0, made from the table that requests are routed by."""

import re
from collections.abc import Sequence
from typing import Any
from urllib.parse import quote

import msgspec

from gristmill import __version__
from gristmill.dialects.omega_ml import wire
from gristmill.dialects.omega_ml.profiles import error_status
from gristmill.dialects.omega_ml.table import OPERATIONS, Operation

Json = dict[str, Any]

_REF = "#/definitions/{name}"
_ERRORS = {
    400: "what was sent does not fit, or the task failed",
    401: "no credential, or a wrong one",
    403: "not allowed, or blocked by a serve rule",
    404: "there is no such object",
    405: "not for this path",
    500: "the server failed",
}
_PLACEHOLDER = re.compile(r"\{(\w+)\}")


def swagger(base: str, profile: str) -> Json:
    """Return the document. base: the path that all others are below."""
    return _document(base, OPERATIONS, profile)


def service_document(
    mount: str, key: str, words: Sequence[str], signature: Json, profile: str
) -> Json:
    """Return the document of one service.

    words: actions that it has. signature: the schemas linked to it: X is given, Y answered.
    """
    operations = [
        each
        for each in OPERATIONS
        if each.resource == "service" and each.word in {"", "doc", *words}
    ]
    made = _document(f"{mount}/api", operations, profile)
    made["info"]["title"] = key
    made["definitions"].update({part: signature[part] for part in "XY" if part in signature})
    made["paths"] = {
        path.replace("{name}", quote(key, safe="/")).rstrip("/"): {
            method: _without_path(each) for method, each in methods.items()
        }
        for path, methods in made["paths"].items()
    }
    return made


def _without_path(operation: Json) -> Json:
    parameters = [each for each in operation["parameters"] if each["in"] != "path"]
    return {**operation, "parameters": parameters}


def _document(base: str, operations: Sequence[Operation], profile: str) -> Json:
    paths: dict[str, Json] = {}
    for each in operations:
        paths.setdefault(each.path, {})[each.method.lower()] = _operation(each, profile)
    return {
        "swagger": "2.0",
        "info": {
            "title": "omega-ml REST API",
            "version": __version__,
            "description": "Datasets, models, notebooks and scripts, served by Gristmill.",
        },
        "basePath": base,
        "consumes": ["application/json"],
        "produces": ["application/json"],
        "securityDefinitions": {
            "Credential": {
                "type": "apiKey",
                "in": "header",
                "name": "Authorization",
                "description": "ApiKey USER:KEY, or Bearer TOKEN",
            }
        },
        "security": [{"Credential": []}],
        "tags": [{"name": name} for name in dict.fromkeys(each.resource for each in operations)],
        "paths": paths,
        "definitions": _definitions(operations),
    }


def _operation(operation: Operation, profile: str) -> Json:
    words = (operation.resource, operation.form.value, operation.word, operation.method.lower())
    made: Json = {
        "operationId": "_".join(filter(None, words)),
        "tags": [operation.resource],
        "summary": operation.summary,
        "parameters": _parameters(operation),
        "responses": _responses(operation, profile),
    }
    if operation.open:
        made["security"] = []
    return made


def _parameters(operation: Operation) -> list[Json]:
    found: list[Json] = [
        {"name": name, "in": "path", "required": True, "type": "string"}
        for name in _PLACEHOLDER.findall(operation.path)
    ]
    found += [
        {"name": name, "in": "header", "required": False, "type": "string"}
        for name in ("Bucket", "Qualifier")
        if not operation.open
    ]
    found += [
        {
            "name": each.name,
            "in": "query",
            "required": False,
            "type": each.kind,
            "description": each.text,
        }
        for each in operation.parameters
    ]
    if operation.body is not None and operation.method != "GET":
        schema = {"$ref": _REF.format(name=operation.body.__name__)}
        found.append({"name": "body", "in": "body", "required": False, "schema": schema})
    return found


def _responses(operation: Operation, profile: str) -> Json:
    status = operation.outcome.status(profile)
    done: Json = {"description": "done"}
    if operation.reply is not None:
        done["schema"] = {"$ref": _REF.format(name=operation.reply.__name__)}
    found = {str(status): done}
    if operation.asynchronous:
        accepted = {
            "description": "a task was made; Location leads to its result",
            "headers": {"Location": {"type": "string"}},
        }
        found.setdefault("202", {**accepted, "schema": {"$ref": _REF.format(name="Accepted")}})
    deleting = operation.handler == "dataset.delete"
    for code, text in _ERRORS.items():
        shown = error_status(code, profile, deleting_dataset=deleting)
        schema = {"$ref": _REF.format(name="Message")}
        found.setdefault(str(shown), {"description": text, "schema": schema})
    return found


def _definitions(operations: Sequence[Operation]) -> Json:
    shapes = [wire.Message, wire.InvalidPayload, wire.Accepted]
    shapes += [shape for each in operations for shape in (each.reply, each.body) if shape]
    unique = list(dict.fromkeys(shapes))
    _, found = msgspec.json.schema_components(unique, ref_template=_REF)
    return {name: _older(schema) for name, schema in found.items()}


def _older(schema: Any) -> Any:
    """Return a JSON schema in the words of Swagger 2.0, which knows no null."""
    if isinstance(schema, list):
        return [_older(each) for each in schema]
    if not isinstance(schema, dict):
        return schema
    if schema.get("type") == "null":
        return {"x-nullable": True}
    others = [each for each in schema.get("anyOf", ()) if each.get("type") != "null"]
    if others:
        schema = {**others[0], "x-nullable": True}
    return {
        key: {name: _older(each) for name, each in value.items()}
        if key == "properties"
        else _older(value)
        for key, value in schema.items()
        if key != "anyOf" and (key, value) != ("default", None)
    }
