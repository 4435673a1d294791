"""Asks the hosts themselves (``--deep``): by Run Command, or SSH where the inventory says so."""

import uuid
from collections.abc import Callable, Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor, wait
from datetime import datetime
from itertools import chain

from fleet.aws.run_command import run_script
from fleet.errors import AwsError, SshError
from fleet.model.drift import Probe
from fleet.model.inventory import Host, Store
from fleet.model.observed import NotRead, Reading
from fleet.runtime.wiring import Wiring
from fleet.ssh.probe_answer import is_whole, read_answer
from fleet.ssh.probing import probe_script, run_probe

#: Seconds for Run Command, by the run's clock: a node that boots takes its command late.
DEADLINE_S = 900.0
HostKey = tuple[str, str]
Answer = Reading[Probe] | NotRead
Answers = Iterable[tuple[HostKey, Answer]]


def probe_hosts(
    wiring: Wiring,
    stores: Sequence[Store],
    nodes: Mapping[HostKey, str],
    *,
    limit_s: float | None = None,
) -> Mapping[HostKey, Answer]:
    """Return what every host of these stores says of itself, or why it does not answer.

    Through SSM, one SendCommand per 50 nodes and as many polls as it takes them to end; over SSH a
    connection per host. Nothing on a host is changed.

    Args:
        nodes: by store and host, the ``mi-`` id of those whose SSM agent is there. The others are
            not asked through SSM, which could only wait for them.
        limit_s: seconds of this machine's clock after which a host that has not answered is left;
            None to wait for as long as each takes.
    """
    shards: dict[tuple[str, str], dict[str, HostKey]] = {}
    found: dict[HostKey, Answer] = {}
    over_ssh: list[Host] = []
    for store in stores:
        for host in store.hosts:
            key = (store.id, host.name)
            if host.probe == "ssh":
                over_ssh.append(host)
            elif key in nodes:
                shards.setdefault((store.account.name, store.region), {})[nodes[key]] = key
            else:
                found[key] = NotRead(
                    "its SSM agent is not online, as far as SSM was read: nobody can ask it"
                )
    jobs: list[tuple[tuple[HostKey, ...], Callable[[], Answers]]] = [
        *(
            (tuple(own.values()), lambda s=shard, n=own: _through_ssm(wiring, s, n, limit_s))
            for shard, own in shards.items()
        ),
        *((((host.store, host.name),), lambda h=host: _over_ssh(wiring, h)) for host in over_ssh),
    ]
    return {**found, **_side_by_side(jobs, wiring.workers, limit_s)}


def _side_by_side(
    jobs: Sequence[tuple[tuple[HostKey, ...], Callable[[], Answers]]],
    workers: int,
    limit_s: float | None,
) -> dict[HostKey, Answer]:
    """Run the jobs; those that are not over in time go on, and nobody listens to them."""
    pool = ThreadPoolExecutor(workers, thread_name_prefix="probe")
    try:
        futures = {pool.submit(job): keys for keys, job in jobs}
        over, late = wait(futures, timeout=limit_s)
        found = dict(chain.from_iterable(future.result() for future in over))
        why = NotRead(f"it had not answered after {limit_s:g} s") if limit_s is not None else None
        for future in late:
            found.update({key: why for key in futures[future] if why is not None})
        return found
    finally:
        pool.shutdown(wait=limit_s is None, cancel_futures=True)


def _through_ssm(
    wiring: Wiring, shard: tuple[str, str], nodes: Mapping[str, HostKey], limit_s: float | None
) -> list[tuple[HostKey, Answer]]:
    try:
        said = run_script(
            wiring.shard(wiring.fleet.accounts[shard[0]], shard[1]),
            sorted(nodes),
            probe_script(),
            f"fleet drift {uuid.uuid4().hex[:12]}",
            clock=wiring.clock,
            is_whole=is_whole,
            deadline_s=DEADLINE_S if limit_s is None else limit_s,
        )
    except AwsError as error:
        return [(key, NotRead(str(error))) for key in nodes.values()]
    return [
        (
            nodes[node],
            one
            if isinstance(one, NotRead)
            else _read(one.text, after=one.after, before=one.before, via="ssm"),
        )
        for node, one in said.items()
    ]


def _over_ssh(wiring: Wiring, host: Host) -> list[tuple[HostKey, Answer]]:
    key = (host.store, host.name)
    if wiring.stop.is_set():
        return [(key, NotRead("stopped before it was asked"))]
    try:
        with wiring.connect(host, None) as connection:
            asked_at = wiring.clock.now()
            text = run_probe(connection)
    except SshError as error:
        return [(key, NotRead(str(error)))]
    return [(key, _read(text, after=asked_at, before=wiring.clock.now(), via="ssh"))]


def _read(text: str, *, after: datetime, before: datetime, via: str) -> Answer:
    probe = read_answer(text, after=after, before=before, via=via)
    return probe if isinstance(probe, NotRead) else Reading(probe, before)
