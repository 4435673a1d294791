"""What a plan says of each service, and that it says the same whatever the order of its inputs."""

import random
import time as clock
from dataclasses import replace
from datetime import datetime, time, timedelta
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fleet.model.desired import TaskDefinition
from fleet.model.gate import Sample
from fleet.model.hours import OpenSpan, Powered
from fleet.model.inventory import Lifecycle, Link, Store
from fleet.model.plan import Kind, PlannedChange
from fleet.model.policy import Amount, Freeze, OnUnclear, Policy, Window
from fleet.model.rollout import Hold
from fleet.model.services import StoreView
from fleet.release.decide.service_input import service_settings
from fleet.rollout.decide.plan import differences, place_of
from tests import build
from tests.rollout.decide import plans
from tests.rollout.decide.plans import NOW, only, plan, service, shop, view

TAGS = service().tags


def test_a_service_that_is_not_there_is_created() -> None:
    change = only(plan([shop()], [view(shop(), services=())]))
    assert (change.kind, change.before, change.count) == (Kind.CREATE, "", 1)
    assert change.reason == "no such service yet; 1 task on tel-1"


def test_a_service_that_runs_something_else_is_updated() -> None:
    change = only(plan([shop()]))
    assert (change.kind, change.before) == (Kind.UPDATE, plans.arn(41))
    assert change.before_content == plans.OLD.content
    assert change.reason == "runs telemetry-amd64:41"


def test_a_service_that_runs_the_release_is_unchanged() -> None:
    made = plan([shop()], [view(shop(), service(plans.arn(42)))])
    assert only(made).kind is Kind.UNCHANGED
    assert made.waves == ()
    assert made.estimate.seconds_least == 0


def hosts_of(count: int) -> tuple[Store, StoreView]:
    """A store with so many hosts, all registered."""
    names = [f"tel-{number}" for number in range(1, count + 1)]
    store = shop()
    store = replace(store, hosts=tuple(replace(store.hosts[0], name=name) for name in names))
    return store, view(store, instances=tuple(plans.instance(name) for name in names))


def counted(desired: int, hosts: int, sent: str = "", **more: Any) -> PlannedChange:
    """What is planned for a service that runs the release and is set to so many tasks."""
    store, seen = hosts_of(hosts)
    tags = {**TAGS, **({"fleet:sent": sent} if sent else {})}
    now = service(plans.arn(42), desired=desired, tags=tags)
    return only(plan([store], [replace(seen, services=(now,))], **more))


@pytest.mark.parametrize(
    ("desired", "hosts", "kind"),
    [
        (0, 2, Kind.LEFT),
        (1, 2, Kind.ADJUST),
        (2, 2, Kind.UNCHANGED),
        (3, 2, Kind.LEFT),
    ],
)
def test_without_the_tag_only_a_count_that_fleet_0_1_may_have_sent_is_adjusted(
    desired: int, hosts: int, kind: Kind
) -> None:
    change = counted(desired, hosts)
    assert (change.kind, change.before_count) == (kind, desired)


@pytest.mark.parametrize(
    ("desired", "sent", "kind", "count"),
    [
        (0, 1, Kind.LEFT, 0),
        (1, 1, Kind.ADJUST, 2),
        (1, 3, Kind.LEFT, 1),
        (2, 1, Kind.UNCHANGED, 2),
        (3, 1, Kind.LEFT, 3),
        (3, 3, Kind.ADJUST, 2),
    ],
)
def test_a_count_that_fleet_did_not_send_is_left(
    desired: int, sent: int, kind: Kind, count: int
) -> None:
    change = counted(desired, 2, f"ro-1.0 count={sent}")
    assert (change.kind, change.count) == (kind, count)


def test_a_count_that_somebody_set_is_shown_with_what_fleet_sent() -> None:
    change = counted(3, 1, "ro-7.0 count=1")
    assert change.by_hand == ("desired count 3, set by somebody; fleet sent 1 with ro-7",)
    assert change.reason == (
        "runs telemetry-amd64:42, which is it; desired count 3, set by somebody; fleet sent 1 with "
        "ro-7; left alone: set it back, or plan with --overwrite"
    )


