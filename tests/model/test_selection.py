"""The language that stores are chosen with says what it means, and where it is wrong."""

import time
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fleet.model.inventory import Architecture, Hardware, Lifecycle, Link, Store
from fleet.model.selection import LONGEST, SelectionError, parse
from tests import build

ORIN = Hardware("orin", Architecture.ARM64, "arm64/jetpack6", accelerator="orin")


def shop(id_: str = "store-042", **changes: Any) -> Store:
    return build.store(
        **{
            "id": id_,
            "labels": {"market": "emea"},
            "link": Link("lte", metered=True, carrier="northern-mobile"),
            "hosts": (build.host("cam-1", build.XAVIER, id_), build.host("tel-1", store=id_)),
            **changes,
        }
    )


def wrong(text: str, *stores: Store) -> SelectionError:
    with pytest.raises(SelectionError) as caught:
        parse(text).check(stores or (shop(),))
    return caught.value


@pytest.mark.parametrize(
    "text",
    [
        "market=emea and link.kind=lte",
        "label.market = emea",
        "market == emea",
        "store=store-0*",
        "id = store-04?",
        "store in (store-001, 'store-042')",
        "not ring=canary",
        "ring != canary",
        "ring not in (canary, early)",
        "name='Leeds *'",
        'name="Leeds Briggate"',
        "account=emea-prod and region=eu-west-1 and time_zone=Europe/London",
        "link.carrier=northern-mobile and link.metered=yes",
        "hardware=nuc and hardware=xavier-nx",
        "architecture=arm64 AND variant=arm64 and accelerator=tegra-*",
        "host=cam-1 and host=store-042/cam-1",
        "lifecycle=open and cluster=store-042",
        "ring=canary or ring=broad",
        "ring=canary and market=apac or market=emea",
        "(market=apac or market=emea) and not (ring=canary)",
        "not not market=emea",
        "wifi != guest",
    ],
)
def test_it_holds_for_leeds(text: str) -> None:
    assert parse(text).matches(shop())


@pytest.mark.parametrize(
    "text",
    [
        "market=apac",
        "store=store-0",
        "store=store-*1",
        "ring=canary and market=apac or market=apac",
        "market=emea and (ring=canary or ring=early)",
        "hardware != nuc",
        "hardware not in (nuc, orin)",
        "wifi=guest",
        "link.metered=no",
        "name=leeds*",
    ],
)
def test_it_does_not_hold_for_leeds(text: str) -> None:
    assert not parse(text).matches(shop())


@pytest.mark.parametrize(
    ("text", "column", "said", "hint"),
    [
        ("", 1, "an empty condition", "write one, as market=emea"),
        ("market", 7, '=, != or in expected after "market", found the end', "market in (A, B)"),
        ("link.knd=lte", 1, 'no field "link.knd"', 'did you mean "link.kind"?'),
        ("rng=canary", 1, 'no field or label "rng"', 'did you mean "ring"?'),
        ("markt=emea", 1, 'no field or label "markt"', 'did you mean "market"?'),
        ("market=emea and", 16, "a field expected, found the end", "one of: id, store"),
        ("market=emea ring=canary", 13, 'found "ring"', None),
        ("market=", 8, "a value expected, found the end", None),
        ("market in emea", 11, '"(" expected after in', None),
        ("market in (emea apac)", 17, '"," or ")" expected', None),
        ("(market=emea", 13, '")" expected', None),
        ("market='emea", 8, "a quote is not closed", None),
        ("market=''", 8, 'a value expected, found ""', None),
        ("market=emea and ring=braod", 22, 'no store has ring "braod"', 'did you mean "broad"?'),
        ("store!=store-9*", 8, 'no store has store "store-9*"', None),
        ("lifecycle=opne", 11, "no store has lifecycle", 'did you mean "open"?'),
        ("market!emea", 7, "unexpected '!'", None),
        ("and=1", 1, 'a field expected, found "and"', None),
    ],
)
def test_what_is_wrong_has_a_column_and_the_nearest_word(
    text: str, column: int, said: str, hint: str | None
) -> None:
    error = wrong(text)

    assert error.column == column
    assert said in str(error)
    assert hint is None or hint in (error.hint or "")


def test_a_word_that_every_fleet_knows_is_right_though_no_store_is_so() -> None:
    parse("lifecycle=closed or architecture=arm64 or link.metered=false").check([shop()])


def test_it_knows_what_it_speaks_of() -> None:
    selection = parse("not lifecycle=open and (market=emea or hardware in (nuc))")

    assert selection.fields == {"lifecycle", "label.market", "hardware"}


def test_a_store_matches_when_any_of_its_hosts_does() -> None:
    both = shop(hosts=(build.host("a", build.XAVIER), build.host("b", ORIN)))

    assert parse("variant=arm64/jetpack6").matches(both)
    assert not parse("variant=arm64/jetpack6").matches(shop())


def test_a_store_without_a_carrier_is_not_of_another() -> None:
    fibre = shop(link=Link("fibre"))

    assert parse("link.carrier != northern-mobile").matches(fibre)
    assert not parse("link.carrier=*").matches(fibre)


@pytest.mark.parametrize("text", ["(" * 60 + "a=b" + ")" * 60, "not " * 80 + "a=b"])
def test_deep_nesting_is_refused_and_not_followed(text: str) -> None:
    assert "nested too deeply" in str(wrong(text))


def test_a_long_text_is_refused() -> None:
    assert f"at most {LONGEST}" in str(wrong("a=" + "b" * LONGEST))


def test_many_stars_are_quick() -> None:
    selection = parse("name=" + "a*" * 400 + "z")
    long = shop(name="a" * 3000)
    began = time.process_time()

    assert not selection.matches(long)
    assert time.process_time() - began < 1


@given(st.text(alphabet="ab=!()'\", \n*?notradi.", max_size=40))
def test_any_text_is_understood_or_refused_at_a_place_in_it(text: str) -> None:
    column = 1
    try:
        parse(text).matches(shop())
    except SelectionError as error:
        column = error.column

    assert 1 <= column <= len(text) + 1


CONDITIONS = st.sampled_from(
    ["market=emea", "market=apac", "ring=canary", "hardware=nuc", "hardware=orin", "id=s-*"]
)
SHOPS = st.builds(
    shop,
    st.sampled_from(["s-1", "store-2"]),
    ring=st.sampled_from(["canary", "broad"]),
    labels=st.sampled_from([{}, {"market": "emea"}, {"market": "apac"}]),
    hosts=st.sampled_from([(), (build.host(),), (build.host("o", ORIN), build.host())]),
    lifecycle=st.sampled_from(Lifecycle),
)


@given(CONDITIONS, CONDITIONS, CONDITIONS, SHOPS)
def test_and_binds_closer_than_or_and_not_is_the_opposite(
    one: str, two: str, three: str, store: Store
) -> None:
    first, second, third = (parse(text).matches(store) for text in (one, two, three))

    assert parse(f"{one} or {two} and {three}").matches(store) == (first or (second and third))
    assert parse(f"not {one} and {two}").matches(store) == (not first and second)
    assert parse(one.replace("=", "!=")).matches(store) is not first
