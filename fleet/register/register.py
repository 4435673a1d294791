"""Registers stores: observe, decide, perform, observe again until three ledgers agree.

Nothing is remembered between two runs that AWS or the host does not say: a run that was killed
anywhere is finished by the next, which looks first at what is really there.
"""

import contextlib
import threading
import traceback
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from functools import partial

from fleet.aws.clusters import create_cluster
from fleet.aws.installer import fetch_installer
from fleet.aws.managed_instances import node_tier
from fleet.aws.session import Shard
from fleet.errors import (
    AwsError,
    FleetError,
    HostCommandFailed,
    HostKeyChanged,
    HostKeyUnknown,
    Locked,
    RecordsError,
    UsageError,
)
from fleet.model.inventory import Host, Store
from fleet.model.observed import HostFacts
from fleet.model.onboarding import HostClass, HostPlan, Install, StoreLedgers, StorePlan
from fleet.model.progress import (
    HostEvent,
    HostLine,
    HostResult,
    Note,
    Outcome,
    Phase,
    RegisterResult,
)
from fleet.register.decide.ledgers import on_host_words
from fleet.register.decide.onboarding import Case, Unread, adds_node, plan_store
from fleet.register.decide.preflight import endpoints
from fleet.register.host_run import HostRun, Script
from fleet.register.installing import run_host
from fleet.register.tally import Tally
from fleet.runtime.ledgers import ShardView, check_caller, read_store
from fleet.runtime.wiring import Wiring
from fleet.ssh.facts import read_facts

Key = tuple[str, str]


@dataclass(frozen=True, slots=True)
class Selection:
    """What to register.

    Attributes:
        stores: in the order to work in.
        hosts: ids of the hosts to keep to; empty for all of the stores.
        set_runtime: whether docker's default runtime may be set.
    """

    stores: tuple[Store, ...]
    hosts: frozenset[str] = frozenset()
    set_runtime: bool = False

    def hosts_of(self, store: Store) -> tuple[Host, ...]:
        """The store's hosts that are meant."""
        return tuple(h for h in store.hosts if not self.hosts or h.id in self.hosts)


@dataclass(frozen=True, slots=True)
class Prepared:
    """Everything decided and nothing done: the plans, and what they rest on."""

    plans: tuple[StorePlan, ...]
    shards: Mapping[Key, ShardView]
    selection: Selection
    facts: Mapping[str, HostFacts]
    run_id: str


def arrive(wiring: Wiring, selection: Selection) -> Mapping[Key, ShardView]:
    """Who we are in every account and region of the selection.

    Raises:
        CredentialsError: they belong to another account than the inventory says.
        AwsError: AWS could not be asked.
    """
    keys = sorted({_key(store) for store in selection.stores})
    return {key: ShardView(check_caller(_shard(wiring, key)).value) for key in keys}


def prepare(
    wiring: Wiring, selection: Selection, shards: Mapping[Key, ShardView], run_id: str
) -> Prepared:
    """Read hosts and ledgers, decide. Changes no host and nothing at AWS.

    What it may change is ours: a new host key is pinned and audited where that was asked for, and
    what each host said is recorded.

    Raises:
        AwsError: AWS could not be read; nothing is planned on half a picture.
    """
    pins = wiring.load_pins()
    hosts = [h for s in selection.stores for h in selection.hosts_of(s)]
    by_id = {store.id: store for store in selection.stores}
    with ThreadPoolExecutor(wiring.workers) as pool:
        read = dict(
            zip(
                [h.id for h in hosts],
                pool.map(
                    lambda h: _facts(_Visit(wiring, shards, run_id), h, by_id[h.store]), hosts
                ),
                strict=True,
            )
        )
        shards = _with_room(wiring, shards, selection.stores, read)
        ledgers = list(
            pool.map(lambda s: _ledgers(wiring, selection, s, shards, read), selection.stores)
        )
    facts = {id_: f for id_, f in read.items() if isinstance(f, HostFacts)}
    machine_ids = {id_: f.machine_id for id_, f in facts.items() if f.machine_id}
    plans: list[StorePlan] = []
    ahead = dict.fromkeys(shards, 0)
    for store, ledger in zip(selection.stores, ledgers, strict=True):
        key = _key(store)
        plan = plan_store(
            Case(
                wiring.fleet,
                store,
                selection.hosts_of(store),
                {h.name: read[h.id] for h in selection.hosts_of(store)},
                ledger,
                pins,
                machine_ids,
                ahead[key],
                selection.set_runtime,
            )
        )
        ahead[key] += sum(adds_node(p) for p in plan.hosts)
        plans.append(plan)
    return Prepared(tuple(plans), shards, selection, facts, run_id)


