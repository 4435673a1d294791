"""Which findings the team has decided to live with for a while, and which of its rules are over."""

from collections.abc import Iterable
from datetime import datetime
from fnmatch import fnmatchcase

from fleet.model.drift import Finding
from fleet.model.drift_settings import Ignore


def rule_for(finding: Finding, rules: Iterable[Ignore], now: datetime) -> Ignore | None:
    """The first rule that still holds and ignores this finding; None when none does."""
    return next((rule for rule in rules if rule.until > now and ignores(rule, finding)), None)


def ignores(rule: Ignore, finding: Finding) -> bool:
    """Whether a rule is about this finding, as long as it holds; all its conditions must fit."""
    if rule.codes and finding.code not in rule.codes:
        return False
    if rule.stores is not None and finding.store not in rule.stores:
        return False
    if rule.hosts and finding.host not in rule.hosts:
        return False
    return not rule.subject or fnmatchcase(finding.subject, rule.subject)


def expired(rules: Iterable[Ignore], now: datetime) -> tuple[Ignore, ...]:
    """Rules that hold no longer, the one that ended last first."""
    over = [rule for rule in rules if rule.until <= now]
    return tuple(sorted(over, key=lambda rule: (rule.until, rule.source), reverse=True))