def test_a_count_that_somebody_set_is_set_back_when_asked() -> None:
    change = counted(3, 1, "ro-7.0 count=1", overwrite=True)
    assert (change.kind, change.count, change.by_hand) == (Kind.ADJUST, 1, ())
    change = counted(0, 1, "ro-7.0 count=1", overwrite=True)
    assert (change.kind, change.count) == (Kind.ADJUST, 1)


def test_a_release_is_sent_beside_a_count_that_somebody_set() -> None:
    tags = {**TAGS, "fleet:sent": "ro-7.0 count=1"}
    change = only(plan([shop()], [view(shop(), service(desired=3, tags=tags))]))
    assert (change.kind, change.count, change.before_count) == (Kind.UPDATE, 3, 3)
    assert "desired count 3, set by somebody" in change.reason


@pytest.mark.parametrize(("desired", "kind"), [(0, Kind.LEFT), (1, Kind.UPDATE), (2, Kind.UPDATE)])
def test_a_release_is_not_sent_to_a_service_that_somebody_stopped(desired: int, kind: Kind) -> None:
    tags = {**TAGS, "fleet:sent": "ro-7.0 count=1"}
    change = only(plan([shop()], [view(shop(), service(desired=desired, tags=tags))]))
    assert change.kind is kind


def test_what_fleet_itself_set_to_no_task_is_sent_the_release() -> None:
    tags = {**TAGS, "fleet:sent": "ro-7.0 count=0"}
    assert only(plan([shop()], [view(shop(), service(desired=0, tags=tags))])).kind is Kind.UPDATE


def test_another_placement_is_adjusted() -> None:
    wider = [{"type": "memberOf", "expression": "attribute:fleet.variant == amd64"}]
    settings = {**service().settings, "placementConstraints": wider}
    change = only(plan([shop()], [view(shop(), service(plans.arn(42), settings=settings))]))
    assert change.kind is Kind.ADJUST
    assert change.reason == (
        "runs telemetry-amd64:42; placement memberOf attribute:fleet.variant == amd64 -> "
        "distinctInstance"
    )


def test_a_breaker_of_another_policy_is_adjusted_and_one_that_somebody_set_is_not() -> None:
    settings = service_settings(replace(plans.SHAPE, breaker_count=2))
    tags = {**TAGS, "fleet:sent": "ro-7.0 failures=2"}
    seen = service(plans.arn(42), settings=settings, tags=tags)
    change = only(plan([shop()], [view(shop(), seen)]))
    assert (change.kind, change.reason) == (
        Kind.ADJUST,
        "runs telemetry-amd64:42; breaker count 2 -> 1",
    )
    tags = {**TAGS, "fleet:sent": "ro-7.0 failures=1"}
    change = only(plan([shop()], [view(shop(), replace(seen, tags=tags))]))
    assert change.kind is Kind.LEFT
    assert "breaker count 2, set by somebody; fleet sent 1 with ro-7" in change.reason


def test_what_ecs_adds_to_settings_is_no_difference() -> None:
    settings = {**service().settings, "deploymentController": {"type": "ECS"}}
    settings["deploymentConfiguration"] = {
        **settings["deploymentConfiguration"],
        "bakeTimeInMinutes": 0,
    }
    change = only(plan([shop()], [view(shop(), service(plans.arn(42), settings=settings))]))
    assert change.kind is Kind.UNCHANGED


def test_a_host_that_is_not_registered_is_named_and_not_counted() -> None:
    two = shop()
    two = replace(two, hosts=(*two.hosts, build.host("tel-2", store=two.id)))
    change = only(plan([two]))
    assert (change.kind, change.count, change.missing_hosts) == (Kind.UPDATE, 1, ("tel-2",))
    assert (
        "tel-2 is not registered: `fleet register store-042 --host tel-2 --plan`" in change.reason
    )


def test_a_store_without_registered_hosts_is_left_and_told_how_to_register() -> None:
    change = only(plan([shop()], [view(shop(), services=(), instances=())]))
    assert change.kind is Kind.LEFT
    assert "`fleet register store-042 --host tel-1 --plan`" in change.reason


def test_a_store_without_a_cluster_is_left() -> None:
    bare = StoreView("store-042", NOW, services=(), instances=())
    change = only(plan([shop()], [bare]))
    assert change.kind is Kind.LEFT
    assert "there is no cluster store-042 yet" in change.reason


