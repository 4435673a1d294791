"""Mutants that change nothing that can be seen, each with the reason.

They are named by their text, so that they are found again wherever the code moves;
``test_mutants`` fails for one that is no longer there.
"""

from dataclasses import dataclass

from tests.mutants import Mutant


@dataclass(frozen=True, slots=True)
class Equivalent:
    """One change, wherever it is made in a function.

    Attributes:
        before: the expression or statement that is changed, as ``--list`` prints it.
        why: nobody can tell the difference.
    """

    module: str
    owner: str
    before: str
    after: str
    why: str


_ROLLOUT, _HOURS = "fleet/rollout/decide", "fleet/inventory/decide"
EQUIVALENT: tuple[Equivalent, ...] = (
    Equivalent(
        f"{_ROLLOUT}/gate.py",
        "count",
        "_RANKS[known[1]] > _RANKS[verdict]",
        "_RANKS[known[1]] >= _RANKS[verdict]",
        "no two verdicts have the same rank",
    ),
    Equivalent(
        f"{_ROLLOUT}/gate.py",
        "_Variant.badness",
        "return (1 - self.success, 1 - self.coverage, self.name)",
        "return (2 - self.success, 1 - self.coverage, self.name)",
        "only compared with others of its kind, all of which are one more",
    ),
    Equivalent(
        f"{_HOURS}/calendar.py",
        "_closed_words",
        "never_closes or following is None",
        "never_closes and following is None",
        "they differ only with quiet hours, for which it has returned before",
    ),
    Equivalent(
        f"{_HOURS}/calendar.py",
        "_without",
        "freeze.begins is None or freeze.ends is None",
        "freeze.begins is None and freeze.ends is None",
        "a freeze has both ends; the question is for the type checker",
    ),
    Equivalent(
        f"{_HOURS}/calendar.py",
        "_without",
        "if freeze.begins is None or freeze.ends is None: continue",
        "if freeze.begins is None or freeze.ends is None: break",
        "never reached: a freeze has both ends",
    ),
    Equivalent(
        f"{_HOURS}/calendar.py",
        "may_begin",
        "span.begins and span.begins > now and (until is None or span.begins < until)",
        "span.begins and span.begins >= now and (until is None or span.begins < until)",
        "a freeze that begins now has refused already",
    ),
    Equivalent(
        f"{_HOURS}/opening_hours.py",
        "_days",
        "range(stretch - _BEFORE_DAYS - 2, stretch + _AFTER_DAYS + 3)",
        "range(stretch - _BEFORE_DAYS - 2, stretch + _AFTER_DAYS + 4)",
        "one more day beyond those that are looked at",
    ),
    Equivalent(
        "fleet/runtime/lease.py",
        "",
        "if TYPE_CHECKING",
        "if not TYPE_CHECKING",
        "imports at run time what is named in annotations alone",
    ),
    Equivalent(
        "fleet/records/leases.py",
        "LeaseRecords.now",
        "return _time(connection.scalar(select(_now(connection))) or 0.0)",
        "return _time(connection.scalar(select(_now(connection))) or 1.0)",
        "a database always knows the time; the rest is for the type checker",
    ),
    Equivalent(
        "fleet/drift/decide/fix_rules.py",
        "_age",
        "return one.registered_at.timestamp() if one.registered_at else 0.0",
        "return one.registered_at.timestamp() if one.registered_at else 1.0",
        "older than every other registration all the same",
    ),
    Equivalent(
        "fleet/drift/fixes.py",
        "plan",
        "dict(zip((one.key for one in found), pool.map(read, found), strict=True))",
        "dict(zip((one.key for one in found), pool.map(read, found), strict=False))",
        "both are as long as what was found",
    ),
    Equivalent(
        "fleet/drift/reread.py",
        "_Reading.tasks",
        "return ()",
        "return None",
        "never reached: without a store there are no instances, so none with tasks",
    ),
)
_WHY = {(one.module, one.owner, one.before, one.after): one.why for one in EQUIVALENT}


def reason(mutant: Mutant) -> str:
    """Return why no test can notice a mutant; "" where one ought to."""
    return _WHY.get((mutant.module, mutant.owner, mutant.before, mutant.after), "")
