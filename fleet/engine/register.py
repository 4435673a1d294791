"""Registers stores: observe, decide, perform, observe again until three ledgers agree.

Nothing is remembered between two runs that AWS or the host does not say: a run that was killed
anywhere is finished by the next, which looks first at what is really there.
"""

import threading
import traceback
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

from fleet.aws import observe, perform
from fleet.aws.installer import fetch_installer
from fleet.aws.session import Shard
from fleet.decide.onboarding import Case, Unread, adds_node, plan_store
from fleet.decide.preflight import endpoints
from fleet.decide.status import on_host_words
from fleet.engine.installing import HostRun, Script, run_host
from fleet.engine.ledgers import ShardView, check_caller, read_store
from fleet.engine.tally import Tally
from fleet.engine.wiring import Wiring
from fleet.errors import (
    AwsError,
    FleetError,
    HostKeyChanged,
    HostKeyUnknown,
    SshError,
    UsageError,
)
from fleet.model.inventory import Host, Store
from fleet.model.observed import HostFacts
from fleet.model.onboarding import HostClass, HostPlan, Install, StoreLedgers, StorePlan
from fleet.model.progress import HostEvent, HostResult, Note, Outcome, Phase, RegisterResult
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
    facts: Mapping[str, HostFacts]
    run_id: str


def arrive(wiring: Wiring, selection: Selection) -> Mapping[Key, ShardView]:
    """Who we are in every account and region of the selection, and the room for nodes there.

    Raises:
        CredentialsError: they belong to another account than the inventory says.
        AwsError: AWS could not be asked.
    """
    keys = sorted({_key(store) for store in selection.stores})
    return {key: _view(_shard(wiring, key)) for key in keys}


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
    return Prepared(tuple(plans), shards, facts, run_id)


def _key(store: Store) -> Key:
    return store.account.name, store.region


def _shard(wiring: Wiring, key: Key) -> Shard:
    account, region = key
    return wiring.shard(wiring.fleet.accounts[account], region)


def _view(shard: Shard) -> ShardView:
    caller = check_caller(shard)
    try:
        tier = observe.node_tier(shard).value
    except AwsError:
        # Room for nodes is a preflight check that warns when it is not known; a caller that may
        # not read it can still register.
        tier = None
    return ShardView(caller, tier)


@dataclass(frozen=True, slots=True)
class _Visit:
    """What a visit to a host needs beside the host: on whose behalf, and in which run."""

    wiring: Wiring
    shards: Mapping[Key, ShardView]
    run_id: str

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
    wiring = visit.wiring
    wiring.listen(HostEvent(wiring.clock.now(), host.id, Phase.FACTS))
    again = f"fleet register {host.store} --host {host.name}"
    try:
        with wiring.connect(
            host, lambda _id, kind, print_: visit.accepted(host, store, kind, print_)
        ) as connection:
            facts = read_facts(
                connection,
                endpoints=endpoints(store.region),
                devices=host.hardware.devices,
                now=wiring.clock.now,
            )
    except HostKeyUnknown as error:
        return Unread(HostClass.STRANGER, str(error), f"{again} --accept-new-host-keys")
    except HostKeyChanged as error:
        return Unread(HostClass.STRANGER, str(error), error.hint or "")
    except SshError as error:
        return Unread(HostClass.UNREACHABLE, str(error), error.hint or again)
    wiring.records.observe(
        host.store, host.name, "host", {"state": on_host_words(facts)}, at=wiring.clock.now()
    )
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

    One host's failure ends that host only. A run that is asked to stop begins no new step; a host
    in the middle of installing is waited for.

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


def _run(clusters: "_Clusters", run: HostRun) -> HostResult:
    try:
        if _installs(run.plan) and not run.stopping:
            clusters.ensure(run.store_plan)
        return run_host(run)
    except FleetError as error:
        result = HostResult(run.plan, Outcome.FAILED, str(error), error.hint or "")
        run.tell(Phase.DONE, f"{result.outcome}: {result.reason}")
        return result
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
            perform.create_cluster(_shard(self._wiring, key), store.cluster, plan.tags)
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
            self._made.add(store.id)


def _script(wiring: Wiring, prepared: Prepared) -> Script | None:
    """The install script, fetched once and only if a plan needs it, and only if it is pinned."""
    if not any(_installs(host) for plan in prepared.plans for host in plan.hosts):
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


def _installs(plan: HostPlan) -> bool:
    return any(isinstance(step, Install) for step in plan.steps)
