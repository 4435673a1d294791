"""``fleet rollout pause|resume|promote|retry|skip|abort|rollback``: steers a rollout."""

import threading
from pathlib import Path

import typer
from rich.console import Console

from fleet.cli.options import (
    DEFAULT_INVENTORY,
    IdArgument,
    InventoryOption,
    NoWaitOption,
    StoreOption,
    WhyOption,
    YesOption,
)
from fleet.cli.output import agreed, ignore_events, require_terminal, talk_console
from fleet.cli.rollout_foreground import advance
from fleet.errors import Interrupted
from fleet.model.overview import Overview
from fleet.model.printable import many, who
from fleet.model.rollout import Verb, VerbName
from fleet.model.spans import span
from fleet.rollout.overview import exit_code_of, find_rollout, overview
from fleet.rollout.verbs import (
    ADVANCES,
    NEEDS_NO_CALL,
    VerbRequest,
    answer_to,
    check_request,
    obey_now,
    say,
    stores_sent_to,
    who_obeys,
)
from fleet.runtime.callers import callers
from fleet.runtime.run_record import recorded
from fleet.runtime.stopping import leaves_at_once
from fleet.runtime.wiring import Wiring, open_wiring

#: Wall seconds to wait for what comes of a verb, and between reads.
ANSWER_WITHIN_S = 10.0
POLL_S = 0.25
#: Stores that a question names.
STORES_NAMED = 5


def pause(
    rollout: IdArgument = None,
    why: WhyOption = "",
    no_wait: NoWaitOption = False,
    inventory: InventoryOption = DEFAULT_INVENTORY,
) -> None:
    """Stop sending for now.

    Stores that were sent the release are still watched.
    """
    request = VerbRequest(VerbName.PAUSE, rollout, why=why, no_wait=no_wait)
    raise typer.Exit(tell(request, inventory))


def resume(
    rollout: IdArgument = None,
    why: WhyOption = "",
    no_wait: NoWaitOption = False,
    inventory: InventoryOption = DEFAULT_INVENTORY,
) -> None:
    """Continue; after a halt this accepts the failures.

    Runs in the foreground if no other process advances the rollout. After a rollout is done, waits
    for the stores that still owe the release.
    """
    request = VerbRequest(VerbName.RESUME, rollout, why=why, no_wait=no_wait)
    raise typer.Exit(tell(request, inventory))


def promote(
    rollout: IdArgument = None,
    why: WhyOption = "",
    no_wait: NoWaitOption = False,
    inventory: InventoryOption = DEFAULT_INVENTORY,
) -> None:
    """Let a rollout go beyond the canary."""
    request = VerbRequest(VerbName.PROMOTE, rollout, why=why, no_wait=no_wait)
    raise typer.Exit(tell(request, inventory))


def retry(
    rollout: IdArgument = None,
    store: StoreOption = None,
    why: WhyOption = "",
    no_wait: NoWaitOption = False,
    inventory: InventoryOption = DEFAULT_INVENTORY,
) -> None:
    """Send the release again where it failed.

    Sends to all stores that failed or could not pull the image, or to those named. A store that was
    changed by hand must be named.
    """
    request = VerbRequest(
        VerbName.RETRY, rollout, stores=tuple(store or ()), why=why, no_wait=no_wait
    )
    raise typer.Exit(tell(request, inventory))


def skip(
    rollout: IdArgument = None,
    store: StoreOption = None,
    why: WhyOption = "",
    no_wait: NoWaitOption = False,
    inventory: InventoryOption = DEFAULT_INVENTORY,
) -> None:
    """Leave stores out of a rollout.

    What was sent to them stays.
    """
    request = VerbRequest(
        VerbName.SKIP, rollout, stores=tuple(store or ()), why=why, no_wait=no_wait
    )
    raise typer.Exit(tell(request, inventory))


def abort(
    rollout: IdArgument = None,
    why: WhyOption = "",
    no_wait: NoWaitOption = False,
    inventory: InventoryOption = DEFAULT_INVENTORY,
) -> None:
    """End a rollout; what was sent stays.

    Nothing more is sent. Stores that are dark are set back, so that ECS does not apply the release
    when they return.
    """
    request = VerbRequest(VerbName.ABORT, rollout, why=why, no_wait=no_wait)
    raise typer.Exit(tell(request, inventory))


