"""A rollout as it is recorded: its spec, one change per store and service, verdicts, and words.

Everything a tick needs is in these values; between two ticks nothing lives in memory that matters.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import Any

from fleet.model.desired import ServiceShape, TaskDefinition
from fleet.model.hours import Hours
from fleet.model.observed_change import ObservedChange
from fleet.model.policy import Freeze, Policy


class Verdict(StrEnum):
    """What is known of a change that was, or should be, sent to a store."""

    OK = "ok"
    FAILED = "failed"
    UNDELIVERED = "undelivered"
    DARK = "dark"
    WAITING = "waiting"
    PARKED = "parked"
    UNCHANGED = "unchanged"
    CHANGED_BY_HAND = "changed-by-hand"


#: From best to worst; a store's verdict is the worst of its services'.
WORST = (
    Verdict.UNCHANGED,
    Verdict.OK,
    Verdict.PARKED,
    Verdict.WAITING,
    Verdict.DARK,
    Verdict.UNDELIVERED,
    Verdict.CHANGED_BY_HAND,
    Verdict.FAILED,
)


class Stage(StrEnum):
    """Where a change is in its life; only the conductor moves it.

    PLANNED: nothing was sent. SENDING: recorded before the call, which may or may not have gone
    out. SENT: AWS accepted it. UNDOING and UNDONE: likewise for setting it back to what ran before.
    SKIPPED: a person left it out, or a newer rollout took it over. HELD: somebody else changed the
    service, and fleet does not touch it.
    """

    PLANNED = "planned"
    SENDING = "sending"
    SENT = "sent"
    UNDOING = "undoing"
    UNDONE = "undone"
    SKIPPED = "skipped"
    HELD = "held"


class Phase(StrEnum):
    """What a rollout does now.

    AWAITING: the canary passed and the policy wants ``promote``. DONE may still have owed stores,
    which join in when they are back. ABORTED: nothing more is sent, what was sent stays.
    """

    RUNNING = "running"
    PAUSED = "paused"
    AWAITING = "awaiting-promote"
    HALTED = "halted"
    ROLLING_BACK = "rolling-back"
    DONE = "done"
    ABORTED = "aborted"
    ROLLED_BACK = "rolled-back"


#: Wave number of stores that were dark at their turn and have come back.
CONVOY = -1


@dataclass(frozen=True, slots=True)
class PastTry:
    """How a try of a change ended that is to be sent once more."""

    stage: Stage
    verdict: Verdict
    reason: str


@dataclass(frozen=True, slots=True)
class NextSend:
    """What is known for the next send of a change; forgotten once it was sent.

    Attributes:
        last_try: what the change goes back to when the send is called off; None when it has not
            been sent before, or the send follows from its verdict.
        overwrite: whether a person has said to overwrite what somebody else set.
        refusals: calls in a row that AWS has refused.
        postponed: whether its turn has come and the store could not be read.
        was_set_back: whether it was sent and set back while its store was away.
        deployment_before: id of the newest deployment at the last look, "" when there was none;
            None before the first look.
    """

    last_try: PastTry | None = None
    overwrite: bool = False
    refusals: int = 0
    postponed: bool = False
    was_set_back: bool = False
    deployment_before: str | None = None


@dataclass(frozen=True, slots=True)
class Undo:
    """What is known of setting a change back; forgotten once it is sent again.

    Attributes:
        settled: whether waiting for the store to run its previous revision is over; None when the
            store was not looked at for that.
        stays_back: whether a person has named the store, so that it does not owe the release.
    """

    settled: bool | None = None
    stays_back: bool = False


@dataclass(frozen=True, slots=True)
class Change:
    """One service of one store in one rollout.

    Attributes:
        store: id of the store.
        service: name of the service, and of its ``ServiceShape`` in the spec.
        account: name of the account, with ``region`` the shard.
        wave: index into the spec's waves, or ``CONVOY``.
        content: address of the task definition it shall run.
        previous: ARN of the revision that it ran before; "" when there was no service.
        desired_count: tasks it shall run; that of now is in ``previous_count``.
        stage: where it is in its life.
        verdict: what is known of it.
        reason: why, with numbers, for a person.
        since: of the verdict.
        sent_at: AWS's time of the reply to the call that sent it.
        target: ARN that was sent; "" before.
        sends: how often it was sent; more than once after failed pulls or ``retry``.
        pulls_failed: tries that ended because the image could not be pulled.
        away_since: since when its hosts are away, while they are.
        looked_at: AWS's time of the latest view of it.
        look_at: when it is to be looked at again; None for never or at its turn.
        ok_at: AWS's time of the first look at which what was sent last was ok.
        observed: what looks have found since it was sent.
        next_send: what is known for sending it.
        undo: what is known of setting it back.
        failure_accepted: whether a person has let the rollout go on in spite of its failure.
    """

    store: str
    service: str
    account: str
    region: str
    cluster: str
    wave: int
    content: str
    previous: str
    desired_count: int
    previous_count: int = 0
    stage: Stage = Stage.PLANNED
    verdict: Verdict = Verdict.WAITING
    reason: str = ""
    since: datetime | None = None
    sent_at: datetime | None = None
    target: str = ""
    sends: int = 0
    pulls_failed: int = 0
    away_since: datetime | None = None
    looked_at: datetime | None = None
    look_at: datetime | None = None
    ok_at: datetime | None = None
    observed: ObservedChange = field(default_factory=ObservedChange)
    next_send: NextSend = field(default_factory=NextSend)
    undo: Undo = field(default_factory=Undo)
    failure_accepted: bool = False

    @property
    def key(self) -> tuple[str, str]:
        """Store and service: unique in a rollout."""
        return self.store, self.service

    @property
    def in_flight(self) -> bool:
        """Whether it occupies one of the rollout's places: sent, or maybe sent, and not settled.

        A dark store counts: ECS will apply the change when it returns.
        """
        if self.stage in {Stage.SENDING, Stage.UNDOING}:
            return True
        return self.stage is Stage.SENT and self.verdict in {Verdict.WAITING, Verdict.DARK}


@dataclass(frozen=True, slots=True)
class Place:
    """Where and when a store is, as ticks need it without an inventory at hand.

    Attributes:
        store: id.
        name: for people.
        account: name of its account, with ``account_id`` as AWS knows it.
        time_zone: IANA name.
        hours: opening spans by weekday, as in the inventory.
        link: its kind, as ``lte``.
        carrier: who provides it, or "".
        hosts: by service name, the names of the hosts that its tasks run on.
        instances: ARNs of its container instances when the rollout was planned; only to ask for
            them without listing.
    """

    store: str
    name: str
    account: str
    account_id: str
    region: str
    cluster: str
    time_zone: str
    hours: Hours
    link: str
    carrier: str = ""
    metered: bool = False
    hosts: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    instances: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class WavePlan:
    """A wave: its name (``canary``, ``wave 1`` ...) and its stores, in the order of sending."""

    name: str
    stores: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class RolloutSpec:
    """What a rollout was told to do; written once, when it starts.

    Attributes:
        release: id of the release.
        title: for people, as ``vision, telemetry`` with what changes.
        workloads: names.
        selection: as typed.
        inventory: digest of the inventory.
        policy: in full, so that a later edit changes no running rollout.
        freezes: in full, likewise.
        override_freeze: the reason given to send in spite of freezes, or "".
        waves: the canary first, if there is one.
        shapes: by service name.
        task_definitions: by content.
        places: by store id, of the stores with changes.
        pull_s: by (store, service) joined with "/", seconds that pulling is expected to take.
        seed: of every tie-break.
        retention: days of log groups that are made.
    """

    release: str
    title: str
    workloads: tuple[str, ...]
    selection: str
    inventory: str
    policy: Policy
    waves: tuple[WavePlan, ...]
    shapes: Mapping[str, ServiceShape]
    task_definitions: Mapping[str, TaskDefinition]
    places: Mapping[str, Place]
    freezes: tuple[Freeze, ...] = ()
    override_freeze: str = ""
    pull_s: Mapping[str, float] = field(default_factory=dict)
    seed: int = 0
    canary: bool = False


@dataclass(frozen=True, slots=True)
class Rollout:
    """The moving part of a rollout; one row.

    Attributes:
        id: as ``ro-118``.
        spec: what it was told.
        caller: ARN of who started it.
        phase: what it does now.
        why: the reason of the phase, for people.
        wave: index of the wave that is sent or judged now; ``len(spec.waves)`` after the last.
        wave_at: when that wave began, aware UTC.
        baking_since: since when the wave has been complete and good, or None.
        promoted: whether a person let it go beyond the canary.
        accepted: failures that a person has accepted by ``resume`` after a halt, by variant.
        owed_until: until when a finished rollout that was resumed waits for stores that owe it.
        tick: how many ticks it has had; every write of a tick checks its lease's token.
        updated_at: of the latest tick.
        finished_at: None while ticks have something to do or a person may still tell it something;
            owed stores of a finished rollout join a later one, or ``resume``.
    """

    id: str
    spec: RolloutSpec
    caller: str
    started_at: datetime
    phase: Phase = Phase.RUNNING
    why: str = ""
    wave: int = 0
    wave_at: datetime | None = None
    baking_since: datetime | None = None
    promoted: bool = False
    accepted: Mapping[str, int] = field(default_factory=dict)
    owed_until: datetime | None = None
    tick: int = 0
    updated_at: datetime | None = None
    finished_at: datetime | None = None


class VerbName(StrEnum):
    """What a person can tell a rollout; a row that the next tick obeys."""

    PAUSE = "pause"
    RESUME = "resume"
    PROMOTE = "promote"
    RETRY = "retry"
    SKIP = "skip"
    ABORT = "abort"
    ROLLBACK = "rollback"


@dataclass(frozen=True, slots=True)
class Verb:
    """One thing that was said to a rollout.

    Attributes:
        id: rises with time.
        stores: it concerns only these; empty for all.
        by: ARN of who said it.
        why: in their words, or "".
        answer: what the tick made of it; "" until it was obeyed.
    """

    id: int
    rollout: str
    name: VerbName
    stores: tuple[str, ...]
    by: str
    at: datetime
    why: str = ""
    answer: str = ""


@dataclass(frozen=True, slots=True)
class RolloutEvent:
    """One line of a rollout's story, as the plain log and the live view show it.

    Attributes:
        id: rises with time within the database; 0 before it is recorded.
        kind: ``wave``, ``sent``, ``verdict``, ``gate``, ``phase``, ``verb``, ``problem``, ``wait``.
        store: id, or "".
        text: one line, printable.
        data: the same in values.
    """

    id: int
    rollout: str
    at: datetime
    kind: str
    text: str
    store: str = ""
    data: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Hold:
    """Who holds a store and workload, so that no second rollout touches it."""

    store: str
    workload: str
    rollout: str
    by: str
    since: datetime


class ActionKind(StrEnum):
    """What a tick may do to one service.

    Both change a service, and read it before they write.
    """

    SEND = "send"
    UNDO = "undo"


@dataclass(frozen=True, slots=True)
class Action:
    """One thing to do in one store, with its reason.

    Attributes:
        kind: what.
        store: id of the store.
        service: name.
        why: for the audit.
    """

    kind: ActionKind
    store: str
    service: str
    why: str
