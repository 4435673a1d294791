"""Shows what register will do and what a run did: tables, causes, and the next command."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

from rich.console import Group, RenderableType
from rich.text import Text

from fleet.inventory.view import store_line
from fleet.model.inventory import Host, Store
from fleet.model.observed import Caller
from fleet.model.printable import many, some
from fleet.model.registration import (
    MANY,
    CheckResult,
    HostOutcome,
    HostRegistration,
    HostResult,
    HostStep,
    RegisterCommand,
    RegisterResult,
    StoreRegistration,
)
from fleet.model.spans import span
from fleet.register.view.checks import check_counts, check_fields, check_lines, fix_lines
from fleet.terminal.documents import Document, document
from fleet.terminal.screen import labelled, table

_ALL_HOSTS = RegisterCommand()

#: If there are more hosts than this, only those that leave something to do have a row.
_MOST_ROWS = 40
_FEW = 4

_STYLES = {
    HostOutcome.REGISTERED: "green",
    HostOutcome.ALREADY: "",
    HostOutcome.REPAIRED: "green",
    HostOutcome.STOPPED: "yellow",
    HostOutcome.LOCKED: "yellow",
}


def caller_line(place: str, caller: Caller) -> str:
    """Return who acts in an account and region."""
    return f"{place} as {caller.arn}"


def stores_lines(stores: Sequence[Store], run_id: str) -> list[str]:
    """Return a line per store, or per account and region where there are many stores."""
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


def registrations_view(registrations: Sequence[StoreRegistration], width: int) -> RenderableType:
    """Return what is about to be done, host by host, with every reason."""
    parts: list[RenderableType] = []
    for registration in registrations:
        parts.append(Text(store_line(registration.store), style="bold"))
        if registration.create_cluster:
            parts.append(
                Text(f"create cluster {registration.store.cluster} ({registration.create_cluster})")
            )
        rows = [
            (
                one.host.name,
                str(one.classification.host_class),
                check_counts(one.checks),
                _steps_text(one),
            )
            for one in registration.hosts
        ]
        parts.append(table(("HOST", "CLASS", "PREFLIGHT", "WHAT"), rows, width=width))
        for one in registration.hosts:
            parts += check_lines(one.host.name, one.checks)
            if one.refusal and not _failed_a_check(one):
                parts += _refusal_lines(one.host.name, one.classification.reason, one.fix)
    return Group(*parts)


def _steps_text(registration: HostRegistration) -> str:
    if registration.refusal:
        return f"refused: {registration.refusal}"
    if not registration.steps:
        return f"nothing: {registration.classification.reason}"
    return "; ".join(_step_text(step) for step in registration.steps)


def _step_text(step: HostStep) -> str:
    return f"{step.text} ({step.reason})"


def _failed_a_check(registration: HostRegistration) -> bool:
    return any(check.result is CheckResult.FAIL for check in registration.checks)


def _refusal_lines(host: str, reason: str, fix: str) -> list[RenderableType]:
    return [labelled(host, reason), *fix_lines(fix)]


def result_view(
    result: RegisterResult, width: int, log: str, command: RegisterCommand = _ALL_HOSTS
) -> RenderableType:
    """Return the summary of a run: hosts, causes, activations, and the next command.

    Args:
        log: the folder of the run's logs.
        command: the options that the next command has to repeat.
    """
    many_stores = len(result.stores) > MANY
    return Group(
        *(_many_stores(result, width) if many_stores else _few_stores(result, width)),
        Text(""),
        Text(_activations_text(result)),
        Text(_registered_text(result)),
        Text(f"next  {_next_text(result, command)}\nlog   {log}"),
    )


def _few_stores(result: RegisterResult, width: int) -> list[RenderableType]:
    """Return a table per store, each followed by the causes of what is wrong in it."""
    parts: list[RenderableType] = []
    for store in result.stores:
        mine = [r for r in result.hosts if r.host.store == store.id]
        if len(result.stores) > 1:
            parts.append(Text(store_line(store), style="bold"))
        parts.append(_table(mine, [r.host.name for r in mine], width))
        for r in mine:
            parts += check_lines(r.host.name, r.registration.checks)
            if _has_its_own_cause(r):
                parts += _refusal_lines(r.host.name, r.reason, r.fix)
    return parts


def _many_stores(result: RegisterResult, width: int) -> list[RenderableType]:
    """Return one table of all hosts, then the causes, each with all its hosts."""
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


def _table(results: Sequence[HostResult], names: Sequence[str], width: int) -> RenderableType:
    return table(
        ("HOST", "CLASS", "PREFLIGHT", "RESULT", "TIME", "DETAIL"),
        [(name, *_row(r)) for name, r in zip(names, results, strict=True)],
        width=width,
        styles=[_STYLES.get(r.outcome, "red") for r in results],
    )


def _row(result: HostResult) -> tuple[str, ...]:
    detail = result.reason
    if result.outcome is HostOutcome.REFUSED:
        detail = "host unchanged, no activation created"
    elif result.managed_instance_id and result.managed_instance_id not in detail:
        detail = f"{result.managed_instance_id}, {detail}"
    return (
        str(result.registration.classification.host_class),
        check_counts(result.registration.checks),
        str(result.outcome),
        span(result.seconds) if result.seconds else "-",
        detail,
    )


@dataclass(frozen=True, slots=True)
class Cause:
    """A cause of failures, or a warning, and all hosts that have it.

    Attributes:
        name: ``FAIL disk`` for a check, else how the hosts ended.
        seen: on the first of the hosts.
        hosts: ids, in the run's order.
        fix: for the first of the hosts.
        is_warning: whether it is a check that only warns.
    """

    name: str
    seen: str
    hosts: tuple[str, ...]
    fix: str
    is_warning: bool = False


def causes(result: RegisterResult) -> tuple[Cause, ...]:
    """Return each cause once: failures before warnings, then those with the most hosts first."""
    found: dict[tuple[str, str], Cause] = {}

    def add(cause: Cause, alike: str = "") -> None:
        first = found.setdefault((cause.name, alike), cause)
        if first is not cause:
            found[cause.name, alike] = replace(first, hosts=(*first.hosts, *cause.hosts))

    for one in result.hosts:
        hosts = (one.host.id,)
        for check in one.registration.checks:
            if check.result is not CheckResult.OK:
                name = f"{check.result.name} {check.name}"
                warns = check.result is CheckResult.WARN
                add(Cause(name, check.seen, hosts, check.fix, is_warning=warns))
        if _has_its_own_cause(one):
            cause = Cause(str(one.outcome), one.reason, hosts, one.fix)
            add(cause, _without_names(one.reason, one.host))
    return tuple(sorted(found.values(), key=lambda cause: (cause.is_warning, -len(cause.hosts))))


def _without_names(reason: str, host: Host) -> str:
    """Return a reason without the host's names, so that hosts with one cause are joined."""
    for name in (host.id, host.address, host.store):
        reason = reason.replace(name, "…")
    return reason


