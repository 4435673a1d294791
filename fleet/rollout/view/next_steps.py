"""Proposes what to type next about a rollout, in every phase; none of the commands is refused.

After a halt `resume` is proposed only with what it accepts and what it sends.
"""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

from fleet.model.changes import Change, by_store
from fleet.model.commands import Command
from fleet.model.overview import Overview
from fleet.model.printable import many, some
from fleet.model.rollout import Phase, Rollout
from fleet.model.verdicts import Stage, Standing, Verdict

#: Alarms and checks that are named in a step.
NAMED = 3


@dataclass(frozen=True, slots=True)
class NextStep:
    """Holds a command as a person would type it, and what it is good for.

    Attributes:
        waits_for_stop: whether it sends the release, and so waits while every send is stopped.
    """

    command: Command
    what: str
    waits_for_stop: bool = False


def _step(words: str, what: str, *, sends: bool = True, accepts: str = "") -> NextStep:
    return NextStep(Command(words, sends=sends, accepts=accepts), what)


def _release_step(words: str, what: str, *, accepts: str = "") -> NextStep:
    return NextStep(Command(words, accepts=accepts), what, waits_for_stop=True)


def next_steps(overview: Overview) -> tuple[NextStep, ...]:
    """Return the commands that make sense now, the likeliest first."""
    return _unless_stopped(overview, _steps(overview))


def _unless_stopped(overview: Overview, steps: tuple[NextStep, ...]) -> tuple[NextStep, ...]:
    """Propose to lift a stop of every send in the place of what would only wait for that."""
    if overview.stop is None or not overview.stop.is_in_force:
        return steps
    left = tuple(step for step in steps if not step.waits_for_stop)
    if len(left) == len(steps):
        return steps
    lift = _step("fleet start", "let rollouts send again; before that, nothing gets the release")
    return (lift, *left)


def _steps(overview: Overview) -> tuple[NextStep, ...]:
    rollout = overview.rollout
    explain = [_explain(rollout, s) for s in stores_that(overview.changes, Standing.FAILED)[:1]]
    back = _rollback(overview)
    match rollout.phase:
        case Phase.RUNNING | Phase.ROLLING_BACK:
            if overview.tickers or overview.controller:
                words = f"fleet rollout watch {rollout.id}"
                return (_step(words, "how it goes on", sends=False),)
            words = f"fleet rollout resume {rollout.id}"
            return (_step(words, "nobody ticks it: this does, in the foreground"),)
        case Phase.AWAITING:
            sends = overview.resume_sends or "what is left"
            promote = _release_step(f"fleet rollout promote {rollout.id}", f"go on with {sends}")
            return (promote, *back)
        case Phase.PAUSED:
            ends = _step(
                f"fleet rollout abort {rollout.id}",
                "send nothing more, for good",
                sends=_takes_back(overview),
            )
            return (*explain, *_about_silent(overview), _go_on(overview), ends)
        case Phase.HALTED:
            return (*explain, *back, _go_on(overview))
        case Phase.DONE:
            recalled = back if rollout.recalled else ()
            return (*recalled, *explain, *_when_done(overview))
        case Phase.ABORTED:
            return (*explain, *back)
        case Phase.REBUILT:
            what = "which stores do not run the committed release"
            return (_step("fleet plan", what, sends=False), *back)
        case Phase.ROLLED_BACK:
            left = any(change.is_not_set_back for change in overview.changes)
            plan = f"fleet plan {' '.join(rollout.spec.workloads)}".strip()
            fresh = _step(plan, "what the inventory would change now", sends=False)
            return (*explain, *(back if left else ()), fresh)


def _explain(rollout: Rollout, store: str) -> NextStep:
    words = f"fleet rollout status {rollout.id} --store {store}"
    return _step(words, "why it failed", sends=False)


def _go_on(overview: Overview) -> NextStep:
    """Propose to resume, with what that accepts and which stores it sends the release to."""
    halted = overview.rollout.phase is Phase.HALTED
    signals = overview.rollout.signals.unanswered(overview.rollout.answered_at)
    said = (overview.resume_accepts, some(signals, NAMED) if signals else "")
    accepts, sends = ", ".join(filter(None, said)), overview.resume_sends
    dark = [c for c in overview.changes if c.stage is Stage.UNDONE and c.verdict is Verdict.DARK]
    words = [f"accept {accepts}"] if accepts else []
    words.append(f"send it to {sends}" if sends else "go on; no store is left to send to")
    if halted and dark:
        words.append(f"{many(len(by_store(dark)), 'dark store')} once back")
    what = ", ".join(words)
    return _release_step(f"fleet rollout resume {overview.rollout.id}", what, accepts=accepts)