@pytest.mark.parametrize("lifecycle", [Lifecycle.PAUSED, Lifecycle.CLOSED, Lifecycle.PLANNED])
def test_a_store_that_is_not_open_is_left(lifecycle: Lifecycle) -> None:
    change = only(plan([shop(lifecycle=lifecycle)]))
    assert change.kind is Kind.LEFT
    assert f"the store is {lifecycle.value}" in change.reason


def test_a_service_of_that_name_that_is_not_fleets_is_left() -> None:
    change = only(plan([shop()], [view(shop(), service(tags={}))]))
    assert change.kind is Kind.LEFT
    assert "somebody else's making" in change.reason


def test_a_service_of_another_fleet_is_left() -> None:
    other = {**TAGS, "fleet:fleet": "apac"}
    assert "of fleet apac" in only(plan([shop()], [view(shop(), service(tags=other))])).reason


def test_a_service_that_is_being_deleted_is_left() -> None:
    change = only(plan([shop()], [view(shop(), service(status="DRAINING"))]))
    assert change.kind is Kind.LEFT


def test_scheduling_that_ecs_cannot_change_is_left() -> None:
    change = only(plan([shop()], [view(shop(), service(scheduling="DAEMON"))]))
    assert change.kind is Kind.LEFT
    assert "`aws ecs delete-service" in change.reason


def by_hand() -> StoreView:
    return view(shop(), service(plans.arn(99), tags={**TAGS, "fleet:previous": plans.arn(40)}))


def test_a_service_that_was_changed_by_hand_is_left() -> None:
    change = only(plan([shop()], [by_hand()]))
    assert change.kind is Kind.LEFT
    assert "changed by hand since ro-1: it runs telemetry-amd64:99" in change.reason


def test_a_service_that_was_changed_by_hand_is_updated_when_asked() -> None:
    assert only(plan([shop()], [by_hand()], overwrite=True)).kind is Kind.UPDATE


def test_what_the_breaker_restored_was_not_changed_by_hand() -> None:
    tags = {**TAGS, "fleet:content": plans.NEW.content, "fleet:previous": plans.arn(41)}
    change = only(plan([shop()], [view(shop(), service(tags=tags))]))
    assert change.kind is Kind.UPDATE
    assert change.reason == "runs telemetry-amd64:41 (after ro-1)"


def test_what_fleet_set_back_was_not_changed_by_hand() -> None:
    tags = {**TAGS, "fleet:content": plans.NEW.content, "fleet:previous": plans.arn(42)}
    assert only(plan([shop()], [view(shop(), service(tags=tags))])).kind is Kind.UPDATE


def test_a_service_that_another_rollout_holds_is_left() -> None:
    hold = Hold("store-042", "telemetry", "ro-117", "arn:jo", NOW - plans.HOUR)
    change = only(plan([shop()], held=(hold,)))
    assert change.kind is Kind.LEFT
    assert "ro-117 holds it since 23 Nov 01:00Z (started by arn:jo)" in change.reason


def test_a_host_that_has_been_away_for_long_makes_the_store_owe() -> None:
    away = {"store-042/tel-1": NOW - timedelta(hours=26, minutes=48)}
    change = only(plan([shop()], [plans.dark(shop())], away=away))
    assert change.kind is Kind.OWED
    assert change.reason == "tel-1 is dark since 21 Nov 23:12Z (26h48m)"


def switched_off(opens: time, closes: time) -> Store:
    """A shop whose hosts have no power while it is closed; it is 02:00 there."""
    hosts = tuple(replace(host, powered=Powered.OPENING_HOURS) for host in shop().hosts)
    daily = dict.fromkeys(range(7), (OpenSpan(opens, closes),))
    return replace(shop(), hosts=hosts, hours=daily)


@pytest.mark.parametrize("away", [{}, {"store-042/tel-1": NOW - timedelta(hours=1)}])
def test_a_host_that_is_switched_off_owes_nothing(away: dict[str, datetime]) -> None:
    store = switched_off(time(7), time(22))
    policy = Policy("standard", window=Window.ALWAYS)
    change = only(plan([store], [plans.dark(store)], away=away, policy=policy))
    assert change.kind is Kind.UPDATE
    assert "tel-1 is powered off since 22:00 (planned), back at 07:00" in change.reason


