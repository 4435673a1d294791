"""Proposes what to type next about a rollout, in every phase; none of the commands is refused."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from fleet.model.changes import Change, by_store
from fleet.model.overview import Overview
from fleet.model.printable import many, some
from fleet.model.rollout import Phase
from fleet.model.verdicts import Standing

#: Alarms and checks that are named in a step.
NAMED = 3


@dataclass(frozen=True, slots=True)
class NextStep:
    """Holds a command as a person would type it, and what it is good for."""

    command: str
    what: str


def next_steps(overview: Overview) -> tuple[NextStep, ...]:
    """Return the commands that make sense now, the likeliest first."""
    id_ = overview.rollout.id
    say = f"fleet rollout {{}} {id_}".format
    sent = sum(any(c.sends for c in mine) for mine in by_store(overview.changes).values())
    failed = stores_that(overview.changes, Standing.FAILED)
    explain = [NextStep(f"{say('status')} --store {s}", "why it failed") for s in failed[:1]]
    back = NextStep(say("rollback"), f"{many(sent, 'store')} back to what each ran before")
    again = len(by_store(c for c in overview.changes if c.may_retry(named=False)))
    match overview.rollout.phase:
        case Phase.RUNNING | Phase.ROLLING_BACK:
            if overview.tickers or overview.controller:
                return (NextStep(say("watch"), "how it goes on"),)
            return (NextStep(say("resume"), "nobody ticks it: this does, in the foreground"),)
        case Phase.AWAITING:
            return (NextStep(say("promote"), "go on beyond the canary"), *([back] if sent else []))
        case Phase.PAUSED:
            go_on = NextStep(say("resume"), f"go on where it was{_with_signals(overview)}")
            ends = NextStep(say("abort"), "send nothing more, for good")
            return (*explain, *_about_silent(overview), go_on, ends)
        case Phase.HALTED:
            accept = NextStep(
                say("resume"), f"go on and accept these failures{_with_signals(overview)}"
            )
            return (*explain, *([back] if sent else []), accept)
        case Phase.DONE:
            recalled = [back] if overview.rollout.recalled and sent else []
            return (*recalled, *explain, *_when_done(overview, again if failed else 0))
        case Phase.ABORTED:
            return (*explain, *([back] if sent else []))
        case Phase.REBUILT:
            missing = NextStep("fleet plan", "which stores do not run the committed release")
            return (missing, *([back] if sent else []))
        case Phase.ROLLED_BACK:
            return (*explain, NextStep(say("status"), "what each store runs"))


def _with_signals(overview: Overview) -> str:
    """Name the alarms and checks that are accepted when a person lets the rollout go on."""
    rollout = overview.rollout
    signals = rollout.signals.unanswered(rollout.answered_at)
    return f", and accept {some(signals, NAMED)}" if signals else ""


def _when_done(overview: Overview, again: int) -> Iterable[NextStep]:
    id_, owing = overview.rollout.id, overview.owed
    if again:
        yield NextStep(f"fleet rollout retry {id_}", f"send it to {many(again, 'store')} again")
    if not owing:
        return
    stores = many(len(by_store(owing)), "store")
    what = f"wait for {stores} to be back: the release is owed there"
    if any(change.may_retry(named=True) for change in owing):
        what = f"send the release to {stores}, once they are back: it is owed there"
    yield NextStep(f"fleet rollout resume {id_}", what)


def _about_silent(overview: Overview) -> tuple[NextStep, ...]:
    """Propose what to do about stores that say nothing of the release."""
    silent = [
        c.store for c in overview.changes if c.may_retry(named=True) and c.verdict.traits.is_silent
    ]
    if not silent:
        return ()
    id_, first = overview.rollout.id, silent[0]
    return (
        NextStep(f"fleet rollout retry {id_} --store {first}", "send it there again"),
        NextStep(f"fleet rollout skip {id_} --store {first}", "leave it out, then resume"),
    )


def stores_that(changes: Iterable[Change], *wanted: Standing) -> Sequence[str]:
    """Return the stores with a change that stands so, in their order."""
    return list(dict.fromkeys(c.store for c in changes if c.standing in wanted))