def _key(store: Store) -> Key:
    return store.account.name, store.region


def _shard(wiring: Wiring, key: Key) -> Shard:
    account, region = key
    return wiring.shard(wiring.fleet.accounts[account], region)


def _with_room(
    wiring: Wiring,
    shards: Mapping[Key, ShardView],
    stores: Sequence[Store],
    read: Mapping[str, HostFacts | Unread],
) -> Mapping[Key, ShardView]:
    """The views, with the room for nodes where a host may need it: a call per 50 nodes there are.

    Room is a preflight check that warns when it is not known, so a caller that may not read it can
    still register.
    """
    wanted = {
        _key(store)
        for store in stores
        for host in store.hosts
        if isinstance(facts := read.get(host.id), HostFacts) and not facts.ssm.instance_id
    }
    views = dict(shards)
    for key in wanted:
        with contextlib.suppress(AwsError):
            tier = node_tier(_shard(wiring, key)).value
            views[key] = replace(views[key], tier=tier)
    return views


@dataclass(frozen=True, slots=True)
class _Visit:
    """What a visit to a host needs beside the host: on whose behalf, and in which run."""

    wiring: Wiring
    shards: Mapping[Key, ShardView]
    run_id: str

    def keep(self, host: Host, text: str) -> None:
        """Put lines into the host's log."""
        for line in text.splitlines():
            self.wiring.listen(HostLine(self.wiring.clock.now(), host.id, line))

    def accepted(self, host: Host, store: Store, key_type: str, fingerprint: str) -> None:
        now = self.wiring.clock.now()
        self.wiring.listen(Note(now, f"{host.id}: pinned new host key {key_type} {fingerprint}"))
        self.wiring.records.audit(
            self.run_id,
            at=now,
            caller_arn=self.shards[_key(store)].caller.arn,
            action="fleet:PinHostKey",
            store=store.id,
            host=host.name,
            why="first contact, accepting new host keys was asked for",
            detail={"type": key_type, "fingerprint": fingerprint},
        )


def _facts(visit: _Visit, host: Host, store: Store) -> HostFacts | Unread:
    """What a host says of itself; whatever goes wrong with one host concerns that host only."""
    wiring = visit.wiring
    wiring.listen(HostEvent(wiring.clock.now(), host.id, Phase.FACTS))
    try:
        with wiring.connect(
            host, lambda _id, kind, fingerprint: visit.accepted(host, store, kind, fingerprint)
        ) as connection:
            facts = read_facts(
                connection,
                endpoints=endpoints(store.region),
                devices=host.hardware.devices,
                now=wiring.clock.now,
            )
    except HostKeyUnknown as error:
        return Unread(HostClass.UNPINNED, str(error), "")
    except HostKeyChanged as error:
        return Unread(HostClass.STRANGER, str(error), error.hint or "")
    except RecordsError:
        raise  # what changes shops must be written down, so nothing goes on without the database
    except FleetError as error:
        if isinstance(error, HostCommandFailed):
            visit.keep(host, error.output)
        return Unread(HostClass.UNREACHABLE, str(error), error.hint or "")
    except Exception as error:  # noqa: BLE001 - a hostile answer must not end the run for all
        visit.keep(host, traceback.format_exc())
        reason = f"a bug in fleet: {type(error).__name__}; its traceback is in the host's log"
        return Unread(HostClass.UNREACHABLE, reason, "")
    # The machine's id tells a nightly scan of clones, which SSM and ECS cannot see.
    said = {"state": on_host_words(facts), "machine_id": facts.machine_id}
    wiring.records.observe(host.store, host.name, "host", said, at=wiring.clock.now())
    return facts


def _ledgers(
    wiring: Wiring,
    selection: Selection,
    store: Store,
    shards: Mapping[Key, ShardView],
    read: Mapping[str, HostFacts | Unread],
) -> StoreLedgers:
    hosts = selection.hosts_of(store)
    vaults = [
        facts.ssm.instance_id
        for facts in (read[h.id] for h in hosts)
        if isinstance(facts, HostFacts) and facts.ssm.instance_id
    ]
    key = _key(store)
    return read_store(_shard(wiring, key), store, hosts, vaults, shards[key].tier)


