"""When a host's connection is certain, and since when it has been so."""

from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fleet.drift.decide.host_connection import (
    Pinged,
    pinged,
    proven,
    unexplained,
    with_lost,
    with_pings,
)
from fleet.model.drift import HostConnection, Spell, StoreSeen
from fleet.model.observed import ContainerInstance, ManagedInstance, NotRead, Ping, Reading
from tests import build
from tests.drift.decide.world import NOW, world

HOLD_S = 900.0


def ping(minutes: float | None, status: Ping = Ping.ONLINE, **changes: Any) -> Pinged:
    heard = None if minutes is None else NOW - timedelta(minutes=minutes)
    node = build.node(ping=status, last_ping_at=heard, **changes)
    return pinged(node, NOW, HOLD_S)


def spell_of(box: dict[str, Any], other: dict[str, Any] | None = None) -> Spell | None:
    told = {"stores": {"store-042": {"hosts": {"cam-1": box, "tel-1": other or {}}}}}
    return world(told).reconciled().connections.get(("store-042", "cam-1"))


def since(box: dict[str, Any]) -> datetime:
    spell = spell_of(box)
    assert spell is not None
    return spell.since


def test_online_with_a_fresh_ping_is_here() -> None:
    assert ping(10) is Pinged.HERE


def test_online_with_an_old_ping_is_no_news() -> None:
    assert ping(12) is Pinged.UNCLEAR


def test_online_with_a_ping_beyond_the_hold_time_is_lost() -> None:
    assert ping(15) is Pinged.LOST


def test_connection_lost_is_unclear_until_it_has_held() -> None:
    assert ping(14.9, Ping.CONNECTION_LOST) is Pinged.UNCLEAR
    assert ping(15, Ping.CONNECTION_LOST) is Pinged.LOST


def test_a_node_that_never_pinged_is_lost_once_its_registration_is_old() -> None:
    young, old = NOW - timedelta(minutes=5), NOW - timedelta(hours=5)
    assert ping(None, Ping.CONNECTION_LOST, registered_at=young) is Pinged.UNCLEAR
    assert ping(None, Ping.CONNECTION_LOST, registered_at=old) is Pinged.LOST


@given(st.floats(0, 100_000), st.floats(0, 100_000), st.sampled_from(list(Ping)))
def test_an_older_ping_is_never_nearer(one: float, other: float, status: Ping) -> None:
    order = [Pinged.HERE, Pinged.UNCLEAR, Pinged.LOST]
    near, far = sorted((one, other))
    assert order.index(ping(near, status)) <= order.index(ping(far, status))


def test_a_first_look_at_a_connected_host_says_connected_since_then() -> None:
    assert spell_of({}) == Spell(HostConnection.CONNECTED, NOW, NOW)


def test_a_connected_host_stays_connected_since_it_was_first_seen_so() -> None:
    before = {"memory": {"spells": [["connected", "-9d", "-1d"]]}}
    assert since(before) == NOW - timedelta(days=9)


def test_a_host_that_is_back_in_the_second_look_is_connected() -> None:
    box = {"instance": {"agent_connected": False}, "again": {"agent_connected": True}}
    assert spell_of(box) == Spell(HostConnection.CONNECTED, NOW - timedelta(seconds=330), NOW)


def test_a_dark_host_is_dark_since_its_last_ping() -> None:
    assert since({"dark": "-5h"}) == NOW - timedelta(hours=5)


def test_a_host_that_stays_dark_is_dark_since_it_went() -> None:
    box = {"dark": "-5h", "memory": {"spells": [["dark", "-6h", "-1h"]]}}
    assert since(box) == NOW - timedelta(hours=6)


def test_a_ping_after_it_was_last_seen_dark_begins_a_new_outage() -> None:
    box = {"dark": "-5h", "memory": {"spells": [["dark", "-3d", "-1d"]]}}
    assert since(box) == NOW - timedelta(hours=5)


def test_an_outage_begins_no_earlier_than_the_host_was_last_seen_connected() -> None:
    box = {"dark": "-5h", "memory": {"spells": [["connected", "-3d", "-4.9h"]]}}
    assert since(box) == NOW - timedelta(hours=4.9)


def test_two_looks_that_are_too_near_prove_nothing() -> None:
    box = {"instance": {"agent_connected": False}, "again": {}}
    told = {"settings": {"look_again_s": 600}, "stores": {"store-042": {"hosts": {"cam-1": box}}}}
    assert ("store-042", "cam-1") not in world(told).reconciled().connections


@pytest.mark.parametrize(
    ("heard", "beside"),
    [
        ("-4m", "-16m"),  # its ping is not even due
        ("-12m", "-3d"),  # the neighbour went long before
        ("-12m", "-13m"),  # no neighbour has been lost for long enough
    ],
)
def test_nobody_vouches_for_a_host_that_may_only_be_late(heard: str, beside: str) -> None:
    assert spell_of({"dark": heard}, {"dark": beside}) is None


def test_a_host_whose_ecs_agent_answers_does_not_go_along_with_its_neighbour() -> None:
    late = {"node": {"ping": "ConnectionLost", "last_ping_at": "-12m"}}
    assert spell_of(late, {"dark": "-16m"}) is None


