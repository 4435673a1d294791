"""Gathers what a plan rests on, the cheapest pass first, and has it decided.

What one store or one account and region refuses is said of its stores, so that one region's
failure hides no other. Nothing is changed at AWS.
"""

import difflib
from collections.abc import Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Any

from fleet.aws.cloudwatch import describe_alarms
from fleet.aws.clusters import describe_clusters
from fleet.aws.container_instances import read_container_instances
from fleet.aws.session import Shard
from fleet.aws.store_view import read_store
from fleet.errors import AwsError, Interrupted, RecordsError, UsageError
from fleet.model.desired import ImageFact, Release
from fleet.model.history import Ledger, Observation
from fleet.model.identity import HOST_ATTRIBUTE, TAG_CONTENT, TAG_PREVIOUS
from fleet.model.inventory import Fleet, Lifecycle, Store, Workload
from fleet.model.observed import Cluster, ContainerInstance
from fleet.model.plan import Plan
from fleet.model.policy import Policy
from fleet.model.progress import Note
from fleet.model.rates import DEFAULT_SHARE
from fleet.model.services import ServiceState, StoreView
from fleet.model.signals import SignalsSeen
from fleet.release.decide.desired import image_questions, release_of, unread
from fleet.release.images import read_image
from fleet.release.renderings import render_all
from fleet.release.revisions import Key, read_contents
from fleet.rollout.decide.alarm_notes import alarm_notes, alarms_to_read
from fleet.rollout.decide.plan import place_of, plan_rollout
from fleet.rollout.decide.service_plan import away_of
from fleet.rollout.decide.surveys import HISTORY
from fleet.runtime.ledgers import check_caller
from fleet.runtime.wiring import Wiring

#: A line of progress for every so many stores that were read.
STORES_PER_LINE = 250


@dataclass(frozen=True, slots=True)
class Request:
    """Holds what somebody asked to plan.

    Attributes:
        stores: the chosen ones.
        selection: as typed.
        workloads: names; empty for all.
        policy: name; "" for the one that the workloads name.
        canary: whether it begins with one; None for what the policy says.
        seed: of every tie-break; None draws one from the release, so that it is not always the
            same shops that are risked first.
        override: the reason for which freezes are passed over, or "".
        overwrite: whether what a person changed by hand may be changed back.
        share: part of the published rates that fleet takes.
    """

    stores: tuple[Store, ...]
    selection: str = ""
    workloads: tuple[str, ...] = ()
    policy: str = ""
    canary: bool | None = None
    seed: int | None = None
    override: str = ""
    overwrite: bool = False
    share: float = DEFAULT_SHARE


def make_plan(wiring: Wiring, request: Request) -> Plan:
    """Return what a rollout of this request would do now.

    Costs one call per account and region, one per 100 stores, four or five per store, and one for
    each task definition that runs somewhere and that nobody has read yet.

    Raises:
        UsageError: a workload or policy that is not there.
        InventoryError: templates or images that cannot be.
        AwsError: an image that could not be asked for, or no store could be read at all.
        Interrupted: somebody wanted it to end.
    """
    fleet = wiring.fleet
    workloads = _workloads(fleet, request.workloads)
    policy = choose_policy(fleet, workloads, request.policy)
    release = _under(policy, read_release(wiring, [w.name for w in workloads]))
    readings = Readings(wiring, release)
    readings.read([s for s in request.stores if s.lifecycle is Lifecycle.OPEN])
    seed = int(release.id[:8], 16) if request.seed is None else request.seed
    plan = plan_rollout(
        fleet,
        release,
        readings.views,
        contents=readings.contents,
        bodies=readings.bodies,
        alike=readings.alike,
        workloads=[w.name for w in workloads],
        stores=request.stores,
        selection=request.selection,
        policy=policy,
        seed=seed,
        canary=policy.begins_with_canary if request.canary is None else request.canary,
        now=wiring.clock.now(),
        held=wiring.records.rollouts.holds(),
        away=_away(wiring, request.stores, policy),
        history=wiring.records.rollouts.history_sample(wiring.clock.now() - HISTORY),
        override=request.override,
        overwrite=request.overwrite,
        share=request.share,
    )
    more = (*_rejected_notes(wiring, plan), *_alarm_notes(wiring, plan, request.stores))
    return replace(plan, notes=(*plan.notes, *more))


