"""What all shapes of the inventory's files have in common."""

from typing import Any

from pydantic import BaseModel, ConfigDict


class Shape(BaseModel):
    """A mapping with these keys and no others."""

    model_config = ConfigDict(extra="forbid", frozen=True)


def several(value: Any) -> Any:
    """One word stands for a list of one, nothing for an empty list."""
    if value is None:
        return []
    return [value] if isinstance(value, str) else value
