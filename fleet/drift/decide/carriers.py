"""Counts the dark stores of each carrier, to tell a carrier's outage from a dark shop.

It is conservative, because nobody is sent to a shop during a carrier's outage: most of the
carrier's stores must have gone dark within the hour, and most other stores must not be dark.
"""

import shlex
from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from fleet.drift.decide import host_codes as codes
from fleet.drift.decide.case import StoreCase, made
from fleet.model.drift import Background, Evidence, Finding
from fleet.model.gate import Sample
from fleet.model.inventory import Store
from fleet.model.printable import many
from fleet.model.spans import moment
from fleet.rollout.decide.darkness import fisher

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
        lit: ids of stores of which at least one agent of one host is connected.
        unknown: how many others there are, which may be dark or not.
    """

    dark: dict[str, datetime] = field(default_factory=dict)
    lit: set[str] = field(default_factory=set)
    unknown: int = 0

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


class Carriers:
    """All carriers of a scan."""

    def __init__(self, cases: Iterable[tuple[StoreCase, datetime | None]]) -> None:
        self._groups: dict[Key, Group] = defaultdict(Group)
        self._named: dict[Key, bool] = {}
        for case, since in cases:
            if not case.is_open:
                continue
            key = key_of(case.store)
            self._named[key] = bool(case.store.link.carrier)
            if since is not None:
                self._groups[key].dark[case.store.id] = since
            elif _is_lit(case):
                self._groups[key].lit.add(case.store.id)
            else:
                self._groups[key].unknown += 1
        self._counts: dict[str, Sample] = defaultdict(lambda: Sample(0, 0))
        for (name, _region), group in self._groups.items():
            self._counts[name] = _plus(self._counts[name], group)
        self._all = Sample(
            sum(count.dark for count in self._counts.values()),
            sum(count.of for count in self._counts.values()),
        )
        self._out = {key: out for key in self._groups if (out := self._outage(key))}
        # Looked up for each of their stores, which may be thousands.
        self._members = {key: frozenset(out) for key, out in self._out.items()}

    def name(self, store: Store) -> str:
        """Return the name of a store's carrier, or its kind of link where none is named."""
        return key_of(store)[0]

    def whom_to_ask(self, store: Store) -> str:
        """Return what to do first about a dark store."""
        if store.id in self._members.get(key_of(store), ()):
            return f"ask {self.name(store)}"
        return f"check power and router at {store.name}"

    def beside(self, case: StoreCase) -> str:
        """Compare a dark store with the other stores of its carrier, and name the likely cause."""
        key = key_of(case.store)
        group, out = self._groups[key], self._members.get(key, frozenset())
        whose = "on its carrier" if self._named.get(key) else f"on {key[0]} in {key[1]}"
        if case.store.id in out:
            of = len(group.dark) + len(group.lit)
            return f"{len(out)} of {of} stores {whose} went dark together -> not the shop"
        dark, lit = len(group.dark) - 1, len(group.lit)
        if not dark and not lit:
            return f"no other store {whose} to compare with"
        if not dark:
            fine = "1 other store {} is fine" if lit == 1 else f"{lit} other stores {{}} are fine"
            return f"{fine.format(whose)} -> router or power"
        verb = "is" if dark == 1 else "are"
        return f"{dark} of {dark + lit} other stores {whose} {verb} dark too"

    def findings(self, background: Background) -> list[Finding]:
        """Report the carriers that have an outage."""
        found = []
        for (name, region), out in self._out.items():
            group = self._groups[name, region]
            of = len(group.dark) + len(group.lit)
            others = self._others((name, region))
            since = min(group.dark[store] for store in out)
            what = "carrier" if self._named[name, region] else "link"
            cause = (
                f"{len(out)} of {of} stores on {name} in {region} went dark within the hour, "
                f"{others.dark} of {others.of} others are dark -> the {what}, not the shops"
            )
            found.append(
                made(
                    codes.CARRIER_DARK,
                    cause,
                    Evidence("SSM", f"{many(len(out), 'store')} lost, the first {moment(since)}"),
                    background=background,
                    region=region,
                    subject=name,
                    since=since,
                    fix=f"ask {name}; then fleet status --where {self._where((name, region))}",
                    data={"stores": list(out), "of": of},
                )
            )
        return found

    def _where(self, key: Key) -> str:
        word = "carrier" if self._named[key] else "kind"
        return shlex.quote(f"link.{word}={key[0]}")

    def _outage(self, key: Key) -> tuple[str, ...]:
        group = self._groups[key]
        out = group.together()
        of, others = len(group.dark) + len(group.lit), self._others(key)
        if len(out) < LEAST or len(out) < MOST * (of + group.unknown):
            return ()
        if others.of - others.dark < OTHERS or others.dark > FEW * others.of:
            return ()
        p = fisher(Sample(len(out), of), Sample(others.dark, others.of))
        return out if p <= ALPHA else ()

    def _others(self, key: Key) -> Sample:
        """Count the stores of other carriers; an outage need not end at a region's border."""
        own = self._counts[key[0]]
        return Sample(self._all.dark - own.dark, self._all.of - own.of)


def _plus(count: Sample, group: Group) -> Sample:
    dark = len(group.dark)
    return Sample(count.dark + dark, count.of + dark + len(group.lit))


def _is_lit(case: StoreCase) -> bool:
    return any(host.connection is not None and not host.is_dark for host in case.hosts.values())