def _rejected_notes(wiring: Wiring, plan: Plan) -> Iterable[str]:
    """Say which rollouts have sent the same before, and were halted, taken back or recalled."""
    contents = {change.content for change in plan.changes if change.kind.is_change}
    found = wiring.records.rollouts.rejected(contents)
    for one in dict.fromkeys(found[content] for content in sorted(found)):
        yield f"{one.words}; why: fleet rollout status {one.rollout}"


def _alarm_notes(wiring: Wiring, plan: Plan, stores: Sequence[Store]) -> Iterable[str]:
    """Read the alarms of the policy, for the stores that change, and say what there is to say."""
    changing = {store for wave in plan.waves for store in wave.stores}
    places = {store.id: place_of(store, {}) for store in stores if store.id in changing}
    seen: dict[Key, SignalsSeen] = {}
    for key, names in alarms_to_read(plan.policy, places).items():
        shard = wiring.shard(wiring.fleet.accounts[key[0]], key[1])
        try:
            seen[key] = SignalsSeen(describe_alarms(shard, names).value)
        except AwsError as error:
            seen[key] = SignalsSeen(alarms_unread=str(error))
    return alarm_notes(plan.policy, places, seen)


def plan_of_inventory(fleet: Fleet, request: Request, now: datetime) -> Plan:
    """Return the plan of a rollout to stores that are all connected and run nothing yet.

    Nobody is asked; images stay as they are written. It must not be run.

    Raises:
        UsageError: a workload or policy that is not there.
        InventoryError: templates that cannot be.
    """
    workloads = _workloads(fleet, request.workloads)
    policy = choose_policy(fleet, workloads, request.policy)
    renderings = render_all(fleet)
    images = {image: unread(image) for image in image_questions(fleet, renderings)}
    release = _under(policy, release_of(fleet, renderings, images))
    views = {store.id: _connected(store, now) for store in request.stores}
    return plan_rollout(
        fleet,
        release,
        views,
        contents={},
        bodies={},
        workloads=[w.name for w in workloads],
        stores=request.stores,
        selection=request.selection,
        policy=policy,
        seed=int(release.id[:8], 16) if request.seed is None else request.seed,
        canary=policy.begins_with_canary if request.canary is None else request.canary,
        now=now,
        override=request.override,
    )


def _connected(store: Store, now: datetime) -> StoreView:
    """Return a store all of whose hosts are connected, and that runs nothing."""
    hosts = tuple(
        ContainerInstance(
            f"arn:simulated:container-instance/{store.id}/{host.name}",
            store.cluster,
            "",
            "ACTIVE",
            True,
            None,
            attributes={HOST_ATTRIBUTE: host.name},
        )
        for host in store.hosts
    )
    cluster = Cluster(store.cluster, "", "ACTIVE", len(hosts))
    return StoreView(store.id, now, cluster=cluster, services=(), instances=hosts)


def _under(policy: Policy, release: Release) -> Release:
    """Return the release with the circuit breaker of the rollout's policy in every service."""
    shapes = {
        name: replace(shape, breaker_count=policy.breaker_count)
        for name, shape in release.shapes.items()
    }
    return replace(release, shapes=shapes)


def choose_policy(fleet: Fleet, workloads: Sequence[Workload], name: str) -> Policy:
    """Return the policy asked for, else the one that all these workloads name.

    Raises:
        UsageError: there is none of that name, or the workloads name several.
    """
    named = {name} if name else {w.policy for w in workloads}
    if len(named) > 1:
        which = ", ".join(f"{w.name}: {w.policy}" for w in workloads)
        raise UsageError(
            f"these workloads have different policies ({which})",
            hint="roll them out one after another, or say which with --policy",
        )
    (wanted,) = named or {"standard"}
    policy = fleet.policies.get(wanted)
    if policy is None:
        raise _unknown("policy", wanted, fleet.policies)
    return policy


