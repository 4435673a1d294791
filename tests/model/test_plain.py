"""Values as JSON has words for, and what is refused on the way there and back."""

import json
from dataclasses import dataclass, field
from datetime import UTC, datetime, time
from decimal import Decimal
from enum import StrEnum
from typing import Any

import pytest

from fleet.model.hours import Hours, OpenSpan
from fleet.model.plain import from_plain, to_plain
from fleet.model.secret import Secret


class Colour(StrEnum):
    RED = "red"


@dataclass(frozen=True)
class Part:
    name: str


@dataclass(frozen=True)
class Thing:
    colour: Colour
    hours: Hours
    at: datetime | None
    price: Decimal
    names: frozenset[str]
    share: float = 1.0
    count: int = 0
    extras: Any = None
    parts: tuple[Part, ...] = field(default=())


SPAN = OpenSpan(time(8), time(22, 30))
WHOLE = Thing(
    Colour.RED,
    {0: (SPAN,), 6: ()},
    datetime(2026, 11, 23, 2, tzinfo=UTC),
    Decimal("4.50"),
    frozenset({"b", "a"}),
    extras={"x": [1, "two"]},
    parts=(Part("wheel"),),
)


def plain(**changes: Any) -> Any:
    return {**json.loads(json.dumps(to_plain(WHOLE))), **changes}


def test_a_value_comes_back_from_json_as_it_was() -> None:
    assert from_plain(Thing, plain()) == WHOLE


def test_a_time_without_a_zone_stays_without_one() -> None:
    naive = datetime(2026, 11, 23, 2)  # noqa: DTZ001 - the store's own time
    assert to_plain(naive) == "2026-11-23T02:00:00"


def test_equal_sets_are_equal_texts() -> None:
    assert to_plain(WHOLE)["names"] == ["a", "b"]


def test_a_whole_number_may_stand_for_a_share() -> None:
    assert from_plain(Thing, plain(share=1)).share == 1.0


def test_a_field_with_a_default_may_be_missing() -> None:
    short = {key: value for key, value in plain().items() if key != "share"}
    assert from_plain(Thing, short) == WHOLE


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"speed": 1}, "Thing: speed is unknown"),
        ({"colour": "blue"}, r"Thing\.colour: 'blue' is not a valid Colour"),
        ({"hours": {"0": [{"opens": "8"}]}}, r"Thing\.hours\.0: closes is missing"),
        ({"at": 7}, r"Thing\.at: str expected, not int"),
        ({"price": "dear"}, r"Thing\.price: "),
        ({"count": True}, r"Thing\.count: int expected, not bool"),
        ({"parts": {}}, r"Thing\.parts: list expected, not dict"),
        ({"share": "all"}, r"Thing\.share: float expected, not str"),
    ],
)
def test_what_is_wrong_is_named_with_its_place(changes: dict[str, Any], words: str) -> None:
    with pytest.raises(ValueError, match=words):
        from_plain(Thing, plain(**changes))


def test_a_missing_field_is_named() -> None:
    short = {key: value for key, value in plain().items() if key != "colour"}
    with pytest.raises(ValueError, match="Thing: colour is missing"):
        from_plain(Thing, short)


def test_a_secret_is_never_written_down() -> None:
    with pytest.raises(TypeError, match="a Secret is nothing to write down"):
        to_plain({"code": Secret("hunter2")})


def test_a_key_that_json_has_no_word_for_is_refused() -> None:
    with pytest.raises(TypeError, match="a tuple is no key"):
        to_plain({("a", "b"): 1})