def _rollback(overview: Overview) -> tuple[NextStep, ...]:
    phase = overview.rollout.phase
    sent = len(by_store(c for c in overview.changes if _may_roll_back(phase, c)))
    words = f"fleet rollout rollback {overview.rollout.id}"
    what = f"{many(sent, 'store')} back to what each ran before"
    return (_step(words, what),) if sent else ()


def _may_roll_back(phase: Phase, change: Change) -> bool:
    """Return whether `rollback` sets a change back that was sent."""
    if phase is Phase.ROLLED_BACK:
        return change.is_not_set_back
    stages = {Stage.SENT, Stage.SENDING, Stage.SKIPPED}
    return change.sends > 0 and (change.stage in stages or change.is_not_set_back)


def _takes_back(overview: Overview) -> bool:
    """Return whether an abort sets stores back: those that would apply the release later."""
    return any(
        change.stage is Stage.SENT
        and change.verdict in {Verdict.DARK, Verdict.UNDELIVERED}
        and not change.was_applied
        for change in overview.changes
    )


def _when_done(overview: Overview) -> Iterator[NextStep]:
    rollout, owing = overview.rollout, overview.owed
    id_, accepts = rollout.id, "that it was recalled" if rollout.recalled else ""
    although = f"accept {accepts}, " if accepts else ""
    failed = stores_that(overview.changes, Standing.FAILED)
    again = len(by_store(c for c in overview.changes if c.may_retry(named=False)))
    if failed and again:
        what = f"{although}send it to {many(again, 'store')} again"
        yield _release_step(f"fleet rollout retry {id_}", what, accepts=accepts)
    if not owing:
        return
    stores = many(len(by_store(owing)), "store")
    what = f"wait for {stores} to be back: the release is owed there"
    if any(change.may_retry(named=True) for change in owing):
        what = f"send the release to {stores}, once they are back: it is owed there"
    yield _release_step(f"fleet rollout resume {id_}", f"{although}{what}", accepts=accepts)


def _about_silent(overview: Overview) -> tuple[NextStep, ...]:
    """Propose what to do about stores that say nothing of the release."""
    silent = [
        c.store for c in overview.changes if c.may_retry(named=True) and c.verdict.traits.is_silent
    ]
    if not silent:
        return ()
    id_, first = overview.rollout.id, silent[0]
    return (
        _retry(overview, first),
        _step(f"fleet rollout skip {id_} --store {first}", "leave it out", sends=False),
    )


def _retry(overview: Overview, store: str) -> NextStep:
    mine = [c for c in overview.changes if c.store == store]
    by_hand = any(c.verdict is Verdict.CHANGED_BY_HAND for c in mine)
    phase = overview.rollout.phase
    only = f" only; the rollout stays {phase.value}" if phase.awaits_person else ""
    return _release_step(
        f"fleet rollout retry {overview.rollout.id} --store {store}",
        f"send it there again{only}",
        accepts="the change by hand is overwritten" if by_hand else "",
    )


def store_steps(overview: Overview, store: str) -> tuple[NextStep, ...]:
    """Return the commands that make sense about one store of a rollout."""
    rollout = overview.rollout
    mine = [change for change in overview.changes if change.store == store]
    standings = {change.standing for change in mine}
    steps = []
    if not rollout.phase.forgives and any(change.may_retry(named=True) for change in mine):
        steps.append(_retry(overview, store))
    if any(_may_roll_back(rollout.phase, change) for change in mine):
        words = f"fleet rollout rollback {rollout.id} --store {store}"
        steps.append(_step(words, "back to what it ran"))
    open_ = {Standing.PLANNED, Standing.PARKED, Standing.WAITING, Standing.FAILED}
    if standings & open_ and not rollout.phase.has_ended:
        words = f"fleet rollout skip {rollout.id} --store {store}"
        steps.append(_step(words, "leave it out", sends=False))
    words = f"fleet status {store}"
    steps.append(_step(words, "its hosts in SSM and ECS, now", sends=False))
    return _unless_stopped(overview, tuple(steps))


def stores_that(changes: Iterable[Change], *wanted: Standing) -> Sequence[str]:
    """Return the stores with a change that stands so, in their order."""
    return list(dict.fromkeys(c.store for c in changes if c.standing in wanted))
