from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from fleet.errors import UsageError
from fleet.model.gate import Sample
from fleet.model.rollout import EventKind, RolloutEvent, Verb, VerbName
from fleet.records.records import Records
from tests import rollouts as some

#: What does not depend on the kind of database.
sqlite_only = pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
NOON = datetime(2026, 11, 22, 12, 0, tzinfo=UTC)
MINUTE = timedelta(minutes=1)
HOUR = timedelta(hours=1)


@pytest.fixture(autouse=True)
def begun(records: Records) -> None:
    """Two rollouts, ro-1 and ro-2."""
    for _ in range(2):
        records.rollouts.start(some.spec(), (), (), caller="arn:me", at=NOON, run="")


def say(records: Records, name: VerbName = VerbName.PAUSE, rollout: str = "ro-1") -> Verb:
    return records.rollouts.say(rollout, name, by="arn:her", at=NOON, why="sale", stores=["a", "b"])


def tell(records: Records, *texts: str, store: str = "", rollout: str = "ro-1") -> None:
    own = records.leases.take("shard", "me", 30.0)
    assert own is not None
    told = [RolloutEvent(0, rollout, NOON, EventKind.WAVE, text, store) for text in texts]
    records.rollouts.write_tick(own, records.rollouts.load(rollout), (), told)
    records.leases.release(own)


def test_what_was_said_comes_back_as_it_was_said(records: Records) -> None:
    said = say(records)
    assert records.rollouts.verbs("ro-1") == (said,)
    assert said == Verb(said.id, "ro-1", VerbName.PAUSE, ("a", "b"), "arn:her", NOON, "sale")


@sqlite_only
def test_verbs_come_in_the_order_they_were_said(records: Records) -> None:
    said = [say(records, name) for name in VerbName]
    assert records.rollouts.verbs("ro-1") == tuple(said)
    assert [verb.id for verb in said] == sorted({verb.id for verb in said})


@sqlite_only
def test_a_verb_is_heard_only_by_the_rollout_it_was_said_to(records: Records) -> None:
    say(records, rollout="ro-2")
    assert records.rollouts.verbs("ro-1") == ()


@sqlite_only
def test_a_verb_to_a_rollout_that_is_not_there_is_refused(records: Records) -> None:
    with pytest.raises(UsageError, match="no rollout ro-9"):
        say(records, rollout="ro-9")


def answer(records: Records, answers: dict[int, str], rollout: str = "ro-1") -> None:
    own = records.leases.take("shard", "me", 30.0)
    assert own is not None
    records.rollouts.write_tick(own, records.rollouts.load(rollout), (), (), answers)
    records.leases.release(own)


def test_a_verb_that_was_obeyed_is_not_heard_again(records: Records) -> None:
    first, second = say(records), say(records, VerbName.RESUME)
    answer(records, {first.id: "paused"})
    assert records.rollouts.verbs("ro-1", unobeyed_only=True) == (second,)
    assert records.rollouts.verbs("ro-1") == (replace(first, answer="paused"), second)


@sqlite_only
def test_an_answer_stays_as_it_was_first_given(records: Records) -> None:
    said = say(records)
    for text in ("paused", "it is paused already"):
        answer(records, {said.id: text})
    assert records.rollouts.verbs("ro-1")[0].answer == "paused"


@sqlite_only
def test_a_rollout_answers_no_verb_of_another(records: Records) -> None:
    said = say(records, rollout="ro-2")
    answer(records, {said.id: "paused"}, rollout="ro-1")
    assert records.rollouts.verbs("ro-2") == (said,)


def test_events_come_in_the_order_they_were_told(records: Records) -> None:
    tell(records, "one", "two")
    tell(records, "three")
    told = records.rollouts.events("ro-1")
    assert [event.text for event in told] == ["one", "two", "three"]
    assert [event.id for event in told] == sorted({event.id for event in told})


@sqlite_only
def test_a_reader_goes_on_after_the_event_it_has_seen(records: Records) -> None:
    tell(records, "one", "two", "three")
    first, *_ = records.rollouts.events("ro-1")
    after = records.rollouts.events("ro-1", after=first.id)
    assert [event.text for event in after] == ["two", "three"]
    assert records.rollouts.events("ro-1", after=after[-1].id) == ()


@sqlite_only
def test_no_more_events_come_than_asked_for(records: Records) -> None:
    tell(records, "one", "two", "three")
    assert [event.text for event in records.rollouts.events("ro-1", limit=2)] == ["one", "two"]


def test_the_latest_events_come_oldest_first(records: Records) -> None:
    tell(records, "one", "two", "three")
    latest = records.rollouts.latest_events("ro-1", limit=2)
    assert [event.text for event in latest] == ["two", "three"]


@sqlite_only
def test_events_of_one_store_can_be_asked_for(records: Records) -> None:
    tell(records, "all")
    tell(records, "mine", store="store-1")
    (event,) = records.rollouts.events("ro-1", store="store-1")
    assert records.rollouts.latest_events("ro-1", limit=9, store="store-1") == (event,)
    assert event.text == "mine"


@sqlite_only
def test_events_of_other_rollouts_are_not_mixed_in(records: Records) -> None:
    tell(records, "one")
    tell(records, "two", rollout="ro-2")
    assert [event.text for event in records.rollouts.events("ro-2")] == ["two"]
    assert [event.text for event in records.rollouts.latest_events("ro-2", limit=9)] == ["two"]


def test_a_history_without_samples_is_of_nothing(records: Records) -> None:
    assert records.rollouts.history_sample(NOON) == Sample(0, 0)


def test_samples_of_hours_and_rollouts_add_up(records: Records) -> None:
    for rollout, at in (("ro-1", NOON), ("ro-1", NOON + HOUR), ("ro-2", NOON)):
        records.rollouts.note_connectivity(rollout, at, 1, 100)
    assert records.rollouts.history_sample(NOON) == Sample(3, 300)


def test_a_store_that_stays_dark_for_many_ticks_is_one_dark_store(records: Records) -> None:
    for minute in range(30):
        records.rollouts.note_connectivity("ro-1", NOON + minute * MINUTE, 2, 50 + minute)
    assert records.rollouts.history_sample(NOON) == Sample(2, 79)


@sqlite_only
def test_samples_from_before_are_left_out(records: Records) -> None:
    records.rollouts.note_connectivity("ro-1", NOON - 2 * HOUR, 9, 10)
    records.rollouts.note_connectivity("ro-1", NOON, 1, 10)
    assert records.rollouts.history_sample(NOON - HOUR) == Sample(1, 10)
