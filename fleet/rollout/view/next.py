"""What to type next about a rollout, for every state that it can be in; each command works."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from fleet.model.changes import Change
from fleet.model.overview import Overview
from fleet.model.rollout import Phase
from fleet.rollout.view.counts import Standing, by_store, owed, standing


@dataclass(frozen=True, slots=True)
class Next:
    """A command as a person would type it, and what it is good for."""

    command: str
    what: str


def next_steps(overview: Overview) -> tuple[Next, ...]:
    """The commands that make sense now, the likeliest first."""
    id_ = overview.rollout.id
    say = f"fleet rollout {{}} {id_}".format
    sent = sum(any(c.sends for c in mine) for mine in by_store(overview.changes).values())
    failed = stores_that(overview.changes, Standing.FAILED)
    explain = [Next(f"{say('status')} --store {s}", "why it failed") for s in failed[:1]]
    back = Next(say("rollback"), f"{_stores(sent)} back to what each ran before")
    again = Next(say("retry"), f"send it to {_stores(len(failed))} again") if failed else None
    match overview.rollout.phase:
        case Phase.RUNNING | Phase.ROLLING_BACK:
            if overview.tickers or overview.controller:
                return (Next(say("watch"), "how it goes on"),)
            return (Next(say("resume"), "nobody ticks it: this does, in the foreground"),)
        case Phase.AWAITING:
            return (Next(say("promote"), "go on beyond the canary"), *([back] if sent else []))
        case Phase.PAUSED:
            go_on = Next(say("resume"), "go on where it was")
            ends = Next(say("abort"), "send nothing more, for good")
            return (*explain, *_about_silent(overview), go_on, ends)
        case Phase.HALTED:
            accept = Next(say("resume"), "go on and accept these failures")
            return (*explain, *([back] if sent else []), accept)
        case Phase.DONE:
            debts = len(by_store(owed(overview.changes, overview.rollout.phase)))
            catch_up = Next(
                say("resume"), f"wait for {_stores(debts)} to be back: the release is owed there"
            )
            return (*explain, *filter(None, (again,)), *([catch_up] if debts else []))
        case Phase.ABORTED:
            return (*explain, *([back] if sent else []))
        case Phase.ROLLED_BACK:
            return (*explain, Next(say("status"), "what each store runs"))


def _about_silent(overview: Overview) -> tuple[Next, ...]:
    """What can be done about stores that say nothing of the release, and keep a wave waiting."""
    silent = stores_that(overview.changes, Standing.UNDELIVERED, Standing.BY_HAND)
    if not silent:
        return ()
    id_, first = overview.rollout.id, silent[0]
    return (
        Next(f"fleet rollout retry {id_} --store {first}", "send it there again"),
        Next(f"fleet rollout skip {id_} --store {first}", "leave it out, then resume"),
    )


def stores_that(changes: Iterable[Change], *wanted: Standing) -> Sequence[str]:
    """Stores with a change that stands so, in their order."""
    return list(dict.fromkeys(c.store for c in changes if standing(c) in wanted))


def _stores(count: int) -> str:
    return "1 store" if count == 1 else f"{count} stores"
