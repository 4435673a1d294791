"""The plan of a rollout: what ``fleet plan`` prints and ``fleet rollout`` executes."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from decimal import Decimal
from enum import StrEnum

from fleet.model.desired import Release
from fleet.model.policy import Policy
from fleet.model.rollout import WavePlan


class Kind(StrEnum):
    """What happens to a service.

    CREATE, UPDATE (another task definition) and ADJUST (same task definition, other count,
    placement or deployment settings) are changes. UNCHANGED needs none. OWED: its hosts are away,
    so it is parked when its turn comes. LEFT: it is not touched, for a reason that a person can
    remove.
    """

    CREATE = "create"
    UPDATE = "update"
    ADJUST = "adjust"
    UNCHANGED = "unchanged"
    OWED = "owed"
    LEFT = "left"

    @property
    def is_change(self) -> bool:
        """Return whether something would be sent, now or when the store is back."""
        return self in {Kind.CREATE, Kind.UPDATE, Kind.ADJUST, Kind.OWED}


@dataclass(frozen=True, slots=True)
class PlannedChange:
    """One service of one store.

    Attributes:
        reason: why, in words; for LEFT also what to do about it.
        before: ARN of the revision it should run now, or "".
        before_content: its content address where fleet knows it, else "".
        content: address it shall have; "" for a service that nobody wants any more.
        before_count: tasks it should run now.
        count: tasks it shall run: registered hosts that match.
        missing_hosts: hosts that match but are not registered.
        by_hand: settings that somebody set and that are left alone, each in words.
        keeps_count: whether the count is among them.
    """

    store: str
    service: str
    workload: str
    variant: str
    kind: Kind
    reason: str
    before: str
    before_content: str
    content: str
    before_count: int
    count: int
    missing_hosts: tuple[str, ...] = ()
    by_hand: tuple[str, ...] = ()
    keeps_count: bool = False


@dataclass(frozen=True, slots=True)
class CallEstimate:
    """Calls of one action group in one account and region, and how long they take alone.

    Attributes:
        group: as ``ecs service modify``.
        seconds: at the share of the published rate that fleet takes.
    """

    account: str
    region: str
    group: str
    calls: int
    seconds: float


@dataclass(frozen=True, slots=True)
class Estimate:
    """What the plan costs.

    Attributes:
        calls: per group, account and region; the longest first.
        seconds_least: lower bound by budgets, bakes and settling, windows left aside.
        finish_text: when it could be done, windows included, in words; "" when nobody can tell.
        bytes_total: over all links; None when an image's size is unknown.
        bytes_metered: over metered links; None likewise.
        cost: of those, in the team's currency, as text; "" when no price is known.
        unknown_sizes: references of images whose size nobody told.
    """

    calls: tuple[CallEstimate, ...]
    seconds_least: float
    finish_text: str
    bytes_total: int | None
    bytes_metered: int | None
    cost: str = ""
    unknown_sizes: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Plan:
    """A rollout before it starts.

    Attributes:
        fingerprint: SHA-256 over what was observed and what is wanted; a plan that was saved is
            run only while it stays the same.
        changes: every service of every selected store, in store and service order.
        diffs: by (before, content) joined with " ", readable lines of what changes in the task
            definition; before is an ARN or "".
        waves: of the stores with changes.
        strata: hardware x link strata that the rollout touches, and the canary store that stands
            for each, or "" when none is connected.
        unread: store -> why it could not be read; these are in no wave.
        refusals: reasons for which the plan must not be run.
        notes: things to know.
        instances: ARNs of container instances by store, so that ticks need not list them.
        stamped: when it was made, ISO 8601 in UTC.
        weights: by store, of those that change; empty when no store of them carries a weight.
        overwrite: whether what a person changed by hand may be changed back.
    """

    fleet: str
    inventory: str
    release: Release
    workloads: tuple[str, ...]
    selection: str
    policy: Policy
    seed: int
    canary: bool
    fingerprint: str
    changes: tuple[PlannedChange, ...]
    diffs: Mapping[str, tuple[str, ...]]
    waves: tuple[WavePlan, ...]
    strata: Mapping[str, str]
    estimate: Estimate
    unread: Mapping[str, str] = field(default_factory=dict)
    refusals: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()
    instances: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    stamped: str = ""
    weights: Mapping[str, Decimal] = field(default_factory=dict)
    overwrite: bool = False
