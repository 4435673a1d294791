"""Holds: one rollout's claims on stores and workloads, against those of others and its own."""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from sqlalchemy import Connection

from fleet.errors import Locked
from fleet.model.rollout import Hold
from fleet.records.holds import check_free, hold, holds, let_go
from fleet.records.opening import open_records
from tests import rollouts as some

NOON = datetime(2026, 11, 22, 12, 0, tzinfo=UTC)
LATER = NOON + timedelta(minutes=1)
FIRST, SECOND = ("store-1", "vision"), ("store-2", "vision")


@pytest.fixture
def connection(tmp_path: Path) -> Iterator[Connection]:
    """A database in which rollouts 1 to 10 are, none of which holds anything."""
    with open_records(None, tmp_path) as records:
        for _ in range(10):
            records.rollouts.start(some.spec(), (), (), caller="arn:me", at=NOON, run="run-1")
        with records._database.write() as opened:
            yield opened


def held(connection: Connection) -> list[tuple[str, str, str, datetime]]:
    return [(one.store, one.workload, one.rollout, one.since) for one in holds(connection)]


def test_a_rollout_keeps_the_holds_that_it_already_has(connection: Connection) -> None:
    hold(connection, 1, [FIRST], by="arn:me", since=NOON)
    hold(connection, 1, [FIRST, SECOND], by="arn:me", since=LATER)

    assert held(connection) == [(*FIRST, "ro-1", NOON), (*SECOND, "ro-1", LATER)]


def test_a_rollout_that_has_all_of_them_takes_nothing(connection: Connection) -> None:
    hold(connection, 1, [FIRST], by="arn:me", since=NOON)
    hold(connection, 1, [FIRST], by="arn:me", since=LATER)

    assert held(connection) == [(*FIRST, "ro-1", NOON)]


def test_another_rollout_gets_none_of_them_when_one_is_held(connection: Connection) -> None:
    hold(connection, 1, [FIRST], by="arn:me", since=NOON)
    with pytest.raises(Locked, match=r"ro-1 holds store-1 \(vision\)"):
        hold(connection, 2, [FIRST, SECOND], by="arn:jo", since=LATER)

    assert held(connection) == [(*FIRST, "ro-1", NOON)]


def test_its_own_holds_do_not_hide_those_of_another(connection: Connection) -> None:
    hold(connection, 1, [FIRST], by="arn:me", since=NOON)
    hold(connection, 2, [SECOND], by="arn:jo", since=NOON)
    with pytest.raises(Locked) as raised:
        hold(connection, 2, [FIRST, SECOND], by="arn:jo", since=LATER)

    assert "store-2" not in str(raised.value)


def test_holds_of_stores_that_are_not_wanted_hide_none_that_are(connection: Connection) -> None:
    hold(connection, 1, [("store-0", "vision"), FIRST], by="arn:me", since=NOON)
    hold(connection, 2, [("store-00", "vision"), SECOND], by="arn:jo", since=NOON)
    with pytest.raises(Locked, match=r"ro-1 holds store-1 \(vision\)"):
        hold(connection, 2, [FIRST, SECOND], by="arn:jo", since=LATER)
    with pytest.raises(Locked, match=r"ro-1 holds store-1 \(vision\)"):
        check_free(connection, [FIRST])


def test_nothing_is_asked_of_a_rollout_that_wants_nothing(connection: Connection) -> None:
    hold(connection, 1, [], by="arn:me", since=NOON)

    assert held(connection) == []


def test_a_rollout_lets_go_of_its_own_alone(connection: Connection) -> None:
    hold(connection, 1, [FIRST], by="arn:me", since=NOON)
    hold(connection, 2, [SECOND], by="arn:jo", since=NOON)
    let_go(connection, 1)

    assert holds(connection) == (Hold(*SECOND, "ro-2", "arn:jo", NOON),)
    check_free(connection, [FIRST])
    with pytest.raises(Locked):
        check_free(connection, [FIRST, SECOND])


@pytest.mark.parametrize(("stores", "words"), [(3, ""), (4, " and 1 more"), (5, " and 2 more")])
def test_three_are_named_and_the_rest_is_counted(
    connection: Connection, stores: int, words: str
) -> None:
    many = [(f"store-{n}", "vision") for n in range(1, stores + 1)]
    hold(connection, 1, many, by="arn:me", since=NOON)
    with pytest.raises(Locked) as raised:
        check_free(connection, many)

    assert f"store-1 (vision), store-2 (vision), store-3 (vision){words} since" in str(raised.value)


def test_the_rollout_that_holds_longest_is_named_and_the_others_after_it(
    connection: Connection,
) -> None:
    hold(connection, 2, [FIRST], by="arn:jo", since=NOON)
    hold(connection, 1, [SECOND], by="arn:me", since=LATER)
    with pytest.raises(Locked) as raised:
        check_free(connection, [FIRST, SECOND])

    assert str(raised.value).startswith("ro-2 holds store-1 (vision) since 2026-11-22 12:00Z, ")
    assert "started by arn:jo; ro-1 holds others; nothing was touched" in str(raised.value)


def test_the_others_are_named_in_the_order_of_their_numbers(connection: Connection) -> None:
    stores = [(f"store-{number}", "vision") for number in (1, 10, 2, 9)]
    for store, number in zip(stores, (1, 10, 2, 9), strict=True):
        hold(connection, number, [store], by="arn:me", since=NOON)
    with pytest.raises(Locked, match="; ro-2, ro-9, ro-10 hold others; "):
        check_free(connection, stores)