def test_a_host_that_was_lost_before_it_was_switched_off_owes_the_release() -> None:
    store = switched_off(time(7), time(22))
    away = {"store-042/tel-1": NOW - timedelta(hours=12)}
    policy = Policy("standard", window=Window.ALWAYS)
    change = only(plan([store], [plans.dark(store)], away=away, policy=policy))
    assert change.kind is Kind.OWED
    assert change.reason == "tel-1 is dark since 22 Nov 14:00Z (12h)"


@pytest.mark.parametrize(("minute", "kind"), [(54, Kind.OWED), (55, Kind.OWED), (56, Kind.UPDATE)])
def test_a_host_that_does_not_come_back_owes_five_minutes_after_opening(
    minute: int, kind: Kind
) -> None:
    store = switched_off(time(1, minute), time(22))
    away = {"store-042/tel-1": NOW - timedelta(hours=4)}
    policy = Policy("standard", window=Window.ALWAYS)
    assert only(plan([store], [plans.dark(store)], away=away, policy=policy)).kind is kind


def test_a_plan_of_a_store_without_power_in_its_window_is_refused_with_what_to_write() -> None:
    store = switched_off(time(7), time(22))
    (refusal,) = plan([store], policy=Policy("standard")).refusals
    assert refusal.startswith("no store has a time for it within 14 days: store-042: tel-1 has no ")
    assert "give it after_opening: 1h" in refusal


def test_a_host_that_has_just_gone_away_may_only_flap() -> None:
    away = {"store-042/tel-1": NOW - timedelta(seconds=40)}
    change = only(plan([shop()], [plans.dark(shop())], away=away))
    assert change.kind is Kind.UPDATE
    assert "tel-1 is away for 40s, which may pass" in change.reason


def test_a_dark_store_that_has_the_release_owes_nothing() -> None:
    seen = replace(plans.dark(shop()), services=(service(plans.arn(42)),))
    assert only(plan([shop()], [seen])).kind is Kind.UNCHANGED


def test_a_store_that_could_not_be_read_is_in_no_wave() -> None:
    seen = [view(shop(1)), StoreView("store-002", NOW, problem="AccessDenied")]
    made = plan([shop(1), shop(2)], seen)
    assert made.unread == {"store-002": "AccessDenied"}
    assert [s for wave in made.waves for s in wave.stores] == ["store-001"]


@pytest.mark.parametrize("part", ["services", "instances"])
def test_a_store_of_which_a_part_was_not_read_is_unread(part: str) -> None:
    made = plan(
        [shop()],
        [view(shop(), **{part: None})]
        if part == "instances"
        else [replace(view(shop()), services=None)],
    )
    assert list(made.unread) == ["store-042"]


def test_a_service_that_nobody_wants_any_more_is_named_and_left() -> None:
    old = service(name="radio-amd64", tags={"fleet:fleet": "emea"})
    made = plan([shop()], [view(shop(), service(), old)])
    left = next(c for c in made.changes if c.service == "radio-amd64")
    assert (left.kind, left.content) == (Kind.LEFT, "")


def test_somebody_elses_service_is_not_mentioned() -> None:
    other = service(name="till", tags={})
    assert len(plan([shop()], [view(shop(), service(), other)]).changes) == 1


def test_a_workload_that_was_not_asked_for_is_not_in_the_plan() -> None:
    assert plan([shop()], workloads=("vision",)).changes == ()


def test_the_difference_of_a_task_definition_is_told_once_for_all_stores() -> None:
    made = plan([shop(1), shop(2)])
    assert list(made.diffs) == [f"{plans.arn(41)} {plans.NEW.content}"]
    assert made.diffs[next(iter(made.diffs))][0].startswith("~ ingest.image")


def test_a_revision_that_could_not_be_read_is_not_compared() -> None:
    made = plan([shop()], bodies={})
    assert "could not be read" in made.diffs[f"{plans.arn(41)} {plans.NEW.content}"][0]


def test_the_canary_covers_every_stratum_and_says_who_is_away() -> None:
    stores = [shop(1), shop(2), shop(3, link=Link("fibre"))]
    first = plan(stores, canary=True)
    chosen = first.strata["nuc · lte"]
    seen = [plans.dark(s) if s.id == chosen else view(s) for s in stores]
    made = plan(stores, seen, canary=True)
    assert made.strata["nuc · fibre"] == "store-003"
    assert made.strata["nuc · lte"] not in {chosen, ""}
    assert any(note.startswith(f"{chosen} is away") for note in made.notes)