def read_release(wiring: Wiring, workloads: Sequence[str]) -> Release:
    """Return the desired state of the inventory, with the images of these workloads pinned.

    An image of another workload that cannot be asked for stays as it is written: it is not sent.

    Raises:
        InventoryError: templates or images that cannot be.
        AwsError: an image of these workloads could not be asked for.
    """
    renderings = render_all(wiring.fleet)
    wanted = [one for one in renderings if one.workload in workloads]
    needed = set(image_questions(wiring.fleet, wanted))
    asked = image_questions(wiring.fleet, renderings)
    if asked:
        _note(wiring, f"asking ECR about {len(asked)} {'image' if len(asked) == 1 else 'images'}")

    account = next(iter(wiring.fleet.accounts.values()))

    def ask(reference: str) -> ImageFact:
        try:
            return read_image(wiring, reference, account)
        except AwsError:
            if reference in needed:
                raise
            return unread(reference)

    with ThreadPoolExecutor(wiring.workers) as pool:
        facts = dict(zip(asked, pool.map(ask, asked), strict=True))
    return release_of(wiring.fleet, renderings, facts)


def _workloads(fleet: Fleet, names: Sequence[str]) -> tuple[Workload, ...]:
    by_name = {workload.name: workload for workload in fleet.workloads}
    for name in names:
        if name not in by_name:
            raise _unknown("workload", name, by_name)
    return tuple(by_name[name] for name in sorted(set(names) or by_name))


def _unknown(what: str, name: str, known: Iterable[str]) -> UsageError:
    names = sorted(known)
    close = difflib.get_close_matches(name, names, n=1)
    hint = f'did you mean "{close[0]}"?' if close else f"there are {', '.join(names) or 'none'}"
    return UsageError(f'there is no {what} "{name}"', hint=hint)


