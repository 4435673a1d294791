from collections.abc import Iterable, Mapping
from dataclasses import fields, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, get_type_hints

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from fleet.errors import LeaseLost, Locked, RecordsError, UsageError
from fleet.model.changes import (
    Change,
    HostContact,
    NextSend,
    ObservedChange,
    PastTry,
    TaskSummary,
    Undo,
)
from fleet.model.darkness import DarknessTest, Presence, Survey
from fleet.model.gate import Sample
from fleet.model.history import Lease
from fleet.model.restarts import ContainerRestarts, Restarts
from fleet.model.rollout import EventKind, Hold, Phase, Rollout, RolloutEvent, VerbName
from fleet.model.secret import Secret
from fleet.model.signals import Alert, SignalReading, SignalReadings
from fleet.model.verdicts import Stage, Verdict
from fleet.records.opening import open_records
from fleet.records.records import Records
from fleet.records.rollout_rows import rollout_of, rollout_row
from tests import rollouts as some

NOON = datetime(2026, 11, 22, 12, 0, 0, 123456, tzinfo=UTC)
MINUTE = timedelta(minutes=1)
#: What does not depend on the kind of database.
sqlite_only = pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
STORES = ("store-1", "store-2", "store-3")
HOLDS = tuple((store, "vision") for store in STORES)


def start(
    records: Records,
    changes: Iterable[Change] | None = None,
    holds: Iterable[tuple[str, str]] = HOLDS,
    at: datetime = NOON,
) -> Rollout:
    if changes is None:
        changes = [some.planned(store) for store in STORES]
    return records.rollouts.start(
        some.spec(), changes, holds, caller="arn:me", at=at, run="run-7f3a"
    )


def lease(records: Records, name: str = "shard") -> Lease:
    taken = records.leases.take(name, "me", 30.0)
    assert taken is not None
    return taken


def finish(records: Records, rollout: Rollout, phase: Phase = Phase.DONE) -> Rollout:
    own = lease(records)
    ended = replace(rollout, phase=phase, finished_at=NOON + MINUTE, updated_at=NOON + MINUTE)
    records.rollouts.write_tick(own, ended)
    assert records.leases.release(own)
    return ended


def done(records: Records, *changes: Change) -> Rollout:
    return finish(records, start(records, changes, holds=()))


@sqlite_only
def test_rollouts_are_numbered_from_one(records: Records) -> None:
    assert [start(records, holds=()).id for _ in range(3)] == ["ro-1", "ro-2", "ro-3"]


def test_a_rollout_comes_back_as_it_was_started(records: Records) -> None:
    began = start(records)
    assert records.rollouts.load("ro-1") == began
    assert began == Rollout("ro-1", some.spec(), "arn:me", NOON)


@sqlite_only
def test_changes_come_back_in_store_and_service_order(records: Records) -> None:
    given_changes = [some.change("store-2", Verdict.FAILED), some.planned("store-1")]
    start(records, given_changes, holds=())
    assert records.rollouts.changes("ro-1") == tuple(reversed(given_changes))


def test_what_was_started_is_there_after_opening_again(
    database_url: str | None, tmp_path: Path
) -> None:
    with open_records(database_url, tmp_path) as records:
        began = start(records)
    with open_records(database_url, tmp_path) as records:
        assert records.rollouts.load("ro-1") == began


printable = st.text(st.characters(exclude_categories=["Cs", "Cc"]), max_size=10)
counts = st.integers(0, 2**31 - 1)
times = st.none() | st.datetimes(datetime(1990, 1, 1), timezones=st.just(UTC))  # noqa: DTZ001
BY_KIND: dict[Any, st.SearchStrategy[Any]] = {
    str: printable,
    str | None: st.none() | printable,
    bool: st.booleans(),
    bool | None: st.none() | st.booleans(),
    int: counts,
    float: st.floats(0, 1e6),
    datetime | None: times,
    Stage: st.sampled_from(Stage),
    Verdict: st.sampled_from(Verdict),
    tuple[int, ...]: st.lists(counts, max_size=2).map(tuple),
}


