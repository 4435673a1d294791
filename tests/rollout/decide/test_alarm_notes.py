"""What a plan says of the alarms of its policy."""

from dataclasses import replace

from fleet.model.policy import Policy
from fleet.model.signals import AlarmState, AlarmValue, SignalsSeen
from fleet.rollout.decide.alarm_notes import alarm_notes, alarms_to_read
from tests.rollouts import place

HERE, THERE = ("emea-prod", "eu-west-1"), ("emea-prod", "eu-north-1")
PLACES = {"s-1": place("s-1"), "s-2": place("s-2", region="eu-north-1")}
POLICY = Policy("careful", alarms=("errors-{store}", "all"))


def seen(*firing: str, fine: tuple[str, ...] = ()) -> SignalsSeen:
    return SignalsSeen(
        {name: AlarmState(name, AlarmValue.ALARM) for name in firing}
        | {name: AlarmState(name, AlarmValue.OK) for name in fine}
    )


def test_each_account_and_region_is_asked_for_its_own_alarms_and_those_of_all() -> None:
    assert alarms_to_read(POLICY, PLACES) == {
        HERE: ("errors-s-1", "all"),
        THERE: ("errors-s-2", "all"),
    }
    assert alarms_to_read(Policy("standard"), PLACES) == {}


def test_where_every_alarm_is_fine_there_is_nothing_to_say() -> None:
    found = {HERE: seen(fine=("errors-s-1", "all")), THERE: seen(fine=("errors-s-2",))}
    assert list(alarm_notes(POLICY, PLACES, found)) == []


def test_what_fires_is_missing_or_cannot_be_read_is_said() -> None:
    found = {HERE: seen("errors-s-1"), THERE: SignalsSeen()}
    assert list(alarm_notes(POLICY, PLACES, found)) == [
        "alarm errors-{store}: 1 store without one: s-2",
        "alarm errors-s-1 fires already: what the release does could not be told from it, so a "
        "rollout asks",
        "alarm all: CloudWatch has no alarm of this name; a rollout would ask before it sends "
        "anything",
    ]
    denied = {HERE: SignalsSeen(alarms_unread="denied"), THERE: SignalsSeen()}
    one = replace(POLICY, alarms=("all",))
    assert list(alarm_notes(one, PLACES, denied)) == [
        "alarm all could not be read, and a rollout would ask: denied"
    ]
