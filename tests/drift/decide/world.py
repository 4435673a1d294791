"""Small fleets out of data files: every store is healthy but for what the file says of it.

A file of tests/cases/findings has these keys, all but ``about`` and ``expect`` optional::

    about: one sentence; what is true of this fleet.
    stores:                        # instead of one healthy store-042 with cam-1 and tel-1
      store-042:
        lifecycle: paused          # fields of Store; link: {kind: lte, carrier: red}
        hosts: {cam-1: ..., tel-1: ...}
        open: "07:00-22:00"        # every day; hosts have power then only, or the switched_off do
        cluster: {tags: {}}        # fields of Cluster; null: there is none
        services:                  # by name, fields of ServiceState; null: it is not there
          telemetry-amd64: {running: 0}
        tasks: {t1: {...}}         # fields of TaskState; read only where they are named
        instances: {not_read: why} # likewise services and tasks
        owed, rolling: ...         # fields of Wanted
    more: {count: 12, dark: 4, link: {...}}   # further stores of one host, the first ones dark
    nodes: [...], activations: [...]          # more of them in the account and region
    shard: {tier: {nodes: 990}, nodes: {not_read: why}}
    settings, background: ...      # fields of DriftSettings; digests, deep, revoked, rejected
    release: {container: ...}      # what telemetry asks for; also: further services, by name
    expect: [...]                  # exactly these findings, in this order
    unread: [...], states: {...}, connections: {...}

and of a host::

    node, instance, again: fields; null: SSM or ECS does not know it; ``dark: -26h`` for both;
        again: {not_read: why} for a second look that failed
    more_nodes, more_instances: [fields, ...]
    memory: {machine_id: ..., spells: [[dark, -3d, -2d], ...]}
    probe: fields of Probe, or {not_read: why}

Times are relative to the scan's, as ``-20m`` or ``-3d``.
"""

import hashlib
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, is_dataclass, replace
from datetime import datetime, timedelta
from enum import Enum
from typing import Any, TypeVar

from fleet.drift.decide.reconcile import reconcile
from fleet.inventory.hours import parse_span
from fleet.model.desired import DesiredService, Release, TaskDefinition
from fleet.model.drift import (
    Background,
    HostConnection,
    HostMemory,
    Probe,
    ProbedContainer,
    Reconciled,
    ShardSeen,
    Spell,
    StoreSeen,
)
from fleet.model.drift_settings import DriftSettings
from fleet.model.history import ActiveRollout, RejectedRelease
from fleet.model.hours import Powered
from fleet.model.identity import cluster_tags, declared_attributes, host_tags
from fleet.model.inventory import Fleet, Host, Link, Store
from fleet.model.observed import (
    Activation,
    Cluster,
    ContainerInstance,
    ManagedInstance,
    NodeTier,
    NotRead,
    Ping,
    Reading,
)
from fleet.model.rollout import Phase
from fleet.model.services import ServiceState, TaskState
from fleet.model.stop import Stop
from fleet.model.verdicts import Verdict
from fleet.model.wanted import IdleRollout, Owed, Wanted, WatchedRollout
from tests import build, rollouts
from tests.drift.decide import shop
from tests.rollout.decide import plans

NOW = build.NOW
LOOK_AGAIN = timedelta(seconds=330)
LONG_AGO = NOW - timedelta(days=90)
_TIME = re.compile(r"([+-])(\d+(?:\.\d+)?)([smhd])")
_UNITS = {"s": 1, "m": 60, "h": 3600, "d": 86_400}
BOXES = {"cam": build.XAVIER, "tel": build.NUC}
T = TypeVar("T")


def when(text: str) -> datetime:
    """``-20m`` is twenty minutes before the scan."""
    match = _TIME.fullmatch(text)
    assert match, text
    sign, number, unit = match.groups()
    return NOW + timedelta(seconds=float(f"{sign}{number}") * _UNITS[unit])


def changed(value: T, change: Mapping[str, Any]) -> T:
    """A value with some fields changed; of mappings only the entries that are named."""
    assert is_dataclass(value)
    fields = {name: _like(getattr(value, name), told) for name, told in change.items()}
    return replace(value, **fields)  # type: ignore[type-var] # mypy cannot tell that T is a dataclass


