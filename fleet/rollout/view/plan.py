"""Draws a plan for a terminal and for a pull request; what was not read comes first."""

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from decimal import Decimal
from itertools import groupby

from rich.cells import cell_len
from rich.console import Group, RenderableType
from rich.padding import Padding
from rich.text import Text

from fleet.model.hours import OpenSpan
from fleet.model.plan import Estimate, Kind, Plan, PlannedChange
from fleet.model.policy import AfterCanary, Policy, Window
from fleet.model.printable import many, some
from fleet.model.rollout import CANARY, WavePlan
from fleet.model.services import revision
from fleet.model.spans import span
from fleet.model.weights import share_words
from fleet.terminal.screen import GAP, labelled, table

#: Most stores that are named one by one in a line; the document names all.
NAMED = 8
#: With at most so many stores that change, each has a line of its own.
STORE_LINES = 30
#: Most rows of what is left alone, or was not read.
ROWS = 20
_VERBS = {
    Kind.CREATE: "create",
    Kind.UPDATE: "update",
    Kind.ADJUST: "adjust",
    Kind.OWED: "owed",
    Kind.UNCHANGED: "unchanged",
    Kind.LEFT: "left alone",
}
_STYLES = {Kind.OWED: "yellow", Kind.LEFT: "yellow"}
_UNITS = ("B", "kB", "MB", "GB", "TB")
_THOUSAND = 1000


@dataclass(frozen=True, slots=True)
class _PlanSection:
    """Holds a part of a plan in words, for the terminal as well as for Markdown.

    Attributes:
        lines: a label and its text each.
        verbatim: lines that are shown as they are, as differences.
    """

    title: str = ""
    lines: tuple[tuple[str, str], ...] = ()
    columns: tuple[str, ...] = ()
    rows: tuple[tuple[str, ...], ...] = ()
    verbatim: tuple[str, ...] = ()
    style: str = ""


def plan_view(plan: Plan, width: int) -> RenderableType:
    """Draw what a rollout would do, why, in which waves, and what it costs."""
    parts: list[RenderableType] = [Text(_headline(plan), style="bold"), Text(_subline(plan))]
    for section in _sections(plan):
        if section.title:
            parts += [Text(""), Text(section.title, style=f"bold {section.style}".strip())]
        pad = max((cell_len(label) for label, _ in section.lines), default=0)
        parts += [labelled(label.ljust(pad), text, section.style) for label, text in section.lines]
        if section.rows:
            parts.append(table(section.columns, section.rows, width=width))
        lines = Group(*(Text(line, style=_diff_style(line)) for line in section.verbatim))
        if section.verbatim:
            parts.append(Padding(lines, (0, 0, 0, GAP)))
    return Group(*parts)


def plan_markdown(plan: Plan) -> str:
    """Print the same in Markdown, for a pull request."""
    blocks = [f"## {_escaped(_headline(plan))}", _escaped(_subline(plan))]
    for section in _sections(plan):
        if section.title:
            blocks.append(f"### {_escaped(section.title)}")
        if section.lines:
            blocks.append("\n".join(f"- {_item(label, text)}" for label, text in section.lines))
        if section.rows:
            rows = [section.columns, ["---"] * len(section.columns), *section.rows]
            blocks.append("\n".join(f"| {' | '.join(map(_cell, row))} |" for row in rows))
        if section.verbatim:
            fence = "`" * (1 + max((len(run) for run in _backticks(section.verbatim)), default=2))
            blocks.append("\n".join([f"{fence}diff", *section.verbatim, fence]))
    return "\n\n".join(blocks) + "\n"


def _headline(plan: Plan) -> str:
    what = ", ".join(plan.workloads) or "nothing"
    return f"plan {what} on {plan.selection or 'all open stores'} · release {plan.release.id}"


def _subline(plan: Plan) -> str:
    policy = plan.policy
    return f"fleet {plan.fleet} · policy {policy.name} · seed {plan.seed} · read {plan.stamped}"


def _sections(plan: Plan) -> Iterable[_PlanSection]:
    changing = [c for c in plan.changes if c.kind.is_change]
    if plan.unread:
        rows = [(store, why) for store, why in sorted(plan.unread.items())]
        yield _PlanSection(
            title=f"NOT READ {many(len(rows), 'store')}, in no wave",
            columns=("STORE", "WHY"),
            rows=_cut(rows, 2),
            style="red",
        )
    if plan.refusals:
        lines = tuple(("REFUSED", why) for why in plan.refusals)
        yield _PlanSection(title="This plan cannot be run", lines=lines, style="red")
    yield _PlanSection(title=_totals(plan))
    if changing:
        yield from _what_changes(plan, changing)
        yield _per_store(plan, changing)
        yield _waves(plan)
    left = [c for c in plan.changes if c.kind is Kind.LEFT]
    if left:
        yield _left(left)
    if changing:
        yield _costs(plan.estimate)
    if plan.notes:
        yield _PlanSection(title="Notes", lines=tuple(("·", note) for note in plan.notes))


