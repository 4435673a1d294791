"""Registers stores: reads hosts and AWS, decides, performs, and verifies.

Nothing is remembered between two runs that AWS or the host does not say. The next run finishes one
that was killed anywhere, because it reads first what is really there.
"""

import contextlib
import threading
import traceback
from collections.abc import Callable, Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from functools import partial
from typing import TypeVar

from fleet.aws.clusters import create_cluster
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
from fleet.model import aws_actions
from fleet.model.inventory import Host, Store
from fleet.model.observed import HostFacts
from fleet.model.progress import HostEvent, HostLine, HostPhase, Note
from fleet.model.registration import (
    ActivationCount,
    HostClass,
    HostOutcome,
    HostRegistration,
    HostResult,
    Install,
    RegisterResult,
    StoreLedgers,
    StoreRegistration,
)
from fleet.register.decide.preflight import endpoints
from fleet.register.decide.registration import (
    RegistrationFacts,
    UnreadHost,
    adds_node,
    decide_registration,
)
from fleet.register.host_run import HostRun, run_host
from fleet.register.installer import InstallScript, read_install_script
from fleet.runtime.ledgers import ShardView, check_caller, read_store
from fleet.runtime.wiring import Wiring
from fleet.ssh.facts import read_facts

Key = tuple[str, str]
_A = TypeVar("_A")
_B = TypeVar("_B")


@dataclass(frozen=True, slots=True)
class HostSelection:
    """The stores and hosts to register.

    Attributes:
        stores: in the order to work in.
        hosts: ids of the selected hosts; empty for all hosts of the stores.
        set_runtime: whether docker's default runtime may be set.
    """

    stores: tuple[Store, ...]
    hosts: frozenset[str] = frozenset()
    set_runtime: bool = False

    def hosts_of(self, store: Store) -> tuple[Host, ...]:
        """Return the selected hosts of a store."""
        return tuple(h for h in store.hosts if not self.hosts or h.id in self.hosts)


@dataclass(frozen=True, slots=True)
class PreparedRun:
    """A run in which everything is decided and nothing is done yet.

    Attributes:
        facts: by host id, of the hosts that could be read.
    """

    registrations: tuple[StoreRegistration, ...]
    shards: Mapping[Key, ShardView]
    selection: HostSelection
    facts: Mapping[str, HostFacts]
    run_id: str


def check_callers(wiring: Wiring, selection: HostSelection) -> Mapping[Key, ShardView]:
    """Return the caller in every account and region of the selection.

    Raises:
        CredentialsError: the credentials belong to another account than the inventory says.
        AwsError: AWS could not be read.
    """
    keys = sorted({_key(store) for store in selection.stores})
    return {key: ShardView(check_caller(_shard(wiring, key)).value) for key in keys}


def prepare(
    wiring: Wiring, selection: HostSelection, shards: Mapping[Key, ShardView], run_id: str
) -> PreparedRun:
    """Read hosts and ledgers and decide; change no host and nothing at AWS.

    A new host key is pinned and audited where that was asked for, and what each host said is
    recorded.

    Raises:
        AwsError: AWS could not be read; nothing is decided without it.
    """
    reader = _FactsReader(wiring, shards, run_id)
    pairs = [(host, store) for store in selection.stores for host in selection.hosts_of(store)]
    read = dict(
        zip(
            [host.id for host, _ in pairs],
            _in_parallel(wiring, lambda pair: reader.facts(*pair), pairs),
            strict=True,
        )
    )
    reader = replace(reader, shards=_with_tiers(wiring, shards, pairs, read))
    ledgers = _in_parallel(
        wiring,
        lambda store: reader.ledgers(store, selection.hosts_of(store), read),
        selection.stores,
    )
    facts = {id_: found for id_, found in read.items() if isinstance(found, HostFacts)}
    pins = wiring.load_pins()
    registrations: list[StoreRegistration] = []
    nodes_ahead = dict.fromkeys(shards, 0)
    for store, ledger in zip(selection.stores, ledgers, strict=True):
        hosts = selection.hosts_of(store)
        registration = decide_registration(
            RegistrationFacts(
                wiring.fleet,
                store,
                hosts,
                {host.name: read[host.id] for host in hosts},
                ledger,
                pins,
                _machine_ids(facts),
                nodes_ahead[_key(store)],
                selection.set_runtime,
            )
        )
        nodes_ahead[_key(store)] += sum(adds_node(host) for host in registration.hosts)
        registrations.append(registration)
    return PreparedRun(tuple(registrations), reader.shards, selection, facts, run_id)


