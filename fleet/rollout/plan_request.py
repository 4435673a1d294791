"""Checks what a person asks to roll out, and plans it or reads a saved plan."""

import itertools
import os
import shlex
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass, field, replace
from difflib import get_close_matches
from pathlib import Path
from typing import Any

from fleet.errors import SendingStopped, UsageError
from fleet.inventory.decide.selection import Choice, describe, stores_to_change
from fleet.model.desired import content_of
from fleet.model.inventory import Fleet
from fleet.model.plain import from_plain, to_plain
from fleet.model.plan import Kind, Plan
from fleet.model.rates import call_share
from fleet.model.rollout import VerbName
from fleet.rollout.controller import CONTROLLER
from fleet.rollout.decide.fingerprint import differences
from fleet.rollout.decide.plan_digest import (
    DIGEST,
    EditedPlanError,
    check_digest,
    digest_of,
    read_json,
)
from fleet.rollout.plan import Request, make_plan
from fleet.runtime.lease import holder_of
from fleet.runtime.wiring import Wiring
from fleet.terminal.documents import Document
from fleet.terminal.documents import document as versioned

#: First words of ``fleet rollout`` that are no workload, in the order of the help.
VERBS = (
    "start",
    "simulate",
    "status",
    "watch",
    "wait",
    "history",
    *(verb.value for verb in VerbName),
)
#: Most lines about what differs from a saved plan.
DIFFERENCES_SHOWN = 12
KIND = "rollout-plan"
VERSION = 1


def plan_document(plan: Plan) -> Document:
    """Return all of a plan, with a digest; ``totals`` are for readers and are not read back."""
    kinds = [change.kind for change in plan.changes]
    document = versioned(
        KIND,
        {
            "totals": {
                "stores_changed": len({c.store for c in plan.changes if c.kind.is_change}),
                "stores_not_read": len(plan.unread),
                **{kind.value: kinds.count(kind) for kind in Kind},
            },
            "plan": to_plain(plan),
        },
        version=VERSION,
    )
    document[DIGEST] = digest_of(document)
    return document


def plan_from_document(document: Any) -> Plan:
    """Return the plan of a document.

    Raises:
        ValueError: it is none, or one of another version.
        EditedPlanError: it is not what its digest says, or a task definition is not what its
            address says.
    """
    if not isinstance(document, dict) or document.get("kind") != KIND:
        raise ValueError("it is no rollout plan")
    if document.get("version") != VERSION:
        raise ValueError(f"it is of version {document.get('version')}, not {VERSION}")
    check_digest(document)
    plan = from_plain(Plan, document.get("plan"))
    for address, definition in plan.release.task_definitions.items():
        if not address == definition.content == content_of(definition.body):
            words = f"the task definition {address[:12]} ({definition.family}) was edited"
            raise EditedPlanError(words)
    return plan


def save_a_plan() -> str:
    """Propose to save a plan, for a file that holds none: it and any other are left as they are."""
    names = (f"new-plan{number or ''}.json" for number in itertools.count())
    name = next(name for name in names if not Path(name).exists())
    return f"save one in a file of its own: fleet plan --json --out {name}"


def plan_again(saved: Plan, path: Path, gone: Collection[str] = ()) -> str:
    """Propose to make a plan anew in the words in which it was made: no other stores, no more.

    Args:
        gone: ids of stores that the inventory does not have any more.
    """
    try:
        chosen = shlex.split(saved.selection)
    except ValueError:  # no words of fleet's
        return "make it again as it was made, with --json --out"
    ids = list(itertools.takewhile(lambda word: not word.startswith("--"), chosen))
    left = [store for store in ids if store not in gone]
    if ids and not left:
        return "none of the stores that it names is left"
    words = [
        *("fleet", "plan", *saved.workloads),
        *(word for store in left for word in ("--store", store)),
        *chosen[len(ids) :],
        *("--policy", saved.policy.name, "--seed", str(saved.seed)),
        "--canary" if saved.canary else "--no-canary",
        *(["--overwrite"] if saved.overwrite else []),
        *("--json", "--out", str(path)),
    ]
    return f"plan again: {shlex.join(words)}"


