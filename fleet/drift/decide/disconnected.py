"""Reports which hosts and stores are disconnected, and whether it is the carrier, shop or box.

Every finding rests on a spell that has held (``spells``); nothing is reported of a host without.
"""

import shlex
from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from fleet.drift.decide import host_codes as codes
from fleet.drift.decide.commands import host_command, host_evidence, status
from fleet.drift.decide.exact_test import fisher
from fleet.drift.decide.finding_kinds import FindingKind
from fleet.drift.decide.host_connection import Pinged, pinged
from fleet.drift.decide.registration import never_connected
from fleet.drift.decide.store_case import HostCase, StoreCase, Where, make_finding
from fleet.model.commands import Command, Proposal
from fleet.model.drift import Background, Evidence, Finding, HostConnection, Spell
from fleet.model.gate import Sample
from fleet.model.inventory import Store
from fleet.model.observed import NotRead
from fleet.model.printable import many
from fleet.model.spans import moment, span

#: Stores of one carrier that went dark together, at least.
LEAST = 4
#: Share of a carrier's stores that must be dark, and of the others that may be.
MOST, FEW = 0.5, 0.1
#: Others that must be known to be connected, at least.
OTHERS = 4
#: How likely it may be that chance alone did it.
ALPHA = 0.01
#: Stores that one outage takes are heard of last within this of each other.
TOGETHER = timedelta(hours=1)

Key = tuple[str, str]


def key_of(store: Store) -> Key:
    """Return the carrier of a store, or its kind of link where none is named, and its region."""
    return store.link.carrier or store.link.kind, store.region


@dataclass(slots=True)
class Group:
    """The open stores of one carrier and region.

    Attributes:
        dark: since when, by store id.
        is_named: whether the carrier is named; else its kind of link stands for it.
        connected: ids of stores of which at least one agent of one host is connected.
        unknown: how many others there are, which may be dark or not.
    """

    is_named: bool
    dark: dict[str, datetime] = field(default_factory=dict)
    connected: set[str] = field(default_factory=set)
    unknown: int = 0

    @property
    def known(self) -> int:
        """Return how many stores are certainly dark or not."""
        return len(self.dark) + len(self.connected)

    def together(self) -> tuple[str, ...]:
        """Return the most stores that went dark within one hour, in the earliest such hour."""
        order = sorted((since, store) for store, since in self.dark.items())
        best: tuple[str, ...] = ()
        begin = 0
        for end, (since, _store) in enumerate(order):
            while since - order[begin][0] > TOGETHER:
                begin += 1
            if end - begin + 1 > len(best):
                best = tuple(store for _since, store in order[begin : end + 1])
        return best


def _is_connected(host: HostCase) -> bool:
    """Return whether at least one agent of a host is certainly connected."""
    return host.connection is not None and not host.is_dark and not host.is_switched_off


class Carriers:
    """All carriers of a scan."""

    def __init__(self, cases: Iterable[tuple[StoreCase, datetime | None]]) -> None:
        self._groups: dict[Key, Group] = {}
        for case, since in cases:
            if not case.is_open:
                continue
            named = bool(case.store.link.carrier)
            group = self._groups.setdefault(key_of(case.store), Group(named))
            if since is not None:
                group.dark[case.store.id] = since
            elif any(_is_connected(host) for host in case.hosts.values()):
                group.connected.add(case.store.id)
            else:
                group.unknown += 1
        self._out = {key: out for key in self._groups if (out := self._outage(key))}
        # Looked up for each of their stores, which may be thousands.
        self._members = {key: frozenset(out) for key, out in self._out.items()}

    def name(self, store: Store) -> str:
        """Return the name of a store's carrier, or its kind of link where none is named."""
        return key_of(store)[0]

    def first_step(self, store: Store) -> str:
        """Return what to do first about a dark store."""
        if store.id in self._members.get(key_of(store), ()):
            return f"ask {self.name(store)}"
        return f"check power and router at {store.name}"

    def likely_cause(self, case: StoreCase) -> str:
        """Compare a dark store with the other stores of its carrier, and name the likely cause."""
        key = key_of(case.store)
        group, out = self._groups[key], self._members.get(key, frozenset())
        whose = "on its carrier" if group.is_named else f"on {key[0]} in {key[1]}"
        if case.store.id in out:
            return f"{len(out)} of {group.known} stores {whose} went dark together -> not the shop"
        dark, connected = len(group.dark) - 1, len(group.connected)
        if not dark and not connected:
            return f"no other store {whose} to compare with"
        if not dark:
            others = "1 other store" if connected == 1 else f"{connected} other stores"
            verb = "is" if connected == 1 else "are"
            return f"{others} {whose} {verb} fine -> router or power"
        verb = "is" if dark == 1 else "are"
        return f"{dark} of {dark + connected} other stores {whose} {verb} dark too"

    def findings(self, background: Background) -> list[Finding]:
        """Report the carriers that have an outage."""
        found = []
        for (name, region), out in self._out.items():
            group = self._groups[name, region]
            of = group.known
            others = self._others((name, region))
            since = min(group.dark[store] for store in out)
            what = "carrier" if group.is_named else "link"
            cause = (
                f"{len(out)} of {of} stores on {name} in {region} went dark within the hour, "
                f"{others.dark} of {others.of} others are dark -> the {what}, not the shops"
            )
            found.append(
                make_finding(
                    background,
                    Where(region=region),
                    codes.CARRIER_DARK,
                    cause,
                    Evidence("SSM", f"{many(len(out), 'store')} lost, the first {moment(since)}"),
                    subject=name,
                    since=since,
                    fix=(f"ask {name}; then ", self._status((name, region))),
                    data={"stores": list(out), "of": of},
                )
            )
        return found

    def _status(self, key: Key) -> Command:
        word = "carrier" if self._groups[key].is_named else "kind"
        where = shlex.quote(f"link.{word}={key[0]}")
        return Command(f"fleet status --where {where}", sends=False)

    def _outage(self, key: Key) -> tuple[str, ...]:
        group = self._groups[key]
        out = group.together()
        of, others = group.known, self._others(key)
        if len(out) < LEAST or len(out) < MOST * (of + group.unknown):
            return ()
        if others.of - others.dark < OTHERS or others.dark > FEW * others.of:
            return ()
        p = fisher(Sample(len(out), of), Sample(others.dark, others.of))
        return out if p <= ALPHA else ()

    def _others(self, key: Key) -> Sample:
        """Count the stores of other carriers; an outage need not end at a region's border."""
        others = [group for (name, _), group in self._groups.items() if name != key[0]]
        return Sample(sum(len(one.dark) for one in others), sum(one.known for one in others))


