"""Small rollouts for tests: a canary of shops, and ways to say only what differs from it."""

from collections.abc import Mapping
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

from fleet.model.changes import Change
from fleet.model.desired import Scheduling, ServiceShape
from fleet.model.gate import Check, Count, Gate, GateAnswer, Mark
from fleet.model.history import RolloutSummary
from fleet.model.overview import Overview
from fleet.model.policy import Policy
from fleet.model.rollout import (
    EventKind,
    Phase,
    Place,
    Rollout,
    RolloutEvent,
    RolloutSpec,
    Verb,
    VerbName,
    WavePlan,
)
from fleet.model.verdicts import Stage, Verdict

NOW = datetime(2026, 11, 23, 1, 14, 20, tzinfo=UTC)
BEGAN = datetime(2026, 11, 23, 1, 2, 10, tzinfo=UTC)
CALLER = "arn:aws:sts::111122223333:assumed-role/fleet-operator/on-call"
ROOT = "arn:aws:ecs:eu-west-1:111122223333:task-definition"
OLD = f"{ROOT}/vision-arm64:12"
NEW = f"{ROOT}/vision-arm64:13"


def shape(variant: str = "arm64", workload: str = "vision") -> ServiceShape:
    name = f"{workload}-{variant}".replace("/", "-")
    return ServiceShape(name, workload, variant, variant[:5], Scheduling.REPLICA, ())


def place(store: str, **changes: Any) -> Place:
    value = Place(
        store=store,
        name="Leeds Briggate",
        account="emea-prod",
        account_id="111122223333",
        region="eu-west-1",
        cluster=store,
        time_zone="Europe/London",
        hours={},
        link="lte",
    )
    return replace(value, **changes)


def change(store: str, verdict: Verdict = Verdict.WAITING, **changes: Any) -> Change:
    """A change that was sent; with ``stage=Stage.PLANNED`` one that was not."""
    value = Change(
        store=store,
        service="vision-arm64",
        account="emea-prod",
        region="eu-west-1",
        cluster=store,
        wave=0,
        content="c" * 64,
        previous=OLD,
        desired_count=1,
        previous_count=1,
        stage=Stage.SENT,
        verdict=verdict,
        reason="because",
        since=NOW - timedelta(minutes=2),
        sent_at=BEGAN,
        target=NEW,
        sends=1,
        looked_at=NOW - timedelta(seconds=4),
    )
    return replace(value, **changes)


def planned(store: str, wave: int = 1, **changes: Any) -> Change:
    """A change whose turn has not come."""
    fresh: Mapping[str, Any] = {
        "verdict": Verdict.WAITING,
        "stage": Stage.PLANNED,
        "reason": "",
        "since": None,
        "sent_at": None,
        "target": "",
        "sends": 0,
        "looked_at": None,
    }
    return change(store, **{**fresh, "wave": wave, **changes})


def spec(*waves: WavePlan, **changes: Any) -> RolloutSpec:
    chosen = waves or (
        WavePlan("canary", tuple(f"store-{n:03}" for n in range(1, 9))),
        WavePlan("wave 1", tuple(f"store-{n:03}" for n in range(9, 41))),
    )
    places = {store: place(store) for wave in chosen for store in wave.stores}
    value = RolloutSpec(
        release="9b1c5a3e7d2f",
        title="vision 1.8.3 -> 1.9.0",
        workloads=("vision",),
        selection="--all",
        inventory="d" * 64,
        policy=Policy("standard"),
        waves=chosen,
        shapes={"vision-arm64": shape()},
        task_definitions={},
        places=places,
        canary=True,
    )
    return replace(value, **changes)


def rollout(**changes: Any) -> Rollout:
    value = Rollout(
        id="ro-118",
        spec=spec(),
        caller=CALLER,
        started_at=BEGAN,
        wave_at=BEGAN,
        tick=12,
        updated_at=NOW - timedelta(seconds=4),
    )
    return replace(value, **changes)


def changes(**stores: Verdict) -> tuple[Change, ...]:
    """The canary of eight and a first wave of 32; words say the verdicts, ok where none is."""
    canary = [change(f"store-{n:03}", stores.get(f"store_{n:03}", Verdict.OK)) for n in range(1, 9)]
    return (*canary, *(planned(f"store-{n:03}") for n in range(9, 41)))


def gate(answer: GateAnswer = GateAnswer.HALT) -> Gate:
    """The one of a canary of which two failed."""
    return Gate(
        answer,
        "2 failures are over the budget of 1",
        (
            Check("failures", "2", "budget 1", Mark.OVER, "min_sample 5 reached: 8"),
            Check("success", "6/8=75 %", "needed 95 %", Mark.UNDER),
            Check("coverage", "8/8", "needed 80 %", Mark.OK),
            Check(
                "darkness",
                "0/8 updated, 9/792 others",
                "p > 0.05",
                Mark.OK,
                "no excess: not a network problem",
            ),
        ),
        {"orin": Count(sent=6, ok=6), "xavier": Count(sent=2, failed=2)},
    )


def event(kind: str, text: str, store: str = "", **data: Any) -> RolloutEvent:
    return RolloutEvent(1, "ro-118", NOW, EventKind(kind), text, store, data)


def verb(name: VerbName = VerbName.PAUSE, **changes: Any) -> Verb:
    return replace(Verb(1, "ro-118", name, (), CALLER, NOW), **changes)


def overview(**parts: Any) -> Overview:
    """At ``NOW``; words that a rollout knows belong to it, the others to the overview."""
    own = {key: parts.pop(key) for key in list(parts) if key in Rollout.__dataclass_fields__}
    value = Overview(rollout(**own), NOW, changes())
    return replace(value, **parts)


def summary(**changes: Any) -> RolloutSummary:
    value = RolloutSummary(
        id="ro-118",
        run="run-7f3a",
        title="vision 1.8.3 -> 1.9.0",
        release="9b1c5a3e7d2f",
        workloads=("vision",),
        caller=CALLER,
        started_at=BEGAN,
        finished_at=None,
        phase=Phase.RUNNING,
        why="",
        stores=40,
        verdicts={Verdict.OK: 6, Verdict.FAILED: 2, Verdict.WAITING: 32},
        changed=("vision",),
    )
    return replace(value, **changes)