def _has_its_own_cause(result: HostResult) -> bool:
    """Return whether its reason says something that no failed check says."""
    if result.outcome.is_good or result.outcome is HostOutcome.STOPPED:
        return False
    return not _failed_a_check(result.registration)


def _activations_text(result: RegisterResult) -> str:
    count = result.activations
    still_open = len(count.left_open)
    text = f"Activations: {count.created} created, {count.deleted} deleted, {still_open} open."
    if count.left_open:
        text += f" Left open: {', '.join(count.left_open)}; the next run deletes them."
    if count.unsure:
        text += (
            f" AWS's answer was lost {many(count.unsure, 'time')} and nothing was found: one that "
            "nobody can use may be open; the next run deletes it."
        )
    return text


def _registered_text(result: RegisterResult) -> str:
    good = sum(r.outcome.is_good for r in result.hosts)
    partial = []
    for store in result.stores:
        mine = [r.outcome.is_good for r in result.hosts if r.host.store == store.id]
        if any(mine) and not all(mine):
            partial.append(store.id)
    text = f"{good} of {many(len(result.hosts), 'host')} registered."
    return f"{text} PARTIAL: {some(partial, _FEW)}." if partial else text


def _next_text(result: RegisterResult, command: RegisterCommand) -> str:
    if result.is_good:
        ids = " ".join(store.id for store in result.stores[:3])
        return "fleet status" if len(result.stores) > MANY else f"fleet status {ids}"
    bad = [r for r in result.hosts if not r.outcome.is_good]
    healthy = len(result.hosts) - len(bad)
    left = f" ({healthy} healthy left alone)" if healthy else ""
    first = "fix the above, then "
    if result.stopped:
        first = ""
    elif all(r.outcome is HostOutcome.LOCKED for r in bad):
        first = "once the other run has ended, "
    return f"{first}{command.text(sorted({r.host.store for r in bad}))}{left}"


def registrations_document(registrations: Sequence[StoreRegistration]) -> Document:
    """Return what ``register --plan --json`` prints."""
    stores = [
        {
            "store": registration.store.id,
            "cluster": registration.store.cluster,
            "create_cluster": registration.create_cluster,
            "hosts": [_host_fields(host) for host in registration.hosts],
        }
        for registration in registrations
    ]
    return document("register-plan", {"stores": stores})


def _host_fields(registration: HostRegistration) -> dict[str, Any]:
    return {
        "store": registration.host.store,
        "host": registration.host.name,
        "class": str(registration.classification.host_class),
        "class_reason": registration.classification.reason,
        "refusal": registration.refusal,
        "plan_fix": registration.fix,
        "checks": [check_fields(check) for check in registration.checks],
        "steps": [
            {"step": type(step).__name__, "words": _step_text(step), "reason": step.reason}
            for step in registration.steps
        ],
    }


def result_document(result: RegisterResult) -> Document:
    """Return what ``register --json`` prints."""
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
                    **_host_fields(r.registration),
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
