"""Nights of made-up fleets for tests of reports: seeded, of any size, with every kind of content.

``night(stores=800)`` is a fleet on an ordinary bad night. What tests want otherwise they say with
``dataclasses.replace``; ``clean_night`` has nothing to tell, and ``hostile`` makes hosts and AWS
say what would break a page or a terminal that trusts them.
"""

import random
from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta

from fleet.model.drift import (
    Evidence,
    Finding,
    HostConnection,
    Returned,
    Spell,
    StoreState,
    Unread,
)
from fleet.model.drift_settings import Ignore, Severity
from fleet.model.scan_result import (
    Availability,
    FindingChange,
    OpenFinding,
    PastFinding,
    ReleaseLine,
    Scan,
    ScanResult,
    StoreFacts,
    Totals,
)
from tests.night_kinds import HOST_DARK, KINDS, SITE_DARK, Kind, Number

STARTED = datetime(2026, 11, 23, 3, 31, 2, tzinfo=UTC)
NOW = datetime(2026, 11, 23, 3, 40, 14, tzinfo=UTC)
CALLER = "arn:aws:sts::111122223333:assumed-role/fleet-reader/cron"

HOSTILE = (
    '</script><script>window.broken = 1</script><img src=x onerror="window.broken = 1">'
    "' \" ` ${x} {{ 7 * 7 }} \u2028 \u202e \x1b[31m <!-- ]]> &amp;"
)

_MARKETS = {
    "uk": ("emea-prod", "eu-west-1", "Leeds Briggate", "vodanet"),
    "de": ("emea-prod", "eu-central-1", "Köln Schildergasse", "telebonn"),
    "fr": ("emea-prod", "eu-central-1", "Lyon Part-Dieu", "orangerie"),
    "es": ("emea-prod", "eu-west-1", "Sevilla Nervión", "movilplus"),
    "us": ("amer-prod", "us-east-1", "Boston Newbury", "bellwire"),
    "ca": ("amer-prod", "us-east-1", "Montréal Peel", "bellwire"),
    "jp": ("apac-prod", "ap-northeast-1", "Osaka Umeda", "denwa"),
    "sg": ("apac-prod", "ap-southeast-1", "Orchard Gateway", "lionlink"),
}

#: Markets of the account that cannot be read.
_FAR = ("jp", "sg")

_HARDWARE = {"cam": ("orin-nano", "xavier-nx"), "tel": ("nuc-11",)}

_RANKS = list(StoreState)


@dataclass(slots=True)
class _Shop:
    """A store of the made-up fleet while its nights are made."""

    facts: StoreFacts
    hosts: tuple[str, ...]
    is_open: bool
    away: dict[str, list[tuple[datetime, datetime]]] = field(default_factory=dict)
    odd: list[tuple[Kind, str, int, datetime, datetime]] = field(default_factory=list)

    def is_away(self, host: str, at: datetime) -> bool:
        return any(since <= at < until for since, until in self.away.get(host, ()))


def night(
    stores: int = 100,
    nights: int = 30,
    *,
    seed: int = 1,
    trouble: float = 1.0,
    unread: bool = True,
    hostile: bool = False,
) -> ScanResult:
    """A whole fleet's report; the same arguments give the same night.

    Args:
        trouble: how often things go wrong; 1.0 is an ordinary fleet on LTE and fibre, 0.0 is calm.
        unread: whether SSM of the account apac-prod could not be read tonight.
        hostile: whether what hosts and AWS say is hostile to whoever shows it.
    """
    chance = random.Random(seed)
    moments = [STARTED - timedelta(days=back) for back in reversed(range(nights))]
    shops = [_shop(number, chance) for number in range(1, stores + 1)]
    for shop in shops:
        _go_wrong(shop, moments, chance, trouble)
    if trouble:
        _one_of_each(shops, moments[-1])
    blind = _blind_nights(moments, unread=unread)
    scans = tuple(
        _scan(shops, at, number, blind="apac-prod" in blind.get(at, ()))
        for number, at in enumerate(moments)
    )
    told = sorted(_told(shops, moments, blind), key=_order)
    made = ScanResult(
        fleet="shops",
        scan=scans[-1],
        caller=CALLER,
        totals=_totals(scans),
        unread=_unread(scans[-1], shops) if unread else (),
        findings=tuple(told),
        resolved=tuple(_resolved(shops, moments)),
        ignored=_ignored(shops) if trouble else (),
        expired=_expired() if trouble else (),
        returned=tuple(_returned(shops, moments))[:12],
        releases=_releases(stores, trouble),
        nights=scans,
        is_first=len(scans) <= 1,
        spells=_spells(shops, moments, blind),
        availability=tuple(_availability(shops, moments, blind)),
        stores=tuple(shop.facts for shop in shops),
        notes=("history of 19 Nov is missing: no scan finished that night",) if trouble else (),
    )
    return _made_hostile(made) if hostile else made


