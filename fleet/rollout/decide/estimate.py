"""Estimates what a plan costs: calls, time and bytes, by assumptions that are written here.

Times are lower bounds: every store is taken to be ok at the first try. Calls are what a rollout
makes when nothing goes wrong; a store that is slow or dark is read more often.
"""

import heapq
import math
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from decimal import Decimal

from fleet.inventory.decide.calendar import needs_s, slot
from fleet.model import aws_actions as aws
from fleet.model import rates
from fleet.model.aws_actions import Action
from fleet.model.desired import Release
from fleet.model.images import images_of
from fleet.model.inventory import Store
from fleet.model.plan import CallEstimate, Estimate, Kind, PlannedChange
from fleet.model.policy import AfterCanary, Freeze, Policy
from fleet.model.rates import DEFAULT_SHARE, Rate
from fleet.model.rollout import CANARY, Place, WavePlan
from fleet.model.weights import total_weight, weight_limit
from fleet.rollout.decide.signal_reads import PUBLISHED_S

#: Bytes per second that a link of a kind is taken to carry; 10 Mbit/s for a kind that is not here.
#: Assumptions, no measurements: they decide how long before a window's end a change is begun.
SPEEDS: Mapping[str, float] = {"fibre": 50e6 / 8, "lte": 10e6 / 8}
OTHER_SPEED = 10e6 / 8
#: Assumed for the time, never for the cost, of an image of unknown size.
UNKNOWN_BYTES = 500_000_000
#: Calls per store from its turn to its verdict: DescribeServices at each look, and the reads of
#: instances, tasks and deployment records at the first and the last one.
LOOKS: Mapping[Action, int] = {
    aws.DESCRIBE_SERVICES: 4,
    aws.LIST_CONTAINER_INSTANCES: 2,
    aws.DESCRIBE_CONTAINER_INSTANCES: 2,
    aws.LIST_TASKS: 2,
    aws.DESCRIBE_TASKS: 1,
}
#: Further calls per service that is changed.
LOOKS_PER_SERVICE: Mapping[Action, int] = {
    aws.DESCRIBE_SERVICES: 1,
    aws.LIST_SERVICE_DEPLOYMENTS: 1,
    aws.DESCRIBE_SERVICE_DEPLOYMENTS: 1,
    aws.DESCRIBE_SERVICE_REVISIONS: 1,
}
GIGABYTE = 1_000_000_000
Shard = tuple[str, str]


@dataclass(frozen=True, slots=True)
class Matter:
    """Holds what there is to estimate.

    Attributes:
        stores: by id, all that changes name.
        places: by id, of the stores with changes.
        changes: those that are changes (``Kind.is_change``).
        contents: content address by ARN, of what runs now.
        bodies: by ARN, likewise; hosts hold the images that these name.
        share: part of the published rates that fleet takes.
    """

    release: Release
    stores: Mapping[str, Store]
    places: Mapping[str, Place]
    changes: Sequence[PlannedChange]
    waves: Sequence[WavePlan]
    policy: Policy
    now: datetime
    contents: Mapping[str, str] = field(default_factory=dict)
    images: Mapping[str, frozenset[str]] = field(default_factory=dict)
    freezes: Sequence[Freeze] = ()
    override: str = ""
    share: float = DEFAULT_SHARE


def estimate(matter: Matter) -> Estimate:
    """Return the calls, time and bytes of a plan."""
    total, metered, cost, unknown = _bytes(matter)
    calls = _calls(matter, matter.changes)
    return Estimate(
        calls=tuple(sorted(calls, key=lambda c: (-c.seconds, c.account, c.region, c.group))),
        seconds_least=_least(matter),
        finish_text=_finish(matter),
        bytes_total=None if unknown else total,
        bytes_metered=None if unknown else metered,
        cost="" if unknown else cost,
        unknown_sizes=unknown,
    )


def pull_s(
    release: Release,
    store: Store,
    changes: Iterable[PlannedChange],
    held: Mapping[str, frozenset[str]],
) -> float:
    """Return the seconds that pulling for one store's changes takes; its hosts share the link.

    Args:
        held: images that hosts have, by ARN of the revision that names them.
    """
    weight = 0
    for change in changes:
        sizes = [_size(release, change, image) for image in _new_images(release, change, held)]
        weight += change.count * sum(UNKNOWN_BYTES if s is None else s for s in sizes)
    return weight / SPEEDS.get(store.link.kind, OTHER_SPEED)