def _in_parallel(
    wiring: Wiring, function: Callable[[_A], _B], values: Iterable[_A]
) -> tuple[_B, ...]:
    with ThreadPoolExecutor(wiring.workers) as pool:
        return tuple(pool.map(function, values))


def _key(store: Store) -> Key:
    return store.account.name, store.region


def _shard(wiring: Wiring, key: Key) -> Shard:
    account, region = key
    return wiring.shard(wiring.fleet.accounts[account], region)


def _machine_ids(facts: Mapping[str, HostFacts]) -> dict[str, str]:
    return {id_: found.machine_id for id_, found in facts.items() if found.machine_id}


def _with_tiers(
    wiring: Wiring,
    shards: Mapping[Key, ShardView],
    pairs: Sequence[tuple[Host, Store]],
    read: Mapping[str, HostFacts | UnreadHost],
) -> Mapping[Key, ShardView]:
    """Read the managed-node quota where a host may need a node: a call per 50 nodes.

    The preflight warns when the quota is not known, so a caller that may not read it can still
    register.
    """
    wanted = {
        _key(store)
        for host, store in pairs
        if isinstance(facts := read[host.id], HostFacts) and not facts.ssm.instance_id
    }
    views = dict(shards)
    for key in wanted:
        with contextlib.suppress(AwsError):
            tier = node_tier(_shard(wiring, key)).value
            views[key] = replace(views[key], tier=tier)
    return views


@dataclass(frozen=True, slots=True)
class _FactsReader:
    """Reads hosts and ledgers on behalf of the callers of a run."""

    wiring: Wiring
    shards: Mapping[Key, ShardView]
    run_id: str

    def facts(self, host: Host, store: Store) -> HostFacts | UnreadHost:
        """Read one host; whatever goes wrong with it does not stop the others."""
        wiring = self.wiring
        wiring.listen(HostEvent(wiring.clock.now(), host.id, HostPhase.FACTS))
        try:
            with wiring.connect(host, partial(self._accepted, host, store)) as connection:
                facts = read_facts(
                    connection,
                    endpoints=endpoints(store.region),
                    devices=host.hardware.devices,
                    now=wiring.clock.now,
                )
        except HostKeyUnknown as error:
            return UnreadHost(HostClass.UNPINNED, str(error), "")
        except HostKeyChanged as error:
            return UnreadHost(HostClass.STRANGER, str(error), error.hint or "")
        except RecordsError:
            raise  # a change of a shop must be audited, so nothing goes on without the database
        except FleetError as error:
            if isinstance(error, HostCommandFailed):
                self._log(host, error.output)
            return UnreadHost(HostClass.UNREACHABLE, str(error), error.hint or "")
        except Exception as error:  # noqa: BLE001 - a hostile answer must not end the run for all
            self._log(host, traceback.format_exc())
            return UnreadHost(HostClass.UNREACHABLE, _bug(error), "")
        # A nightly scan compares machine ids to find clones, which SSM and ECS cannot see.
        said = {"state": facts.state, "machine_id": facts.machine_id}
        wiring.records.observe(host.store, host.name, "host", said, at=wiring.clock.now())
        return facts

    def ledgers(
        self, store: Store, hosts: Sequence[Host], read: Mapping[str, HostFacts | UnreadHost]
    ) -> StoreLedgers:
        """Read what AWS says about a store and the nodes in its hosts' vaults."""
        facts = [found for host in hosts if isinstance(found := read[host.id], HostFacts)]
        vaults = [found.ssm.instance_id for found in facts if found.ssm.instance_id]
        key = _key(store)
        return read_store(_shard(self.wiring, key), store, hosts, vaults, self.shards[key].tier)

    def _accepted(
        self, host: Host, store: Store, _host_id: str, key_type: str, fingerprint: str
    ) -> None:
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

    def _log(self, host: Host, text: str) -> None:
        for line in text.splitlines():
            self.wiring.listen(HostLine(self.wiring.clock.now(), host.id, line))


def _bug(error: Exception) -> str:
    return f"a bug in fleet: {type(error).__name__}; its traceback is in the host's log"