def clean_night(stores: int = 20, nights: int = 30) -> ScanResult:
    """Everything read, nothing found: what most mornings should look like."""
    return night(stores, nights, trouble=0.0, unread=False)


def _shop(number: int, chance: random.Random) -> _Shop:
    market = chance.choice(list(_MARKETS))
    account, region, town, carrier = _MARKETS[market]
    link = "lte" if chance.random() < 0.35 else "fibre"
    cams = chance.choice((1, 1, 2, 3))
    hosts = ("tel-1", *(f"cam-{n}" for n in range(1, cams + 1)))
    box = chance.choice(_HARDWARE["cam"])
    labels = {
        "market": market,
        "format": chance.choice(("flagship", "high-street", "outlet")),
        "link": link,
        "carrier": carrier,
        "account": account,
        "region": region,
        "ring": "canary" if number % 50 == 1 else "wave-1",
        "hardware": f"{box},nuc-11",
    }
    facts = StoreFacts(f"store-{number:05d}", f"{town} {number % 90 + 1}", labels)
    return _Shop(facts, hosts, is_open=number % 97 != 0)


def _go_wrong(
    shop: _Shop, moments: Sequence[datetime], chance: random.Random, trouble: float
) -> None:
    """Outages and oddities over the nights, more of them on LTE."""
    per_night = trouble * (0.008 if shop.facts.labels["link"] == "lte" else 0.002)
    for at in moments:
        if chance.random() < per_night:
            since = at - timedelta(minutes=chance.randint(5, 1380))
            until = since + timedelta(hours=min(400.0, 2 + chance.expovariate(1 / 30)))
            whole = chance.random() < 0.6
            for host in shop.hosts if whole else (chance.choice(shop.hosts),):
                shop.away.setdefault(host, []).append((since, until))
        if chance.random() < trouble * 0.01:
            kind = chance.choice(KINDS)
            host = chance.choice(shop.hosts) if kind.per_host else ""
            since = at - timedelta(minutes=chance.randint(5, 1380))
            until = since + timedelta(days=chance.choice((1, 2, 5, 20)))
            shop.odd.append((kind, host, chance.randint(10, 990), since, until))


def _one_of_each(shops: Sequence[_Shop], at: datetime) -> None:
    """Every kind of finding, a dark store and one that is back, in small fleets too."""
    others = (shop for shop in shops if shop.is_open and shop.facts.labels["market"] not in _FAR)
    for number, kind in enumerate(KINDS):
        shop = next(others, None)
        if shop is not None:
            since = at - timedelta(hours=5 + 17 * number)
            host = shop.hosts[-1] if kind.per_host else ""
            shop.odd.append((kind, host, 100 + 51 * number, since, at + timedelta(days=1)))
    for hours, lasts in ((29, 90), (40, 33)):
        shop = next(others, None)
        if shop is not None:
            since = at - timedelta(hours=hours)
            for host in shop.hosts:
                shop.away[host] = [(since, since + timedelta(hours=lasts))]


def _blind_nights(
    moments: Sequence[datetime], *, unread: bool
) -> Mapping[datetime, tuple[str, ...]]:
    """In which nights an account could not be read: the eleventh before, and maybe tonight."""
    blind = [moments[-12]] if len(moments) > 12 and unread else []
    return dict.fromkeys([*blind, *([moments[-1]] if unread else [])], ("apac-prod",))


