"""The end of a register run: a row per host, causes, the tally, and what to type next."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from rich.console import Group, RenderableType
from rich.text import Text

from fleet.inventory.view import store_line
from fleet.model.inventory import Host, Store
from fleet.model.printable import many, some
from fleet.model.registration import (
    MANY,
    CheckResult,
    HostOutcome,
    HostResult,
    RegisterCommand,
    RegisterResult,
)
from fleet.model.spans import span
from fleet.register.view.plan import (
    check_lines,
    fix_lines,
    plan_document,
    preflight_words,
    refusal_lines,
)
from fleet.terminal.documents import document
from fleet.terminal.screen import labelled, table

COLUMNS = ("HOST", "CLASS", "PREFLIGHT", "RESULT", "TIME", "DETAIL")

ALL_HOSTS = RegisterCommand()

#: More hosts than this, and only those that leave something to do have a row.
_MOST_ROWS = 40
_FEW = 4

_STYLES = {
    HostOutcome.REGISTERED: "green",
    HostOutcome.ALREADY: "",
    HostOutcome.REPAIRED: "green",
    HostOutcome.STOPPED: "yellow",
    HostOutcome.LOCKED: "yellow",
}


def result_view(
    result: RegisterResult, width: int, log: str, again: RegisterCommand = ALL_HOSTS
) -> RenderableType:
    """The end of a run: a table per store, causes, the tally, and what to type next.

    Args:
        log: where the run's logs are.
        again: what the command that goes on with the run has to repeat.
    """
    many = len(result.stores) > MANY
    parts = _many_stores(result, width) if many else _few_stores(result, width)
    parts.append(Text(""))
    parts.append(Text(_tally(result)))
    parts.append(Text(_verdict(result)))
    parts.append(Text(_next(result, log, again)))
    return Group(*parts)


def stores_lines(stores: Sequence[Store], run_id: str) -> list[str]:
    """What a run is about: a line per store, or per account and region where they are many."""
    if len(stores) <= MANY:
        return [store_line(store, run_id) for store in stores]
    places: dict[str, list[Store]] = {}
    for store in stores:
        places.setdefault(f"{store.account.name}/{store.region}", []).append(store)
    lines = [
        f"{place} · {many(len(mine), 'store')}, "
        f"{many(sum(len(store.hosts) for store in mine), 'host')}"
        for place, mine in sorted(places.items())
    ]
    return [f"{many(len(stores), 'store')} · run {run_id}", *lines]


def _few_stores(result: RegisterResult, width: int) -> list[RenderableType]:
    """A table per store, each followed by the causes of what is wrong in it."""
    parts: list[RenderableType] = []
    for store in result.stores:
        mine = [r for r in result.hosts if r.host.store == store.id]
        if len(result.stores) > 1:
            parts.append(Text(store_line(store), style="bold"))
        parts.append(_table(mine, [r.host.name for r in mine], width))
        parts.extend(line for r in mine for line in _cause_lines(r))
    return parts


def _many_stores(result: RegisterResult, width: int) -> list[RenderableType]:
    """One table of all hosts, and what is wrong by cause: one cause often has many hosts."""
    shown = result.hosts
    parts: list[RenderableType] = []
    if len(shown) > _MOST_ROWS:
        shown = tuple(r for r in shown if not r.outcome.is_good)
    if shown:
        parts.append(_table(shown, [r.host.id for r in shown], width))
    if len(shown) < len(result.hosts):
        ended = Counter(str(r.outcome) for r in result.hosts if r.outcome.is_good)
        words = ", ".join(f"{count} {word}" for word, count in sorted(ended.items()))
        parts.append(Text(f"not listed: {words}"))
    found = causes(result)
    if found:
        parts += [Text(""), Text("By cause", style="bold")]
    for cause in found:
        parts.append(labelled(f"{len(cause.hosts)} x {cause.name}", cause.seen))
        parts.append(labelled("    on ", some(cause.hosts, _FEW)))
        parts += fix_lines(cause.fix)
    return parts


@dataclass(frozen=True, slots=True)
class Cause:
    """Why hosts ended as they did, or what should be looked at on them.

    Attributes:
        name: ``FAIL disk`` for a check, else how the hosts ended.
        seen: on the first of the hosts.
        hosts: ids, in the run's order.
        fix: for the first of the hosts.
    """

    name: str
    seen: str
    hosts: tuple[str, ...]
    fix: str


def causes(result: RegisterResult) -> tuple[Cause, ...]:
    """What went wrong and what was warned of, each once; failures first, then the commonest."""
    found: dict[tuple[str, str], Cause] = {}

    def add(key: tuple[str, str], seen: str, host: Host, fix: str) -> None:
        known = found.get(key)
        if known is None:
            found[key] = Cause(key[0], seen, (host.id,), fix)
        else:
            found[key] = Cause(known.name, known.seen, (*known.hosts, host.id), known.fix)

    for one in result.hosts:
        host = one.host
        for check in one.registration.checks:
            if check.result is not CheckResult.OK:
                add((f"{check.result.name} {check.name}", ""), check.seen, host, check.fix)
        if _has_its_own_cause(one):
            add((str(one.outcome), _alike(one.reason, host)), one.reason, host, one.fix)
    return tuple(
        sorted(found.values(), key=lambda cause: (cause.name.startswith("WARN"), -len(cause.hosts)))
    )


def _alike(reason: str, host: Host) -> str:
    """A reason without the names in it, so that hosts with the same cause are counted together."""
    for name in (host.id, host.address, host.store):
        reason = reason.replace(name, "…")
    return reason


def _table(results: Sequence[HostResult], names: Sequence[str], width: int) -> RenderableType:
    return table(
        COLUMNS,
        [(name, *_row(r)) for name, r in zip(names, results, strict=True)],
        width=width,
        styles=[_STYLES.get(r.outcome, "red") for r in results],
    )


def _row(result: HostResult) -> tuple[str, ...]:
    plan = result.registration
    detail = result.reason
    if result.outcome is HostOutcome.REFUSED:
        detail = "host unchanged, no activation created"
    elif result.managed_instance_id and result.managed_instance_id not in detail:
        detail = f"{result.managed_instance_id}, {detail}"
    return (
        str(plan.classification.host_class),
        preflight_words(plan.checks),
        str(result.outcome),
        span(result.seconds) if result.seconds else "-",
        detail,
    )


def _cause_lines(result: HostResult) -> list[RenderableType]:
    lines = check_lines(result.registration)
    if _has_its_own_cause(result):
        lines += refusal_lines(result.host.name, result.reason, result.fix)
    return lines


def _has_its_own_cause(result: HostResult) -> bool:
    """Whether its reason says what no check has said."""
    if result.outcome.is_good or result.outcome is HostOutcome.STOPPED:
        return False
    return not any(check.result is CheckResult.FAIL for check in result.registration.checks)


def _tally(result: RegisterResult) -> str:
    tally = result.activations
    still_open = len(tally.left_open)
    text = f"Activations: {tally.created} created, {tally.deleted} deleted, {still_open} open."
    if tally.left_open:
        text += f" Left open: {', '.join(tally.left_open)}; the next run deletes them."
    if tally.unsure:
        times = "1 time" if tally.unsure == 1 else f"{tally.unsure} times"
        text += (
            f" AWS's answer was lost {times} and nothing was found: one that nobody "
            "can use may be open; the next run deletes it."
        )
    return text


def _verdict(result: RegisterResult) -> str:
    good = sum(r.outcome.is_good for r in result.hosts)
    whole = len(result.hosts)
    words = f"{good} of {whole} host{'' if whole == 1 else 's'} registered."
    partial = []
    for store in result.stores:
        mine = [r.outcome.is_good for r in result.hosts if r.host.store == store.id]
        if any(mine) and not all(mine):
            partial.append(store.id)
    if partial:
        words += f" PARTIAL: {some(partial, _FEW)}."
    return words


def _next(result: RegisterResult, log: str, again: RegisterCommand) -> str:
    if result.is_good:
        ids = " ".join(s.id for s in result.stores[:3])
        which = "" if len(result.stores) > MANY else f" {ids}"
        return f"next  fleet status{which}\nlog   {log}"
    bad = [r for r in result.hosts if not r.outcome.is_good]
    todo = sorted({r.host.store for r in bad})
    alone = len(result.hosts) - len(bad)
    left = f" ({alone} healthy left alone)" if alone else ""
    first = "fix the above, then "
    if result.stopped:
        first = ""
    elif all(r.outcome is HostOutcome.LOCKED for r in bad):
        first = "once the other run has ended, "
    return f"next  {first}{again.text(todo)}{left}\nlog   {log}"


def result_document(result: RegisterResult) -> dict[str, Any]:
    """The run as a versioned document; the same facts as on the screen."""
    return document(
        "register",
        {
            "run": result.run_id,
            "stopped": result.stopped,
            "activations": {
                "created": result.activations.created,
                "deleted": result.activations.deleted,
                "left_open": list(result.activations.left_open),
                "unsure": result.activations.unsure,
            },
            "causes": [
                {"name": c.name, "seen": c.seen, "hosts": list(c.hosts), "fix": c.fix}
                for c in causes(result)
            ],
            "hosts": [
                {
                    **plan_document(r.registration),
                    "outcome": str(r.outcome),
                    "reason": r.reason,
                    "fix": r.fix,
                    "seconds": round(r.seconds, 1),
                    "managed_instance_id": r.managed_instance_id,
                    "container_instance_arn": r.container_instance_arn,
                }
                for r in result.hosts
            ],
        },
    )
