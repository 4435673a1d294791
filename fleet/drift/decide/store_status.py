"""The status of a store and its hosts: joins the ledgers on the ``mi-`` id and the host's name."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from fleet.inventory.decide.power import absent_from, planned_off
from fleet.model.commands import Command, Proposal, commands_of, text_of
from fleet.model.hours import Powered
from fleet.model.identity import HOST_ATTRIBUTE, activation_name
from fleet.model.inventory import Host, Lifecycle, Store
from fleet.model.observed import (
    Cluster,
    ContainerInstance,
    ManagedInstance,
    NotRead,
    Ping,
    Reading,
    best_instance,
)
from fleet.model.spans import age, span
from fleet.model.status import Freshness, Health, HostStatus, LedgerView, StoreStatus

#: Meaning and remedy of each combination of SSM ping and ECS agentConnected. An SSM token is valid
#: for an hour, so an SSM agent that stays down takes the ECS agent with it (ECS developer guide,
#: source of the ECS agent).
CELLS: Mapping[tuple[bool, bool], tuple[Health, str, Proposal]] = {
    (True, True): (Health.HEALTHY, "both agents are connected", ()),
    (True, False): (
        Health.ECS_DOWN,
        "SSM answers, the ECS agent does not: agent or docker is down, or it is a short flap",
        ("on the host: systemctl status docker ecs; journalctl -u ecs -n 50",),
    ),
    (False, True): (
        Health.SSM_DOWN,
        "ECS answers, SSM does not: its credentials run out within the hour, then ECS drops too",
        ("on the host: systemctl restart amazon-ssm-agent",),
    ),
    (False, False): (
        Health.DARK,
        "neither agent is connected: the host or its link is down; containers go on running",
        ("check power and link at the store; it catches up by itself when it returns",),
    ),
}


#: Age of the last ping from which "Online" is not believed any more: two missed pings and a minute.
#: SSM agents ping every 5 minutes; when SSM calls a node lost is not documented.
PING_STALE = timedelta(minutes=11)

#: Age of the last ping from which the next one is overdue.
PING_DUE = timedelta(minutes=5, seconds=30)


@dataclass(frozen=True, slots=True)
class RecordedState:
    """The state that an earlier run recorded, and when it was last true."""

    state: str
    as_of: datetime


@dataclass(frozen=True, slots=True)
class StoreReadings:
    """Everything that was read about one store.

    Attributes:
        nodes: SSM's nodes of the account and region, including those of other stores.
        recorded: by host id and ledger (host, ssm or ecs), what an earlier run recorded.
        now: the time that ages are counted from.
        hold_s: how long a host must be silent to count as dark.
    """

    store: Store
    cluster: Reading[Cluster | None] | NotRead
    instances: Reading[tuple[ContainerInstance, ...]] | NotRead
    nodes: Reading[tuple[ManagedInstance, ...]] | NotRead
    now: datetime
    recorded: Mapping[tuple[str, str], RecordedState] = field(default_factory=dict)
    hold_s: float = 900.0


def store_status(readings: StoreReadings, hosts: Sequence[Host] | None = None) -> StoreStatus:
    """Return the status of a store and of its hosts, all or the given ones."""
    store = readings.store
    unread: dict[str, None] = {}
    for ledger, reading in (
        ("ECS cluster", readings.cluster),
        ("ECS container instances", readings.instances),
        ("SSM nodes", readings.nodes),
    ):
        if isinstance(reading, NotRead):
            unread[f"{ledger}: {reading.why}"] = None
    return StoreStatus(
        store,
        _cluster_view(readings.cluster),
        tuple(_host_status(readings, host) for host in (store.hosts if hosts is None else hosts)),
        tuple(unread),
    )


def _cluster_view(reading: Reading[Cluster | None] | NotRead) -> LedgerView:
    if isinstance(reading, NotRead):
        return LedgerView("not read", None, Freshness.UNKNOWN, reading.why)
    state = reading.value.status if reading.value else "absent"
    return LedgerView(state, reading.at, Freshness.LIVE)


def _host_status(readings: StoreReadings, host: Host) -> HostStatus:
    node = _node(readings.nodes, host)
    instances = _instances(readings.instances, host, node)
    ssm = _ssm_view(readings, host, node)
    ecs = _ecs_view(readings, host, instances)
    on_host = _recorded(readings, host, "host", "")
    health, reason, fix = _health(readings, host, node, instances)
    return HostStatus(
        host,
        ssm,
        ecs,
        on_host,
        health,
        reason,
        text_of(fix),
        commands_of(fix),
        node.id if node else "",
        best_instance(instances).arn if instances else "",
    )


def _node(
    nodes: Reading[tuple[ManagedInstance, ...]] | NotRead, host: Host
) -> ManagedInstance | None:
    if isinstance(nodes, NotRead):
        return None
    named = [n for n in nodes.value if n.name == activation_name(host)]
    return max(named, key=lambda node: node.liveliness, default=None)


def _instances(
    reading: Reading[tuple[ContainerInstance, ...]] | NotRead,
    host: Host,
    node: ManagedInstance | None,
) -> tuple[ContainerInstance, ...]:
    if isinstance(reading, NotRead):
        return ()
    if node is not None:
        return tuple(i for i in reading.value if i.managed_instance_id == node.id)
    # SSM was not read or knows no such node: ECS's own attribute still says whose it is.
    return tuple(i for i in reading.value if i.attributes.get(HOST_ATTRIBUTE) == host.name)


def _ssm_view(readings: StoreReadings, host: Host, node: ManagedInstance | None) -> LedgerView:
    if isinstance(readings.nodes, NotRead):
        return _recorded(readings, host, "ssm", readings.nodes.why)
    if node is None:
        return LedgerView("absent", readings.nodes.at, Freshness.LIVE)
    return LedgerView(str(node.ping), node.last_ping_at, Freshness.LIVE)


def _ecs_view(
    readings: StoreReadings, host: Host, instances: Sequence[ContainerInstance]
) -> LedgerView:
    if isinstance(readings.instances, NotRead):
        return _recorded(readings, host, "ecs", readings.instances.why)
    if not instances:
        return LedgerView("absent", readings.instances.at, Freshness.LIVE)
    return LedgerView(best_instance(instances).state, readings.instances.at, Freshness.LIVE)


def _recorded(readings: StoreReadings, host: Host, ledger: str, why: str) -> LedgerView:
    seen = readings.recorded.get((host.id, ledger))
    if seen is None:
        return LedgerView("never seen", None, Freshness.UNKNOWN, why)
    return LedgerView(seen.state, seen.as_of, Freshness.RECORDED, why)


def _health(
    readings: StoreReadings,
    host: Host,
    node: ManagedInstance | None,
    instances: Sequence[ContainerInstance],
) -> tuple[Health, str, Proposal]:
    store = readings.store
    words = f"fleet register {host.store} --host {host.name}"
    # `fleet register` refuses a host of which AWS still has such a record.
    drift = Command(f"fleet drift {host.store}", sends=False)
    left_over = (drift, " names the command for what is left of it")
    if isinstance(readings.nodes, NotRead) or isinstance(readings.instances, NotRead):
        doctor = Command("fleet doctor", sends=False)
        return Health.UNKNOWN, "a ledger could not be read; nothing is concluded", (doctor,)
    if len(instances) > 1:
        return (
            Health.TWINS,
            f"{len(instances)} container instances for this host",
            left_over,
        )
    if node is None and not instances:
        if store.lifecycle is not Lifecycle.OPEN:
            return Health.ABSENT, f"not registered; the store is {store.lifecycle}", ()
        return Health.ABSENT, "not registered", (Command(words),)
    if node is None:
        return Health.PARTIAL, "ECS knows it, SSM does not: its node was deregistered", left_over
    if not instances:
        # Whether register goes on or refuses, only the host itself tells.
        plan = (Command(f"{words} --plan", sends=False), " asks the host, and says what to do")
        return Health.PARTIAL, f"SSM knows {node.id}, ECS does not", plan
    if instances[0].status != "ACTIVE":
        return (
            Health.DRAINING,
            f"{instances[0].status}: no task is placed on it",
            left_over,
        )
    off = _switched_off(readings, host, node, instances[0])
    if off:
        return Health.POWERED_OFF, off, ()
    return _cell(readings, node, instances[0])


def _switched_off(
    readings: StoreReadings, host: Host, node: ManagedInstance, instance: ContainerInstance
) -> str:
    """Return why an absence is planned, or too short since the store opened; "" of others."""
    heard, now, hold_s = node.last_ping_at, readings.now, readings.hold_s
    if host.powered is not Powered.OPENING_HOURS or instance.agent_connected or heard is None:
        return ""
    off = planned_off(readings.store, heard, now, hold_s)
    if off is not None:
        # One that has pinged since closing has power.
        pings = node.ping is Ping.ONLINE and now - heard <= PING_STALE
        return "" if pings and off.since is not None and heard > off.since else off.words
    counts = absent_from(readings.store, heard, hold_s)
    if counts is None or not heard < counts <= now or (now - counts).total_seconds() >= hold_s:
        return ""
    return f"its store opened {age(counts, now)}; it counts as dark {span(hold_s)} after that"


def _cell(
    readings: StoreReadings, node: ManagedInstance, instance: ContainerInstance
) -> tuple[Health, str, Proposal]:
    pinged = readings.now - node.last_ping_at if node.last_ping_at else None
    online = node.ping is Ping.ONLINE and (pinged is None or pinged <= PING_STALE)
    health, reason, fix = CELLS[online, instance.agent_connected]
    if health is Health.ECS_DOWN and pinged is not None and pinged > PING_DUE:
        heard = age(node.last_ping_at, readings.now)
        reason = f"the ECS agent is gone and SSM's ping of {heard} is overdue: going dark?"
        status = Command(f"fleet status {readings.store.id}", sends=False)
        fix = (status, " in a few minutes; is the store's link up?")
    return health, reason, fix
