"""Which findings of a night are fixed by themselves, and why the others are left to people."""

from collections.abc import Iterable, Mapping, Sequence

from fleet.decide.fix_question import Answer
from fleet.decide.fix_rules import RULES, answer_of
from fleet.model.drift import Finding, Unread
from fleet.model.fixing import Already, Fix, FixPlan, Left, Seen
from fleet.model.inventory import Fleet
from fleet.model.night import Change, Night
from fleet.model.observed import NotRead
from fleet.model.printable import many

#: Most deregistrations of one run. More are no leftovers: then the inventory is wrong, and nobody
#: deregisters a chain because of a wrong file.
MOST_DEREGISTRATIONS = 50

Key = tuple[str, str, str, str, str, str]


def candidates(night: Night) -> tuple[Finding, ...]:
    """Findings that may be fixed by themselves, if what AWS says now proves it."""
    return tuple(finding for finding in _verified(night) if not _kept_from(finding, night.unread))


def plan_fixes(night: Night, answers: Mapping[Key, Seen | NotRead], fleet: Fleet) -> FixPlan:
    """What is to be done after a scan; every finding that is open is in one part of it.

    Args:
        answers: by ``Finding.key``, what AWS says now of each candidate.
    """
    fixes: list[Fix] = []
    left: list[Left] = []
    already: list[Already] = []
    for told in night.findings:
        finding = told.finding
        if told.change is Change.NOT_VERIFIED:
            left.append(Left(finding, "the scan could not read whether it is still so"))
            continue
        match _answer(finding, night.unread, answers, fleet):
            case Fix() as fix:
                fixes.append(fix)
            case Left() as one:
                left.append(one)
            case Already() as gone:
                already.append(gone)
    kept, refused = _within_limit(fixes)
    return FixPlan(
        scan=night.scan.id,
        fixes=tuple(sorted(kept, key=lambda fix: fix.finding.listed_by)),
        left=tuple(sorted((*left, *refused), key=lambda one: one.finding.listed_by)),
        already=tuple(sorted(already, key=lambda one: one.finding.listed_by)),
    )


def _answer(
    finding: Finding,
    unread: Iterable[Unread],
    answers: Mapping[Key, Seen | NotRead],
    fleet: Fleet,
) -> Answer:
    why = _kept_from(finding, unread)
    if why:
        return Left(finding, why, by_hand=finding.code not in RULES)
    seen = answers.get(finding.key, NotRead("it was not looked at again"))
    if isinstance(seen, NotRead):
        return Left(finding, f"what AWS says now could not be read: {seen.why}")
    return answer_of(finding, seen, fleet)


def _verified(night: Night) -> Iterable[Finding]:
    return (told.finding for told in night.findings if told.change is not Change.NOT_VERIFIED)


def _kept_from(finding: Finding, unread: Iterable[Unread]) -> str:
    """Why a finding is not even looked at again; "" when it is."""
    if finding.code not in RULES:
        return "a person decides"
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
    """The fixes; without all that deregister something when they are too many together."""
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
