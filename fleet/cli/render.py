"""``fleet render``: shows what would be sent for one store."""

from difflib import get_close_matches
from typing import Annotated

import typer

from fleet.cli.options import DEFAULT_INVENTORY, InventoryOption, JsonOption
from fleet.cli.output import ignore_events, show
from fleet.errors import EmptySelection, FleetError, UsageError
from fleet.inventory.decide.selection import Choice, choose
from fleet.inventory.loader import load_fleet
from fleet.model.inventory import Fleet
from fleet.release.decide.desired import image_questions, release_of, unread
from fleet.release.decide.service_input import fleet_of_one, renderings_for, service_previews
from fleet.release.images import read_image
from fleet.release.renderings import render_all
from fleet.release.view import render_document, render_view
from fleet.runtime.state_dir import state_dir
from fleet.runtime.stopping import leaves_at_once
from fleet.runtime.wiring import open_wiring


def render(
    store: Annotated[str, typer.Argument(metavar="STORE", help="Id of the store.")],
    workloads: Annotated[
        list[str] | None,
        typer.Argument(metavar="[WORKLOAD...]", help="Names of workloads; all if none."),
    ] = None,
    offline: Annotated[
        bool, typer.Option("--offline", help="Do not ask ECR for the digests behind tags.")
    ] = False,
    json: JsonOption = False,
    inventory: InventoryOption = DEFAULT_INVENTORY,
) -> None:
    """Show the AWS calls that a rollout would make for a store.

    Changes nothing. Asks only ECR, for the digests of images that the inventory names by tag, and
    says so when ECR cannot be asked; a plan pins them.
    """
    fleet = load_fleet(inventory, state_dir())
    (shop,) = choose(fleet, Choice((store,)))
    names = workloads or []
    _check_workloads(fleet, names)
    alone = fleet_of_one(fleet, shop, names)
    wanted = renderings_for(alone, shop, render_all(alone))
    if not wanted:
        known = ", ".join(one.name for one in alone.workloads) or "no workload is written"
        raise EmptySelection(
            f"{shop.id} runs none of: {known}", hint=f"fleet inventory show {shop.id}"
        )
    facts = {reference: unread(reference) for reference in image_questions(alone, wanted)}
    notes = []
    if facts and not offline:
        with leaves_at_once(lambda: "interrupted; nothing was changed"):
            try:
                wiring = open_wiring(inventory, listen=ignore_events)
                for reference in facts:
                    facts[reference] = read_image(wiring, reference, shop.account)
            except UsageError:
                raise
            except FleetError as error:
                notes = [f"ECR could not be asked: {error}"]
    release = release_of(alone, wanted, facts)
    pages, notes = service_previews(alone, release, shop), [*notes, *release.notes]
    if json:
        show(render_document(shop, release.id, pages, notes))
    else:
        show(render_view(shop, pages, notes))


def _check_workloads(fleet: Fleet, names: list[str]) -> None:
    known = [one.name for one in fleet.workloads]
    for name in names:
        if name not in known:
            near = get_close_matches(name, known, n=1)
            hint = f"did you mean {near[0]}?" if near else f"workloads: {', '.join(known)}"
            raise UsageError(f"no workload {name!r} in the inventory", hint=hint)