def read_plan(path: Path, *, tell: Callable[[str], None] | None = None) -> Plan:
    """Read a plan that was saved as JSON.

    Args:
        tell: is told of a file without a digest, as fleet 0.1 wrote it.

    Raises:
        UsageError: the file cannot be read or holds no plan.
    """
    try:
        document = read_json(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise UsageError(f"{path}: {error.strerror}") from error
    except ValueError as error:
        raise UsageError(f"{path} is no JSON: {error}", hint=save_a_plan()) from error
    try:
        plan = plan_from_document(document)
    except EditedPlanError as error:
        raise UsageError(
            f"{path}: {error}; nothing was sent",
            hint="make it again as it was made, with --json --out; its words cannot be trusted now",
        ) from error
    except (KeyError, TypeError, ValueError) as error:
        raise UsageError(
            f"{path} is no plan of this version of fleet: {type(error).__name__}: {error}",
            hint=save_a_plan(),
        ) from error
    if tell is not None and DIGEST not in document:
        tell(
            f"{path} is of fleet 0.1 and has no digest, so nobody can tell whether its words were "
            "edited; what it rests on is compared with what is there now"
        )
    return plan


@dataclass(frozen=True, slots=True)
class PlanRequest:
    """Holds the options of ``fleet plan`` and ``fleet rollout``.

    Attributes:
        workloads: names; empty for all.
        choice: of stores; all if nothing was chosen.
        policy: name; "" for the one that the workloads name.
        canary: whether it begins with one; None for what the policy says.
        override_freeze: the reason for which freezes are overridden, or "".
        overwrite: whether what a person changed by hand may be changed back.
        plan_file: of a saved plan that is to be run instead of a new one.
    """

    workloads: tuple[str, ...] = ()
    choice: Choice = field(default_factory=Choice)
    policy: str = ""
    canary: bool | None = None
    seed: int | None = None
    override_freeze: str = ""
    overwrite: bool = False
    plan_file: Path | None = None

    @property
    def chooses(self) -> bool:
        """Return whether it says what is rolled out, where or how."""
        said = self.seed is not None or self.canary is not None
        return bool(self.choice.is_given or self.workloads or self.policy or said)


def check_workloads(fleet: Fleet, words: Sequence[str]) -> None:
    """Refuse words that are no workload; a verb that does not come first is told where it goes.

    Raises:
        UsageError: names the nearest workload or verb.
    """
    known = [workload.name for workload in fleet.workloads]
    for word in words:
        if word in known:
            continue
        if word in VERBS:
            raise UsageError(
                f"{word!r} is a verb and no workload", hint=f"it comes first: fleet rollout {word}"
            )
        near = get_close_matches(word, [*known, *VERBS], n=3)
        raise UsageError(
            f"no workload {word!r} in the inventory",
            hint=f"did you mean {', '.join(near)}?" if near else f"workloads: {', '.join(known)}",
        )
    if not known:
        raise UsageError(
            "the inventory has no workloads", hint="write one: inventory/workloads/NAME.yaml"
        )


def plan_for(wiring: Wiring, request: PlanRequest, *, tell: Callable[[str], None]) -> Plan:
    """Read what there is and plan. Changes nothing.

    A saved plan is planned again, and refused unless everything is still the same.

    Args:
        tell: is told which stores are left out, and why.

    Raises:
        UsageError: a word means nothing to the inventory, or the saved plan cannot be run.
        FleetError: AWS could not be read at all.
    """
    path = only_plan_file(request, "fleet rollout")
    if path is not None:
        return _saved_plan(wiring, request, path, tell)
    return make_plan(wiring, replace(asked_of(wiring.fleet, request, tell), share=_share()))


def asked_of(fleet: Fleet, request: PlanRequest, tell: Callable[[str], None]) -> Request:
    """Return what is to be planned, with the stores that are chosen: all unless some are.

    Raises:
        UsageError: a word means nothing to the inventory.
    """
    check_workloads(fleet, request.workloads)
    choice = request.choice if request.choice.is_given else Choice(all=True)
    return Request(
        workloads=request.workloads,
        stores=stores_to_change(fleet, choice, tell),
        selection=describe(choice),
        policy=request.policy,
        seed=request.seed,
        canary=request.canary,
        override=request.override_freeze,
        overwrite=request.overwrite,
    )


def only_plan_file(request: PlanRequest, command: str) -> Path | None:
    """Return the plan file of a request, which may choose nothing beside it; None without one."""
    if request.plan_file is not None and request.chooses:
        raise UsageError(
            "a plan file says what is rolled out where, so no other words may",
            hint=f"{command} --plan-file {shlex.quote(str(request.plan_file))}",
        )
    return request.plan_file


def _saved_plan(
    wiring: Wiring, request: PlanRequest, path: Path, tell: Callable[[str], None]
) -> Plan:
    saved = read_plan(path, tell=tell)
    plan = _plan_again(wiring, saved, request, path)
    moved = differences(saved, plan)
    if moved:
        more = len(moved) - DIFFERENCES_SHOWN
        lines = "".join(f"\n  {line}" for line in moved[:DIFFERENCES_SHOWN])
        raise UsageError(
            f"the world has moved since the plan was made ({saved.stamped}); nothing was sent"
            f"{lines}" + (f"\n  and {more} more" if more > 0 else ""),
            hint=plan_again(saved, path),
        )
    return plan


def _plan_again(wiring: Wiring, saved: Plan, request: PlanRequest, path: Path) -> Plan:
    check_workloads(wiring.fleet, saved.workloads)
    known = {store.id: store for store in wiring.fleet.stores}
    named = sorted({change.store for change in saved.changes} | saved.unread.keys())
    gone = [store for store in named if store not in known]
    if gone:
        raise UsageError(
            f"the plan is about {', '.join(gone[:5])}, which the inventory does not have any more",
            hint=plan_again(saved, path, gone),
        )
    return make_plan(
        wiring,
        Request(
            workloads=saved.workloads,
            stores=tuple(known[store] for store in named),
            selection=saved.selection,
            policy=saved.policy.name,
            seed=saved.seed,
            canary=saved.canary,
            override=request.override_freeze,
            overwrite=saved.overwrite or request.overwrite,
            share=_share(),
        ),
    )


def _share() -> float:
    return call_share(os.environ.get("FLEET_CALL_SHARE"))


def check_free(wiring: Wiring, plan: Plan) -> None:
    """Refuse a rollout of stores that another rollout holds.

    A plan leaves these stores alone. A rollout that did the same would end well, and they would not
    have the release.

    Raises:
        Locked: names the rollout that holds them.
    """
    left = ((c.store, c.workload) for c in plan.changes if c.kind is Kind.LEFT)
    wiring.records.rollouts.check_free(left)


def check_may_send(wiring: Wiring) -> None:
    """Refuse to start a rollout while every send is stopped.

    Raises:
        SendingStopped: says by whom, since when and why.
    """
    stop = wiring.records.stops.in_force()
    if stop is not None:
        raise SendingStopped(
            f"{stop.words}; no rollout was started",
            hint="fleet plan shows what it would do; fleet start lets rollouts send again",
        )


def check_controller(wiring: Wiring) -> None:
    """Refuse to leave a rollout to a controller that does not run.

    Raises:
        UsageError: no controller holds its lease.
    """
    if holder_of(wiring.records, CONTROLLER) is None:
        raise UsageError(
            "no controller is alive, so nobody would go on with it; nothing was sent",
            hint="start one: fleet controller; or leave --detach out",
        )


def shards_of(wiring: Wiring, plan: Plan) -> set[tuple[str, str]]:
    """Return the accounts and regions in which a plan changes something."""
    touched = {change.store for change in plan.changes if change.kind.is_change}
    return {(s.account.name, s.region) for s in wiring.fleet.stores if s.id in touched}
