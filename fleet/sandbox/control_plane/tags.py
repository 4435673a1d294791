"""Checks tags: at most 50 per resource, and no names reserved by AWS (tagging guide)."""

from collections.abc import Iterable, Mapping
from typing import Any

from fleet.sandbox.control_plane.call import Call

MOST = 50


def read_tags(call: Call) -> dict[str, str]:
    """Return the tags of a request, in the key style of its service."""
    name, key, value = (
        ("Tags", "Key", "Value") if call.service == "ssm" else ("tags", "key", "value")
    )
    tags: dict[str, str] = {}
    if len(call.get(name, [])) > MOST:
        raise call.bad(f"{name} cannot have more than {MOST} elements")
    for item in call.get(name, []):
        tag = item.get(key) or ""
        if not tag:
            raise call.bad(f"{name} has an item without a key")
        if tag.lower().startswith("aws:"):
            raise call.bad(f"the tag {tag!r} begins with aws:, which is reserved for AWS")
        if tag in tags:
            raise call.bad(f"the tag {tag!r} is given twice")
        tags[tag] = item.get(value) or ""
    return tags


def write_tags(
    tags: Mapping[str, str], key: str = "key", value: str = "value"
) -> list[dict[str, Any]]:
    """Return tags in the key style of a service, sorted by name."""
    return [{key: tag, value: tags[tag]} for tag in sorted(tags)]


def without(tags: Mapping[str, str], gone: Iterable[str]) -> dict[str, str]:
    """Return the tags that are left; a name that was not there is no error, as at AWS."""
    dropped = set(gone)
    return {tag: text for tag, text in tags.items() if tag not in dropped}