def _state(shop: _Shop, at: datetime, *, blind: bool) -> StoreState:
    if not shop.is_open:
        return StoreState.NOT_COUNTED
    if blind and shop.facts.labels["account"] == "apac-prod":
        return StoreState.NOT_VERIFIED
    gone = [shop.is_away(host, at) for host in shop.hosts]
    if all(gone):
        return StoreState.DARK
    states = [StoreState(kind.severity.value) for kind, _, _, a, b in shop.odd if a <= at < b]
    if any(gone):
        states.append(StoreState.MEDIUM)
    return max(states, key=_RANKS.index, default=StoreState.OK)


def _scan(shops: Sequence[_Shop], at: datetime, number: int, *, blind: bool) -> Scan:
    states = {shop.facts.id: _state(shop, at, blind=blind) for shop in shops}
    calls = 40 + 3 * len(shops)
    finished = at + timedelta(minutes=9, seconds=12)
    return Scan(f"drift-{number:04x}", "", at, finished, states, calls, 0, complete=not blind)


def _finding(
    shop: _Shop, kind: Kind, host: str, n: int, since: datetime, *, known: bool = True
) -> Finding:
    words = {
        "store": shop.facts.id,
        "host": host,
        "n": Number(n),
        "count": len(shop.hosts),
        "others": 3 + n % 9,
    }
    read = NOW - timedelta(minutes=4, seconds=n % 50)
    return Finding(
        code=kind.code,
        severity=kind.severity,
        store=shop.facts.id,
        host=host,
        subject=kind.subject.format(**words),
        account=shop.facts.labels["account"],
        region=shop.facts.labels["region"],
        since=since,
        since_known=known,
        cause=kind.cause.format(**words),
        evidence=tuple(
            Evidence(ledger, text.format(**words), None if ledger == "inventory" else read)
            for ledger, text in kind.evidence
        ),
        fix=kind.fix.format(**words),
        safe=kind.safe,
        data={"number": n},
    )


def _open_at(shop: _Shop, at: datetime) -> Iterator[tuple[Finding, datetime]]:
    """What is true of a store at a moment, with when it began."""
    if not shop.is_open:
        return
    gone = {
        host: since
        for host in shop.hosts
        for since, end in shop.away.get(host, ())
        if since <= at < end
    }
    if len(gone) == len(shop.hosts):
        since = max(gone.values())
        yield _finding(shop, SITE_DARK, "", len(shop.facts.name), since), since
    else:
        for host, since in gone.items():
            yield _finding(shop, HOST_DARK, host, 1, since), since
    for kind, host, n, since, until in shop.odd:
        if since <= at < until:
            yield _finding(shop, kind, host, n, since, known=n % 3 > 0), since


def _told(
    shops: Sequence[_Shop],
    moments: Sequence[datetime],
    blind: Mapping[datetime, tuple[str, ...]],
) -> Iterator[OpenFinding]:
    before = moments[-2] if len(moments) > 1 else moments[-1] - timedelta(days=1)
    seen: set[tuple[str, ...]] = set()
    for shop in shops:
        hidden = shop.facts.labels["account"] in blind.get(moments[-1], ())
        for finding, since in _open_at(shop, moments[-1]):
            if finding.key in seen:
                continue
            seen.add(finding.key)
            if hidden:
                change = FindingChange.NOT_VERIFIED
            elif since > before:
                change = FindingChange.NEW
            else:
                change = (
                    FindingChange.WORSE if finding.data["number"] % 17 == 0 else FindingChange.SAME
                )
            first = next((at for at in moments if at >= since), moments[-1])
            owes = "vision 1.9.0" if finding.code == "SITE_DARK" else ""
            yield OpenFinding(finding, change, first, 1 + finding.data["number"] % 3, owes)