def _totals(plan: Plan) -> str:
    changing = {c.store for c in plan.changes if c.kind.is_change}
    stores = {c.store for c in plan.changes} | plan.unread.keys()
    kinds = [c.kind for c in plan.changes]
    counts = [
        f"{_VERBS[kind]} {kinds.count(kind)}"
        for kind in Kind
        if kinds.count(kind) or kind.is_change
    ]
    return f"{len(changing)} of {many(len(stores), 'store')} change. Services: " + ", ".join(
        [word for word in counts if not word.endswith(" 0")] or ["none"]
    )


def _what_changes(plan: Plan, changing: Sequence[PlannedChange]) -> Iterable[_PlanSection]:
    """List each change of a task definition once, with the stores that it touches."""

    def key(change: PlannedChange) -> tuple[str, tuple[str, ...], str, str]:
        diff = plan.diffs.get(f"{change.before} {change.content}", ())
        return change.service, diff, change.content, _verb(change)

    for (service, diff, content, verb), same in groupby(sorted(changing, key=key), key=key):
        group = list(same)
        before = sorted({revision(c.before) for c in group if c.before})
        runs = f", now {some(before, 3)}" if before else ""
        stores = sorted({c.store for c in group})
        owing = len({c.store for c in group if c.kind is Kind.OWED})
        where = f"in {many(len(stores) - owing, 'store')}" if owing < len(stores) else ""
        owed = f"owed by {many(owing, 'store')}" if owing else ""
        yield _PlanSection(
            title=f"{service}: {verb} {', '.join(filter(None, (where, owed)))}{runs}",
            lines=(("stores", some(stores, NAMED)), ("content", content[:12])),
            verbatim=diff,
        )


def _verb(change: PlannedChange) -> str:
    if change.kind is not Kind.OWED:
        return _VERBS[change.kind]
    if not change.before:
        return _VERBS[Kind.CREATE]
    same = change.before_content == change.content
    return _VERBS[Kind.ADJUST if same else Kind.UPDATE]


def _per_store(plan: Plan, changing: Sequence[PlannedChange]) -> _PlanSection:
    """Return a line per service of few stores, else only those that differ from the rest."""
    stores = {c.store for c in changing}
    shown = list(changing)
    title = "Per store"
    if len(stores) > STORE_LINES:
        shown = [c for c in changing if c.kind is Kind.OWED or c.missing_hosts or c.by_hand]
        title = f"Stores to know of; `--json` has all {len(stores)}"
    if not shown:
        return _PlanSection()
    wave = {store: wave.name for wave in plan.waves for store in wave.stores}
    rows = [(c.store, wave.get(c.store, "-"), c.service, _VERBS[c.kind], c.reason) for c in shown]
    columns = ("STORE", "WAVE", "SERVICE", "WHAT", "WHY")
    most = len(rows) if len(stores) <= STORE_LINES else ROWS
    return _PlanSection(title=title, columns=columns, rows=_cut(rows, 5, most))


def _waves(plan: Plan) -> _PlanSection:
    total = sum(len(wave.stores) for wave in plan.waves)
    lines = []
    if plan.canary:
        first = next((wave for wave in plan.waves if wave.name == CANARY), None)
        size = len(first.stores) if first else 0
        covered = sum(bool(store) for store in plan.strata.values())
        lines.append(
            (
                "canary",
                f"{size} of {many(total, 'store')}, {covered} of {len(plan.strata)} strata "
                f"covered; {_after_canary(plan.policy)}",
            )
        )
        for stratum, store in sorted(plan.strata.items()):
            lines.append((f"  {stratum}", store or "nobody"))
    lines.append(("window", _window(plan.policy)))
    lines.append(("in flight", f"{plan.policy.concurrency.of(total)} of {total} stores at once"))
    limit = plan.policy.max_weight_in_flight
    if limit is not None:
        lines.append(("weight", f"at most {limit} of the weight in flight"))
    rows = [
        (w.name, str(len(w.stores)), *_weight_cells(plan, w), some(w.stores, NAMED))
        for w in plan.waves
    ]
    title = f"{many(len(plan.waves), 'wave')}, each judged before the next begins"
    weight = ("WEIGHT",) if _shows_weight(plan) else ()
    columns = ("WAVE", "STORES", *weight, "WHICH")
    return _PlanSection(title=title, lines=tuple(lines), columns=columns, rows=tuple(rows))


def _shows_weight(plan: Plan) -> bool:
    return bool(plan.weights) or plan.policy.limits_weight


