"""When hosts were away, from the spells that scans recorded of them."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from itertools import zip_longest

from fleet.model.drift import Connection, Spell
from fleet.model.store_story import Outage

#: Hosts of a shop ping every five minutes, each at its own time; one line lost is not lost twice.
ALIKE = timedelta(minutes=10)


def outages_of(spells: Mapping[str, Sequence[Spell]], since: datetime) -> tuple[Outage, ...]:
    """Outages that went on after a time, the latest first.

    Where all hosts of a store of several were dark at once, that is told as the store's own outage:
    it is the shop's line or power, not a box. A host's own one is told beside it where it went on
    for longer.

    Args:
        spells: by host name, oldest first each. A spell goes on until the next one begins, but not
            where that is of the same kind: the host was back between the two, unseen.
    """
    found = [outage for host, mine in spells.items() for outage in _of_host(host, mine)]
    if len(spells) > 1:
        shop = _of_all(spells)
        found = [one for one in found if not any(_is_told_by(one, whole) for whole in shop)] + shop
    recent = [outage for outage in found if outage.until is None or outage.until > since]
    return tuple(sorted(recent, key=lambda one: (one.since, one.host), reverse=True))


def _is_told_by(one: Outage, shop: Outage) -> bool:
    """Whether a host's outage is the shop's, but for the time between two pings."""
    if one.connection is not shop.connection or (one.until is None) is not (shop.until is None):
        return False
    late = (one.until - shop.until) if one.until and shop.until else timedelta(0)
    return abs(one.since - shop.since) <= ALIKE and abs(late) <= ALIKE


def _of_host(host: str, spells: Sequence[Spell]) -> list[Outage]:
    return [
        Outage(host, spell.connection, spell.since, _end(spell, then), spell.last_seen)
        for spell, then in zip_longest(spells, spells[1:])
        if spell.is_away
    ]


def _end(spell: Spell, then: Spell | None) -> datetime | None:
    if then is None:
        return None
    return spell.last_seen if then.connection is spell.connection else then.since


def _of_all(spells: Mapping[str, Sequence[Spell]]) -> list[Outage]:
    """The times that every host's dark spells have in common."""
    common: list[Outage] | None = None
    for host, mine in spells.items():
        dark = [one for one in _of_host(host, mine) if one.connection is Connection.DARK]
        dark = [replace(one, host="") for one in dark]
        common = dark if common is None else _both(common, dark)
    return common or []


def _both(left: Sequence[Outage], right: Sequence[Outage]) -> list[Outage]:
    found = []
    for one in left:
        for other in right:
            since = max(one.since, other.since)
            ends = [end for end in (one.until, other.until) if end is not None]
            until = min(ends, default=None)
            if until is None or since < until:
                seen = max(since, min(one.last_seen, other.last_seen))
                found.append(Outage("", Connection.DARK, since, until, seen))
    return found
