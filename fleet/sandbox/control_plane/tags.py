"""Tags: at most 50 on a resource, names that AWS keeps for itself refused (tagging guide)."""

from collections.abc import Iterable, Mapping
from typing import Any

from fleet.sandbox.control_plane.fields import Fields

MOST = 50
_LONGEST_KEY = 128
_LONGEST_VALUE = 256


def read_tags(fields: Fields, name: str, key: str = "key", value: str = "value") -> dict[str, str]:
    """The tags of a request, in the key style of its service."""
    tags: dict[str, str] = {}
    for item in fields.maps(name, most=MOST):
        tag, text = item.get(key), item.get(value, "")
        if not isinstance(tag, str) or not 1 <= len(tag) <= _LONGEST_KEY:
            raise fields.bad(f"{name} has a key of a wrong length or type: {tag!r}")
        if not isinstance(text, str) or len(text) > _LONGEST_VALUE:
            raise fields.bad(f"{name} has a wrong value for {tag!r}")
        if tag.lower().startswith("aws:"):
            raise fields.bad(f"the tag {tag!r} begins with aws:, which AWS keeps for itself")
        if tag in tags:
            raise fields.bad(f"the tag {tag!r} is given twice")
        tags[tag] = text
    return tags


def write_tags(
    tags: Mapping[str, str], key: str = "key", value: str = "value"
) -> list[dict[str, Any]]:
    """Tags in the key style of a service, sorted by name."""
    return [{key: tag, value: tags[tag]} for tag in sorted(tags)]


def without(tags: Mapping[str, str], gone: Iterable[str]) -> dict[str, str]:
    """The tags that are left; names that were not there are no error, as at AWS."""
    dropped = set(gone)
    return {tag: text for tag, text in tags.items() if tag not in dropped}
