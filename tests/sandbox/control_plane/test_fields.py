from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fleet.sandbox.agents.session import AwsFault
from fleet.sandbox.control_plane.fields import Fields

JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner),
    max_leaves=6,
)


@given(JSON)
def test_every_reader_gives_its_type_or_the_services_error(value: Any) -> None:
    fields = Fields("Do", {"a": value}, "ValidationException")
    readers: dict[str, tuple[Callable[[], object], type | tuple[type, ...]]] = {
        "text": (lambda: fields.text("a"), str),
        "flag": (lambda: fields.flag("a"), bool),
        "integer": (lambda: fields.integer("a", 1, 5, 3), int),
        "texts": (lambda: fields.texts("a"), list),
        "maps": (lambda: fields.maps("a"), list),
        "mapping": (lambda: fields.mapping("a"), dict),
        "moment": (lambda: fields.moment("a"), (float, type(None))),
        "choice": (lambda: fields.choice("a", ("x",)), str),
    }
    for read, kind in readers.values():
        try:
            assert isinstance(read(), kind)
        except AwsFault as fault:
            assert fault.code == "ValidationException"  # noqa: PT017 - both outcomes are right


@pytest.mark.parametrize("value", [None, "", [], {}, False])
def test_a_part_that_says_nothing_may_be_there(value: Any) -> None:
    Fields("Do", {"unknown": value}, "X").only("known")


@pytest.mark.parametrize("value", ["x", 0.5, [1], {"a": 1}, True])
def test_a_part_that_says_something_unknown_is_refused(value: Any) -> None:
    with pytest.raises(AwsFault, match="does not model unknown of Do"):
        Fields("Do", {"unknown": value, "known": 1}, "X").only("known")


@given(st.integers(-10, 20))
def test_numbers_have_both_limits(value: int) -> None:
    fields = Fields("Do", {"a": value}, "X")
    if 1 <= value <= 10:
        assert fields.integer("a", 1, 10, 5) == value
    else:
        with pytest.raises(AwsFault, match="between 1 and 10"):
            fields.integer("a", 1, 10, 5)
