"""Whether one look at a host is enough, and what a second one proves."""

from dataclasses import replace
from datetime import timedelta
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from fleet.drift.decide.second_look import doubts, seen_again, vouched, with_lost
from fleet.model.drift import StoreSeen
from fleet.model.observed import ContainerInstance, ManagedInstance, NotRead, Ping, Reading
from tests import build

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
    return [doubt.arn for doubt in doubts(store, nodes, build.NOW)]


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
    return doubts(seen(away()), {build.MI: node()}, build.NOW)


def test_a_host_that_pinged_since_is_there_so_what_ecs_says_twice_holds() -> None:
    after = replace(node(), last_ping_at=LATER)
    assert vouched({build.MI: node()}, {build.MI: after}, asked()) == {build.ARN}


def test_a_host_that_went_dark_just_before_the_first_look_is_not_vouched_for() -> None:
    assert vouched({build.MI: node()}, {build.MI: node()}, asked()) == frozenset()


def test_a_host_that_ssm_has_lost_since_is_not_vouched_for_and_is_lost() -> None:
    lost = node(ping=Ping.CONNECTION_LOST)
    assert vouched({build.MI: node()}, {build.MI: lost}, asked()) == frozenset()
    assert with_lost({build.MI: node()}, {build.MI: lost}) == (lost,)


def test_a_host_that_was_deregistered_meanwhile_is_not_vouched_for() -> None:
    assert vouched({build.MI: node()}, {}, asked()) == frozenset()
    assert with_lost({build.MI: node()}, {}) == (node(),)


def test_a_node_that_answers_stays_as_it_was_first_read() -> None:
    after = replace(node(), last_ping_at=LATER)
    assert with_lost({build.MI: node()}, {build.MI: after}) == (node(),)


def again(*instances: ContainerInstance) -> Reading[tuple[ContainerInstance, ...]]:
    return Reading(instances, LATER)


def test_a_second_look_says_nothing_of_hosts_that_nobody_vouches_for() -> None:
    both = again(away(), away(arn=OTHER))
    assert seen_again(both, frozenset({build.ARN})) == again(away())
    assert seen_again(both, frozenset()) is None


def test_a_host_that_is_back_at_the_second_look_is_told_of_without_a_word_for_it() -> None:
    assert seen_again(again(build.instance()), frozenset()) == again(build.instance())


def test_a_second_look_that_failed_says_so() -> None:
    failed = NotRead("Throttled")
    assert seen_again(failed, frozenset({build.ARN})) == failed


def test_a_host_that_is_still_away_while_ssm_is_not_heard_is_not_known() -> None:
    failed = NotRead("Throttled")
    assert seen_again(again(away()), failed) == failed
    assert seen_again(again(build.instance()), failed) == again(build.instance())


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
    found = doubts(seen(build.instance(agent_connected=connected)), {build.MI: first}, build.NOW)
    sure = vouched({build.MI: first}, {build.MI: second}, found)
    assert not sure or (not connected and ping is Ping.ONLINE and after_s < before_s)