def bodies_to_register(matter: Matter) -> Mapping[Shard, frozenset[str]]:
    """Return the content addresses that no service of an account and region runs yet."""
    there: dict[tuple[str, str], set[str]] = {}
    for arn, content in matter.contents.items():
        _, _, _, region, account_id, *_ = [*arn.split(":"), "", "", "", "", ""]
        there.setdefault((account_id, region), set()).add(content)
    needed: dict[Shard, set[str]] = {}
    for change in matter.changes:
        store = matter.stores[change.store]
        known = there.get((store.account.account_id, store.region), set())
        if change.content not in known:
            needed.setdefault(_shard(store), set()).add(change.content)
    return {shard: frozenset(contents) for shard, contents in sorted(needed.items())}


def register_s(matter: Matter) -> float:
    """Return the seconds that registering task definitions takes; shards do it in parallel."""
    most = max(map(len, bodies_to_register(matter).values()), default=0)
    return rates.ECS_TASK_DEFINITION_MODIFY.seconds(most, matter.share)


def _shard(store: Store) -> Shard:
    return store.account.name, store.region


def _calls(matter: Matter, changes: Sequence[PlannedChange]) -> list[CallEstimate]:
    counts: dict[Shard, Counter[Action]] = {}
    looked_at: set[str] = set()
    for change in changes:
        store = matter.stores[change.store]
        count = counts.setdefault(_shard(store), Counter())
        count.update(LOOKS_PER_SERVICE)
        if change.before:
            count.update((aws.TAG_RESOURCE, aws.UPDATE_SERVICE))
        else:
            count[aws.CREATE_SERVICE] += 1
        if change.store not in looked_at:
            looked_at.add(change.store)
            count.update(LOOKS)
    for shard, contents in bodies_to_register(matter).items():
        if shard in counts:
            counts[shard][aws.REGISTER_TASK_DEFINITION] += len(contents)
            counts[shard][aws.LIST_TASK_DEFINITIONS] += len(contents)
    for shard, names in _log_groups(matter, changes).items():
        for action in (aws.DESCRIBE_LOG_GROUPS, aws.CREATE_LOG_GROUP, aws.PUT_RETENTION_POLICY):
            counts[shard][action] += len(names)
    by_rate: Counter[tuple[Shard, Rate]] = Counter()
    for shard, count in counts.items():
        for action, calls in count.items():
            by_rate[shard, action.rate] += calls
    return [
        CallEstimate(*shard, rate.group, calls, rate.seconds(calls, matter.share))
        for (shard, rate), calls in by_rate.items()
    ]


def _log_groups(matter: Matter, changes: Iterable[PlannedChange]) -> dict[Shard, set[str]]:
    names: dict[Shard, set[str]] = {}
    for change in changes:
        groups = matter.release.shapes[change.service].log_groups
        if not change.before and groups:
            shard = _shard(matter.stores[change.store])
            names.setdefault(shard, set()).update(group.name for group in groups)
    return names


def _sendable(matter: Matter) -> dict[str, list[PlannedChange]]:
    """Return by store the changes that can be sent in their turn, without those of dark stores."""
    owed = {c.store for c in matter.changes if c.kind is Kind.OWED}
    by_store: dict[str, list[PlannedChange]] = {}
    for change in matter.changes:
        if change.store not in owed:
            by_store.setdefault(change.store, []).append(change)
    return by_store


def _least(matter: Matter) -> float:
    """Return the seconds of registering and of each wave: writes or settling, then the bake."""
    policy, sendable = matter.policy, _sendable(matter)
    places = policy.concurrency.of(len({c.store for c in matter.changes}))
    seconds = 0.0
    for wave in matter.waves:
        stores = [store for store in wave.stores if store in sendable]
        if not stores:
            continue
        rounds = max(math.ceil(len(stores) / max(1, places)), _rounds_by_weight(matter, stores))
        sent = _sent_s(matter, stores, sendable)
        seconds += max(rounds * policy.settle_s, sent + policy.settle_s) + _bake_s(policy)
    return seconds + register_s(matter) if seconds else 0.0


def _bake_s(policy: Policy) -> float:
    """Return the seconds that a wave stays good at least: a metric needs a whole period of it."""
    periods = [c.metric.period_s + PUBLISHED_S for c in policy.checks if c.metric is not None]
    return max([policy.bake_s, *periods])


def _rounds_by_weight(matter: Matter, stores: Iterable[str]) -> int:
    """Return how often the weight in flight must be replaced at least to send to these stores."""
    limit = weight_limit(matter.policy.max_weight_in_flight, total_weight(matter.places))
    if limit is None:
        return 0
    return math.ceil(sum(min(matter.places[store].weight, limit) for store in stores) / limit)


