"""Uploaded objects that a workflow's jobs name, with the values of their factories put in."""

from collections.abc import Iterator
from typing import Any

from gristmill.dialects.prominence.named_objects import check_objects
from gristmill.domain.factories import Factory, count, instances, values_of, written
from gristmill.domain.identity import Identity
from gristmill.domain.substitution import substitute
from gristmill.domain.workflow import WorkflowSpec
from gristmill.services.objects.store import Objects


async def check_workflow_objects(
    objects: Objects, who: Identity, workflow: dict[str, Any], spec: WorkflowSpec
) -> None:
    """Refuse a checked description that names an object which is not there for this caller."""
    made_by = instances(spec.factories)
    for job in workflow["jobs"]:
        addresses = [artifact["url"] for artifact in job.get("artifacts", ())]
        factory = made_by.get(job["name"])
        if factory is not None and any("$" in address for address in addresses):
            addresses = list(dict.fromkeys(_written_out(addresses, factory)))
        artifacts = [{"url": address} for address in addresses]
        await check_objects(objects, who, {"artifacts": artifacts, "tasks": job["tasks"]})


def _written_out(addresses: list[str], factory: Factory) -> Iterator[str]:
    for instance in range(count(factory)):
        values = values_of(factory, instance)
        texts = {name: written(value) for name, value in values.items()}
        for address in addresses:
            yield substitute(address, texts)
