"""``fleet render``: what would be sent for one store."""

from typing import TYPE_CHECKING, Annotated

import typer

from fleet.cli.options import DEFAULT_INVENTORY, InventoryOption, JsonOption

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence
    from pathlib import Path

    from fleet.model.desired import ImageFact
    from fleet.model.inventory import Fleet, Store


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
    import json as json_format
    import sys

    from fleet.errors import EmptySelection
    from fleet.inventory.decide.selection import Choice, choose
    from fleet.inventory.loader import load_fleet
    from fleet.release.decide.desired import image_questions, release_of
    from fleet.release.decide.sheets import fleet_of_one, renderings_for, sheets
    from fleet.release.templates import render_all
    from fleet.release.view import render_document, render_view
    from fleet.runtime.state_dir import state_dir
    from fleet.runtime.stopping import leaves_at_once
    from fleet.terminal.screen import console_for

    fleet = load_fleet(inventory, state_dir())
    (shop,) = choose(fleet, Choice((store,)))
    _check_workloads(fleet, workloads or [])
    alone = fleet_of_one(fleet, shop, workloads or [])
    wanted = renderings_for(alone, shop, render_all(alone))
    if not wanted:
        names = ", ".join(one.name for one in alone.workloads) or "no workload is written"
        raise EmptySelection(
            f"{shop.id} runs none of: {names}", hint=f"fleet inventory show {shop.id}"
        )
    questions = image_questions(alone, wanted)
    with leaves_at_once(lambda: "interrupted; nothing was changed"):
        facts, notes = _answers(inventory, alone, shop, questions, ask=not offline)
    release = release_of(alone, wanted, facts)
    pages, notes = sheets(alone, release, shop), [*notes, *release.notes]
    if json:
        document = render_document(shop, release.id, pages, notes)
        typer.echo(json_format.dumps(document, indent=2))
        return
    console_for(sys.stdout).print(render_view(shop, pages, notes))


def _check_workloads(fleet: "Fleet", names: "Sequence[str]") -> None:
    import difflib

    from fleet.errors import UsageError

    known = [one.name for one in fleet.workloads]
    for name in names:
        if name not in known:
            near = difflib.get_close_matches(name, known, n=1)
            hint = f"did you mean {near[0]}?" if near else f"workloads: {', '.join(known)}"
            raise UsageError(f"no workload {name!r} in the inventory", hint=hint)


def _answers(
    inventory: "Path", fleet: "Fleet", store: "Store", questions: "Iterable[str]", *, ask: bool
) -> "tuple[Mapping[str, ImageFact], list[str]]":
    """What ECR says of each image, and why it could not be asked."""
    from fleet.errors import FleetError, UsageError
    from fleet.model.inventory import Image
    from fleet.release.decide.desired import unread

    facts = {reference: unread(reference) for reference in questions}
    if not facts or not ask:
        return facts, []
    from fleet.aws.images import ecr_reference, image_fact
    from fleet.runtime.wiring import open_wiring

    declared = {image.reference: image for one in fleet.workloads for image in one.images.values()}
    notes = []
    try:
        wiring = open_wiring(inventory, listen=lambda _event: None)
        for reference in facts:
            where = ecr_reference(reference)
            if where is not None:
                shard = wiring.shard(store.account, where.region)
                image = declared.get(reference, Image(reference))
                facts[reference] = image_fact(shard, image).value
    except UsageError:
        raise
    except FleetError as error:
        notes.append(f"ECR could not be asked: {error}")
    return facts, notes
