"""Reads the restarts of a rollout's containers from the source that its policy names.

Hosts are asked by the process that ticks, since workers elsewhere may reach AWS and no shop. What
cannot be read in time holds up no tick: it is an answer that says why.
"""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import replace

from fleet.errors import FleetError
from fleet.model.changes import Change
from fleet.model.identity import HOST_ATTRIBUTE
from fleet.model.inventory import Store
from fleet.model.observed import NotRead
from fleet.model.restarts import RestartSource, RestartsSeen
from fleet.model.services import StoreView
from fleet.rollout.decide.restarts import HostAnswer, HostKey, RestartRead, of_hosts
from fleet.runtime.host_probes import probe_hosts
from fleet.runtime.wiring import Wiring

#: Seconds of our clock for which one tick waits for hosts.
LIMIT_S = 20.0


def read_restarts(
    wiring: Wiring,
    source: RestartSource,
    reads: Iterable[RestartRead],
    change_of: Callable[[str, str], Change],
    views: Mapping[str, StoreView],
) -> dict[tuple[str, str], RestartsSeen]:
    """Return by store and service what is known of their restarts, or why it is not.

    Args:
        views: of the stores, with their container instances where Run Command is the source.
    """
    wanted = list(reads)
    answers = _ask_hosts(wiring, source, wanted, views)
    return {
        (read.store, service): of_hosts(
            change_of(read.store, service), read.hosts.get(service, ()), answers
        )
        for read in wanted
        for service in read.services
    }


def _ask_hosts(
    wiring: Wiring,
    source: RestartSource,
    reads: Iterable[RestartRead],
    views: Mapping[str, StoreView],
) -> dict[HostKey, HostAnswer]:
    by_id = {store.id: store for store in wiring.fleet.stores}
    stores: list[Store] = []
    found: dict[HostKey, HostAnswer] = {}
    nodes: dict[HostKey, str] = {}
    for read in reads:
        store = by_id.get(read.store)
        if store is None:
            why = NotRead("the inventory does not have its store any more")
            found.update({(read.store, host): why for host in read.asked})
            continue
        asked = [host for host in store.hosts if host.name in read.asked]
        if source is RestartSource.SSH:
            asked = [replace(host, probe="ssh") for host in asked]
        stores.append(replace(store, hosts=tuple(asked)))
        nodes |= _nodes(read.store, views.get(read.store))
    try:
        found |= probe_hosts(wiring, stores, nodes, limit_s=LIMIT_S)
    except (FleetError, OSError) as error:
        for store in stores:
            found.update({(store.id, host.name): NotRead(str(error)) for host in store.hosts})
    return found


def _nodes(store: str, view: StoreView | None) -> dict[HostKey, str]:
    """Return the managed instances of the hosts whose agents are connected."""
    if view is None or view.problem:
        return {}
    return {
        (store, one.attributes.get(HOST_ATTRIBUTE, "")): one.managed_instance_id
        for one in view.instances or ()
        if one.agent_connected and one.managed_instance_id
    }
