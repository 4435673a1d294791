"""Says how lately stores were read, and how those of earlier waves are watched."""

from collections.abc import Iterable
from datetime import datetime

from fleet.model.changes import Change
from fleet.model.overview import Overview
from fleet.model.printable import many
from fleet.model.spans import exact_moment, span
from fleet.model.verdicts import Standing


def read_at(changes: Iterable[Change]) -> datetime | None:
    """Return when the store was read that was read longest ago, of those whose state may change."""
    live = (Standing.OK, Standing.DARK, Standing.WAITING)
    looks = (c.looked_at for c in changes if c.sends and c.standing in live)
    return min((look for look in looks if look is not None), default=None)


def age_words(overview: Overview, read: datetime | None) -> str:
    """Return ``read up to 14m ago``; "" where all was read so lately that it counts as now."""
    if read is None:
        return ""
    seconds = (overview.at - read).total_seconds()
    if seconds <= overview.rollout.spec.policy.fresh_s:
        return ""
    return f"read up to {span(seconds)} ago"


def watch_words(overview: Overview) -> str:
    """Return who watches the earlier stores, how often and until when; "" when nobody need."""
    watch = overview.watch
    if watch is None:
        return ""
    stores = f"{many(watch.stores, 'store')} of earlier waves"
    often = f"each every {span(watch.period_s)}"
    if watch.period_s > overview.rollout.spec.policy.watch_every_s:
        often += ", as the read budget allows"
    if watch.until is None:
        by = "" if _is_ticked(overview) else ", when somebody ticks it: nobody does now"
        return f"{stores}, {often}{by}"
    until = f"until {exact_moment(watch.until, overview.at)}"
    if overview.controller is not None:
        return f"{until} by the controller: {many(watch.stores, 'store')}, {often}"
    return f"{until}, when `fleet drift` runs; `fleet controller` would read {often}"


def _is_ticked(overview: Overview) -> bool:
    return bool(overview.tickers) or overview.controller is not None
