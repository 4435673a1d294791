"""Shows a simulation: a table for people, a document, and a picture of its runs over time."""

import html
from collections import Counter
from collections.abc import Iterable, Sequence
from statistics import median

from rich.console import Group, RenderableType
from rich.text import Text

from fleet.model.printable import many, percent
from fleet.model.rollout import Phase
from fleet.model.simulation import SimulatedRun, Simulation, StoreModel
from fleet.model.spans import span
from fleet.terminal.documents import Document, document
from fleet.terminal.screen import labelled, table

#: Runs that are listed one by one.
RUNS_SHOWN = 10
#: Size of the picture, in its own units.
WIDE, HIGH, EDGE = 760, 260, 40


def simulation_view(simulation: Simulation, width: int) -> RenderableType:
    """Return what people read."""
    runs = simulation.runs
    rows = [
        (
            "plan",
            f"{many(simulation.stores, 'store')} in {many(len(simulation.waves), 'wave')} ("
            + ", ".join(f"{name} {count}" for name, count in simulation.waves)
            + f"), policy {simulation.policy}",
        ),
        ("stores", _model_words(simulation.model, simulation.bad)),
        ("ended", ", ".join(f"{count} {word}" for word, count in _endings(runs).most_common())),
        ("took", _spread([span(run.seconds) for run in sorted(runs, key=lambda r: r.seconds)])),
        ("in flight", "at most " + _spread([str(n) for n in sorted(run.peak for run in runs)])),
        (
            "reached",
            _spread([str(n) for n in sorted(run.reached for run in runs)])
            + f" of {many(simulation.stores, 'store')}",
        ),
    ]
    if simulation.scale > 1:
        rows.append(("ticks", f"each stands for {simulation.scale} of a rollout"))
    if simulation.model.is_harmless:
        false = sum(map(is_false_halt, runs))
        rows.append(
            ("false halts", f"{false} of {many(len(runs), 'run')} ({percent(false / len(runs))})")
        )
    else:
        bad = sorted(run.bad for run in runs)
        rows.append(
            ("harmed", _spread([str(n) for n in bad]) + " stores before the gate stopped it")
        )
    listed = [
        (
            str(run.seed),
            _ending(run),
            span(run.seconds),
            run.wave,
            str(run.reached),
            str(run.bad),
            str(run.peak),
            run.why,
        )
        for run in runs[:RUNS_SHOWN]
    ]
    columns = ("SEED", "ENDED", "AFTER", "IN", "REACHED", "HARMED", "IN FLIGHT", "WHY")
    more = len(runs) - RUNS_SHOWN
    tail = [Text(f"and {many(more, 'more run')}: --json has all")] if more > 0 else []
    wide = max(len(label) for label, _ in rows)
    said = [labelled(label.ljust(wide), text) for label, text in rows]
    return Group(*said, Text(), table(columns, listed, width=width), *tail)


def is_false_halt(run: SimulatedRun) -> bool:
    """Return whether a harmless release was stopped by a gate."""
    return run.phase in {Phase.HALTED, Phase.ROLLING_BACK, Phase.ROLLED_BACK}


def simulation_document(simulation: Simulation) -> Document:
    """Return all of it for programs."""
    return document(
        "rollout-simulation",
        {
            "policy": simulation.policy,
            "selection": simulation.selection,
            "stores": simulation.stores,
            "bad_stores": simulation.bad,
            "waves": [{"name": name, "stores": count} for name, count in simulation.waves],
            "model": {
                name: getattr(simulation.model, name)
                for name in ("darkness", "outage_s", "fails", "stratum", "kills_link", "after_s")
            },
            "halts": sum(map(is_false_halt, simulation.runs)),
            "asks": sum(run.asks for run in simulation.runs),
            "runs": [_run(run) for run in simulation.runs],
        },
    )


