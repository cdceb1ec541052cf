"""A workflow drawn as text, or for Graphviz."""

from collections.abc import Iterator
from graphlib import TopologicalSorter
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from gristmill.client.workflow_models import Node, WorkflowDetail

COLOURS = {
    "done": "palegreen",
    "failed": "salmon",
    "running": "lightblue",
    "waiting": "white",
}


def as_text(detail: "WorkflowDetail") -> Iterator[str]:
    """Yield a line a node, level by level: a node stands below all that it waits for."""
    nodes = {node.name: node for node in detail.nodes}
    sorter = TopologicalSorter({node.name: node.after for node in detail.nodes})
    sorter.prepare()
    level = 0
    while sorter.is_active():
        ready = sorter.get_ready()
        for name in (node.name for node in detail.nodes if node.name in set(ready)):
            node = nodes[name]
            after = f"  <- {', '.join(node.after)}" if node.after else ""
            yield f"{'  ' * level}{name} [{_counts(node)}]{after}"
        sorter.done(*ready)
        level += 1


def as_dot(detail: "WorkflowDetail") -> Iterator[str]:
    """Yield the lines of a digraph."""
    yield f"digraph {_quoted(detail.name or f'workflow {detail.id}')} {{"
    yield "  node [shape=box, style=filled];"
    for node in detail.nodes:
        label = _quoted(f"{node.name}\n{_counts(node)}")
        yield f"  {_quoted(node.name)} [label={label}, fillcolor={COLOURS[_standing(node)]}];"
    for node in detail.nodes:
        for parent in node.after:
            yield f"  {_quoted(parent)} -> {_quoted(node.name)};"
    yield "}"


def _counts(node: "Node") -> str:
    progress = node.progress
    failed = f", {progress.failed} failed" if progress.failed else ""
    return f"{progress.done}/{progress.total} done{failed}"


def _standing(node: "Node") -> str:
    progress = node.progress
    if progress.done == progress.total:
        return "done"
    if progress.failed:
        return "failed"
    return "running" if progress.queued else "waiting"


def _quoted(text: str) -> str:
    escaped = text.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")
    return f'"{escaped}"'
