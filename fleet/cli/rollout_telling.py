"""Telling a rollout something: leaves the word, says who obeys, and obeys if nobody else does."""

import sys
import threading
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TextIO, cast

import typer
from rich.console import Console

from fleet.cli.rollout_books import look, which
from fleet.cli.rollout_foreground import go_along
from fleet.cli.rollout_looking import check_stores
from fleet.errors import Interrupted, UsageError
from fleet.model.changes import by_store
from fleet.model.overview import Overview
from fleet.model.printable import many, who
from fleet.model.rollout import Verb, VerbName
from fleet.model.spans import span
from fleet.runtime.callers import callers
from fleet.runtime.run_record import recorded
from fleet.runtime.stopping import leaves_at_once
from fleet.runtime.wiring import Wiring, open_wiring
from fleet.terminal.screen import console_for
from fleet.terminal.streams import Talk

#: Wall seconds to wait for what comes of a word, and between looks.
ANSWER_WITHIN_S = 10.0
LOOK_S = 0.25

#: Words that are to be acted on, by this command itself where nobody else ticks.
_ACTS = frozenset(
    {VerbName.RESUME, VerbName.PROMOTE, VerbName.RETRY, VerbName.ABORT, VerbName.ROLLBACK}
)


@dataclass(frozen=True, slots=True)
class Word:
    """The words of a command, as its options explain them."""

    name: str
    rollout: str | None
    inventory: Path
    stores: Sequence[str] = field(default=())
    why: str = ""
    no_wait: bool = False


def tell(word: Word, *, yes: bool = True) -> int:
    """Tell a rollout something; returns the exit code.

    Raises:
        UsageError: no such rollout or store; nothing was said.
        CredentialsError: AWS does not know who says it, so it is not said.
    """
    verb = VerbName(word.name)
    talk = console_for(cast("TextIO", Talk(sys.stderr)))
    wiring = open_wiring(word.inventory, listen=lambda _event: None, stop=threading.Event())
    with leaves_at_once(lambda: "interrupted; nothing was said"):
        id_ = which(wiring.records, word.rollout)
        before = look(wiring.records, wiring.clock, id_)
        _check(word, verb, before)
        if verb is VerbName.ROLLBACK and not yes:
            _ask(word, before)
        places = before.rollout.spec.places.values()
        arns = callers(wiring, {(place.account, place.region) for place in places})
    caller = ", ".join(sorted(set(arns)))
    with recorded(wiring, "rollout", callers=arns, tell=talk.print) as run:
        said = _say(wiring, word, id_, caller=caller, run_id=run.id)
        obeyer = _obeyer(before)
        if obeyer:
            _wait_for_answer(wiring, word, said, obeyer, talk)
        elif verb in _ACTS and not word.no_wait:
            code = go_along(wiring, id_, run, talk, caller=caller, said=verb)
            answer = _answer(wiring, said)
            if answer and talk.is_terminal:  # elsewhere it was one of the lines
                talk.print(f"{verb.value}: {answer}")
            return code
        else:
            talk.print(
                f"{id_}: nobody ticks it now, so the next tick obeys: fleet rollout resume {id_}"
            )
        run.end("said")
    return 0


def _check(word: Word, verb: VerbName, overview: Overview) -> None:
    check_stores(overview, list(word.stores))
    if verb is VerbName.SKIP and not word.stores:
        raise UsageError(
            "no store to skip was named",
            hint=f"fleet rollout skip {overview.rollout.id} --store ID; `abort` ends all of it",
        )


def _ask(word: Word, overview: Overview) -> None:
    """Rolling back changes shops, so it is agreed upon first."""
    sent = [
        store
        for store, mine in by_store(overview.changes).items()
        if any(change.sends for change in mine) and (not word.stores or store in word.stores)
    ]
    names = ", ".join(sent[:5]) + (f" and {len(sent) - 5} more" if len(sent) > 5 else "")  # noqa: PLR2004 - as sliced
    if not sys.stdin.isatty():
        raise UsageError(
            f"this sets {many(len(sent), 'store')} back, and there is no terminal to ask on",
            hint="add --yes",
        )
    typer.echo(
        f"{overview.rollout.id} {overview.rollout.spec.title}: {many(len(sent), 'store')} "
        f"back to what each ran before: {names or 'none'}",
        err=True,
    )
    try:
        agreed = typer.confirm("Go on?", err=True)
    except typer.Abort:
        agreed = False
    if not agreed:
        raise Interrupted("nothing was said")


def _say(wiring: Wiring, word: Word, id_: str, *, caller: str, run_id: str) -> Verb:
    now = wiring.clock.now()
    said = wiring.records.rollouts.say(
        id_, VerbName(word.name), by=caller, at=now, stores=tuple(word.stores), why=word.why
    )
    wiring.records.audit(
        run_id,
        at=now,
        caller_arn=caller,
        action=f"rollout {word.name}",
        why=word.why or f"{word.name} was said to {id_}",
        detail={"rollout": id_, "stores": list(word.stores)},
    )
    return said


def _obeyer(overview: Overview) -> str:
    """Who will obey, in words; "" when nobody does.

    A controller ticks what is not finished; one that is finished has to be ticked by who said it.
    """
    if overview.tickers:
        return overview.tickers[0].owner
    if overview.controller is not None and overview.rollout.finished_at is None:
        return overview.controller.owner
    return ""


def _wait_for_answer(wiring: Wiring, word: Word, said: Verb, obeyer: str, talk: Console) -> None:
    talk.print(f"{said.rollout}: {word.name} was said by {who(said.by)}; {obeyer} obeys it")
    if word.no_wait:
        return
    pause = threading.Event()
    with leaves_at_once(lambda: "left; what was said stays said"):
        for _ in range(int(ANSWER_WITHIN_S / LOOK_S)):
            answer = _answer(wiring, said)
            if answer:
                talk.print(f"{said.rollout}: {answer}")
                return
            pause.wait(LOOK_S)
    talk.print(
        f"no answer within {span(ANSWER_WITHIN_S)}; it stays said: "
        f"fleet rollout status {said.rollout}"
    )


def _answer(wiring: Wiring, said: Verb) -> str:
    verbs = wiring.records.rollouts.verbs(said.rollout)
    return next((verb.answer for verb in verbs if verb.id == said.id), "")
