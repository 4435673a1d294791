"""Nothing acts on a store that was not chosen, and words that choose nothing are an error."""

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fleet.errors import EmptySelection, UsageError
from fleet.inventory.decide.selection import (
    Choice,
    choose,
    describe,
    left_out,
    stores_to_change,
    stores_to_show,
)
from fleet.model.inventory import Fleet, Lifecycle
from tests import build

LEEDS = build.store(id="store-042", ring="canary", labels={"market": "uk"})
YORK = build.store(id="store-043", labels={"market": "uk"})
HULL = build.store(id="store-044", labels={"market": "uk"}, lifecycle=Lifecycle.PLANNED)
FLEET = build.fleet(LEEDS, YORK, HULL)


def ids(choice: Choice, *, acting: bool = False, fleet: Fleet = FLEET) -> list[str]:
    return [store.id for store in choose(fleet, choice, acting=acting)]


def test_ids_come_in_the_order_typed_and_once() -> None:
    chosen = ids(Choice(("store-044", "store-042", "store-044")))

    assert chosen == ["store-044", "store-042"]


@pytest.mark.parametrize(
    ("choice", "expected"),
    [
        (Choice(all=True), ["store-042", "store-043", "store-044"]),
        (Choice(ring="canary"), ["store-042"]),
        (Choice(where="market=uk and not ring=canary"), ["store-043", "store-044"]),
        (Choice(("store-042", "store-043"), where="ring=broad"), ["store-043"]),
        (Choice(where="market=uk", ring="broad", all=True), ["store-043", "store-044"]),
    ],
)
def test_words_choose_by_what_they_have_in_common(choice: Choice, expected: list[str]) -> None:
    assert ids(choice) == expected


def test_no_word_is_not_every_store() -> None:
    with pytest.raises(UsageError, match="no store was chosen") as refused:
        choose(FLEET, Choice())

    assert all(word in str(refused.value.hint) for word in ("--where", "--ring", "--all"))


@pytest.mark.parametrize(
    ("choice", "said"),
    [
        (Choice(where=""), "an empty condition"),
        (Choice(where="  "), "an empty condition"),
        (Choice(where="ring="), "a value expected, found the end"),
        (Choice(where="ring=' '"), "a value expected, found only spaces"),
        (Choice(where="ring!=' '"), "a value expected, found only spaces"),
        (Choice(where="store in (store-042, '')"), "a value expected"),
        (Choice(ring=""), "no store is in a ring ''"),
        (Choice(("store-042", "")), "no store '' in the inventory"),
        (Choice(("",), all=True), "no store '' in the inventory"),
    ],
)
def test_an_empty_word_selects_no_store_and_never_all(choice: Choice, said: str) -> None:
    assert choice.is_given
    with pytest.raises(UsageError, match=said):
        choose(FLEET, choice)


@pytest.mark.parametrize(
    ("choice", "hint"),
    [
        (Choice(("store-042", "store-24")), "store-042"),
        (Choice(ring="canray"), "canary"),
        (Choice(ring="x"), "rings: broad, canary"),
        (Choice(where="market=ku"), "uk"),
    ],
)
def test_a_word_that_means_nothing_names_the_nearest(choice: Choice, hint: str) -> None:
    with pytest.raises(UsageError) as refused:
        choose(FLEET, choice)

    assert hint in str(refused.value.hint)


def test_words_that_choose_nothing_are_an_empty_selection() -> None:
    with pytest.raises(EmptySelection, match="chosen by store-043 --ring canary"):
        choose(FLEET, Choice(("store-043",), ring="canary"))


def test_a_command_that_acts_leaves_out_stores_that_are_not_open() -> None:
    everything = Choice(all=True)

    assert ids(everything, acting=True) == ["store-042", "store-043"]
    assert left_out(FLEET, everything) == (HULL,)


@pytest.mark.parametrize("choice", [Choice(("store-044",)), Choice(where="lifecycle=planned")])
def test_a_store_that_is_not_open_may_be_meant(choice: Choice) -> None:
    assert ids(choice, acting=True) == ["store-044"]
    assert left_out(FLEET, choice) == ()


def test_nothing_but_stores_that_are_not_open_is_an_empty_selection() -> None:
    with pytest.raises(EmptySelection, match="is open: store-044 planned"):
        choose(build.fleet(HULL), Choice(all=True), acting=True)


def test_the_words_are_described_so_that_they_can_be_typed_again() -> None:
    choice = Choice(("store-042",), "market=uk and ring=canary", "canary", all=True)

    assert describe(choice) == ("store-042 --where 'market=uk and ring=canary' --ring canary --all")
    assert describe(Choice()) == ""


@given(st.permutations([LEEDS, YORK, HULL]))
def test_what_is_chosen_does_not_depend_on_the_inventorys_order(stores: list[object]) -> None:
    fleet = build.fleet(*stores)  # type: ignore[arg-type]  # hypothesis loses the element's type

    assert set(ids(Choice(where="market=uk"), acting=True, fleet=fleet)) == {LEEDS.id, YORK.id}


def test_commands_that_only_look_take_every_store_when_none_is_chosen() -> None:
    fleet = build.fleet(LEEDS, YORK)

    assert stores_to_show(fleet, Choice()) == (LEEDS, YORK)
    assert stores_to_show(fleet, Choice(("store-043",))) == (YORK,)


def test_commands_that_act_want_to_be_told_on_what() -> None:
    with pytest.raises(UsageError, match="no store was chosen"):
        stores_to_change(build.fleet(LEEDS), Choice(), print)


def test_what_a_command_that_acts_leaves_out_is_said() -> None:
    said: list[str] = []
    fleet = build.fleet(LEEDS, replace(YORK, lifecycle=Lifecycle.PAUSED))

    stores = stores_to_change(fleet, Choice(all=True), said.append)

    assert stores == (LEEDS,)
    assert said == ["left out, not open: store-043 paused (name their ids to include them)"]
