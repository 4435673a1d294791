"""Checks the rules of ``ignores.yaml``, and decides which findings they ignore."""

from collections.abc import Collection, Iterable, Iterator
from datetime import datetime, timedelta
from difflib import get_close_matches
from fnmatch import fnmatchcase

from fleet.errors import Problem
from fleet.model.drift import Finding
from fleet.model.drift_settings import Ignore

#: Longest time ahead; after that, somebody has to renew the rule.
LONGEST = timedelta(days=366)


def problems_of(
    rules: Iterable[Ignore], codes: Collection[str], now: datetime
) -> tuple[Problem, ...]:
    """Return what is wrong with rules that are written correctly.

    Args:
        codes: of the catalogue of findings.
    """
    return tuple(problem for rule in rules for problem in _wrong(rule, codes, now))


def _wrong(rule: Ignore, codes: Collection[str], now: datetime) -> Iterator[Problem]:
    file, _, line = rule.source.rpartition(":")
    for code in sorted(rule.codes - frozenset(codes)):
        near = get_close_matches(code.upper(), codes, n=1, cutoff=0.6)
        known = f"`fleet explain {code}` lists those there are"
        hint = f'did you mean "{near[0]}"?' if near else known
        yield Problem(file, int(line), "codes", f'there is no finding "{code}"', hint)
    if rule.until - now > LONGEST:
        message = f"{rule.until:%Y-%m-%d} is more than a year away"
        hint = f"at most {now + LONGEST:%Y-%m-%d}; what stays so for ever is a matter for settings"
        yield Problem(file, int(line), "until", message, hint)


def rule_for(finding: Finding, rules: Iterable[Ignore], now: datetime) -> Ignore | None:
    """Return the first rule that holds and ignores this finding; None without one."""
    return next((rule for rule in rules if rule.until > now and ignores(rule, finding)), None)


def ignores(rule: Ignore, finding: Finding) -> bool:
    """Tell whether all conditions of a rule fit a finding, regardless of its end."""
    if rule.codes and finding.code not in rule.codes:
        return False
    if rule.stores is not None and finding.store not in rule.stores:
        return False
    if rule.hosts and finding.host not in rule.hosts:
        return False
    return not rule.subject or fnmatchcase(finding.subject, rule.subject)


def expired(rules: Iterable[Ignore], now: datetime) -> tuple[Ignore, ...]:
    """Return the rules that hold no longer, the latest first."""
    over = [rule for rule in rules if rule.until <= now]
    return tuple(sorted(over, key=lambda rule: (rule.until, rule.source), reverse=True))
