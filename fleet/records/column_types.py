"""Column types: UTC times, canonical JSON and lists of names."""

import json
from collections.abc import Mapping
from dataclasses import asdict, is_dataclass
from datetime import UTC, datetime
from typing import Any

from sqlalchemy import DateTime, Text
from sqlalchemy.engine import Dialect
from sqlalchemy.types import TypeDecorator


class UtcTime(TypeDecorator[datetime]):
    """An aware time, in UTC in the database and out of it.

    PostgreSQL keeps TIMESTAMP WITH TIME ZONE. SQLite has text of one width, always in UTC and with
    microseconds, so that comparing texts compares times.
    """

    impl = DateTime(timezone=True)
    cache_ok = True

    def process_bind_param(self, value: datetime | None, dialect: Dialect) -> datetime | None:
        """Refuse a time without a zone: nobody could say later which moment it was."""
        if value is None:
            return None
        if value.tzinfo is None:
            raise TypeError("a time without a time zone is not recorded")
        utc = value.astimezone(UTC)
        return utc.replace(tzinfo=None) if dialect.name == "sqlite" else utc

    def process_result_value(self, value: datetime | None, dialect: Dialect) -> datetime | None:  # noqa: ARG002 - SQLAlchemy's signature
        """Aware, in UTC."""
        if value is None:
            return None
        return value.replace(tzinfo=UTC) if value.tzinfo is None else value.astimezone(UTC)


class CanonicalJson(TypeDecorator[Mapping[str, Any]]):
    """A mapping as JSON text with sorted keys: equal values are equal texts."""

    impl = Text
    cache_ok = True

    def process_bind_param(self, value: Mapping[str, Any] | None, dialect: Dialect) -> str | None:  # noqa: ARG002 - SQLAlchemy's signature
        """As text; see ``canonical`` for what is refused."""
        return None if value is None else canonical(value)

    def process_result_value(
        self,
        value: str | None,
        dialect: Dialect,  # noqa: ARG002 - SQLAlchemy's signature
    ) -> Mapping[str, Any] | None:
        """As the mapping it was."""
        return None if value is None else dict(json.loads(value))


class Names(TypeDecorator[tuple[str, ...]]):
    """Some names in their order, as a JSON list."""

    impl = Text
    cache_ok = True

    def process_bind_param(self, value: tuple[str, ...] | None, dialect: Dialect) -> str | None:  # noqa: ARG002 - SQLAlchemy's signature
        """As text."""
        return None if value is None else json.dumps(list(value), separators=(",", ":"))

    def process_result_value(self, value: str | None, dialect: Dialect) -> tuple[str, ...] | None:  # noqa: ARG002 - SQLAlchemy's signature
        """As the names they were."""
        return None if value is None else tuple(json.loads(value))


def canonical(value: Mapping[str, Any]) -> str:
    """JSON with sorted keys.

    Raises:
        TypeError: it holds something that is not to be kept, a ``Secret`` above all, or that JSON
            has no word for.
    """
    return json.dumps(
        dict(value), sort_keys=True, separators=(",", ":"), default=_plain, allow_nan=False
    )


def _plain(value: object) -> object:
    if isinstance(value, Mapping):
        return dict(value)
    if isinstance(value, datetime):
        return value.astimezone(UTC).isoformat()
    if is_dataclass(value) and not isinstance(value, type):
        return asdict(value)
    if isinstance(value, set | frozenset):
        return sorted(value)
    # Not the value itself: what it is of is enough to find the mistake.
    raise TypeError(f"a {type(value).__name__} is not to be recorded")
