"""What is declared, written as a file that ``gristmill apply`` reads. Never a secret."""

from datetime import UTC, datetime
from typing import Any

import msgspec
import yaml

from gristmill.domain.declared import Named
from gristmill.store.declarations import State

_SECTIONS = ("users", "pools", "workers", "projects", "templates", "schedules")


def write_file(state: State) -> str:
    """Return YAML text that declares exactly what state holds."""
    sections: dict[str, Any] = {"groups": [stored.value.name for stored in state.groups]}
    for section in _SECTIONS:
        sections[section] = [_plain(stored.value) for stored in getattr(state, section)]
    filled = {section: items for section, items in sections.items() if items}
    if not filled:
        return ""
    return yaml.dump(filled, Dumper=_Dumper, sort_keys=False, allow_unicode=True, width=100)


def _plain(value: Named) -> dict[str, Any]:
    fields = msgspec.to_builtins(value, builtin_types=(datetime,))
    moment = fields.get("first_run")
    if moment is not None:
        text = moment.astimezone(UTC).isoformat()
        fields["first_run"] = text.replace("+00:00", "Z")
    return {name: list(item) if isinstance(item, tuple) else item for name, item in fields.items()}


class _Dumper(yaml.SafeDumper):
    """Writes scripts as blocks, and never an alias."""

    def ignore_aliases(self, _data: Any) -> bool:
        return True


def _write_text(dumper: yaml.SafeDumper, text: str) -> yaml.ScalarNode:
    style = "|" if "\n" in text else None
    return dumper.represent_scalar("tag:yaml.org,2002:str", text, style=style)


_Dumper.add_representer(str, _write_text)