@dataclass
class Readings:
    """Reads what AWS says of the stores, and keeps it."""

    wiring: Wiring
    release: Release
    views: dict[str, StoreView] = field(default_factory=dict)
    contents: dict[str, str] = field(default_factory=dict)
    bodies: dict[str, Mapping[str, Any]] = field(default_factory=dict)
    alike: dict[str, str] = field(default_factory=dict)
    _failure: AwsError | None = None

    def read(self, stores: Sequence[Store]) -> None:
        """Read these stores, and the task definitions that they run.

        Raises:
            AwsError: not one of them could be read.
            Interrupted: somebody wanted it to end.
        """
        if not stores:
            return
        _note(self.wiring, f"reading {len(stores)} {'store' if len(stores) == 1 else 'stores'}")
        keys = sorted({_key(store) for store in stores})
        with ThreadPoolExecutor(self.wiring.workers) as pool:
            sweeps = pool.map(lambda key: self._sweep(key, stores), keys)
            clusters = dict(zip(keys, sweeps, strict=True))
            seen = pool.map(lambda store: self._view(store, clusters[_key(store)]), stores)
            for number, view in enumerate(seen, start=1):
                self.views[view.store] = view
                if number % STORES_PER_LINE == 0:
                    _note(self.wiring, f"read {number} of {len(stores)} stores")
            if self._failure is not None and all(v.problem for v in self.views.values()):
                raise self._failure
            self._read_definitions(stores, pool)
        _remember(self.wiring, self.views.values())

    def _sweep(self, key: Key, stores: Sequence[Store]) -> Mapping[str, Cluster] | AwsError:
        """Read the clusters of an account and region, 100 in a call."""
        shard = self._shard(key)
        names = [store.cluster for store in stores if _key(store) == key]
        try:
            check_caller(shard)
            return describe_clusters(shard, names).value
        except AwsError as error:
            return error

    def _view(self, store: Store, clusters: Mapping[str, Cluster] | AwsError) -> StoreView:
        now = self.wiring.clock.now()
        if isinstance(clusters, AwsError):
            return self._failed(store, clusters)
        if self.wiring.stop.is_set():
            raise Interrupted("stopped while stores were read; nothing was changed")
        cluster = clusters.get(store.cluster)
        if cluster is None or cluster.status == "INACTIVE" or not cluster.container_instances:
            return StoreView(store.id, now, cluster=cluster, services=(), instances=())
        shard = self._shard(_key(store))
        try:
            view = read_store(shard, store.id, store.cluster, services=None, known=cluster)
            if view.problem:
                return view
            instances = read_container_instances(shard, store.cluster)
        except AwsError as error:
            return self._failed(store, error)
        return replace(view, instances=instances.value, at=min(view.at, instances.at))

    def _failed(self, store: Store, error: AwsError) -> StoreView:
        self._failure = self._failure or error
        return StoreView(store.id, self.wiring.clock.now(), problem=str(error))

    def _shard(self, key: Key) -> Shard:
        return self.wiring.shard(self.wiring.fleet.accounts[key[0]], key[1])

    def _read_definitions(self, stores: Sequence[Store], pool: ThreadPoolExecutor) -> None:
        """Read the task definitions that run, and those that ran before where they matter."""
        running: dict[str, Key] = {}
        for store in stores:
            for service in self._services(store):
                running[service.task_definition] = _key(store)
        failed = self._look_up(running, pool)
        before: dict[str, Key] = {}
        for store in stores:
            for service in self._services(store):
                sent = service.tags.get(TAG_CONTENT, "")
                if sent and self.contents.get(service.task_definition) != sent:
                    before[service.tags.get(TAG_PREVIOUS, "")] = _key(store)
        before.pop("", None)
        self._look_up({arn: k for arn, k in before.items() if arn not in self.contents}, pool)
        for store in stores:
            for service in self._services(store):
                if service.task_definition in failed:
                    why = f"{service.name}: {failed[service.task_definition]}"
                    self.views[store.id] = replace(self.views[store.id], problem=why)

    def _services(self, store: Store) -> list[ServiceState]:
        """Return the services that the release names."""
        known = self.views[store.id].services or ()
        return [s for s in known if s.name in self.release.shapes and s.task_definition]

    def _look_up(self, arns: Mapping[str, Key], pool: ThreadPoolExecutor) -> dict[str, str]:
        """Read these task definitions; returns why some could not be."""
        found = read_contents(self.wiring, self.release, arns, pool)
        self.contents.update(found.contents)
        self.bodies.update(found.bodies)
        self.alike.update(found.alike)
        return found.failed


def _key(store: Store) -> Key:
    return store.account.name, store.region


def _away(wiring: Wiring, stores: Sequence[Store], policy: Policy) -> Mapping[str, datetime]:
    recorded = wiring.records.latest([s.id for s in stores])
    return away_of(recorded, wiring.clock.now(), policy.dark_after_s)


def _remember(wiring: Wiring, views: Iterable[StoreView]) -> None:
    """Keep who is away, and that who was away is back, so that the next plan knows since when.

    Hosts that were connected and are need no row. A database that is locked must hide nothing.
    """
    seen = list(views)
    try:
        known = {(o.store, o.host): o for o in _recorded(wiring, seen)}
        for view in seen:
            for instance in view.instances or ():
                host = instance.attributes.get(HOST_ATTRIBUTE, "")
                words = instance.state
                before = known.get((view.store, host))
                if host and _is_news(instance, before, words):
                    wiring.records.observe(
                        view.store, host, Ledger.ECS.value, {"state": words}, at=view.at
                    )
    except RecordsError as error:
        _note(wiring, f"not recorded: {error}")


def _is_news(instance: ContainerInstance, before: Observation | None, words: str) -> bool:
    if not instance.agent_connected:
        return True
    return before is not None and before.state != words


def _recorded(wiring: Wiring, views: Iterable[StoreView]) -> list[Observation]:
    rows = wiring.records.latest([view.store for view in views])
    return [row for row in rows if row.ledger is Ledger.ECS]


def _note(wiring: Wiring, text: str) -> None:
    wiring.listen(Note(wiring.clock.now(), text))