def anything(kind: Any, **known: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    """Values of a kind with any value in every field, whatever fields there are by now."""
    kinds = get_type_hints(kind)
    of_fields = {f.name: BY_KIND[kinds[f.name]] for f in fields(kind) if f.name not in known}
    return st.builds(kind, **of_fields, **known)


BY_KIND[Mapping[str, HostContact]] = st.dictionaries(printable, anything(HostContact), max_size=2)
BY_KIND[tuple[TaskSummary, ...]] = st.lists(anything(TaskSummary), max_size=2).map(tuple)
BY_KIND[Presence] = st.sampled_from(Presence)
BY_KIND[Survey] = anything(Survey)
BY_KIND[int | None] = st.none() | counts
BY_KIND[Mapping[str, ContainerRestarts]] = st.dictionaries(
    printable, anything(ContainerRestarts), max_size=2
)
BY_KIND[Restarts] = anything(Restarts)
BY_KIND[ObservedChange] = anything(ObservedChange)
BY_KIND[PastTry | None] = st.none() | anything(PastTry)
BY_KIND[NextSend] = anything(NextSend)
BY_KIND[Undo] = anything(Undo)
any_change = anything(Change, service=st.just("vision-arm64"), wave=st.integers(-1, 9))


@pytest.fixture(scope="module")
def module_records(tmp_path_factory: pytest.TempPathFactory) -> Iterable[Records]:
    with open_records(None, tmp_path_factory.mktemp("db")) as opened:
        yield opened


@settings(
    max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(first=any_change, second=any_change)
def test_every_change_comes_back_as_it_was_started_and_as_it_was_moved(
    module_records: Records, first: Change, second: Change
) -> None:
    began = start(module_records, [first], holds=())
    assert module_records.rollouts.changes(began.id) == (first,)
    moved = replace(second, store=first.store)
    own = lease(module_records, began.id)
    # Finished, so that it holds nothing that the next example sends to.
    module_records.rollouts.write_tick(own, replace(began, finished_at=NOON), [moved])
    assert module_records.rollouts.changes(began.id) == (moved,)


def test_the_moving_part_comes_back_as_a_tick_left_it(records: Records) -> None:
    began = start(records)
    moved = replace(
        began,
        phase=Phase.AWAITING,
        why="the canary passed",
        wave=1,
        wave_at=NOON,
        baking_since=NOON + MINUTE,
        promoted=True,
        accepted={"arm64": 2},
        tick=7,
        updated_at=NOON + 2 * MINUTE,
        darkness=DarknessTest(
            log_ratios=(0.5, -0.25),
            history=Sample(1, 500),
            outages={"o2/lte/Europe/London": NOON},
            holds="2 away",
            held_since=NOON,
            hour=NOON,
            hour_s=900.5,
        ),
        signals=SignalReadings(
            NOON,
            (
                SignalReading(
                    "latency-{store}",
                    NOON,
                    of=2,
                    alerts=(Alert("latency-s-1", "s-1", NOON, NOON + MINUTE, "3 errors", NOON),),
                    no_data=1,
                    missing=1,
                ),
            ),
            (SignalReading("till answers", unread="no time", unread_since=NOON),),
        ),
    )
    records.rollouts.write_tick(lease(records), moved)
    assert records.rollouts.load("ro-1") == moved


def test_readings_of_signals_that_another_fleet_wrote_are_read_anew(records: Records) -> None:
    began = start(records)
    row = {**rollout_row(began), "number": 1, "caller": "arn:me", "signals": {"clouds": 3}}
    assert rollout_of(row, began.spec) == began


def test_a_tick_moves_only_the_changes_that_it_names(records: Records) -> None:
    began = start(records)
    before = records.rollouts.changes("ro-1")
    sent = some.change("store-2", Verdict.OK)
    records.rollouts.write_tick(lease(records), began, [sent])
    assert records.rollouts.changes("ro-1") == (before[0], sent, before[2])


def test_a_tick_tells_its_events_and_answers_verbs(records: Records) -> None:
    began = start(records)
    verb = records.rollouts.say("ro-1", VerbName.PAUSE, by="arn:her", at=NOON)
    event = RolloutEvent(
        0, "ro-1", NOON, EventKind.VERB, "paused by her", "store-1", {"id": verb.id}
    )
    records.rollouts.write_tick(lease(records), began, (), [event], {verb.id: "paused"})
    (told,) = records.rollouts.events("ro-1")
    assert replace(told, id=0) == event
    assert records.rollouts.verbs("ro-1") == (replace(verb, answer="paused"),)


def test_a_tick_under_a_lease_that_was_taken_over_keeps_nothing(records: Records) -> None:
    began = start(records)
    verb = records.rollouts.say("ro-1", VerbName.PAUSE, by="arn:her", at=NOON)
    old = lease(records)
    records.leases.release(old)
    records.leases.take("shard", "somebody else", 30.0)
    event = RolloutEvent(0, "ro-1", NOON, EventKind.VERDICT, "ok")
    moved = replace(began, tick=1)
    with pytest.raises(LeaseLost, match="somebody else has taken shard over"):
        records.rollouts.write_tick(
            old, moved, [some.change("store-1")], [event], {verb.id: "paused"}
        )
    assert records.rollouts.load("ro-1") == began
    assert records.rollouts.changes("ro-1")[0] == some.planned("store-1")
    assert records.rollouts.events("ro-1") == ()
    assert records.rollouts.verbs("ro-1", unobeyed_only=True) == (verb,)


def test_a_tick_after_its_lease_was_given_back_keeps_nothing(records: Records) -> None:
    began, own = start(records), lease(records)
    records.leases.release(own)
    with pytest.raises(LeaseLost, match="given back"):
        records.rollouts.write_tick(own, replace(began, tick=1))
    assert records.rollouts.load("ro-1").tick == 0


def test_a_tick_with_a_change_that_is_none_of_its_own_keeps_nothing(records: Records) -> None:
    began = start(records)
    strays = [some.change("store-1"), some.change("store-9")]
    with pytest.raises(RecordsError, match="1 of 2 changes are none of ro-1"):
        records.rollouts.write_tick(lease(records), replace(began, tick=1), strays)
    assert records.rollouts.load("ro-1").tick == 0
    assert records.rollouts.changes("ro-1")[0] == some.planned("store-1")


def test_a_tick_with_an_event_of_another_rollout_is_refused(records: Records) -> None:
    began = start(records)
    with pytest.raises(ValueError, match="ro-2"):
        records.rollouts.write_tick(
            lease(records), began, (), [RolloutEvent(0, "ro-2", NOON, EventKind.WAVE, "")]
        )


HIDDEN = {"deep": [Secret("hunter2hunter2hunter2")]}


@pytest.mark.parametrize(
    ("changes", "events"),
    [
        ([some.change("store-1", observed=HIDDEN)], ()),
        ((), [RolloutEvent(0, "ro-1", NOON, EventKind.WAVE, "", data=HIDDEN)]),
    ],
)
def test_a_secret_in_a_tick_is_refused(
    tmp_path: Path, changes: list[Change], events: list[RolloutEvent]
) -> None:
    with open_records(None, tmp_path) as records:
        began, own = start(records), lease(records)
        with pytest.raises(TypeError, match="Secret"):
            records.rollouts.write_tick(own, began, changes, events)
    written = b"".join(path.read_bytes() for path in tmp_path.iterdir())
    assert b"hunter2" not in written


@sqlite_only
def test_a_secret_in_a_spec_is_refused(records: Records) -> None:
    spec = some.spec(pull_s=HIDDEN)
    with pytest.raises(TypeError, match="Secret"):
        records.rollouts.start(spec, (), (), caller="arn:me", at=NOON, run="")
    assert records.rollouts.latest() is None


@pytest.mark.parametrize("name", ["ro-9", "ro-0", "ro-99999999999999999999"])
@sqlite_only
def test_a_rollout_that_is_not_there_is_said_to_be_missing(records: Records, name: str) -> None:
    with pytest.raises(UsageError, match=f"no rollout {name}") as raised:
        records.rollouts.load(name)
    assert raised.value.hint == "fleet rollout history"


@pytest.mark.parametrize("name", ["", "118", "ro-", "ro-x", "ro--1", "reg-7f3a", "ro-²"])
@sqlite_only
def test_a_word_that_is_no_id_is_said_to_be_none(records: Records, name: str) -> None:
    with pytest.raises(UsageError, match="no id of a rollout"):
        records.rollouts.load(name)


def test_rollouts_are_active_until_they_are_finished(records: Records) -> None:
    first = start(records, holds=())
    start(records, holds=())
    assert records.rollouts.active() == ("ro-1", "ro-2")
    finish(records, first)
    assert records.rollouts.active() == ("ro-2",)


@sqlite_only
def test_a_halted_rollout_is_still_active(records: Records) -> None:
    began = start(records)
    records.rollouts.write_tick(lease(records), replace(began, phase=Phase.HALTED))
    assert records.rollouts.active() == ("ro-1",)


@sqlite_only
def test_one_under_way_says_since_when_it_is_in_its_phase_and_what_it_holds(
    records: Records,
) -> None:
    begun, _finished = start(records), finish(records, start(records, (), ()))
    (one,) = records.rollouts.under_way()
    assert (one.id, one.phase, one.stores) == (begun.id, Phase.RUNNING, len(STORES))
    assert (one.phase_at, one.moved_at) == (NOON, NOON)
    own, halted_at = lease(records), NOON + MINUTE
    halted = replace(begun, phase=Phase.HALTED, why="failures 2", updated_at=halted_at)
    told = RolloutEvent(0, begun.id, halted_at, EventKind.PHASE, "halted: failures 2")
    records.rollouts.write_tick(own, halted, events=[told])
    later = NOON + 60 * MINUTE
    seen = RolloutEvent(0, begun.id, later, EventKind.VERDICT, "store-1 ok", "store-1")
    records.rollouts.write_tick(own, replace(halted, updated_at=later), events=[seen])
    (one,) = records.rollouts.under_way()
    assert (one.phase, one.why) == (Phase.HALTED, "failures 2")
    assert (one.phase_at, one.moved_at) == (halted_at, later)


def test_the_latest_is_the_one_that_was_started_last(records: Records) -> None:
    assert records.rollouts.latest() is None
    for _ in range(2):
        start(records, holds=())
    assert records.rollouts.latest() == "ro-2"


def test_the_history_counts_stores_and_verdicts_newest_first(records: Records) -> None:
    two = [some.change("store-1", Verdict.OK), some.change("store-2", Verdict.FAILED)]
    start(records, two, holds=())
    finish(records, start(records, [some.change("store-1", Verdict.OK)], holds=()))
    second, first = records.rollouts.history()
    assert (first.id, first.stores, first.verdicts) == (
        "ro-1",
        2,
        {Verdict.OK: 1, Verdict.FAILED: 1},
    )
    assert (second.id, second.phase, second.finished_at) == ("ro-2", Phase.DONE, NOON + MINUTE)
    assert (first.title, first.workloads, first.run) == (
        some.spec().title,
        ("vision",),
        "run-7f3a",
    )


@sqlite_only
def test_a_rollout_is_told_with_the_workloads_that_it_changes_and_not_all_that_were_asked_for(
    records: Records,
) -> None:
    spec = replace(some.spec(), workloads=("telemetry", "vision"))
    records.rollouts.start(spec, some.changes(), [], caller="arn:me", at=NOON, run="run-7f3a")
    (summary,) = records.rollouts.history()
    assert (summary.workloads, summary.changed) == (("telemetry", "vision"), ("vision",))
    assert records.rollouts.under_way()[0].workloads == ("vision",)


@sqlite_only
def test_the_history_is_as_long_as_asked_for(records: Records) -> None:
    for _ in range(3):
        start(records, holds=())
    assert [line.id for line in records.rollouts.history(limit=2)] == ["ro-3", "ro-2"]


def test_a_second_rollout_of_the_same_store_and_workload_is_refused(records: Records) -> None:
    start(records)
    with pytest.raises(Locked) as raised:
        start(records, holds=[("store-2", "vision")], at=NOON + MINUTE)
    assert str(raised.value) == (
        "ro-1 holds store-2 (vision) since 2026-11-22 12:00Z, started by arn:me; "
        "nothing was touched"
    )
    assert raised.value.hint == "fleet rollout status ro-1"
    assert raised.value.exit_code == 5
    assert records.rollouts.active() == ("ro-1",)


def test_whoever_asks_is_told_what_is_held(records: Records) -> None:
    start(records, holds=[("store-2", "vision")])
    records.rollouts.check_free([("store-1", "vision"), ("store-2", "telemetry")])
    with pytest.raises(Locked, match=r"ro-1 holds store-2 \(vision\) since"):
        records.rollouts.check_free([("store-1", "vision"), ("store-2", "vision")])


@sqlite_only
def test_a_refused_rollout_takes_no_number_and_holds_nothing(records: Records) -> None:
    start(records, holds=[("store-1", "vision")])
    with pytest.raises(Locked):
        start(records, holds=[("store-1", "vision"), ("store-2", "vision")])
    assert start(records, holds=[("store-2", "vision")]).id == "ro-2"


@sqlite_only
def test_rollouts_of_other_stores_or_workloads_do_not_exclude_each_other(
    records: Records,
) -> None:
    start(records, holds=[("store-1", "vision")])
    start(records, holds=[("store-2", "vision"), ("store-1", "telemetry")])
    assert records.rollouts.holds() == (
        Hold("store-1", "telemetry", "ro-2", "arn:me", NOON),
        Hold("store-1", "vision", "ro-1", "arn:me", NOON),
        Hold("store-2", "vision", "ro-2", "arn:me", NOON),
    )


@sqlite_only
def test_who_holds_many_stores_is_told_in_one_line(records: Records) -> None:
    many = [(f"store-{n}", "vision") for n in range(1, 6)]
    start(records, holds=many)
    start(records, holds=[("store-9", "vision")], at=NOON + MINUTE)
    with pytest.raises(Locked) as raised:
        start(records, holds=[*many, ("store-9", "vision")])
    assert str(raised.value) == (
        "ro-1 holds store-1 (vision), store-2 (vision), store-3 (vision) and 2 more since "
        "2026-11-22 12:00Z, started by arn:me; ro-2 holds others; nothing was touched"
    )


def test_a_rollout_lets_go_in_the_transaction_that_finishes_it(records: Records) -> None:
    finish(records, start(records))
    assert records.rollouts.holds() == ()
    assert start(records).id == "ro-2"


MIXED = (
    some.change("store-1", Verdict.OK),
    some.planned("store-2", verdict=Verdict.PARKED),
    some.planned("store-3", verdict=Verdict.PARKED, stage=Stage.SKIPPED),
)


@pytest.mark.parametrize(
    ("phase", "stores"),
    [(Phase.RUNNING, ["store-2"]), (Phase.ROLLING_BACK, ["store-1", "store-2"])],
)
def test_a_finished_rollout_that_goes_on_holds_again_what_it_may_touch(
    records: Records, phase: Phase, stores: list[str]
) -> None:
    ended = finish(records, start(records, MIXED))
    records.rollouts.write_tick(lease(records), replace(ended, phase=phase, finished_at=None))
    held = [(hold.store, hold.since) for hold in records.rollouts.holds()]
    assert held == [(store, NOON + MINUTE) for store in stores]


def test_a_finished_rollout_does_not_go_on_in_stores_that_another_one_holds(
    records: Records,
) -> None:
    ended = finish(records, start(records))
    start(records, holds=[("store-2", "vision")])
    with pytest.raises(Locked, match=r"ro-2 holds store-2 \(vision\)"):
        records.rollouts.write_tick(
            lease(records), replace(ended, phase=Phase.RUNNING, finished_at=None)
        )
    assert records.rollouts.load("ro-1") == ended


@sqlite_only
def test_a_rollout_that_turns_back_holds_all_that_it_touched(records: Records) -> None:
    ended = finish(records, start(records, MIXED))
    own = lease(records)
    resumed = replace(ended, phase=Phase.RUNNING, finished_at=None)
    records.rollouts.write_tick(own, resumed)
    records.rollouts.write_tick(own, replace(resumed, phase=Phase.ROLLING_BACK))
    assert [hold.store for hold in records.rollouts.holds()] == ["store-1", "store-2"]


@pytest.mark.parametrize("stage", [Stage.SENDING, Stage.UNDOING])
@sqlite_only
def test_what_is_about_to_be_sent_is_held(records: Records, stage: Stage) -> None:
    began = start(records, MIXED, holds=())
    records.rollouts.write_tick(lease(records), began, [replace(MIXED[0], stage=stage)])
    assert [hold.store for hold in records.rollouts.holds()] == ["store-1"]


def test_nothing_is_about_to_be_sent_where_another_rollout_holds(records: Records) -> None:
    began = start(records, MIXED, holds=())
    start(records, holds=[("store-1", "vision")])
    with pytest.raises(Locked, match=r"ro-2 holds store-1 \(vision\)"):
        records.rollouts.write_tick(lease(records), began, [replace(MIXED[0], stage=Stage.SENDING)])
    assert records.rollouts.changes("ro-1") == MIXED


PARKED = some.planned("store-1", verdict=Verdict.PARKED)
OWED = [
    PARKED,
    some.change("store-1", Verdict.DARK),
    some.change("store-1", Verdict.DARK, stage=Stage.UNDONE),
    some.change("store-1", Verdict.UNDELIVERED),
]


@pytest.mark.parametrize("change", OWED)
@sqlite_only
def test_a_done_rollout_is_owed_what_did_not_arrive(records: Records, change: Change) -> None:
    done(records, change)
    assert records.rollouts.owed() == (("ro-1", change),)


@pytest.mark.parametrize(
    "change",
    [
        some.change("store-1", Verdict.OK),
        some.change("store-1", Verdict.FAILED),
        some.change("store-1", Verdict.OK, stage=Stage.UNDONE),
        some.change("store-1", Verdict.CHANGED_BY_HAND, stage=Stage.HELD),
        replace(PARKED, stage=Stage.SKIPPED),
    ],
)
@sqlite_only
def test_what_ended_otherwise_is_not_owed(records: Records, change: Change) -> None:
    done(records, change)
    assert records.rollouts.owed() == ()


@pytest.mark.parametrize("phase", [Phase.ABORTED, Phase.ROLLED_BACK])
@sqlite_only
def test_nothing_is_owed_to_a_rollout_that_was_given_up(records: Records, phase: Phase) -> None:
    finish(records, start(records, [PARKED], holds=()), phase)
    assert records.rollouts.owed() == ()


@sqlite_only
def test_nothing_is_owed_to_a_rollout_that_goes_on(records: Records) -> None:
    start(records, [PARKED])
    assert records.rollouts.owed() == ()


def test_a_newer_rollout_takes_over_what_older_ones_are_owed(records: Records) -> None:
    done(records, PARKED, replace(PARKED, store="store-2"))
    done(records, PARKED)
    start(records, [some.planned("store-1")], holds=[("store-1", "vision")])
    taken, left = records.rollouts.changes("ro-1")
    assert (taken.stage, taken.verdict, taken.reason) == (
        Stage.SKIPPED,
        Verdict.PARKED,
        "superseded by ro-3",
    )
    assert records.rollouts.owed() == (("ro-1", left),)


@sqlite_only
def test_what_is_owed_can_be_taken_over_later(records: Records) -> None:
    done(records, PARKED)
    newer = start(records, holds=())
    assert records.rollouts.supersede([("store-1", "vision")], by=newer.id) == 1
    assert records.rollouts.supersede([("store-1", "vision")], by=newer.id) == 0
    assert records.rollouts.owed() == ()


@sqlite_only
def test_a_rollout_that_is_refused_takes_nothing_over(records: Records) -> None:
    done(records, PARKED)
    start(records, holds=[("store-2", "vision")])
    with pytest.raises(Locked):
        start(records, holds=[("store-1", "vision"), ("store-2", "vision")])
    assert records.rollouts.owed() == (("ro-1", PARKED),)


@sqlite_only
def test_another_workload_takes_nothing_over(records: Records) -> None:
    done(records, PARKED)
    start(records, holds=())
    assert records.rollouts.supersede([("store-1", "telemetry")], by="ro-2") == 0
    assert len(records.rollouts.owed()) == 1


@sqlite_only
def test_a_rollout_takes_nothing_over_from_a_newer_one(records: Records) -> None:
    start(records, holds=())
    done(records, PARKED)
    assert records.rollouts.supersede([("store-1", "vision")], by="ro-1") == 0


def rebuild(records: Records, name: str = "ro-7", *changes: Change) -> bool:
    return records.rollouts.rebuild(
        name,
        some.spec(),
        changes or [PARKED],
        caller="arn:me",
        started_at=NOON,
        at=NOON + MINUTE,
    )


def test_a_rollout_that_was_rebuilt_holds_and_owes_nothing(records: Records) -> None:
    assert rebuild(records)
    found = records.rollouts.load("ro-7")
    assert (found.phase, found.why, found.finished_at) == (
        Phase.REBUILT,
        "rebuilt from AWS: whether more stores were planned is not known",
        NOON + MINUTE,
    )
    assert records.rollouts.owed() == ()
    assert records.rollouts.active() == ()


def test_rebuilding_twice_is_rebuilding_once(records: Records) -> None:
    assert rebuild(records)
    assert not rebuild(records, "ro-7", some.change("store-1"))
    assert records.rollouts.changes("ro-7") == (PARKED,)


@sqlite_only
def test_the_number_after_a_rebuilt_rollout_is_free(records: Records) -> None:
    rebuild(records)
    assert start(records).id == "ro-8"


@sqlite_only
def test_a_rollout_of_a_newer_fleet_is_refused_by_its_shape(records: Records) -> None:
    start(records)
    with records._database.write() as connection:
        connection.exec_driver_sql("UPDATE fleet_rollout_specs SET spec = '{\"curfew\":1}'")
    with pytest.raises(RecordsError, match=r"another shape.*curfew"):
        records.rollouts.load("ro-1")
    assert len(records.rollouts.history()) == 1


def test_ten_thousand_stores_are_started_and_loaded_whole(tmp_path: Path) -> None:
    stores = [f"store-{n:05}" for n in range(10_000)]
    changes = tuple(some.planned(store) for store in stores)
    with open_records(None, tmp_path) as records:
        start(records, changes, holds=[(store, "vision") for store in stores])
        assert records.rollouts.changes("ro-1") == changes
        assert len(records.rollouts.holds()) == len(stores)


@sqlite_only
def test_what_a_newer_rollout_has_sent_is_told_and_what_it_only_plans_is_not(
    records: Records,
) -> None:
    start(records, [some.change("store-1"), some.change("store-2")], holds=())
    start(records, [some.change("store-2"), some.planned("store-1")], holds=())
    assert records.rollouts.sent_after("ro-1") == {("store-2", "vision-arm64")}
    assert records.rollouts.sent_after("ro-2") == frozenset()


def test_only_rollouts_that_were_done_lately_and_had_ticks_are_watched(records: Records) -> None:
    for tick in (3, 0):
        finish(records, replace(start(records, holds=()), tick=tick))
    finish(records, replace(start(records, holds=()), tick=3), Phase.ABORTED)
    assert records.rollouts.done_since(NOON) == {"ro-1": NOON + MINUTE}
    assert records.rollouts.done_since(NOON + 2 * MINUTE) == {}