def execute(wiring: Wiring, prepared: PreparedRun) -> RegisterResult:
    """Perform what was decided, host by host in parallel, and verify every host that was changed.

    The failure of one host does not stop the others. The host and AWS are read again before
    anything is deleted or deregistered. A run that is asked to stop begins no new step and waits
    for hosts that are being installed.

    Raises:
        UsageError: the install script is not pinned; nothing was done.
        AwsError: the install script could not be fetched; nothing was done.
    """
    script = _pinned_script(wiring, prepared)
    clusters = _Clusters(wiring, prepared)
    runs = [
        HostRun(
            wiring=wiring,
            shard=_shard(wiring, _key(registration.store)),
            caller_arn=prepared.shards[_key(registration.store)].caller.arn,
            run_id=prepared.run_id,
            store_registration=registration,
            registration=host,
            script=script,
            read_again=partial(_decide_again, wiring, prepared, registration.store, host.host),
            set_runtime=prepared.selection.set_runtime,
            vault_id=_vault_id(prepared.facts.get(host.host.id)),
        )
        for registration in prepared.registrations
        for host in registration.hosts
    ]
    results = _in_parallel(wiring, lambda run: _run(clusters, run), runs)
    return RegisterResult(
        prepared.run_id,
        prepared.selection.stores,
        results,
        _count_activations(runs),
        stopped=wiring.stop.is_set(),
    )


def _vault_id(facts: HostFacts | None) -> str:
    return (facts.ssm.instance_id or "") if facts else ""


def _count_activations(runs: Sequence[HostRun]) -> ActivationCount:
    created = [activation_id for run in runs for activation_id in run.created]
    deleted = {activation_id for run in runs for activation_id in run.deleted}
    left_open = tuple(activation_id for activation_id in created if activation_id not in deleted)
    return ActivationCount(len(created), len(deleted), left_open, sum(run.unsure for run in runs))


def _decide_again(
    wiring: Wiring, prepared: PreparedRun, store: Store, host: Host
) -> HostRegistration:
    """Read one host and AWS again and decide again."""
    reader = _FactsReader(wiring, prepared.shards, prepared.run_id)
    facts = reader.facts(host, store)
    again = RegistrationFacts(
        wiring.fleet,
        store,
        (host,),
        {host.name: facts},
        reader.ledgers(store, (host,), {host.id: facts}),
        wiring.load_pins(),
        _machine_ids(prepared.facts),
        set_runtime=prepared.selection.set_runtime,
    )
    return decide_registration(again).hosts[0]


def _run(clusters: "_Clusters", run: HostRun) -> HostResult:
    try:
        if run.registration.has(Install) and not run.wiring.stop.is_set():
            clusters.create(run.store_registration)
        return run_host(run)
    except FleetError as error:
        outcome = HostOutcome.LOCKED if isinstance(error, Locked) else HostOutcome.FAILED
        return run.result(outcome, str(error), error.hint or "")
    except Exception as error:  # noqa: BLE001 - a bug met on one host must not lose the others
        for line in traceback.format_exc().splitlines():
            run.log(line)
        return run.result(HostOutcome.FAILED, _bug(error))


class _Clusters:
    """Creates each store's cluster once, before the first of its hosts needs it."""

    def __init__(self, wiring: Wiring, prepared: PreparedRun) -> None:
        self._wiring = wiring
        self._prepared = prepared
        self._locks = {one.store.id: threading.Lock() for one in prepared.registrations}
        self._created: set[str] = set()

    def create(self, registration: StoreRegistration) -> None:
        """Create the store's cluster if it needs one; a second call does nothing."""
        store = registration.store
        with self._locks[store.id]:
            if not registration.create_cluster or store.id in self._created:
                return
            key = _key(store)
            self._wiring.records.audit(
                self._prepared.run_id,
                at=self._wiring.clock.now(),
                caller_arn=self._prepared.shards[key].caller.arn,
                action=aws_actions.CREATE_CLUSTER.id,
                store=store.id,
                host="",
                why=registration.create_cluster,
                detail={"cluster": store.cluster},
            )
            create_cluster(_shard(self._wiring, key), store.cluster, registration.tags)
            self._created.add(store.id)


def _pinned_script(wiring: Wiring, prepared: PreparedRun) -> InstallScript | None:
    """Fetch the install script if a host is installed, and check that it is pinned."""
    if not any(
        host.has(Install) for registration in prepared.registrations for host in registration.hosts
    ):
        return None
    script = read_install_script(wiring)
    if script.pinned is None:
        raise UsageError(
            f"the install script {script.place} has SHA-256 {script.sha256}, which "
            "inventory/pins.yaml does not hold; it runs as root in every shop, so nothing was done",
            hint="read it with `fleet installer`, then `fleet installer --pin SHA256`",
        )
    return script


def changes_nothing(registrations: Sequence[StoreRegistration]) -> bool:
    """Return whether there is nothing to do on any host."""
    return not any(host.steps for registration in registrations for host in registration.hosts)
