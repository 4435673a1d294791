"""Adds up by rollout what is wrong with the stores that it sent, for as long as they are watched.

One store in trouble is a finding of that store. More than the failure budget of the rollout that
sent them are a release that its gate would not have let pass. A store that was not read counts
neither way: the budget, the success ratio and the coverage are those of all stores that were sent,
as if each one that was not read were well, so that what was read suffices for what is said. Stores
that went dark after their send leave a release without its coverage, unless their carrier has an
outage. Whether more of them are dark than of others, the controller tests while it watches.
"""

from collections import Counter
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from fleet.drift.decide import host_codes
from fleet.drift.decide import service_codes as codes
from fleet.drift.decide.catalogue import CATALOGUE
from fleet.drift.decide.store_case import Where, make_finding
from fleet.inventory.decide.ignore_rules import rule_for
from fleet.model.changes import Change
from fleet.model.commands import Command
from fleet.model.drift import Background, Evidence, Finding
from fleet.model.inventory import Fleet
from fleet.model.policy import Policy
from fleet.model.printable import many, percent, printable, some
from fleet.model.rollout import Rollout
from fleet.model.spans import moment
from fleet.model.verdicts import Stage, Verdict
from fleet.model.wanted import WatchedRollout
from fleet.rollout.decide.tick_state import is_sent
from fleet.rollout.decide.watch import watched_until

#: Store and service.
Key = tuple[str, str]
#: Of these the store does not run what was sent, as far as the rollout knows.
_NOT_THE_RELEASE = frozenset({Verdict.UNDELIVERED, Verdict.CHANGED_BY_HAND})


def watched_rollout(
    rollout: Rollout, changes: Iterable[Change], newer: Collection[Key], now: datetime
) -> WatchedRollout | None:
    """Return a done rollout with what it sent; None once its stores are watched no more.

    Args:
        newer: what newer rollouts have sent: it runs another release, or did.
    """
    until = watched_until(rollout)
    if until is None or now >= until:
        return None
    sent = (c for c in changes if is_sent(c) and c.stage is Stage.SENT and c.key not in newer)
    return WatchedRollout(rollout, tuple(sent))


def of_recalled(
    found: Iterable[Finding],
    fleet: Fleet,
    background: Background,
    scope: Collection[str],
    unread: Collection[str],
) -> list[Finding]:
    """Report the releases that would not have passed their gates by what their stores are now.

    Args:
        found: in this scan.
        scope: ids of the stores that were scanned.
        unread: ids of those of which something was not read.
    """
    watched = [
        one for one in background.watched if any(change.store in scope for change in one.sent)
    ]
    if not watched:
        return []
    counted = [f for f in found if rule_for(f, fleet.ignores, background.now) is None]
    troubles, dark = _troubles(counted), _dark_hosts(counted)
    read = {*scope} - {*unread}
    reported = (_recalled(one, troubles, dark, background, read) for one in watched)
    return [finding for finding in reported if finding is not None]


def _troubles(found: Iterable[Finding]) -> Mapping[Key, Sequence[Finding]]:
    """Return what says that a service does not do its work.

    What somebody changed by hand runs something else than was sent.
    """
    troubles: dict[Key, list[Finding]] = {}
    by_hand: set[Key] = set()
    for finding in found:
        key = finding.store, finding.subject.partition("/")[0]
        if finding.code == codes.CHANGED_BY_HAND.code:
            by_hand.add(key)
        kind = CATALOGUE.get(finding.code)
        if kind is not None and kind.fails_release:
            troubles.setdefault(key, []).append(finding)
    return {key: some for key, some in troubles.items() if key not in by_hand}


def _dark_hosts(found: Sequence[Finding]) -> Mapping[Key, Finding]:
    """Return the finding of each dark host, by store and host, where no outage explains it."""
    outages = {
        store
        for finding in found
        if finding.code == host_codes.CARRIER_DARK.code
        for store in finding.resources.stores
    }
    return {
        (finding.store, host): finding
        for finding in found
        if finding.code in {host_codes.SITE_DARK.code, host_codes.HOST_DARK.code}
        and finding.store not in outages
        for host in (finding.resources.hosts or (finding.host,))
    }


@dataclass(frozen=True, slots=True)
class _Loss:
    """Holds the stores that went dark after a release was sent to them.

    Attributes:
        dark: findings of their hosts, by store.
        words: how little coverage is left, with the numbers; "" while it is enough.
    """

    dark: Mapping[str, Finding]
    words: str


def _loss(one: WatchedRollout, dark: Mapping[Key, Finding]) -> _Loss:
    places, policy = one.rollout.spec.places, one.rollout.spec.policy
    unknown: set[str] = set()
    gone: dict[str, Finding] = {}
    for change in one.sent:
        if change.verdict not in {Verdict.OK, Verdict.FAILED}:
            unknown.add(change.store)
        place = places.get(change.store)
        for host in place.hosts.get(change.service, ()) if place else ():
            finding = dark.get((change.store, host))
            if finding and change.verdict is Verdict.OK and _is_later(finding, change):
                gone[change.store] = finding
    sent = len({change.store for change in one.sent})
    known = sent - len({*unknown, *gone})
    if not gone or known >= policy.coverage * sent:
        return _Loss({}, "")
    share = f"{known}/{sent}={percent(known / sent)}, needed {percent(policy.coverage)}"
    how = f"dark since, coverage {share}"
    return _Loss(gone, _words(gone, many(sent, "store"), one.rollout.id, how))