def _resolved(shops: Sequence[_Shop], moments: Sequence[datetime]) -> Iterator[PastFinding]:
    if len(moments) < 2:
        return
    for shop in shops:
        still = {finding.key for finding, _ in _open_at(shop, moments[-1])}
        for finding, since in _open_at(shop, moments[-2]):
            if finding.key not in still:
                first = next(at for at in moments if at >= since)
                yield PastFinding(finding, first, moments[-2], moments[-1])


def _returned(shops: Sequence[_Shop], moments: Sequence[datetime]) -> Iterator[Returned]:
    for shop in shops:
        for since, until in shop.away.get(shop.hosts[0], ()):
            if len(moments) > 1 and moments[-2] < until <= moments[-1] and shop.is_open:
                words = "telemetry restarted once, no reboot"
                owes = "" if len(shop.hosts) > 2 else "vision 1.9.0"
                yield Returned(shop.facts.id, since, until, words, owes)
                break


def _order(told: OpenFinding) -> tuple[int, int, str, str, str]:
    early = told.change not in {FindingChange.NEW, FindingChange.WORSE}
    finding = told.finding
    return early, -finding.severity.rank, finding.store, finding.host, finding.code


def _totals(scans: Sequence[Scan]) -> Totals:
    counts = Counter(scans[-1].states.values())
    closed = counts[StoreState.NOT_COUNTED]
    dark, unsure = counts[StoreState.DARK], counts[StoreState.NOT_VERIFIED]
    still = sum(counts.values()) - closed
    before = Counter(scans[-2].states.values())[StoreState.DARK] if len(scans) > 1 else None
    return Totals(still, still - dark - unsure, dark, unsure, closed, before)


def _unread(scan: Scan, shops: Sequence[_Shop]) -> tuple[Unread, ...]:
    regions = Counter(
        shop.facts.labels["region"]
        for shop in shops
        if scan.states[shop.facts.id] is StoreState.NOT_VERIFIED
    )
    why = "AccessDenied ssm:DescribeInstanceInformation since 03:34Z"
    fix = "fleet iam --for drift --account apac-prod"
    return tuple(
        Unread("apac-prod", region, "", "SSM nodes", why, count, fix)
        for region, count in sorted(regions.items())
    ) or (Unread("apac-prod", "ap-southeast-1", "", "SSM nodes", why, 0, fix),)


def _ignored(shops: Sequence[_Shop]) -> tuple[tuple[Finding, Ignore], ...]:
    rule = Ignore(
        frozenset({"ECS_AGENT_OLD"}),
        None,
        frozenset(),
        "",
        datetime(2026, 11, 30, tzinfo=UTC),
        "upgraded with the next image of the boxes",
        "inventory/ignores.yaml:3",
    )
    old = next(kind for kind in KINDS if kind.code == "ECS_AGENT_OLD")
    return tuple(
        (_finding(shop, old, shop.hosts[0], 5, STARTED - timedelta(days=9)), rule)
        for shop in shops[:2]
    )


def _expired() -> tuple[Ignore, ...]:
    until = datetime(2026, 11, 20, tzinfo=UTC)
    source = "inventory/ignores.yaml:9"
    return (Ignore(frozenset({"HOT"}), None, frozenset(), "", until, "shop refit", source),)


