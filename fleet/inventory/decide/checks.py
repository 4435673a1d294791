"""Finds settings of an inventory that are valid but probably not intended."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from difflib import get_close_matches

from fleet.errors import UsageError
from fleet.inventory.decide.calendar import longest_s, needs_s, no_window_words
from fleet.model.hours import Hours, Powered
from fleet.model.inventory import Fleet, Lifecycle, Store, Workload
from fleet.model.policy import Policy, Window
from fleet.model.printable import some
from fleet.model.restarts import RestartSource
from fleet.model.rollout import CANARY
from fleet.model.spans import span

_DAY_MINUTES = 24 * 60
#: ECS shows an agent as connected until its session is dead, which its read timeout of 3 minutes
#: bounds (amazon-ecs-agent 1.105.1); a look more, and it is known.
SEEN_LOST_S = 240.0
#: Good stores are read this often at the least while their wave bakes.
READ_EVERY_S = 120.0
_FEW = 5
#: Opening hours are those of every week; in this one no clock changes, whatever the zone.
_ANY_WEEK = datetime(2026, 1, 12, tzinfo=UTC)


def notes_of(fleet: Fleet) -> tuple[str, ...]:
    """Stores without a window first, then rings, then weights, then policies."""
    return (
        *_without_window(fleet),
        *_without_power(fleet),
        *_rings_like_canary(fleet),
        *_without_weight(fleet),
        *_blind_bakes(fleet),
        *_unseen_restarts(fleet),
    )


def _rings_like_canary(fleet: Fleet) -> Iterator[str]:
    """Rings that are probably meant to be the canary's; any other name is the team's own."""
    for ring in sorted({store.ring for store in fleet.stores} - {CANARY}):
        if not ring.startswith(CANARY) and get_close_matches(ring.lower(), [CANARY], cutoff=0.8):
            stores = [store.id for store in fleet.stores if store.ring == ring]
            yield (
                f'ring "{ring}" of {some(stores, _FEW)} is not the ring "{CANARY}", so these '
                "stores are no canaries; write rings: in fleet.yaml to have such words refused"
            )


def _without_weight(fleet: Fleet) -> Iterator[str]:
    """Stores without a weight among others that have one, and limits of weights nobody wrote."""
    missing = [store.id for store in fleet.stores if store.weight is None]
    if missing and len(missing) < len(fleet.stores):
        yield (
            f"{some(missing, _FEW)} carr{'ies' if len(missing) == 1 else 'y'} no weight and "
            f"count{'s' if len(missing) == 1 else ''} as 1, while other stores carry one: write "
            "weight: in the store, in one of its groups or in defaults"
        )
    limiting = [name for name, policy in sorted(fleet.policies.items()) if policy.limits_weight]
    if limiting and len(missing) == len(fleet.stores):
        yield (
            f"polic{'y' if len(limiting) == 1 else 'ies'} {', '.join(limiting)} limit"
            f"{'s' if len(limiting) == 1 else ''} the weight of stores, but no store carries one: "
            "every store counts as 1"
        )


def _unseen_restarts(fleet: Fleet) -> Iterator[str]:
    """Policies under which nobody is asked for restarts."""
    for name in sorted({workload.policy for workload in fleet.workloads}):
        source = fleet.policies.get(name, Policy(name)).restart_source
        if source is RestartSource.OFF:
            yield (
                f"policy {name}: restart_source is off: a container that crashes every few minutes "
                "is started again on its host while its task stays RUNNING, so such a release "
                "passes every gate; set restart_source to ssh, run-command or container-insights, "
                "or give every task definition a healthCheck"
            )


def _blind_bakes(fleet: Fleet) -> Iterator[str]:
    """Policies that are done before a release that cuts links can be seen to have cut them."""
    for name in sorted({workload.policy for workload in fleet.workloads}):
        policy = fleet.policies.get(name, Policy(name))
        needed = SEEN_LOST_S + READ_EVERY_S + policy.dark_after_s
        if policy.settle_s + policy.bake_s < needed:
            yield (
                f"policy {name}: settle and bake are over after "
                f"{span(policy.settle_s + policy.bake_s)}, and a store that lost its line is known "
                f"to be dark after up to {span(needed)} ({span(SEEN_LOST_S)} until ECS shows it, "
                f"{span(READ_EVERY_S)} until it is read, dark_after {span(policy.dark_after_s)}): "
                "a release that cuts links could pass; give it a longer bake"
            )


def _without_window(fleet: Fleet) -> Iterator[str]:
    """Stores that never close, under policies that wait for that and name no quiet hours."""
    for policy in sorted({workload.policy for workload in fleet.workloads}):
        if not _waits(fleet.policies.get(policy, Policy(policy))):
            continue
        workloads = [one for one in fleet.workloads if one.policy == policy]
        stores = [
            store.id
            for store in fleet.stores
            if store.lifecycle is Lifecycle.OPEN
            and _never_closes(store.hours)
            and any(
                one.wants(store) and any(one.fits(host.hardware) for host in store.hosts)
                for one in workloads
            )
        ]
        if stores:
            yield (
                f"{some(stores, _FEW)} never close{'s' if len(stores) == 1 else ''}, and policy "
                f"{policy} ({', '.join(one.name for one in workloads)}) sends only while a store "
                'is closed: give it quiet_hours: "02:00-05:00", between: or window: always'
            )


@dataclass(frozen=True, slots=True)
class _OffWhenClosed:
    """A store as its hosts see it that have no power while it is closed."""

    time_zone: str
    hours: Hours
    is_off_when_closed: bool = True


def _without_power(fleet: Fleet) -> Iterator[str]:
    """Stores whose hosts have power while they are open only, and no window then."""
    for name in sorted({workload.policy for workload in fleet.workloads}):
        policy = fleet.policies.get(name, Policy(name))
        workloads = [one for one in fleet.workloads if one.policy == name]
        stores = [
            store.id
            for store in fleet.stores
            if store.lifecycle is Lifecycle.OPEN
            and _reaches_off_when_closed(store, workloads)
            and longest_s(_OffWhenClosed(store.time_zone, store.hours), policy, _ANY_WEEK)
            < needs_s(policy, 0.0)
        ]
        if stores:
            yield (
                f"{some(stores, _FEW)} {'has' if len(stores) == 1 else 'have'} no window: hosts "
                f"have no power while the store is closed, and {no_window_words(policy)} "
                f"({', '.join(one.name for one in workloads)})"
            )


def _reaches_off_when_closed(store: Store, workloads: Sequence[Workload]) -> bool:
    return any(
        host.powered is Powered.OPENING_HOURS
        and any(one.wants(store) and one.fits(host.hardware) for one in workloads)
        for host in store.hosts
    )


def _waits(policy: Policy) -> bool:
    return policy.window is Window.CLOSED and policy.between is None and policy.quiet_hours is None


def _never_closes(hours: Hours) -> bool:
    """Spans do not overlap, so a week that is full is one in which they add up to it."""
    minutes = sum(
        ((span.closes.hour - span.opens.hour) * 60 + span.closes.minute - span.opens.minute)
        % _DAY_MINUTES
        or _DAY_MINUTES
        for spans in hours.values()
        for span in spans
    )
    return minutes >= 7 * _DAY_MINUTES


def check_channels(fleet: Fleet) -> None:
    """Refuse to notify where the inventory names no channel.

    Raises:
        UsageError: says where channels are written.
    """
    if not fleet.channels:
        raise UsageError(
            "--notify, but the inventory names nobody to tell",
            hint="write down channels in fleet.yaml under notify:",
        )