def _weight_cells(plan: Plan, wave: WavePlan) -> tuple[str, ...]:
    """Return ``18 %, limit 20%``, the wave's part of the weight of all stores that change."""
    if not _shows_weight(plan):
        return ()
    weights = [plan.weights.get(s, Decimal(1)) for other in plan.waves for s in other.stores]
    weighs = sum((plan.weights.get(store, Decimal(1)) for store in wave.stores), Decimal(0))
    share = share_words(weighs, sum(weights, Decimal(0)))
    limit = plan.policy.max_weight_per_wave
    return (f"{share}, limit {limit}" if limit else share,)


def _after_canary(policy: Policy) -> str:
    if policy.after_canary is AfterCanary.PROMOTE:
        return "then it waits for `fleet rollout promote`"
    return "then it goes on by itself"


def _window(policy: Policy) -> str:
    if policy.between is not None:
        return f"{_hours(policy.between)} store time"
    if policy.window is Window.ALWAYS:
        return "any time"
    text = "while a store is closed, by its own opening hours"
    if policy.quiet_hours is not None:
        text += f"; {_hours(policy.quiet_hours)} where it never closes"
    if policy.after_opening_s:
        first = span(policy.after_opening_s)
        text += f"; the first {first} after opening where hosts have no power while it is closed"
    return text


def _hours(span: OpenSpan) -> str:
    return f"{span.opens:%H:%M}-{span.closes:%H:%M}"


def _left(left: Sequence[PlannedChange]) -> _PlanSection:
    rows = [(c.store, c.service or "all", c.reason) for c in left]
    return _PlanSection(
        title=f"Left alone: {many(len(rows), 'service')}",
        columns=("STORE", "SERVICE", "WHY"),
        rows=_cut(rows, 3),
        style="yellow",
    )


def _costs(estimate: Estimate) -> _PlanSection:
    lines = [("at least", _duration(estimate.seconds_least))]
    lines.append(("done", estimate.finish_text or "nobody can tell"))
    lines.append(("bytes", _bytes_words(estimate)))
    lines += [("unknown size", image) for image in estimate.unknown_sizes]
    rows = [
        (c.group, f"{c.account}/{c.region}", f"{c.calls:,}", _duration(c.seconds))
        for c in estimate.calls
    ]
    return _PlanSection(
        title="What it costs, by estimate",
        lines=tuple(lines),
        columns=("CALLS OF", "WHERE", "ABOUT", "ALONE TAKES"),
        rows=_cut(rows, 4),
    )


def _bytes_words(estimate: Estimate) -> str:
    if estimate.bytes_total is None or estimate.bytes_metered is None:
        return "nobody can tell: an image's size is unknown"
    text = f"at most {_size(estimate.bytes_total)} pulled"
    text += f", {_size(estimate.bytes_metered)} over metered links"
    return f"{text}, about {estimate.cost}" if estimate.cost else text


def _duration(seconds: float) -> str:
    return "under 1s" if 0 < seconds < 1 else span(seconds)


def _size(amount: int) -> str:
    value, unit = float(amount), _UNITS[0]
    for unit in _UNITS:
        if value < _THOUSAND or unit == _UNITS[-1]:
            break
        value /= _THOUSAND
    return f"{value:.0f} {unit}" if unit in _UNITS[:2] else f"{value:.1f} {unit}"


def _cut(
    rows: Sequence[tuple[str, ...]], columns: int, most: int = ROWS
) -> tuple[tuple[str, ...], ...]:
    """Return the first rows, and one that says how many more there are."""
    if len(rows) <= most:
        return tuple(rows)
    more = f"and {len(rows) - most} more; `--json` has all"
    return (*rows[:most], (*("…",) * (columns - 1), more))


def _diff_style(line: str) -> str:
    return {"+": "green", "-": "red", "~": "cyan"}.get(line[:1], "")


def _escaped(text: str) -> str:
    """Return a line with Markdown's characters escaped, except between backticks."""
    parts = " ".join(text.split()).split("`")
    if len(parts) % 2 == 0:
        parts = ["'".join(parts)]
    return "`".join(part if i % 2 else _plain(part) for i, part in enumerate(parts))


def _plain(text: str) -> str:
    return "".join(f"\\{c}" if c in "*_[]<>#|\\" else c for c in text)


def _item(label: str, text: str) -> str:
    label = label.strip()
    return _escaped(text if label == "·" else f"{label}: {text}")


def _cell(text: str) -> str:
    """Return a cell with bars escaped; a bar ends a cell even inside of code."""
    return "".join(
        part if part == "\\|" else part.replace("|", "\\|")
        for part in re.split(r"(\\\|)", _escaped(text))
    )


def _backticks(lines: Iterable[str]) -> Iterable[str]:
    for line in lines:
        for is_tick, run in groupby(line, key=lambda c: c == "`"):
            if is_tick:
                yield "".join(run)
