"""Notebooks: checked, stored, shown as one page of HTML."""

from pathlib import Path
from typing import Any

import msgspec
import nbformat
from nbformat.v4 import new_code_cell, new_notebook

from gristmill.workers.blobs import blobs_at
from gristmill.workers.refusals import RefusedError
from gristmill.workers.wire import Frame

LARGEST_NOTEBOOK = 64 << 20
FROM_ELSEWHERE = ("mathjax_url", "require_js_url", "jquery_url", "mermaid_js_url")
"""Settings of the exporter that name scripts on other servers."""

TEMPLATES = Path(nbformat.__file__).parents[4] / "share/jupyter/nbconvert/templates"
"""Beside the library, which need not be below the interpreter's own prefix."""


class Given(msgspec.Struct):
    """What a client sends: code for a single cell, or a whole notebook."""

    code: str | None = None
    content: dict[str, Any] | None = None


def put(question: Frame) -> Frame:
    """Store a notebook."""
    notebook = _notebook(question.body)
    data = nbformat.writes(notebook, split_lines=False).encode()
    if len(data) > LARGEST_NOTEBOOK:
        raise RefusedError(f"the notebook is larger than {LARGEST_NOTEBOOK} bytes", "content")
    blobs_at(question.header["root"]).write(question.header["path"], data)
    return Frame({"size": len(data)}, b"")


def _notebook(body: bytes) -> Any:
    try:
        given = msgspec.json.decode(body, type=Given)
    except msgspec.ValidationError as error:
        text, _, place = str(error).partition(" - at `$.")
        raise RefusedError(text, place.rstrip("`") or "body") from error
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise RefusedError(f"the body is not valid JSON: {error}", "body") from error
    if (given.code is None) == (given.content is None):
        raise RefusedError("give either code or content", "content")
    if given.code is not None:
        cell = new_code_cell(given.code, id="cell-1")
        return new_notebook(cells=[cell])
    return _checked(given.content)


def _checked(content: Any) -> Any:
    if content.get("nbformat") != 4:
        raise RefusedError("must be a notebook of nbformat 4", "content.nbformat")
    notebook = nbformat.from_dict(content)
    try:
        nbformat.validate(notebook, relax_add_props=True)
    except (nbformat.ValidationError, AttributeError, TypeError, KeyError) as error:
        raise RefusedError(
            f"is no notebook: {str(error).splitlines()[0][:300]}", "content"
        ) from error
    return notebook


def get(question: Frame) -> Frame:
    """Return a notebook's JSON."""
    data = blobs_at(question.header["root"]).read(question.header["path"])
    return Frame({}, data)


def export(question: Frame) -> Frame:
    """Return a notebook as HTML that needs nothing from elsewhere."""
    from nbconvert import HTMLExporter

    data = blobs_at(question.header["root"]).read(question.header["path"])
    exporter = HTMLExporter(embed_images=True, **_paths())
    for name in FROM_ELSEWHERE:
        setattr(exporter, name, "")
    page, _ = exporter.from_notebook_node(nbformat.reads(data.decode(), as_version=4))
    return Frame({}, without_scripts_from_elsewhere(page).encode())


def _paths() -> dict[str, list[str]]:
    place = str(TEMPLATES)
    return {"extra_template_basedirs": [place], "extra_template_paths": [place]}


def without_scripts_from_elsewhere(page: str) -> str:
    """Drop what a browser would load from other servers."""
    from bs4 import BeautifulSoup

    soup = BeautifulSoup(page, "html.parser")
    for script in soup.find_all("script"):
        text = script.string or ""
        mentions = any(sign in text for sign in ("https://", "http://", "MathJax"))
        if script.get("src") is not None or mentions or not text.strip():
            script.decompose()
    for link in soup.find_all("link"):
        if not str(link.get("href", "")).startswith("data:"):
            link.decompose()
    return str(soup)