def _sent_s(
    matter: Matter, stores: Iterable[str], sendable: Mapping[str, Sequence[PlannedChange]]
) -> float:
    """Return the seconds that writing to these stores takes; shards are written to in parallel."""
    writes: Counter[Shard] = Counter()
    for store in stores:
        writes[_shard(matter.stores[store])] += len(sendable[store])
    return rates.ECS_SERVICE_MODIFY.seconds(max(writes.values(), default=0), matter.share)


def _finish(matter: Matter) -> str:
    """Return when the rollout could be done, with each store sent in its own windows."""
    sendable = _sendable(matter)
    if not sendable:
        return ""
    at = matter.now + timedelta(seconds=register_s(matter))
    places = max(1, matter.policy.concurrency.of(len({c.store for c in matter.changes})))
    canary_done: datetime | None = None
    windowless = 0
    for wave in matter.waves:
        stores = [store for store in wave.stores if store in sendable]
        done, without = _wave_done(matter, stores, sendable, places, at)
        windowless += without
        if done is not None:
            at = done + timedelta(seconds=_bake_s(matter.policy))
        if wave.name == CANARY:
            canary_done = at
    if windowless == len(sendable):
        return ""
    text = f"at the earliest about {_moment(at)}"
    if canary_done and matter.policy.after_canary is AfterCanary.PROMOTE:
        text = f"canary {_moment(canary_done)} at the earliest, then `promote`; all of it {text}"
    if windowless:
        stores_words = "store has" if windowless == 1 else "stores have"
        text += f"; {windowless} {stores_words} no time for it within 14 days"
    return text


def _wave_done(
    matter: Matter,
    stores: Sequence[str],
    sendable: Mapping[str, Sequence[PlannedChange]],
    places: int,
    at: datetime,
) -> tuple[datetime | None, int]:
    """Return when the last store of a wave could be ok, and how many have no time at all."""
    firsts: list[tuple[datetime, str, float]] = []
    for store in stores:
        pull = pull_s(matter.release, matter.stores[store], sendable[store], matter.images)
        first = _slot(matter, store, pull, at)
        if first is not None:
            firsts.append((first, store, pull))
    free = [at] * min(places, len(firsts))
    done: datetime | None = None
    for first, store, pull in sorted(firsts):
        begins = _slot(matter, store, pull, max(first, heapq.heappop(free)))
        ends = (begins or first) + timedelta(seconds=pull + matter.policy.settle_s)
        heapq.heappush(free, ends)
        done = ends if done is None else max(done, ends)
    if done is not None:
        sent = _sent_s(matter, (store for _, store, _ in firsts), sendable)
        done = max(done, at + timedelta(seconds=sent + matter.policy.settle_s))
    return done, len(stores) - len(firsts)


def _slot(matter: Matter, store: str, pull: float, at: datetime) -> datetime | None:
    needed = needs_s(matter.policy, pull)
    place = matter.places[store]
    return slot(place, matter.policy, matter.freezes, needed, at, override=matter.override)


def _moment(at: datetime) -> str:
    return f"{at:%a %d %b %H:%MZ}"


def _new_images(
    release: Release, change: PlannedChange, held: Mapping[str, frozenset[str]]
) -> list[str]:
    """Return the images that its hosts do not hold; all of them where what runs is not known."""
    definition = release.task_definitions.get(change.content)
    if definition is None:
        return []
    there = held.get(change.before, frozenset())
    return [image for image in images_of(definition.body) if image not in there]


def _size(release: Release, change: PlannedChange, image: str) -> int | None:
    """Return the compressed bytes of an image for the hosts of a change; None when not known."""
    platform = f"linux/{release.shapes[change.service].architecture}"
    for fact in release.images.values():
        if image in {fact.pinned, fact.reference}:
            return fact.bytes.get(platform)
    return None


def _bytes(matter: Matter) -> tuple[int, int, str, tuple[str, ...]]:
    """Return all bytes, the metered ones, what they cost, and images of unknown size."""
    total = metered = 0
    unknown: set[str] = set()
    cost, unpriced = Decimal(0), set()
    priced = False
    for change in matter.changes:
        link = matter.stores[change.store].link
        for image in _new_images(matter.release, change, matter.images):
            size = _size(matter.release, change, image)
            if size is None:
                unknown.add(image)
                continue
            total += size * change.count
            if not link.metered:
                continue
            metered += size * change.count
            if link.price_per_gb is None:
                unpriced.add(change.store)
            else:
                priced = True
                cost += link.price_per_gb * size * change.count / GIGABYTE
    text = f"{cost:.2f}" if priced else ""
    if text and unpriced:
        text = f"at least {text} ({len(unpriced)} without a price)"
    return total, metered, text, tuple(sorted(unknown))
