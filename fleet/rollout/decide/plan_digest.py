"""Proves that a plan file says what ``fleet plan`` wrote: a digest over all of the document.

A reviewer approves words; the digest holds them together with what is run. It is no signature:
whoever wants to deceive can compute it anew, and then the plan is still made again and compared.
"""

import hashlib
import json
from collections.abc import Mapping
from typing import Any

#: The key of the digest in the document.
DIGEST = "digest"
#: A field of every plan since there are digests; fleet 0.1 wrote neither.
_SINCE = "overwrite"


class EditedPlanError(ValueError):
    """Says that a plan file is not as fleet wrote it."""


def digest_of(document: Mapping[str, Any]) -> str:
    """Return the SHA-256 (hex) of everything in a document but its digest.

    Layout, the order of keys, and ``300.0`` for ``300`` do not count: other programs write JSON
    otherwise, and it says the same.
    """
    rest = {key: _plain(value) for key, value in document.items() if key != DIGEST}
    text = json.dumps(rest, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()


def check_digest(document: Mapping[str, Any]) -> bool:
    """Return whether a document has a digest, and it is right; False for one of fleet 0.1.

    Raises:
        EditedPlanError: it was edited.
    """
    plan = document.get("plan")
    if DIGEST not in document:
        if isinstance(plan, Mapping) and _SINCE not in plan:
            return False
        raise EditedPlanError("its digest is missing, so it was edited since it was written")
    if document[DIGEST] != digest_of(document):
        raise EditedPlanError("it was edited since it was written: its digest is of another text")
    return True


def read_json(text: str) -> Any:
    """Return what a JSON text says; one that says something twice, or no number, is refused.

    Raises:
        ValueError: it is no JSON, or people and programs may read different things in it.
    """
    return json.loads(text, object_pairs_hook=_once, parse_constant=_no_number)


def _once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) != len(pairs):
        names = [name for name, _ in pairs]
        twice = next(name for name in names if names.count(name) > 1)
        raise ValueError(f'the key "{twice}" is there twice')
    return found


def _no_number(word: str) -> Any:
    raise ValueError(f"{word} is no number")


def _plain(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {key: _plain(inner) for key, inner in value.items()}
    if isinstance(value, list):
        return [_plain(inner) for inner in value]
    return int(value) if isinstance(value, float) and value.is_integer() else value