def test_a_dark_store_is_in_a_wave_so_that_it_is_parked_there() -> None:
    made = plan([shop(1), shop(2)], [view(shop(1)), plans.dark(shop(2))], canary=True)
    assert made.waves[0].stores == ("store-001",)
    assert any("store-002" in wave.stores for wave in made.waves[1:])


FREEZE = Freeze("peak", NOW - plans.HOUR, NOW + timedelta(days=2), None, "peak trading")


def test_a_freeze_that_holds_now_is_a_note() -> None:
    made = plan([shop()], fleet=plans.fleet([shop()], freezes=(FREEZE,)))
    assert made.notes == ("freeze peak holds store-042 until 25 Nov 02:00Z: peak trading",)


def test_an_overridden_freeze_is_said_to_be_passed_over() -> None:
    made = plan([shop()], fleet=plans.fleet([shop()], freezes=(FREEZE,)), override="fix")
    assert "passed over (fix)" in made.notes[0]


ALL_DAY = dict.fromkeys(range(7), (OpenSpan(datetime.min.time(), datetime.min.time()),))
CLOSED = replace(plans.STANDARD, window=Window.CLOSED)


def test_a_plan_of_which_no_store_can_ever_begin_is_refused() -> None:
    made = plan([shop(hours=ALL_DAY)], policy=CLOSED)
    assert len(made.refusals) == 1
    assert "quiet_hours:" in made.refusals[0]


def test_a_store_that_can_never_begin_is_left_alone_and_in_no_wave() -> None:
    made = plan([shop(1, hours=ALL_DAY), shop(2)], policy=CLOSED)
    assert made.refusals == ()
    left = [c for c in made.changes if c.kind is Kind.LEFT]
    assert {c.store for c in left} == {"store-001"}
    assert "no time for it within 14 days" in left[0].reason
    assert all("store-001" not in wave.stores for wave in made.waves)


def test_many_bodies_are_said_beforehand() -> None:
    stores = [shop(n) for n in range(30)]
    definitions = [TaskDefinition.of(plans.body(cpu=n + 1)) for n in range(30)]
    base = plans.release(stores)
    wanted = replace(
        base,
        services=tuple(
            replace(s, content=d.content) for s, d in zip(base.services, definitions, strict=True)
        ),
        task_definitions={d.content: d for d in definitions},
    )
    made = plan(stores, release=wanted)
    assert any(
        "30 task definitions are to be registered (30 in emea-prod/eu-west-1)" in note
        for note in made.notes
    )


def test_a_place_tells_ticks_all_they_need_of_a_store() -> None:
    place = place_of(shop(), {"telemetry-amd64": ("tel-1",)})
    assert (place.account_id, place.carrier, place.metered) == ("111122223333", "red", True)
    assert place.off_when_closed == ()


def test_a_place_names_only_hosts_without_power_that_the_rollout_reaches() -> None:
    store = switched_off(time(7), time(22))
    assert place_of(store, {"telemetry-amd64": ("tel-1",)}).off_when_closed == ("tel-1",)
    assert place_of(store, {"vision-arm64": ("cam-1",)}).off_when_closed == ()


# Whether the world has moved.


def test_the_same_world_has_the_same_fingerprint_at_another_time() -> None:
    first, later = plan([shop()]), plan([shop()], now=NOW + plans.HOUR)
    assert first.fingerprint == later.fingerprint
    assert differences(first, later) == ()


def test_a_host_that_goes_away_does_not_move_the_world() -> None:
    assert differences(plan([shop()]), plan([shop()], [plans.dark(shop())])) == ()


def test_a_service_that_runs_something_else_now_is_named() -> None:
    moved = plan([shop()], [view(shop(), service(plans.arn(43)))], overwrite=True)
    (line,) = differences(plan([shop()]), moved)
    assert line == "store-042 telemetry-amd64: runs telemetry-amd64:41 -> telemetry-amd64:43"