def _like(old: Any, told: Any) -> Any:
    if isinstance(told, str) and _TIME.fullmatch(told):
        return when(told)
    if isinstance(old, Enum):
        return type(old)(told)
    if isinstance(told, Mapping):
        if is_dataclass(old):
            return changed(old, told)
        merged = {**(old or {}), **told}
        return {name: one for name, one in merged.items() if one is not None}
    if isinstance(told, list):
        first = next(iter(old or ()), None)
        return tuple(changed(first, t) if is_dataclass(first) else _like(None, t) for t in told)
    return told


def mi(host_id: str) -> str:
    """The ``mi-`` id of a host."""
    return f"mi-{hashlib.sha256(host_id.encode()).hexdigest()[:17]}"


def read(told: Any, value: T, at: datetime = NOW) -> Reading[T] | NotRead:
    """A part, or why it was not read."""
    if isinstance(told, Mapping) and "not_read" in told:
        return NotRead(told["not_read"])
    return Reading(value, at)


@dataclass
class World:
    """What ``reconcile`` is given."""

    fleet: Fleet
    shards: tuple[ShardSeen, ...]
    wanted: Mapping[str, Wanted]
    background: Background

    def reconciled(self) -> Reconciled:
        return reconcile(self.fleet, self.shards, self.wanted, self.background)