#: The agents' credentials live an hour and are renewed at half of it (SSM, hybrid nodes); an ECS
#: agent that is connected this long after the last ping has just come back with its host, whose
#: SSM agent may lag by its back-off of up to 30 minutes.
CREDENTIALS_LAST = timedelta(minutes=90)
_BOTH = 2


def dark_since(case: StoreCase) -> datetime | None:
    """Return since when no host of an open store is connected; None where one is, or may be.

    A host that is registered nowhere, was never connected or is switched off counts neither way.
    """
    nodes = case.shard.nodes
    if not case.is_open or isinstance(nodes, NotRead):
        return None
    dark: list[datetime] = []
    for host in case.hosts.values():
        if host.is_dark:
            if host.connection is not None and not never_connected(host, case.background.now):
                dark.append(host.connection.since)
        elif host.is_switched_off:
            continue  # it says nothing of the store's line and power
        elif host.connection is not None or (
            host.node is not None
            and pinged(host.node, nodes.at, case.background.settings.hold_s) is not Pinged.LOST
        ):
            return None
    return max(dark, default=None)


def of_store(case: StoreCase, carriers: Carriers) -> list[Finding]:
    """Report what is wrong with the connection of an open store, as a whole or host by host."""
    if not case.is_open:
        return []
    since = dark_since(case)
    if since is not None:
        return [_site_dark(case, since, carriers)]
    unsteady = {h.host.name: away for h in case.hosts.values() if (away := _outages(case, h))}
    if len(case.hosts) >= _BOTH and len(unsteady) == len(case.hosts):
        return [_unsteady_site(case, unsteady)]
    found = []
    for host in case.hosts.values():
        if never_connected(host, case.background.now):
            continue
        finding = _of_host(case, host)
        if finding is None and host.host.name in unsteady:
            finding = _unsteady(case, host, unsteady[host.host.name])
        if finding is not None:
            found.append(finding)
    return found


def _site_dark(case: StoreCase, since: datetime, carriers: Carriers) -> Finding:
    dark = [host for host in case.hosts.values() if host.is_dark]
    evidence = [e for host in dark for e in host_evidence(case, host)]
    again = _times(case, dark)
    rest = "switched off" if any(h.is_switched_off for h in case.hosts.values()) else "not there"
    return case.found(
        codes.SITE_DARK,
        f"{_how_many(len(dark), len(case.hosts), rest)}{again}; {carriers.likely_cause(case)}",
        *evidence,
        fix=(f"{carriers.first_step(case.store)}; then ", status(case.store)),
        since=since,
        data={"hosts": [host.host.name for host in dark], "carrier": carriers.name(case.store)},
    )


def _how_many(dark: int, of: int, rest: str) -> str:
    if of == 1:
        return "its only host"
    if dark == of:
        return "both hosts" if of == _BOTH else f"all {of} hosts"
    return f"{dark} of {of} hosts, the others are {rest}"


def _times(case: StoreCase, dark: list[HostCase]) -> str:
    """Return how often the host that went last has been dark of late, if more than once."""
    days = case.background.settings.unsteady_days
    begin = case.background.now - timedelta(days=days)
    times = 0
    for host in dark:
        spells = [s for s in host.memory.spells if s.connection is HostConnection.DARK]
        starts = {s.since for s in spells if s.since >= begin}
        if host.connection is not None:
            starts.add(host.connection.since)
        times = max(times, len(starts))
    return f", {times} times in {days} days" if times > 1 else ""


