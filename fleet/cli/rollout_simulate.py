"""``fleet rollout simulate``: plays rollouts of a plan on a clock; asks and changes nothing."""

from pathlib import Path
from typing import Annotated

import typer

from fleet.cli.options import (
    DEFAULT_INVENTORY,
    AllOption,
    CanaryOption,
    InventoryOption,
    JsonOption,
    OverrideFreezeOption,
    PlanFileOption,
    PolicyOption,
    RingOption,
    StoreOption,
    WhereOption,
    WorkloadsArgument,
    choice_of,
    seconds_of,
)
from fleet.cli.output import notes_to, show, talk_console, width
from fleet.errors import FleetError, UsageError
from fleet.model.simulation import StoreModel
from fleet.rollout.plan_request import PlanRequest
from fleet.rollout.simulate import simulate_rollouts
from fleet.rollout.view.simulation import (
    simulation_document,
    simulation_picture,
    simulation_view,
)
from fleet.runtime.stopping import leaves_at_once
from fleet.runtime.wiring import open_wiring

#: Word of ``--darkness`` for what the records say.
RECORDED = "recorded"


def simulate(
    workloads: WorkloadsArgument = None,
    where: WhereOption = None,
    ring: RingOption = None,
    every: AllOption = False,
    store: StoreOption = None,
    canary: CanaryOption = None,
    policy: PolicyOption = "",
    plan_file: PlanFileOption = None,
    override_freeze: OverrideFreezeOption = "",
    darkness: Annotated[
        str,
        typer.Option(
            metavar="SHARE",
            help="Share of stores that are away at any time, as 2%; or `recorded`, for what the "
            "records of earlier rollouts say.",
        ),
    ] = "0%",
    outage: Annotated[str, typer.Option(metavar="TIME", help="Mean length of an outage.")] = "30m",
    fails: Annotated[
        str, typer.Option(metavar="SHARE", help="Share of stores in which the release crashes.")
    ] = "0%",
    kills_link: Annotated[
        str,
        typer.Option(
            metavar="SHARE", help="Share of stores whose link the release takes for good."
        ),
    ] = "0%",
    stratum: Annotated[
        str,
        typer.Option(
            metavar="WORD",
            help="Only stores with this word in their variant, link, carrier or region are harmed.",
        ),
    ] = "",
    after: Annotated[
        str, typer.Option(metavar="TIME", help="Time after its start until the release does harm.")
    ] = "30s",
    runs: Annotated[int, typer.Option(min=1, max=10_000, help="Rollouts to play.")] = 5,
    seed: Annotated[int, typer.Option(help="Seed of the stores of the first run.")] = 0,
    picture: Annotated[
        Path | None, typer.Option(metavar="FILE.svg", help="Write a picture of the runs.")
    ] = None,
    json: JsonOption = False,
    inventory: InventoryOption = DEFAULT_INVENTORY,
) -> None:
    """Play rollouts of a plan on a simulated clock, to choose a policy.

    The decisions are those of a real rollout, from the present time on; the stores are a model.
    Without a plan file every store is taken to be connected. Neither AWS nor a host is asked.
    """
    request = PlanRequest(
        workloads=tuple(workloads or ()),
        choice=choice_of(store, where, ring, every),
        policy=policy,
        canary=canary,
        override_freeze=override_freeze,
        plan_file=plan_file,
    )
    recorded = darkness == RECORDED
    model = StoreModel(
        darkness=0.0 if recorded else _share("--darkness", darkness, most=0.5),
        outage_s=seconds_of(outage),
        fails=_share("--fails", fails),
        stratum=stratum,
        kills_link=_share("--kills-link", kills_link),
        after_s=seconds_of(after),
    )
    talk = talk_console()
    wiring = open_wiring(inventory, listen=notes_to(talk))
    with leaves_at_once(lambda: "interrupted; nothing was changed"):
        made = simulate_rollouts(
            wiring, request, model, runs=runs, seed=seed, recorded=recorded, tell=talk.print
        )
    if picture is not None:
        _save(simulation_picture(made), picture)
        talk.print(f"the picture is in {picture}")
    show(simulation_document(made) if json else simulation_view(made, width()))


def _share(option: str, text: str, *, most: float = 1.0) -> float:
    """Return the share that ``2%`` or ``0.02`` says.

    Raises:
        UsageError: it says none, or one over ``most``.
    """
    try:
        number = float(text.strip().removesuffix("%")) / (100 if text.strip().endswith("%") else 1)
    except ValueError:
        number = -1.0
    if not 0 <= number <= most:
        raise UsageError(f"{option} is {text!r}, which is no share", hint=f"0% to {most:.0%}")
    return number


def _save(text: str, path: Path) -> None:
    try:
        path.write_text(text, encoding="utf-8")
    except OSError as error:
        raise FleetError(f"{path}: {error.strerror}") from error