@dataclass
class _Maker:
    """Collects a shard while its stores are made."""

    told: Mapping[str, Any]
    stores: list[Store] = field(default_factory=list)
    clusters: dict[str, Cluster] = field(default_factory=dict)
    nodes: list[ManagedInstance] = field(default_factory=list)
    seen: dict[str, StoreSeen] = field(default_factory=dict)
    memory: dict[tuple[str, str], HostMemory] = field(default_factory=dict)
    wanted: dict[str, Mapping[str, Any]] = field(default_factory=dict)

    @property
    def definitions(self) -> dict[str, TaskDefinition]:
        """What is committed, by service."""
        release = self.told.get("release", {})
        also = {
            name: TaskDefinition.of({**plans.body(**container), "family": name})
            for name, container in release.get("also", {}).items()
        }
        return {
            plans.SERVICE: TaskDefinition.of(plans.body(**release.get("container", {}))),
            **also,
        }

    def add(self, store_id: str, told: Mapping[str, Any]) -> None:
        boxes = {name: box or {} for name, box in _boxes(told).items()}
        hosts = [build.host(name, BOXES[name.partition("-")[0]], store_id) for name in boxes]
        store = build.store(*hosts, id=store_id, cluster=store_id, name=f"Shop {store_id[-3:]}")
        plain = {k: told[k] for k in ("lifecycle", "region", "ring", "cluster_name") if k in told}
        store = changed(replace(store, link=Link(**told.get("link", {"kind": "lte"}))), plain)
        if "open" in told:
            store = _switched_off(store, told["open"], told.get("switched_off", boxes))
            hosts = list(store.hosts)
        self.stores.append(store)
        instances: list[ContainerInstance] = []
        again: list[ContainerInstance] = []
        failed: NotRead | None = None
        probes: dict[str, Reading[Probe] | NotRead] = {}
        for host in hosts:
            box = _dark(boxes[host.name])
            self._node(store, host, box)
            instances += _instances(store, host, box)
            if "not_read" in box.get("again", {}):
                failed = NotRead(box["again"]["not_read"])
            elif "again" in box:
                again += [changed(one, box["again"]) for one in instances[-1:]]
            self._remember(host, box.get("memory", {}))
            if "probe" in box:
                probes[host.name] = read(box["probe"], probe(store, box["probe"]))
        self._cluster(store, told, len(instances))
        at = NOW - LOOK_AGAIN if again else NOW
        self.seen[store_id] = StoreSeen(
            store_id,
            read(told.get("instances"), tuple(instances), at),
            read(told.get("services"), services(store, told.get("services", {}), self.definitions)),
            failed or (Reading(tuple(again), NOW) if again else None),
            read(told["tasks"], tasks(store, told["tasks"]), when(told.get("tasks_at", "-0s")))
            if "tasks" in told
            else None,
            probes,
        )
        self.wanted[store_id] = told

    def _node(self, store: Store, host: Host, box: Mapping[str, Any]) -> None:
        if box.get("node", {}) is not None:
            self.nodes.append(changed(node(host), box.get("node", {})))
        self.nodes += [changed(node(host), one) for one in box.get("more_nodes", ())]

    def _remember(self, host: Host, told: Mapping[str, Any]) -> None:
        spells = tuple(
            Spell(HostConnection(kind), when(since), when(last))
            for kind, since, last in told.get("spells", ())
        )
        rest = {name: text for name, text in told.items() if name != "spells"}
        self.memory[host.store, host.name] = HostMemory(spells, **rest)

    def _cluster(self, store: Store, told: Mapping[str, Any], count: int) -> None:
        arn = f"arn:aws:ecs:eu-west-1:111122223333:cluster/{store.cluster}"
        tags = cluster_tags("emea", store)
        cluster = Cluster(store.cluster, arn, "ACTIVE", count, tags=tags, services=1)
        if told.get("cluster", {}) is not None:
            self.clusters[store.cluster] = changed(cluster, told.get("cluster", {}))

    def world(self) -> World:
        told, shard = self.told, self.told.get("shard", {})
        extra = [_bare_node(one) for one in told.get("nodes", ())]
        nodes = tuple(self.nodes) + tuple(extra)
        untagged = {*told.get("untagged", ())}
        tagged = frozenset(n.id for n in nodes if n.id not in untagged and n.name not in untagged)
        tier = NodeTier("standard", len(nodes), 1000)
        if "not_read" not in shard.get("tier", {}):
            tier = changed(tier, shard.get("tier", {}))
        activations = tuple(_activation(one) for one in told.get("activations", ()))
        release = _release(self.stores, self.definitions)
        runs = {_runs(name): one.content for name, one in self.definitions.items()}
        background = told.get("background", {})
        return World(
            fleet=plans.fleet(self.stores),
            shards=(
                ShardSeen(
                    "emea-prod",
                    "eu-west-1",
                    read(shard.get("clusters"), self.clusters),
                    read(shard.get("nodes"), nodes),
                    read(shard.get("tagged"), tagged),
                    read(shard.get("activations"), activations),
                    read(shard.get("tier"), tier),
                    self.seen,
                    cluster_count=read(shard["cluster_count"], shard["cluster_count"])
                    if "cluster_count" in shard
                    else None,
                ),
            ),
            wanted={store.id: self._wanted(store, release) for store in self.stores},
            background=Background(
                fleet="emea",
                now=NOW,
                settings=DriftSettings(**told.get("settings", {})),
                release=NotRead(told["release"]["not_read"])
                if "not_read" in told.get("release", {})
                else release,
                contents={**shop.CONTENTS, **runs},
                revoked=frozenset(background.get("revoked", ())),
                memory=self.memory,
                digests=background.get("digests", False),
                deep=background.get("deep", False),
                deadlines={"telemetry": 1800.0},
                idle=tuple(map(_idle, background.get("idle", ()))),
                stop=_stop(background.get("stop")),
                waiting=tuple(map(_active, background.get("waiting", ()))),
                watched=tuple(map(_watched, background.get("watched", ()))),
                rejected={
                    one.content: _rejected(background["rejected"]) for one in release.services
                }
                if "rejected" in background
                else {},
            ),
        )

    def _wanted(self, store: Store, release: Release) -> Wanted:
        told = self.wanted[store.id]
        owed = {
            name: Owed(**{**one, "service": name, "since": when(one["since"])})
            for name, one in told.get("owed", {}).items()
        }
        mine = tuple(one for one in release.services if one.store == store.id)
        return Wanted(store, mine, owed, told.get("rolling", {}), told.get("idle", {}))


def _stop(told: Mapping[str, Any] | None) -> Stop | None:
    return Stop(when(told["since"]), told["by"], told["why"]) if told else None