def rollback(
    rollout: IdArgument = None,
    store: StoreOption = None,
    why: WhyOption = "",
    no_wait: NoWaitOption = False,
    yes: YesOption = False,
    inventory: InventoryOption = DEFAULT_INVENTORY,
) -> None:
    """Set stores back to what each ran before.

    Sets back every store that was sent the release, or those named.
    """
    request = VerbRequest(
        VerbName.ROLLBACK, rollout, stores=tuple(store or ()), why=why, no_wait=no_wait, yes=yes
    )
    raise typer.Exit(tell(request, inventory))


def tell(request: VerbRequest, inventory: Path) -> int:
    """Tell a rollout something; returns the exit code.

    Raises:
        UsageError: no such rollout or store; nothing was told.
        CredentialsError: AWS does not know who tells it, so it is not told.
    """
    talk = talk_console()
    wiring = open_wiring(inventory, listen=ignore_events, stop=threading.Event())
    with leaves_at_once(lambda: "interrupted; nothing was said"):
        id_ = find_rollout(wiring.records, request.rollout)
        before = overview(wiring.records, id_, wiring.clock.now())
        check_request(before, request)
        if request.verb is VerbName.ROLLBACK and not request.yes:
            _ask(request, before, talk)
        places = before.rollout.spec.places.values()
        arns = callers(wiring, {(place.account, place.region) for place in places})
    caller = ", ".join(sorted(set(arns)))
    with recorded(wiring, "rollout", callers=arns, tell=talk.print) as run:
        said = say(wiring, request, id_, caller=caller, run_id=run.id)
        owner = who_obeys(before)
        if not owner and request.verb in NEEDS_NO_CALL:
            if obey_now(wiring, id_):
                talk.print(f"{id_}: {answer_to(wiring.records, said)}")
            else:
                owner = "whoever ticks it now"
            if not owner and _is_to_be_ticked(wiring, request, id_):
                return advance(wiring, id_, run, talk, caller=caller, said=request.verb)
        if owner:
            _wait_for_answer(wiring, request, said, owner, talk)
        elif request.verb in ADVANCES - NEEDS_NO_CALL and not request.no_wait:
            code = advance(wiring, id_, run, talk, caller=caller, said=request.verb)
            if request.stores:
                after = overview(wiring.records, id_, wiring.clock.now())
                code = exit_code_of(request.stores, after, code)
            answer = answer_to(wiring.records, said)
            if answer and talk.is_terminal:  # elsewhere it was one of the lines
                talk.print(f"{request.verb.value}: {answer}")
            return code
        elif request.verb not in NEEDS_NO_CALL:
            again = request.words(id_)
            talk.print(f"{id_}: said; nobody ticks it now: `{again}` does, or `fleet controller`")
        run.end("said")
    return 0


def _is_to_be_ticked(wiring: Wiring, request: VerbRequest, id_: str) -> bool:
    """Return whether an abort that was obeyed leaves stores to set back or to watch."""
    after = overview(wiring.records, id_, wiring.clock.now())
    is_open = request.verb is VerbName.ABORT and after.rollout.finished_at is None
    return is_open and not request.no_wait


def _ask(request: VerbRequest, before: Overview, talk: Console) -> None:
    """Ask before stores are set back: that changes shops."""
    sent = stores_sent_to(before, request)
    names = ", ".join(sent[:STORES_NAMED])
    if len(sent) > STORES_NAMED:
        names += f" and {len(sent) - STORES_NAMED} more"
    require_terminal(f"this sets {many(len(sent), 'store')} back")
    typer.echo(
        f"{before.rollout.id} {before.rollout.spec.title}: {many(len(sent), 'store')} "
        f"back to what each ran before: {names or 'none'}",
        err=True,
    )
    if not agreed(talk):
        raise Interrupted("nothing was said")


def _wait_for_answer(
    wiring: Wiring, request: VerbRequest, said: Verb, owner: str, talk: Console
) -> None:
    name = request.verb.value
    talk.print(f"{said.rollout}: {name} was said by {who(said.by)}; {owner} obeys it")
    if request.no_wait:
        return
    pause = threading.Event()
    with leaves_at_once(lambda: "left; what was said stays said"):
        for _ in range(int(ANSWER_WITHIN_S / POLL_S)):
            answer = answer_to(wiring.records, said)
            if answer:
                talk.print(f"{said.rollout}: {answer}")
                return
            pause.wait(POLL_S)
    talk.print(
        f"no answer within {span(ANSWER_WITHIN_S)}; it stays said: "
        f"fleet rollout status {said.rollout}"
    )