def _is_later(finding: Finding, change: Change) -> bool:
    """Return whether a host went dark after the release was sent to its store."""
    return change.sent_at is not None and finding.since > change.sent_at


@dataclass(frozen=True, slots=True)
class _Variant:
    """What has become of the stores of one variant.

    Attributes:
        sent: all of them.
        late: stores that are in trouble and had not failed when the rollout was done.
        failed: number of stores in ``late``, and of others whose failure nobody has accepted.
        accepted: number of stores whose failure a person has accepted.
    """

    name: str
    sent: int
    late: tuple[str, ...]
    failed: int
    accepted: int

    def words(self, policy: Policy) -> str:
        """Return what is over its limit, with the numbers; "" while nothing is."""
        number, budget = len(self.late), policy.max_failures.of(self.sent)
        if not number:
            return ""
        if number > budget:
            return f"budget {budget}"
        of = self.sent - self.accepted
        good = of - self.failed
        if good >= policy.success * of:
            return ""
        share = percent(good / of)
        return f"success at most {good}/{of}={share}, needed {percent(policy.success)}"


def _variants(one: WatchedRollout, troubles: Mapping[Key, Sequence[Finding]]) -> list[_Variant]:
    by_variant: dict[str, list[Change]] = {}
    for change in one.sent:
        by_variant.setdefault(one.rollout.spec.variant_of(change), []).append(change)
    return [_variant(name, rows, troubles) for name, rows in sorted(by_variant.items())]


def _variant(
    name: str, rows: Sequence[Change], troubles: Mapping[Key, Sequence[Finding]]
) -> _Variant:
    late: dict[str, None] = {}
    failed: set[str] = set()
    accepted: set[str] = set()
    for change in rows:
        had_failed = change.verdict is Verdict.FAILED
        if had_failed and change.failure_accepted:
            accepted.add(change.store)
        elif change.verdict in _NOT_THE_RELEASE:
            continue
        elif change.key in troubles and (change.is_late or not had_failed):
            late[change.store] = None
        elif had_failed:
            failed.add(change.store)
    accepted -= {*late, *failed}
    sent = len({change.store for change in rows})
    return _Variant(name, sent, tuple(late), len({*late, *failed}), len(accepted))


def _recalled(
    one: WatchedRollout,
    troubles: Mapping[Key, Sequence[Finding]],
    dark: Mapping[Key, Finding],
    background: Background,
    read: Collection[str],
) -> Finding | None:
    rollout = one.rollout
    variants = _variants(one, troubles)
    bad = [(v, words) for v in variants if (words := v.words(rollout.spec.policy))]
    loss = _loss(one, dark)
    if not bad and not loss.words and not rollout.recalled:
        return None
    stores = {change.store for change in one.sent}
    late = {store for variant, _words in bad for store in variant.late}
    counted = [f for c in one.sent if c.store in late for f in troubles.get(c.key, ())]
    counted += loss.dark.values()
    evidence = []
    if counted:
        number = Counter(finding.code for finding in counted)
        words = ", ".join(f"{code} {count}" for code, count in sorted(number.items()))
        left = len(stores - set(read))
        gap = f"; {many(left, 'store')} not read, counted neither way" if left else ""
        evidence.append(Evidence("ECS", f"{words}{gap}", background.now))
    ended = f"{rollout.id} DONE"
    if rollout.recalled:
        ended += f", recalled by a controller: {printable(rollout.recalled, limit=160)}"
    said = []
    for variant, limit in bad:
        of = many(variant.sent, "store" if len(variants) == 1 else f"{variant.name} store")
        said.append(_words(variant.late, of, rollout.id, f"in trouble, {limit}"))
    said += [loss.words] if loss.words else []
    said = said or [f"a controller recalled it: {printable(rollout.recalled, limit=160)}"]
    workloads = sorted({rollout.spec.shapes[c.service].workload for c in one.sent})
    done = moment(rollout.finished_at or background.now)
    return make_finding(
        background,
        Where(),
        codes.RELEASE_RECALLED,
        f"{rollout.id} ({', '.join(workloads)}) was done {done}: {'; '.join(said)}",
        *evidence,
        Evidence("records", ended, rollout.finished_at),
        subject=rollout.id,
        fix=Command(f"fleet rollout rollback {rollout.id}"),
        data={
            "rollout": rollout.id,
            "sent": len(stores),
            "stores": sorted({*late, *loss.dark}),
            "counted": [[f.code, f.store, f.host, f.subject] for f in counted],
        },
    )


def _words(stores: Collection[str], of: str, rollout: str, how: str) -> str:
    """Say how some of the stores are that a rollout sent, as ``2 of 9 stores ... are ...``."""
    are = "is" if len(stores) == 1 else "are"
    return f"{len(stores)} of {of} that {rollout} sent {are} {how}: {some(sorted(stores), 4)}"
