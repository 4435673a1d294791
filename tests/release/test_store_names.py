"""What a template reads of a store is noted, and stores that read alike are found again."""

import jinja2
import pytest
from hypothesis import given
from hypothesis import strategies as st

from fleet.release.store_names import Memory, StoreNames, store_values
from tests import build


def test_every_word_that_is_read_is_noted_with_what_it_said() -> None:
    used: dict[str, str | None] = {}
    names = StoreNames(store_values(build.store(labels={"market": "uk"})), used)

    assert (names["id"], names["labels"]["market"]) == ("store-042", "uk")
    assert used == {"id": "store-042", "labels.market": "uk"}


def test_what_is_not_there_is_noted_too_and_undefined() -> None:
    used: dict[str, str | None] = {}

    missing = StoreNames({"labels": {}}, used)["labels"]["zone"]

    assert used == {"labels.zone": None}
    with pytest.raises(jinja2.UndefinedError, match=r"'store\.labels\.zone' is undefined"):
        str(missing)


def test_a_label_with_a_dot_in_its_name_is_one_label() -> None:
    memory: Memory[str] = Memory()
    memory.keep({"labels.a.b": "1"}, "made")

    assert memory.find({"labels": {"a.b": "1"}}) == "made"
    assert memory.find({"labels": {"a": {"b": "1"}}}) is None


STORES = st.fixed_dictionaries(
    {
        "id": st.sampled_from("ab"),
        "region": st.sampled_from("xy"),
        "labels": st.dictionaries(st.sampled_from(["m", "n"]), st.sampled_from("12"), max_size=2),
    }
)


def rendered(values: dict[str, object], used: dict[str, str | None]) -> str:
    """A template that reads different things of different stores."""
    names = StoreNames(values, used)
    if names["region"] == "x":
        return f"x{names['id']}"
    market = names["labels"]["m"]
    return f"y{market if isinstance(market, str) else 'none'}"


@given(st.lists(STORES, max_size=12))
def test_what_is_remembered_is_what_rendering_would_give(stores: list[dict[str, object]]) -> None:
    memory: Memory[str] = Memory()
    for values in stores:
        used: dict[str, str | None] = {}
        made = rendered(values, used)
        assert memory.find(values) in {None, made}
        memory.keep(used, made)
        assert memory.find(values) == made