def _rejected(told: Mapping[str, Any]) -> RejectedRelease:
    return RejectedRelease(**{**told, "phase": Phase(told["phase"])})


def _active(told: Mapping[str, Any]) -> ActiveRollout:
    since = when(told["since"])
    return ActiveRollout(
        told["id"],
        Phase(told["phase"]),
        tuple(told["workloads"]),
        told["stores"],
        told["why"],
        since,
        since,
    )


def _watched(told: Mapping[str, Any]) -> WatchedRollout:
    """A rollout that is done and has sent telemetry to these stores; they were ok but for some."""
    failed = told.get("failed", ())
    return WatchedRollout(
        rollouts.rollout(
            id=told["id"],
            phase=Phase.DONE,
            finished_at=when(told["ended"]),
            recalled=told.get("recalled", ""),
            spec=rollouts.spec(shapes={plans.SERVICE: plans.SHAPE}),
        ),
        tuple(
            rollouts.change(
                store, Verdict.FAILED if store in failed else Verdict.OK, service=plans.SERVICE
            )
            for store in told["stores"]
        ),
    )


def _idle(told: Mapping[str, Any]) -> IdleRollout:
    return IdleRollout(_active(told), when(told["since"]), told["waits"])


def _switched_off(store: Store, hours: str, names: Iterable[str]) -> Store:
    """A store that opens at these hours every day, whose hosts have no power at other times."""
    hosts = tuple(
        replace(host, powered=Powered.OPENING_HOURS) if host.name in names else host
        for host in store.hosts
    )
    daily = dict.fromkeys(range(7), (parse_span(hours),))
    return replace(store, hours=daily, hosts=hosts)


def _boxes(told: Mapping[str, Any]) -> Mapping[str, Any]:
    boxes: Mapping[str, Any] = {"cam-1": {}, "tel-1": {}}
    return {**boxes, **told.get("hosts", {})} if "only" not in told else told["only"]


def _dark(box: Mapping[str, Any]) -> Mapping[str, Any]:
    """``dark: -26h`` in both ledgers."""
    if "dark" not in box:
        return box
    lost = {"ping": "ConnectionLost", "last_ping_at": box["dark"]}
    away = {"agent_connected": False}
    return {
        **box,
        "node": {**lost, **box.get("node", {})},
        "instance": {**away, **box.get("instance", {})},
    }


def node(host: Host) -> ManagedInstance:
    """Registered long ago, and has just pinged."""
    heard = NOW - timedelta(minutes=2)
    return ManagedInstance(
        mi(host.id), host.id, Ping.ONLINE, heard, "act-1", "3.3.4108.0", registered_at=LONG_AGO
    )


def _bare_node(told: Mapping[str, Any]) -> ManagedInstance:
    value = ManagedInstance("mi-x", "", Ping.ONLINE, NOW, "act-2", registered_at=LONG_AGO)
    return changed(value, told)


def instance(store: Store, host: Host) -> ContainerInstance:
    """Registered long ago, connected, with room."""
    return ContainerInstance(
        arn=f"arn:aws:ecs:eu-west-1:111122223333:container-instance/{store.cluster}/{host.name}",
        cluster=store.cluster,
        managed_instance_id=mi(host.id),
        status="ACTIVE",
        agent_connected=True,
        registered_at=LONG_AGO,
        agent_version="1.105.1",
        docker_version="24.0.7",
        running_tasks=1,
        attributes=declared_attributes(store, host),
        tags=host_tags("emea", host),
        version=7,
        registered={"CPU": 4096, "MEMORY": 7800},
        remaining={"CPU": 4096, "MEMORY": 7000},
    )


def _instances(store: Store, host: Host, box: Mapping[str, Any]) -> Iterable[ContainerInstance]:
    more = [changed(instance(store, host), one) for one in box.get("more_instances", ())]
    if box.get("instance", {}) is None:
        return more
    return [*more, changed(instance(store, host), box.get("instance", {}))]


def _runs(service: str) -> str:
    """ARN of the revision that holds what is committed."""
    return shop.NEW.replace(plans.SERVICE, service)


