"""Decides which findings ``fleet drift --fix`` fixes, and why it leaves the others to people.

No fix starts, stops or updates tasks or services, and nothing is touched that does not carry this
fleet's own marks. The rule of each kind is asked twice: for the plan, and right before it is done.
"""

from collections.abc import Iterable, Mapping, Sequence

from fleet.drift.decide.catalogue import CATALOGUE
from fleet.drift.decide.finding_kinds import Answer, Question
from fleet.model.drift import Finding, Unread
from fleet.model.fixing import Already, Fix, FixObservation, FixPlan, Left
from fleet.model.inventory import Fleet
from fleet.model.observed import NotRead
from fleet.model.printable import many
from fleet.model.scan_result import FindingChange, ScanResult

#: Most deregistrations of one run. More than that are no leftovers: the inventory is wrong.
MOST_DEREGISTRATIONS = 50

#: Why a finding is left that no rule fixes.
BY_HAND = "a person decides"

Key = tuple[str, str, str, str, str, str]


def candidates(result: ScanResult) -> tuple[Finding, ...]:
    """Return the findings that may be fixed, if what AWS says now proves it."""
    return tuple(finding for finding in _verified(result) if not _kept_from(finding, result.unread))


def plan_fixes(
    result: ScanResult, answers: Mapping[Key, FixObservation | NotRead], fleet: Fleet
) -> FixPlan:
    """Plan what is to be done after a scan; every open finding is in one part of the plan.

    Args:
        answers: by ``Finding.key``, what AWS says now of each candidate.
    """
    fixes: list[Fix] = []
    left: list[Left] = []
    already: list[Already] = []
    for entry in result.findings:
        finding = entry.finding
        if entry.change is FindingChange.NOT_VERIFIED:
            left.append(Left(finding, "the scan could not read whether it is still so"))
            continue
        match _answer(finding, result.unread, answers, fleet):
            case Fix() as fix:
                fixes.append(fix)
            case Left() as one:
                left.append(one)
            case Already() as gone:
                already.append(gone)
    kept, refused = _within_limit(fixes)
    return FixPlan(
        scan=result.scan.id,
        fixes=tuple(sorted(kept, key=lambda fix: fix.finding.listed_by)),
        left=tuple(sorted((*left, *refused), key=lambda one: one.finding.listed_by)),
        already=tuple(sorted(already, key=lambda one: one.finding.listed_by)),
    )


def _answer(
    finding: Finding,
    unread: Iterable[Unread],
    answers: Mapping[Key, FixObservation | NotRead],
    fleet: Fleet,
) -> Answer:
    why = _kept_from(finding, unread)
    if why:
        return Left(finding, why, by_hand=not _has_fix(finding))
    seen = answers.get(finding.key, NotRead("it was not looked at again"))
    if isinstance(seen, NotRead):
        return Left(finding, f"what AWS says now could not be read: {seen.why}")
    return answer_of(finding, seen, fleet)


def answer_of(finding: Finding, seen: FixObservation, fleet: Fleet) -> Answer:
    """Decide what may be done about a finding, by what AWS says now."""
    store = next((one for one in fleet.stores if one.id == finding.store), None)
    hosts = store.hosts if store is not None else ()
    host = next((one for one in hosts if one.name == finding.host), None)
    fix = CATALOGUE[finding.code].fix
    question = Question(finding, fleet, store, host, seen)
    return fix.rule(question) if fix else question.left(BY_HAND)


def _has_fix(finding: Finding) -> bool:
    """Tell whether ``--fix`` can fix its code, which an older version may have recorded."""
    return finding.code in CATALOGUE and CATALOGUE[finding.code].fix is not None


def _verified(result: ScanResult) -> Iterable[Finding]:
    return (
        entry.finding for entry in result.findings if entry.change is not FindingChange.NOT_VERIFIED
    )


def _kept_from(finding: Finding, unread: Iterable[Unread]) -> str:
    """Return why AWS is not even asked about a finding again; "" when it is."""
    if not _has_fix(finding):
        return BY_HAND
    if not finding.safe:
        return "the scan could not prove which one lives, or that it is this fleet's"
    for gap in unread:
        if _concerns(gap, finding):
            return f"not all was read there: {gap.what} ({gap.why})"
    return ""


def _concerns(gap: Unread, finding: Finding) -> bool:
    pairs = (
        (gap.account, finding.account),
        (gap.region, finding.region),
        (gap.store, finding.store),
    )
    return all(not missing or missing == mine for missing, mine in pairs)


def _within_limit(fixes: Sequence[Fix]) -> tuple[list[Fix], list[Left]]:
    """Leave out the fixes that deregister something where there are too many of them."""
    count = sum(fix.deregistrations for fix in fixes)
    if count <= MOST_DEREGISTRATIONS:
        return list(fixes), []
    why = (
        f"{many(count, 'deregistration')} in one run, and at most {MOST_DEREGISTRATIONS} are done: "
        "check the inventory; then choose fewer stores"
    )
    return (
        [fix for fix in fixes if not fix.deregistrations],
        [Left(fix.finding, why) for fix in fixes if fix.deregistrations],
    )