def _of_host(case: StoreCase, host: HostCase) -> Finding | None:
    spell, node, instance = host.connection, host.node, host.instance
    if spell is None or node is None or instance is None:
        return None
    if spell.connection is HostConnection.DARK:
        return _disconnected(case, host, codes.HOST_DARK, spell, _box_or_unknown(case))
    if spell.connection is HostConnection.ECS_DOWN:
        words = "SSM answers and the ECS agent stays away: the agent or docker is down"
        return _disconnected(case, host, codes.ECS_AGENT_DOWN, spell, words)
    if spell.connection is HostConnection.SSM_DOWN and not _just_back(host, case.background.now):
        heard = f"for {span((case.background.now - spell.since).total_seconds())}"
        words = (
            f"the ECS agent answers and SSM has heard nothing {heard}: its credentials run out "
            "within the hour, then ECS drops too"
        )
        return _disconnected(case, host, codes.SSM_AGENT_DOWN, spell, words)
    return None


def _just_back(host: HostCase, now: datetime) -> bool:
    """Tell whether a host has more likely just returned than lost its SSM agent."""
    spells, node = host.memory.spells, host.node
    last = spells[-1].connection if spells else None
    if last is None or last is HostConnection.SSM_DOWN:
        return False
    if last is HostConnection.DARK:
        return True
    heard = node.last_ping_at if node else None
    return heard is not None and now - heard > CREDENTIALS_LAST


def _box_or_unknown(case: StoreCase) -> str:
    here = [h.host.name for h in case.hosts.values() if h.is_certainly(HostConnection.CONNECTED)]
    if here:
        verb = "is" if len(here) == 1 else "are"
        return (
            f"{' and '.join(here)} beside it {verb} connected -> the box itself: power, cable or "
            "operating system"
        )
    return "neither of its agents is connected, and no other host of the store says why"


def _fix(case: StoreCase, host: HostCase, kind: FindingKind) -> Command | Proposal:
    if kind is codes.ECS_AGENT_DOWN:
        command = "systemctl is-active docker || systemctl restart docker; systemctl restart ecs"
        return host_command(case, host, command)
    if kind is codes.SSM_AGENT_DOWN:
        return ("on the host: systemctl restart amazon-ssm-agent",)
    check = f"check power and cable of {host.host.name} at {case.store.name}; then "
    return (check, status(case.store))


def _disconnected(
    case: StoreCase, host: HostCase, kind: FindingKind, spell: Spell, cause: str
) -> Finding:
    # ECS keeps no time of a disconnect: an ECS agent's outage is as old as the first scan of it.
    heard = host.node.last_ping_at if host.node else None
    is_lost = spell.connection is not HostConnection.ECS_DOWN
    return case.found(
        kind,
        cause,
        *host_evidence(case, host),
        host=host.host.name,
        fix=_fix(case, host, kind),
        since=spell.since,
        since_known=is_lost and heard is not None and spell.since <= heard,
        data={
            "node": host.node.id if host.node else "",
            "arn": host.instance.arn if host.instance else "",
        },
    )


def _outages(case: StoreCase, host: HostCase) -> list[Spell]:
    """Return the outages of a connected host, if they are enough to call it unsteady."""
    settings, now = case.background.settings, case.background.now
    if not host.is_certainly(HostConnection.CONNECTED):
        return []
    begin = now - timedelta(days=settings.unsteady_days)
    away = [
        spell
        for before, spell in zip((None, *host.memory.spells), host.memory.spells, strict=False)
        if spell.is_away and spell.since >= begin and _begins_anew(before, spell)
    ]
    return away if len(away) >= settings.unsteady else []


def _begins_anew(before: Spell | None, spell: Spell) -> bool:
    """Tell a new outage from one that changed its kind, as when ECS drops out after SSM."""
    if before is None or not before.is_away:
        return True
    return before.connection is spell.connection


def _unsteady(case: StoreCase, host: HostCase, away: list[Spell]) -> Finding:
    others = len(case.hosts) > 1
    why = "; the other hosts of the store are steadier -> the box or its cable" if others else ""
    return case.found(
        codes.UNSTEADY,
        f"{_away(case, away)}{why}",
        *_recorded(away),
        host=host.host.name,
        fix=Command(f"fleet history {case.store.id}", sends=False),
        since=away[0].since,
        data={"outages": len(away)},
    )


def _unsteady_site(case: StoreCase, unsteady: dict[str, list[Spell]]) -> Finding:
    most = max(unsteady.values(), key=len)
    return case.found(
        codes.UNSTEADY,
        f"every host of the store, {_away(case, most)} -> its line or power",
        *_recorded(most),
        fix=Command(f"fleet history {case.store.id}", sends=False),
        since=min(spells[0].since for spells in unsteady.values()),
        data={"outages": len(most), "hosts": sorted(unsteady)},
    )


def _away(case: StoreCase, away: list[Spell]) -> str:
    days = case.background.settings.unsteady_days
    return f"away {many(len(away), 'time')} in {days} days, connected now"


def _recorded(away: list[Spell]) -> list[Evidence]:
    return [
        Evidence("records", f"{spell.connection} since {moment(spell.since)}", spell.last_seen)
        for spell in reversed(away)
    ]