def _run(run: SimulatedRun) -> dict[str, object]:
    return {
        "seed": run.seed,
        "phase": run.phase.value,
        "why": run.why,
        "wave": run.wave,
        "seconds": round(run.seconds, 1),
        "reached": run.reached,
        "bad_reached": run.bad,
        "peak_in_flight": run.peak,
        "halted_by_darkness": run.by_darkness,
        "ticks": run.ticks,
        "moments": [
            {
                "after_s": round(moment.after_s, 1),
                "sent": moment.sent,
                "in_flight": moment.in_flight,
                "dark": moment.dark,
                "failed": moment.failed,
            }
            for moment in run.moments
        ],
    }


def simulation_picture(simulation: Simulation) -> str:
    """Return an SVG picture of every run: stores that were sent the release and those in flight."""
    longest = max((run.seconds for run in simulation.runs), default=0.0) or 1.0
    model = _model_words(simulation.model, simulation.bad)
    runs = many(len(simulation.runs), "run")
    caption = html.escape(f"{runs}, policy {simulation.policy}: {model}")
    sent = _lines(simulation, longest, "sent", 'stroke="#1f5fa8"')
    in_flight = _lines(simulation, longest, "in_flight", 'stroke="#c05a00" stroke-dasharray="4 2"')
    return f"""<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDE} {HIGH}" font-size="11">
<title>{caption}</title>
<rect width="{WIDE}" height="{HIGH}" fill="white"/>
<text x="{EDGE}" y="18">{caption}</text>
<path d="M{EDGE},{EDGE}V{HIGH - EDGE}H{WIDE - EDGE}" fill="none" stroke="#555"/>
<text x="{EDGE - 4}" y="{EDGE + 4}" text-anchor="end">{simulation.stores}</text>
<text x="{EDGE - 4}" y="{HIGH - EDGE}" text-anchor="end">0</text>
<text x="{WIDE - EDGE}" y="{HIGH - EDGE + 14}" text-anchor="end">{span(longest)}</text>
{sent}
{in_flight}
<text x="{EDGE + 8}" y="{HIGH - 8}" fill="#1f5fa8">stores that were sent the release</text>
<text x="{EDGE + 220}" y="{HIGH - 8}" fill="#c05a00">stores in flight (dashed)</text>
</svg>
"""


def _lines(simulation: Simulation, longest: float, name: str, style: str) -> str:
    lines = [_line(run, simulation.stores, longest, name) for run in simulation.runs]
    drawn = "\n".join(f'<polyline points="{points}"/>' for points in lines)
    return f'<g fill="none" stroke-opacity="0.6" {style}>\n{drawn}\n</g>'


def _line(run: SimulatedRun, stores: int, longest: float, name: str) -> str:
    """Return the points of a line in the picture; a number holds until the next moment."""
    points: list[str] = []
    level = ""
    for moment in run.moments:
        x = EDGE + moment.after_s / longest * (WIDE - 2 * EDGE)
        if level:
            points.append(f"{x:.1f},{level}")
        level = f"{HIGH - EDGE - getattr(moment, name) / stores * (HIGH - 2 * EDGE):.1f}"
        points.append(f"{x:.1f},{level}")
    return " ".join(points)


def _model_words(model: StoreModel, bad: int) -> str:
    where = f" of those with {model.stratum}" if model.stratum else ""
    away = f"{percent(model.darkness)} away at any time, for {span(model.outage_s)} on average"
    words = [away]
    if model.fails:
        words.append(f"the release crashes in {percent(model.fails)}{where} ({bad})")
    if model.kills_link:
        words.append(
            f"it takes the link of {percent(model.kills_link)}{where} after "
            f"{span(model.after_s)} ({bad})"
        )
    return "; ".join(words)


def _endings(runs: Iterable[SimulatedRun]) -> Counter[str]:
    return Counter(map(_ending, runs))


def _ending(run: SimulatedRun) -> str:
    if run.phase is Phase.PAUSED:
        return "asked a person"
    if run.phase is Phase.RUNNING:
        return "still running"
    return f"{run.phase.value} for dark stores" if run.by_darkness else run.phase.value


def _spread(ordered: Sequence[str]) -> str:
    """Print the middle of ordered words, and the first and the last where they differ."""
    first, last = ordered[0], ordered[-1]
    middle = ordered[int(median(range(len(ordered))))]
    return first if first == last else f"{middle} ({first} to {last})"