def test_a_host_whose_node_is_gone_has_no_spell() -> None:
    assert spell_of({"node": None}) is None


LATER = build.NOW + timedelta(seconds=330)
OTHER = build.ARN.replace("aaaa", "bbbb")


def seen(*instances: ContainerInstance) -> StoreSeen:
    return StoreSeen("store-042", Reading(instances, build.NOW), Reading((), build.NOW))


def away(**changes: Any) -> ContainerInstance:
    return build.instance(agent_connected=False, **changes)


def node(**changes: Any) -> ManagedInstance:
    return build.node(last_ping_at=build.NOW - timedelta(minutes=2), **changes)


def in_doubt(store: StoreSeen, one: ManagedInstance | None) -> list[str]:
    nodes = {one.id: one} if one else {}
    return [doubt.arn for doubt in unexplained(store, nodes, build.NOW)]


def test_an_agent_that_is_away_while_its_host_pings_is_in_doubt() -> None:
    assert in_doubt(seen(away()), node()) == [build.ARN]


def test_an_agent_that_is_connected_is_not() -> None:
    assert in_doubt(seen(build.instance()), node()) == []


def test_a_host_that_ssm_has_lost_is_explained() -> None:
    assert in_doubt(seen(away()), node(ping=Ping.CONNECTION_LOST)) == []


def test_a_host_that_has_not_pinged_for_long_is_explained() -> None:
    silent = replace(node(), last_ping_at=build.NOW - timedelta(minutes=12))
    assert in_doubt(seen(away()), silent) == []


def test_a_host_that_ssm_does_not_know_is_explained() -> None:
    assert in_doubt(seen(away()), None) == []


def test_an_instance_that_drains_is_not_looked_at_again() -> None:
    assert in_doubt(seen(away(status="DRAINING")), node()) == []


def test_the_old_record_of_a_connected_host_is_no_doubt() -> None:
    assert in_doubt(seen(away(arn=OTHER), build.instance()), node()) == []


def test_a_store_that_was_not_read_is_in_no_doubt() -> None:
    why = NotRead("denied")
    assert in_doubt(StoreSeen("store-042", why, why), node()) == []


def asked() -> tuple[Any, ...]:
    return unexplained(seen(away()), {build.MI: node()}, build.NOW)


def test_a_host_that_pinged_since_is_there_so_what_ecs_says_twice_holds() -> None:
    after = replace(node(), last_ping_at=LATER)
    assert with_pings({build.MI: node()}, {build.MI: after}, asked()) == {build.ARN}


def test_a_host_that_went_dark_just_before_the_first_look_is_not_vouched_for() -> None:
    assert with_pings({build.MI: node()}, {build.MI: node()}, asked()) == frozenset()


def test_a_host_that_ssm_has_lost_since_is_not_vouched_for_and_is_lost() -> None:
    lost = node(ping=Ping.CONNECTION_LOST)
    assert with_pings({build.MI: node()}, {build.MI: lost}, asked()) == frozenset()
    assert with_lost({build.MI: node()}, {build.MI: lost}) == (lost,)


def test_a_host_that_was_deregistered_meanwhile_is_not_vouched_for() -> None:
    assert with_pings({build.MI: node()}, {}, asked()) == frozenset()
    assert with_lost({build.MI: node()}, {}) == (node(),)


def test_a_node_that_answers_stays_as_it_was_first_read() -> None:
    after = replace(node(), last_ping_at=LATER)
    assert with_lost({build.MI: node()}, {build.MI: after}) == (node(),)


def again(*instances: ContainerInstance) -> Reading[tuple[ContainerInstance, ...]]:
    return Reading(instances, LATER)


def test_a_second_look_says_nothing_of_hosts_that_nobody_vouches_for() -> None:
    both = again(away(), away(arn=OTHER))
    assert proven(both, frozenset({build.ARN})) == again(away())
    assert proven(both, frozenset()) is None


def test_a_host_that_is_back_at_the_second_look_is_told_of_without_a_word_for_it() -> None:
    assert proven(again(build.instance()), frozenset()) == again(build.instance())


def test_a_second_look_that_failed_says_so() -> None:
    failed = NotRead("Throttled")
    assert proven(failed, frozenset({build.ARN})) == failed


def test_a_host_that_is_still_away_while_ssm_is_not_heard_is_not_known() -> None:
    failed = NotRead("Throttled")
    assert proven(again(away()), failed) == failed
    assert proven(again(build.instance()), failed) == again(build.instance())


@given(
    st.booleans(),
    st.sampled_from(list(Ping)),
    st.integers(0, 7200),
    st.integers(0, 7200),
)
def test_nobody_is_vouched_for_who_has_not_pinged_between_the_looks(
    connected: bool, ping: Ping, before_s: int, after_s: int
) -> None:
    first = replace(node(), last_ping_at=build.NOW - timedelta(seconds=before_s))
    second = replace(node(), ping=ping, last_ping_at=build.NOW - timedelta(seconds=after_s))
    found = unexplained(
        seen(build.instance(agent_connected=connected)), {build.MI: first}, build.NOW
    )
    sure = with_pings({build.MI: first}, {build.MI: second}, found)
    assert not sure or (not connected and ping is Ping.ONLINE and after_s < before_s)
