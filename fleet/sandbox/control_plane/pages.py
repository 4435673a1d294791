"""Pages of a listing, with tokens that stay right while things come and go."""

import base64
import hashlib
import json
from bisect import bisect_left, bisect_right
from collections.abc import Mapping, Sequence
from typing import Any


class BadToken(Exception):
    """A token that this listing did not give out."""


def query_mark(action: str, question: Mapping[str, Any]) -> str:
    """A short mark of what was asked; a token of one question is refused for another."""
    text = json.dumps([action, question], sort_keys=True, default=str)
    return hashlib.sha256(text.encode()).hexdigest()[:12]


def page(
    keys: Sequence[str], size: int, token: str, mark: str, *, falling: bool = False
) -> tuple[Sequence[str], str]:
    """One page of sorted ``keys`` and the token of the next one ("" at the end).

    ``falling`` says that the keys are sorted from the last to the first.

    A token names the last key of its page, so nothing is seen twice or skipped when other keys are
    added or removed between two calls.
    """
    start = _start(keys, _last_key(token, mark), falling=falling) if token else 0
    part = keys[start : start + size]
    more = start + size < len(keys)
    return part, _token(part[-1], mark) if more and part else ""


def _start(keys: Sequence[str], last: str, *, falling: bool) -> int:
    if falling:
        return len(keys) - bisect_left(keys[::-1], last)
    return bisect_right(keys, last)


def _token(last: str, mark: str) -> str:
    return base64.urlsafe_b64encode(json.dumps([mark, last]).encode()).decode()


def _last_key(token: str, mark: str) -> str:
    try:
        given, last = json.loads(base64.urlsafe_b64decode(token.encode()))
    except (ValueError, TypeError) as error:
        raise BadToken from error
    if given != mark or not isinstance(last, str):
        raise BadToken
    return last
