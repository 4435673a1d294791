"""Makes text from hosts and servers safe for a terminal and a log."""

import unicodedata
from collections.abc import Sequence


def printable(text: str, *, limit: int = 2000) -> str:
    """Return one line of ``text`` without control, format or surrogate characters.

    Line breaks and tabs become spaces; anything else that a terminal could obey is dropped, so
    that a shop host cannot write escape sequences to the operator's screen. Longer than ``limit``
    characters is cut, with an ellipsis.
    """
    spaced = " ".join(text.split())
    clean = spaced
    if not spaced.isprintable():
        dropped = {"Cc", "Cf", "Cs", "Co"}
        clean = "".join(c for c in spaced if unicodedata.category(c) not in dropped)
    return clean if len(clean) <= limit else clean[: limit - 1] + "…"


def many(number: int, word: str) -> str:
    """Return ``1 store``, ``2 stores``."""
    return f"{number} {word}" if number == 1 else f"{number} {word}s"


def percent(share: float) -> str:
    """Return ``62 %``, rounded down, so that a number below its limit never reads as the limit."""
    percent = share * 100
    whole = int(percent + 1e-9)
    tenth = int(percent * 10 + 1e-6) / 10
    return f"{whole} %" if tenth == whole else f"{tenth:.1f} %"


def some(names: Sequence[str], most: int = 5) -> str:
    """Return ``store-001, store-002 and 38 more``."""
    shown = ", ".join(names[:most])
    return f"{shown} and {len(names) - most:,} more" if len(names) > most else shown


def listed(names: Sequence[str]) -> str:
    """Return ``cam-1, cam-2 and tel-1``."""
    *first, last = names or [""]
    return f"{', '.join(first)} and {last}" if first else last


def who(arns: str) -> str:
    """Return the last words of one caller's ARN or several, as ``fleet-operator/on-call``."""
    return ", ".join(dict.fromkeys(arn.partition("/")[2] or arn for arn in arns.split(", ")))
