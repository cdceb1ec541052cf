"""The documentation page: complete, offline, open to everybody."""

from collections import Counter

import pytest

from gristmill.native.app import openapi_document
from gristmill.web.openapi import Document
from gristmill.web.schemas import example_call, sample
from tests.web.place import Page, WebPlace, page_of


@pytest.fixture(scope="module")
def document() -> Document:
    return Document(openapi_document())


@pytest.fixture(scope="module")
def page(place: WebPlace) -> Page:
    return page_of(place.browser().get("/docs"))


def test_every_operation_and_schema_is_there(page: Page, document: Document) -> None:
    operations = list(document.operations())
    assert len(operations) > 25
    names = page.all("article", "id")
    assert set(names) == {
        *(operation.id for operation in operations),
        *(f"schema-{name}" for name in document.schemas),
    }
    for operation in operations:
        assert operation.summary in page.text
        assert operation.path in page.text
        for parameter in operation.parameters:
            assert parameter.name in page.text


def test_every_link_on_the_page_has_its_target(page: Page) -> None:
    names = Counter(attributes["id"] for _, attributes in page.elements if attributes.get("id"))
    assert [name for name, times in names.items() if times > 1] == []
    for link in page.all("a", "href"):
        assert not link.startswith("#") or link[1:] in names, link


def test_examples_are_calls(document: Document) -> None:
    for operation in document.operations():
        call = example_call(operation, document)
        assert call.startswith("curl ")
        assert "{job}" not in call
        assert ("Bearer $TOKEN" in call) is not operation.path.endswith(("/healthz", "/readyz"))
        assert operation.body is None or "Content-Type" in call


def test_samples_have_what_is_required(document: Document) -> None:
    for name, schema in document.schemas.items():
        value = sample({"$ref": f"#/components/schemas/{name}"}, document)
        assert set(schema.get("required", ())) <= set(value), name


def test_the_document_for_programs_is_linked_and_open(page: Page, place: WebPlace) -> None:
    assert "/v1/openapi.json" in page.all("a", "href")
    reply = place.client(None).get("/v1/openapi.json")
    assert reply.status_code == 200
    assert reply.json()["openapi"].startswith("3.1")