def execute(wiring: Wiring, prepared: Prepared) -> RegisterResult:
    """Perform the plans, host by host in parallel, and verify every host that was touched.

    One host's failure ends that host only. What is deleted or deregistered rests on a second look
    at the host and AWS just before. A run that is asked to stop begins no new step; a host in the
    middle of installing is waited for.

    Raises:
        UsageError: the install script is not pinned; nothing was done.
        AwsError: the install script could not be fetched; nothing was done.
    """
    script = _script(wiring, prepared)
    tally = Tally()
    clusters = _Clusters(wiring, prepared)
    runs = [
        HostRun(
            wiring=wiring,
            shard=_shard(wiring, _key(plan.store)),
            caller_arn=prepared.shards[_key(plan.store)].caller.arn,
            run_id=prepared.run_id,
            store_plan=plan,
            plan=host_plan,
            script=script,
            tally=tally,
            set_runtime=prepared.selection.set_runtime,
            look_again=partial(_look_again, wiring, prepared, plan.store, host_plan.host),
            vault_id=_vault_id(prepared.facts.get(host_plan.host.id)),
        )
        for plan in prepared.plans
        for host_plan in plan.hosts
    ]
    with ThreadPoolExecutor(wiring.workers) as pool:
        results = tuple(pool.map(lambda run: _run(clusters, run), runs))
    return RegisterResult(
        prepared.run_id,
        tuple(plan.store for plan in prepared.plans),
        results,
        tally.value(),
        stopped=wiring.stop.is_set(),
    )


def _vault_id(facts: HostFacts | None) -> str:
    return (facts.ssm.instance_id or "") if facts else ""


def _look_again(wiring: Wiring, prepared: Prepared, store: Store, host: Host) -> HostPlan:
    """The plan of one host by what it and AWS say now."""
    facts = _facts(_Visit(wiring, prepared.shards, prepared.run_id), host, store)
    selection = Selection((store,), frozenset({host.id}), prepared.selection.set_runtime)
    known = {id_: f.machine_id for id_, f in prepared.facts.items() if f.machine_id}
    case = Case(
        wiring.fleet,
        store,
        (host,),
        {host.name: facts},
        _ledgers(wiring, selection, store, prepared.shards, {host.id: facts}),
        wiring.load_pins(),
        known,
        set_runtime=selection.set_runtime,
    )
    return plan_store(case).hosts[0]


def _run(clusters: "_Clusters", run: HostRun) -> HostResult:
    try:
        if run.plan.has(Install) and not run.stopping:
            clusters.ensure(run.store_plan)
        return run_host(run)
    except Locked as error:
        return run.result(Outcome.LOCKED, str(error), error.hint or "")
    except FleetError as error:
        return run.result(Outcome.FAILED, str(error), error.hint or "")
    except Exception as error:  # noqa: BLE001 - a bug met on one host must not lose the others
        for line in traceback.format_exc().splitlines():
            run.tell_line(line)
        reason = f"a bug in fleet: {type(error).__name__}; its traceback is in the host's log"
        return run.result(Outcome.FAILED, reason)


class _Clusters:
    """Makes each store's cluster once, before the first of its hosts needs it."""

    def __init__(self, wiring: Wiring, prepared: Prepared) -> None:
        self._wiring = wiring
        self._prepared = prepared
        self._locks = {plan.store.id: threading.Lock() for plan in prepared.plans}
        self._made: set[str] = set()

    def ensure(self, plan: StorePlan) -> None:
        """Create the store's cluster if its plan says so; repeated calls do nothing."""
        store = plan.store
        with self._locks[store.id]:
            if not plan.create_cluster or store.id in self._made:
                return
            key = _key(store)
            self._wiring.records.audit(
                self._prepared.run_id,
                at=self._wiring.clock.now(),
                caller_arn=self._prepared.shards[key].caller.arn,
                action="ecs:CreateCluster",
                store=store.id,
                host="",
                why=plan.create_cluster,
                detail={"cluster": store.cluster},
            )
            create_cluster(_shard(self._wiring, key), store.cluster, plan.tags)
            self._made.add(store.id)


def _script(wiring: Wiring, prepared: Prepared) -> Script | None:
    """The install script, fetched once and only if a plan needs it, and only if it is pinned."""
    if not any(host.has(Install) for plan in prepared.plans for host in plan.hosts):
        return None
    installer = wiring.fleet.installer
    content = fetch_installer(installer.bucket, installer.key, installer.region, clock=wiring.clock)
    script = Script(content)
    if script.sha256 not in wiring.load_pins().installers:
        raise UsageError(
            f"the install script s3://{installer.bucket}/{installer.key} has SHA-256 "
            f"{script.sha256}, which inventory/pins.yaml does not hold; it runs as root in every "
            "shop, so nothing was done",
            hint="read it with `fleet installer`, then `fleet installer --pin SHA256`",
        )
    return script


def unchanged(plans: Sequence[StorePlan]) -> bool:
    """Whether the plans do nothing at all."""
    return not any(host.steps for plan in plans for host in plan.hosts)
