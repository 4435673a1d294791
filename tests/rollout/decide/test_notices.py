"""Which events of rollouts people are told of, and who is told."""

from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from fleet.model.drift_settings import Severity
from fleet.model.notify import Channel, When
from fleet.model.rollout import EventKind, Phase, RolloutEvent
from fleet.model.verdicts import Verdict
from fleet.rollout.decide.notices import OWED_TOO_LONG, is_told, notices_of, owed_notices, untold
from tests import rollouts

NOW = rollouts.NOW
ALL = Channel("all", When.ALWAYS, Severity.INFO)
CHANGE = Channel("change", When.CHANGE, Severity.LOW)
GRAVE = Channel("grave", When.CHANGE, Severity.HIGH)


def event(kind: EventKind, phase: str = "", id_: int = 1, **more: Any) -> RolloutEvent:
    data = {"phase": phase} if phase else {}
    return replace(RolloutEvent(id_, "ro-118", NOW, kind, "words", data=data), **more)


HALTED = event(EventKind.PHASE, Phase.HALTED, 7)
DONE = event(EventKind.PHASE, Phase.DONE, 9)
FIRST, SECOND = event(EventKind.WAVE, id_=2), event(EventKind.WAVE, id_=5)


@pytest.mark.parametrize(
    ("told_of", "word"),
    [
        (event(EventKind.WAVE), "started"),
        (HALTED, "HALTED"),
        (event(EventKind.PHASE, Phase.PAUSED), "PAUSED"),
        (event(EventKind.PHASE, Phase.AWAITING), "asks for promote"),
        (DONE, "done"),
        (event(EventKind.RECALL), "RECALLED"),
        (event(EventKind.PHASE, Phase.RUNNING), None),
        (event(EventKind.VERDICT), None),
        (event(EventKind.SENT), None),
        (event(EventKind.WAIT), None),
    ],
)
def test_people_are_told_of_what_a_rollout_becomes(told_of: RolloutEvent, word: str | None) -> None:
    assert [one.kind.word for one in notices_of([told_of])] == ([word] if word else [])


@pytest.mark.parametrize(
    ("channel", "told"),
    [
        (ALL, ["2 started", "7 HALTED", "9 done"]),
        (CHANGE, ["7 HALTED"]),
        (GRAVE, ["7 HALTED"]),
        (replace(GRAVE, when=When.ALWAYS), ["2 started", "7 HALTED", "9 done"]),
    ],
)
def test_good_news_is_for_those_who_always_want_to_know(channel: Channel, told: list[str]) -> None:
    events = [FIRST, HALTED, DONE]
    found = [
        f"{one.id} {notice.kind.word}"
        for one, notice in ((e, next(notices_of([e]))) for e in events)
        if is_told(channel, notice.kind)
    ]
    assert found == told


@pytest.mark.parametrize(("least", "told"), [("low", True), ("medium", False), ("high", False)])
def test_what_is_owed_is_of_low_severity(least: str, told: bool) -> None:
    change = rollouts.change("store-001", Verdict.PARKED, since=NOW - OWED_TOO_LONG)
    (notice,) = owed_notices([("ro-118", change)], NOW)
    assert is_told(replace(CHANGE, least=Severity(least)), notice.kind) is told


@pytest.mark.parametrize(("seconds", "told"), [(-1, 0), (0, 1), (1, 1)])
def test_a_release_is_owed_for_too_long_after_a_day(seconds: int, told: int) -> None:
    since = NOW - OWED_TOO_LONG - timedelta(seconds=seconds)
    change = rollouts.change("store-001", Verdict.PARKED, since=since)
    assert len(list(owed_notices([("ro-118", change)], NOW))) == told


def test_each_channel_is_told_each_thing_once() -> None:
    notices = list(notices_of([FIRST, HALTED, SECOND]))
    found = [(c.name, n.key) for c, n in untold(notices, [ALL, GRAVE], ())]
    assert found == [("all", "started"), ("all", "7"), ("grave", "7")]
    sent = {("ro-118", "all", "started"), ("ro-118", "grave", "7")}
    assert [(c.name, n.key) for c, n in untold(notices, [ALL, GRAVE], sent)] == [("all", "7")]