def _releases(stores: int, trouble: float) -> tuple[ReleaseLine, ...]:
    if not trouble:
        return (ReleaseLine("vision", "1.9.0", stores, stores, 0),)
    few = max(1, stores // 100)
    return (
        ReleaseLine("telemetry", "4.2.1", stores - 1, stores, 1, "ro-117 DONE 21 Nov"),
        ReleaseLine("vision", "1.9.0", few, stores, 2, "ro-118 HALTED 01:14Z"),
    )


def _spells(
    shops: Sequence[_Shop],
    moments: Sequence[datetime],
    blind: Mapping[datetime, tuple[str, ...]],
) -> Mapping[tuple[str, str], tuple[Spell, ...]]:
    """A host's spells, where it was away at all; every third outage is of one agent alone.

    Of hosts that could not be read tonight nothing is known since the night before.
    """
    spells: dict[tuple[str, str], tuple[Spell, ...]] = {}
    for shop in shops:
        unseen = shop.facts.labels["account"] in blind.get(moments[-1], ())
        until = moments[max(-2, -len(moments))] if unseen else NOW
        for host, outages in shop.away.items():
            made = _host_spells(outages, moments[0], until)
            if any(spell.connection is not HostConnection.CONNECTED for spell in made):
                spells[shop.facts.id, host] = made
    return spells


def _host_spells(
    outages: Sequence[tuple[datetime, datetime]], began: datetime, until: datetime
) -> tuple[Spell, ...]:
    at, made = began, list[Spell]()
    for number, (went, back) in enumerate(sorted(outages)):
        since, end = max(went, at), min(back, until)
        if end <= since:
            continue
        kind = HostConnection.ECS_DOWN if number % 3 == 2 else HostConnection.DARK
        if since > at:
            made.append(Spell(HostConnection.CONNECTED, at, since))
        made.append(Spell(kind, since, end))
        at = end
    if at < until:
        made.append(Spell(HostConnection.CONNECTED, at, until))
    return tuple(made)


def _availability(
    shops: Sequence[_Shop],
    moments: Sequence[datetime],
    blind: Mapping[datetime, tuple[str, ...]],
) -> Iterator[Availability]:
    groups: dict[tuple[str, str], list[_Shop]] = defaultdict(list)
    for shop in shops:
        for kind in ("market", "hardware", "link"):
            for name in shop.facts.labels[kind].split(","):
                groups[kind, name].append(shop)
    for (kind, name), members in sorted(groups.items()):
        hosts = sum(len(shop.hosts) for shop in members)
        absent = [shop for shop in members if shop.away]
        only = {shop.facts.labels["account"] for shop in members}
        shares: list[float | None] = []
        for at in moments:
            gone = sum(shop.is_away(host, at) for shop in absent for host in shop.hosts)
            unseen = only <= set(blind.get(at, ()))
            shares.append(None if unseen else 1 - gone / hosts)
        yield Availability(kind, name, len(members), tuple(shares))


def _made_hostile(made: ScanResult) -> ScanResult:
    """The same with hostile words wherever somebody else chooses them."""
    first = made.stores[0]
    finding = Finding(
        "FOREIGN_INSTANCE",
        Severity.HIGH,
        first.id,
        HOSTILE,
        HOSTILE,
        HOSTILE,
        "eu-west-1",
        STARTED,
        True,
        HOSTILE,
        (Evidence("ECS", HOSTILE, STARTED),),
        HOSTILE,
        data={"said": HOSTILE},
    )
    rule = Ignore(frozenset({HOSTILE}), None, frozenset(), HOSTILE, NOW, HOSTILE, HOSTILE)
    scan = replace(made.scan, selection=HOSTILE)
    return replace(
        made,
        fleet=HOSTILE,
        scan=scan,
        caller=HOSTILE,
        unread=(*made.unread, Unread(HOSTILE, "eu-west-1", first.id, HOSTILE, HOSTILE, 1, HOSTILE)),
        findings=(OpenFinding(finding, FindingChange.NEW, STARTED, 1, HOSTILE), *made.findings),
        resolved=(*made.resolved, PastFinding(finding, STARTED, STARTED, NOW)),
        ignored=(*made.ignored, (finding, rule)),
        expired=(*made.expired, rule),
        returned=(*made.returned, Returned(first.id, STARTED, NOW, HOSTILE, HOSTILE)),
        releases=(*made.releases, ReleaseLine(HOSTILE, HOSTILE, 1, 2, 1, HOSTILE)),
        nights=(*made.nights[:-1], scan),
        spells={
            **made.spells,
            (first.id, HOSTILE): (Spell(HostConnection.DARK, STARTED - timedelta(days=2), NOW),),
        },
        availability=(
            *made.availability,
            Availability("market", HOSTILE, 1, tuple(0.5 for _ in made.nights)),
        ),
        stores=(
            replace(first, name=HOSTILE, labels={**first.labels, "market": HOSTILE}),
            *made.stores[1:],
        ),
        notes=(*made.notes, HOSTILE),
    )