def test_another_policy_is_named_by_what_differs() -> None:
    moved = plan([shop()], policy=replace(plans.STANDARD, bake_s=1.0))
    assert differences(plan([shop()]), moved) == ("policy.bake_s: 600.0 -> 1.0",)


def test_a_store_that_cannot_be_read_any_more_is_named() -> None:
    moved = plan([shop()], [StoreView("store-042", NOW, problem="AccessDenied")])
    assert "store-042: not in the plan -> not read" in differences(plan([shop()]), moved)


STATES = st.sampled_from(("old", "new", "none", "dark", "hand", "unread", "bare"))


def seen_as(store: Any, state: str) -> StoreView:
    match state:
        case "new":
            return view(store, service(plans.arn(42)))
        case "none":
            return view(store, services=())
        case "dark":
            return plans.dark(store)
        case "hand":
            return view(store, service(plans.arn(99)))
        case "unread":
            return StoreView(store.id, NOW, problem="no answer")
        case "bare":
            return StoreView(store.id, NOW, services=(), instances=())
        case _:
            return view(store)


@given(st.lists(STATES, min_size=1, max_size=12), st.integers(0, 3), st.integers(0, 99))
def test_the_plan_does_not_depend_on_input_order(
    states: list[str], seed: int, shuffle: int
) -> None:
    stores = [shop(n, ring=("broad", "canary")[n % 5 == 4]) for n in range(len(states))]
    seen = [seen_as(s, state) for s, state in zip(stores, states, strict=True)]
    mixed = random.Random(shuffle)
    other_stores, other_seen = mixed.sample(stores, len(stores)), mixed.sample(seen, len(seen))
    whole, wanted = plans.fleet(stores), plans.release(stores)
    first = plan(stores, seen, canary=True, seed=seed, fleet=whole, release=wanted)
    second = plan(other_stores, other_seen, canary=True, seed=seed, fleet=whole, release=wanted)
    assert first == second


@given(st.lists(STATES, min_size=1, max_size=12))
def test_every_selected_store_is_changed_left_or_unread(states: list[str]) -> None:
    stores = [shop(n) for n in range(len(states))]
    made = plan(stores, [seen_as(s, state) for s, state in zip(stores, states, strict=True)])
    assert {c.store for c in made.changes} | set(made.unread) == {s.id for s in stores}
    rolling = {c.store for c in made.changes if c.kind.is_change}
    assert {s for wave in made.waves for s in wave.stores} == rolling


@pytest.mark.long
def test_ten_thousand_stores_are_planned_within_five_seconds() -> None:
    stores = [shop(n, link=(plans.LTE, Link("fibre"))[n % 2]) for n in range(10_000)]
    seen = [view(s) for s in stores]
    whole, wanted = plans.fleet(stores), plans.release(stores)
    began = clock.process_time()
    plan(stores, seen, canary=True, fleet=whole, release=wanted)
    assert clock.process_time() - began < 5


def alone(stores: int, history: Sample | None = None, **fields: Any) -> list[str]:
    """The notes on waves in which a dark store could be compared with nothing."""
    policy = replace(
        plans.STANDARD, waves=(Amount(count=10), Amount(percent=Decimal(100))), **fields
    )
    shops = [plans.shop(number) for number in range(stores)]
    made = plans.plan(shops, policy=policy, history=history)
    return [note for note in made.notes if "to compare with when one goes dark" in note]


def test_the_plan_names_the_waves_in_which_a_dark_store_can_be_compared_with_nothing() -> None:
    (note,) = alone(30)
    assert note.startswith("wave 2: by the end fewer than 20 stores are left")
    assert note.endswith("the rollout sends nothing more and asks (on_unclear: ask)")
    (note,) = alone(29)
    assert note.startswith("wave 1 and wave 2: ")


def test_the_plan_says_what_the_policy_does_then() -> None:
    (note,) = alone(30, on_unclear=OnUnclear.WAIT)
    assert "waits for the store, and asks after 1h (on_unclear: wait)" in note


#: Twenty stores of wave 2 are recorded for 12 minutes, which makes four hours.
@pytest.mark.parametrize(("hours", "named"), [(15, 1), (16, 0), (17, 0)])
def test_recorded_hours_stand_in_for_stores_to_compare_with(hours: int, named: int) -> None:
    assert len(alone(30, Sample(0, hours))) == named
