"""What stands in paths and queries: known names, once each, in well-formed text."""

from urllib.parse import unquote_to_bytes

from litestar.params import HeaderParameter, ParameterKwarg
from litestar.typing import FieldDefinition

from gristmill.domain.errors import InvalidInputError, NotFoundError
from gristmill.native.parameters import AnyRequest


def check_query(request: AnyRequest) -> None:
    """Refuse what would be ignored or misread. Raises InvalidInputError, NotFoundError."""
    _check_text(request.scope["raw_path"], "path")
    _check_text(request.scope["query_string"], "query")
    _check_numbers(request)
    known = _query_fields(request)
    for name in request.query_params:
        if name not in known:
            takes = ", ".join(sorted(known)) or "none"
            raise InvalidInputError(f"there is no such parameter here; known: {takes}", name[:80])
        if len(request.query_params.getall(name)) > 1 and not _takes_several(known[name]):
            raise InvalidInputError("is given more than once", name)


def wire_name(request: AnyRequest, name: str) -> str:
    """Return what clients call a handler's argument."""
    field = _fields(request).get(name)
    return name if field is None else _wire_name(field)


def _check_text(raw: bytes, field: str) -> None:
    text = unquote_to_bytes(raw)
    try:
        text.decode()
    except UnicodeDecodeError as error:
        raise InvalidInputError(f"the {field} is not UTF-8: {error.reason}", field) from error
    if b"\0" in text:
        raise InvalidInputError(f"the {field} holds a zero character", field)


def _check_numbers(request: AnyRequest) -> None:
    """Ids have one spelling; int() alone takes ``1_0``, ``+1`` and digits of other scripts."""
    parts = request.scope["path"].split("/")
    for name, value in request.path_params.items():
        if isinstance(value, int) and str(value) not in parts:
            raise NotFoundError(f"write the {name}'s id as {value}")


def _fields(request: AnyRequest) -> dict[str, FieldDefinition]:
    return request.route_handler.parsed_fn_signature.parameters


def _wire_name(field: FieldDefinition) -> str:
    kwarg = field.kwarg_definition
    if isinstance(kwarg, ParameterKwarg):
        return kwarg.name or field.name
    return field.name


def _query_fields(request: AnyRequest) -> dict[str, FieldDefinition]:
    inner = {*request.route_handler.resolve_dependencies(), *request.path_params, "request"}
    return {
        _wire_name(field): field
        for name, field in _fields(request).items()
        if name not in inner and not isinstance(field.kwarg_definition, HeaderParameter)
    }


def _takes_several(field: FieldDefinition) -> bool:
    return field.is_non_string_sequence or any(
        inner.is_non_string_sequence for inner in field.inner_types
    )
