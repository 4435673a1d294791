"""A rollout as it is recorded: its spec, its moving part, its verbs and its events.

Everything a tick needs is in these values; between two ticks nothing lives in memory that matters.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from decimal import Decimal
from enum import StrEnum
from typing import Any

from fleet.model.changes import Change
from fleet.model.darkness import DarknessTest
from fleet.model.desired import ServiceShape, TaskDefinition
from fleet.model.gate import Gate
from fleet.model.hours import Hours
from fleet.model.plain import from_plain
from fleet.model.policy import Freeze, Policy
from fleet.model.signals import SignalReadings
from fleet.model.verdicts import Verdict


class Phase(StrEnum):
    """What a rollout does now.

    AWAITING: the canary passed and the policy wants ``promote``. DONE may still have owed stores,
    which join in when they are back. ABORTED: nothing more is sent, what was sent stays. REBUILT:
    its records were lost; AWS knows which stores carry it, and not how many were meant to.
    """

    RUNNING = "running"
    PAUSED = "paused"
    AWAITING = "awaiting-promote"
    HALTED = "halted"
    ROLLING_BACK = "rolling-back"
    DONE = "done"
    ABORTED = "aborted"
    ROLLED_BACK = "rolled-back"
    REBUILT = "rebuilt"

    @property
    def has_ended(self) -> bool:
        """Return whether the rollout has ended."""
        return self in {Phase.DONE, Phase.ABORTED, Phase.ROLLED_BACK, Phase.REBUILT}

    @property
    def awaits_person(self) -> bool:
        """Return whether it waits for a person; it needs no ticks meanwhile."""
        return self in {Phase.PAUSED, Phase.HALTED, Phase.AWAITING}

    @property
    def forgives(self) -> bool:
        """Return whether no store owes the release: it was withdrawn, or nobody knows who does."""
        return self in {Phase.ABORTED, Phase.ROLLING_BACK, Phase.ROLLED_BACK, Phase.REBUILT}


#: Name of the wave of those stores, which is judged last.
CONVOY_NAME = "convoy"
#: Name of the first wave of a rollout with ``--canary``, and of the ring that overrides it.
CANARY = "canary"


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
        weight: how much it matters beside the others; all weigh 1 unless the inventory says more.
        off_when_closed: names of those hosts that have no power while the store is closed.
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
    weight: Decimal = Decimal(1)
    off_when_closed: tuple[str, ...] = ()

    @property
    def is_off_when_closed(self) -> bool:
        """Return whether a host that the rollout reaches has no power while the store is closed."""
        return bool(self.off_when_closed)


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
        overwrite: whether settings that somebody set by hand are set back.
        kept_counts: store and service joined with "/", where somebody set the count that stays.
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
    overwrite: bool = False
    kept_counts: frozenset[str] = frozenset()

    def wave_name(self, index: int) -> str:
        """Return the name of a wave: ``canary``, ``wave 1`` ...; after the last ``convoy``."""
        return self.waves[index].name if 0 <= index < len(self.waves) else CONVOY_NAME

    def variant_of(self, change: Change) -> str:
        """Return the hardware variant that a change is for."""
        shape = self.shapes.get(change.service)
        return shape.variant if shape else change.service


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
        answered_at: when a person last let it go on by ``resume``; losses before that are accepted.
        recalled: what of the release went wrong after it was done, for people; "" while nothing.
        signals: alarms and checks of the policy, as last read.
        owed_until: until when a finished rollout that was resumed waits for stores that owe it.
        darkness: the running comparison of updated with untouched stores.
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
    darkness: DarknessTest = field(default_factory=DarknessTest)
    tick: int = 0
    updated_at: datetime | None = None
    finished_at: datetime | None = None
    answered_at: datetime | None = None
    recalled: str = ""
    signals: SignalReadings = field(default_factory=SignalReadings)

    @property
    def wave_name(self) -> str:
        """Return the name of the wave that is sent or judged now."""
        return self.spec.wave_name(self.wave)


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


class EventKind(StrEnum):
    """What an event of a rollout is about."""

    WAVE = "wave"
    SENT = "sent"
    VERDICT = "verdict"
    GATE = "gate"
    PHASE = "phase"
    VERB = "verb"
    PROBLEM = "problem"
    WAIT = "wait"
    RECALL = "recall"


@dataclass(frozen=True, slots=True)
class RolloutEvent:
    """One event of a rollout, as the plain log and the live view show it.

    Attributes:
        id: rises with time within the database; 0 before it is recorded.
        text: one line, printable.
        store: id, or "".
        data: the same as plain values, for programs; the properties read what is shown of it.
    """

    id: int
    rollout: str
    at: datetime
    kind: EventKind
    text: str
    store: str = ""
    data: Mapping[str, Any] = field(default_factory=dict)

    @property
    def service(self) -> str:
        """Name of the service that it is about, or ""."""
        return str(self.data.get("service", ""))

    @property
    def verdict(self) -> Verdict | None:
        """Return the verdict that a change has now; None for events of other kinds."""
        word = self.data.get("verdict")
        return Verdict(word) if self.kind is EventKind.VERDICT and word in set(Verdict) else None

    @property
    def gate(self) -> Gate | None:
        """Return the gate that was evaluated; None for events of other kinds."""
        if self.kind is not EventKind.GATE:
            return None
        try:
            return from_plain(Gate, self.data)
        except ValueError:
            return None

    @property
    def judged(self) -> tuple[int, int] | None:
        """Stores of the wave with a verdict, and stores that were sent; None where not counted."""
        if "done" in self.data and "of" in self.data:
            return int(self.data["done"]), int(self.data["of"])
        return None


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
class RolloutAction:
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


@dataclass(frozen=True, slots=True)
class RebuiltRollout:
    """Holds a rollout as far as AWS still knows it, for when the records are lost.

    Attributes:
        id: as ``ro-118``; from the tags.
        began: the earliest deployment that is still known of it.
        changes: of the services that carry its tag; whether more were planned is not known.
        added: whether the records did not know it.
    """

    id: str
    spec: RolloutSpec
    began: datetime
    changes: tuple[Change, ...]
    added: bool = False


def owed(changes: Iterable[Change], phase: Phase) -> tuple[Change, ...]:
    """Return the changes whose stores still owe the release of a rollout in this phase."""
    return () if phase.forgives else tuple(change for change in changes if change.owes)
