"""Who moved a service: the breaker, a hand, another rollout, or not known."""

from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fleet.model.services import ServiceDeployment, ServiceState
from fleet.rollout.decide.attribution import Mover, Sent, attribute
from tests.rollout.decide.verdicts import SENT, after, record, revision, service

US = Sent(revision(13), "c" * 64, SENT, revision(12), "ro-118")
TRIGGERED = {"status": "ROLLBACK_SUCCESSFUL", "breaker": "TRIGGERED"}


def who(said: dict[str, Any], *records: ServiceDeployment, sent: Sent = US) -> Mover:
    return attribute(service(**said), records, sent, after(120)).mover


def test_a_service_that_is_where_it_was_sent_was_moved_by_nobody() -> None:
    assert who({"rev": 13}, record(**TRIGGERED)) is Mover.NOBODY


def test_the_breaker_is_known_by_its_record() -> None:
    found = attribute(service(rev=12), [record(**TRIGGERED)], US, after(120))

    assert found.mover is Mover.BREAKER
    assert found.words == "breaker restored vision-arm64:12"


def test_the_breaker_may_restore_an_older_revision_than_the_previous() -> None:
    # ECS goes back to the last deployment that COMPLETED, and the previous one may not have.
    assert who({"rev": 11}, record(**TRIGGERED)) is Mover.BREAKER


@pytest.mark.parametrize("status", ["ROLLBACK_IN_PROGRESS", "ROLLBACK_FAILED", "STOPPED"])
def test_the_breaker_is_known_while_it_still_restores(status: str) -> None:
    assert who({"rev": 12}, record(status=status, breaker="TRIGGERED")) is Mover.BREAKER


def test_a_deployment_after_the_breaker_is_somebodys() -> None:
    records = record(rev=9, created=100), record(**TRIGGERED)

    assert who({"rev": 9}, *records) is Mover.HAND


def test_a_record_that_leads_where_the_breaker_went_is_the_breakers() -> None:
    records = record(rev=12, created=60), record(**TRIGGERED)

    assert who({"rev": 12}, *records) is Mover.BREAKER


def test_a_rollback_without_the_breaker_was_asked_for_by_somebody() -> None:
    records = record(status="ROLLBACK_SUCCESSFUL", breaker="MONITORING", why="as requested")
    found = attribute(service(rev=12), [records], US, after(120))

    assert found.mover is Mover.HAND
    assert found.words == "somebody rolled it back to vision-arm64:12: as requested"


def test_a_breaker_of_an_earlier_try_is_not_this_ones() -> None:
    old = record(**TRIGGERED, created=-900)

    assert who({"rev": 9, "deployed": 90}, record(rev=9, created=90), old) is Mover.HAND


def test_without_records_the_deployment_speaks() -> None:
    why = "ECS deployment circuit breaker: rolling back to deploymentId ecs-svc/1."

    assert who({"rev": 12, "deployed": 90, "why": why}) is Mover.BREAKER


def test_what_an_earlier_breaker_left_on_the_deployment_does_not_speak() -> None:
    why = "ECS deployment circuit breaker: rolling back to deploymentId ecs-svc/1."

    assert who({"rev": 12, "deployed": -9000, "why": why}) is Mover.HAND


def test_without_records_an_event_speaks() -> None:
    event = [80, "(service vision-arm64) rolling back to deployment ecs-svc/1."]

    assert who({"rev": 12, "events": [event]}) is Mover.BREAKER


def test_an_event_from_before_the_call_does_not_speak() -> None:
    event = [-80, "(service vision-arm64) rolling back to deployment ecs-svc/1."]

    assert who({"rev": 12, "events": [event]}) is Mover.HAND


def test_another_rollout_is_known_by_its_tag() -> None:
    tags = {"fleet:rollout": "ro-119", "fleet:content": "d" * 64}

    assert who({"rev": 14, "tags": tags}, record(rev=14, created=60)) is Mover.ROLLOUT


def test_without_the_id_of_ours_another_rollout_is_known_by_the_content() -> None:
    sent = replace(US, rollout="")
    tags = {"fleet:rollout": "ro-119", "fleet:content": "d" * 64}

    assert who({"rev": 14, "tags": tags}, sent=sent) is Mover.ROLLOUT
    assert who({"rev": 9}, record(rev=9, created=60), sent=sent) is Mover.HAND


def test_a_hand_leaves_our_tags_where_they_are() -> None:
    assert who({"rev": 9}, record(rev=9, created=60), record()) is Mover.HAND


def test_a_service_without_tags_was_changed_by_hand() -> None:
    assert who({"rev": 9, "tags": {}}, record(rev=9, created=60)) is Mover.HAND


def test_records_that_were_not_read_conclude_nothing() -> None:
    assert attribute(service(rev=9), None, US, after(120)).mover is Mover.UNKNOWN


def test_a_service_that_does_not_show_the_call_yet_was_not_moved() -> None:
    still: ServiceState = service(rev=12, deployed=-9000)

    assert attribute(still, (), US, after(20)).mover is Mover.LATE


def test_what_others_wrote_is_made_printable() -> None:
    records = record(status="ROLLBACK_SUCCESSFUL", breaker="", why="\x1b[31mred\nalert")
    found = attribute(service(rev=12), [records], US, after(120))

    assert found.words.endswith("[31mred alert")


@given(st.lists(st.sampled_from([9, 12]), max_size=3), st.sampled_from([9, 12]))
def test_without_a_word_of_ecs_the_breaker_is_never_blamed(others: list[int], now: int) -> None:
    records = [record(rev=rev, created=90 - n) for n, rev in enumerate(others)]

    assert who({"rev": now, "deployed": 90}, *records) is Mover.HAND