def services(
    store: Store, told: Mapping[str, Any], definitions: Mapping[str, TaskDefinition]
) -> tuple[ServiceState, ...]:
    """What should run, and whatever else is told, which else is like telemetry."""
    if "not_read" in told:
        return ()
    count = sum(host.hardware.variant == "amd64" for host in store.hosts)
    by_name: dict[str, Mapping[str, Any] | None] = {**{one: {} for one in definitions}, **told}
    found = []
    for name, change in by_name.items():
        if change is None:
            continue
        definition = definitions.get(name, definitions[plans.SERVICE])
        runs = _runs(definition.family)
        tags = {
            "fleet:store": store.id,
            "fleet:workload": name.partition("-")[0],
            "fleet:content": definition.content,
        }
        healthy = shop.service(
            runs,
            name=name,
            cluster=store.cluster,
            arn=f"arn:aws:ecs:eu-west-1:111122223333:service/{store.cluster}/{name}",
            tags={**shop.TAGS, **tags},
            desired=count,
            running=count,
            deployments=(shop.deployment(runs, desired=count, running=count),),
            created_at=LONG_AGO,
        )
        found.append(changed(healthy, change))
    return tuple(found)


def tasks(store: Store, told: Mapping[str, Any]) -> tuple[TaskState, ...]:
    """One healthy task on each host that should run telemetry, and whatever else is told."""
    if "not_read" in told:
        return ()
    mine = [host.name for host in store.hosts if host.hardware.variant == "amd64"]
    by_name: dict[str, Mapping[str, Any] | None] = {**{f"t-{name}": {} for name in mine}, **told}
    prefix = f"arn:aws:ecs:eu-west-1:111122223333:container-instance/{store.cluster}"
    return tuple(
        changed(
            shop.task(name, container_instance_arn=f"{prefix}/tel-1", started_at=LONG_AGO), change
        )
        for name, change in by_name.items()
        if change is not None
    )


def probe(store: Store, told: Mapping[str, Any]) -> Probe:
    """Of a healthy NUC; ``containers`` are told as lists of fields."""
    told = {} if "not_read" in told else told
    running = ProbedContainer(
        f"arn:aws:ecs:eu-west-1:111122223333:task/{store.cluster}/t-tel-1",
        "ingest",
        plans.NEW_IMAGE,
        plans.NEW_IMAGE.rpartition("@")[2],
        LONG_AGO,
    )
    healthy = Probe((running,), 40_960, 65_536, 51.0, 0.2, LONG_AGO, machine_id="1" * 32)
    return changed(healthy, told)


def _activation(told: Mapping[str, Any]) -> Activation:
    value = Activation(
        "act-9",
        "store-042/tel-1",
        1,
        0,
        NOW + timedelta(minutes=50),
        {"fleet:fleet": "emea", "fleet:store": "store-042", "fleet:host": "store-042/tel-1"},
        NOW - timedelta(minutes=10),
    )
    return changed(value, told)


def _release(stores: Iterable[Store], definitions: Mapping[str, TaskDefinition]) -> Release:
    """Every service on every NUC of every open store."""
    services = tuple(
        DesiredService(store.id, name, definition.content, hosts)
        for store in stores
        for name, definition in definitions.items()
        if store.lifecycle == "open"
        and (hosts := tuple(h.name for h in store.hosts if h.hardware.variant == "amd64"))
    )
    return plans.release(
        [],
        services=services,
        shapes={
            name: replace(plans.SHAPE, name=name, workload=name.partition("-")[0])
            for name in definitions
        },
        task_definitions={one.content: one for one in definitions.values()},
    )


def world(told: Mapping[str, Any]) -> World:
    """The fleet of a case file."""
    maker = _Maker(told)
    for store_id, store in (told.get("stores") or {"store-042": {}}).items():
        maker.add(store_id, store or {})
    more = told.get("more", {})
    for number in range(more.get("count", 0)):
        box = {"dark": more["since"]} if number < more.get("dark", 0) else {}
        maker.add(f"store-{501 + number}", {"only": {"tel-1": box}, "link": more.get("link", {})})
    return maker.world()
