"""What register means to do, in words: steps, checks and refusals, each with its reason."""

from collections.abc import Sequence
from typing import Any

from rich.console import Group, RenderableType
from rich.text import Text

from fleet.inventory.view import store_line
from fleet.model.observed import Caller
from fleet.model.registration import (
    Activate,
    Await,
    CheckResult,
    DeleteActivation,
    DeregisterOrphan,
    HostRegistration,
    HostStep,
    Install,
    PinMachine,
    PreflightCheck,
    PutAttributes,
    StoreRegistration,
    TagContainerInstance,
    TagNode,
)
from fleet.terminal.documents import document
from fleet.terminal.screen import labelled, table


def caller_line(place: str, caller: Caller) -> str:
    """Who acts in an account and region."""
    return f"{place} as {caller.arn}"


def preflight_words(checks: Sequence[PreflightCheck]) -> str:
    """``11 ok, 1 warn, 2 FAIL``; ``-`` when no check was needed."""
    if not checks:
        return "-"
    count = {result: sum(c.result is result for c in checks) for result in CheckResult}
    words = [f"{count[CheckResult.OK]} ok"]
    if count[CheckResult.WARN]:
        words.append(f"{count[CheckResult.WARN]} warn")
    if count[CheckResult.FAIL]:
        words.append(f"{count[CheckResult.FAIL]} FAIL")
    return ", ".join(words)


def step_words(step: HostStep) -> str:
    """A step as a person would say it."""
    match step:
        case DeleteActivation():
            return f"delete activation {step.activation_id} ({step.reason})"
        case DeregisterOrphan():
            return f"deregister {step.managed_instance_id} ({step.reason})"
        case Activate():
            return "create an activation: 1 node, short expiry, deleted once used"
        case Install():
            runtime = (
                f"set docker default-runtime {step.set_runtime} (restarts docker), "
                if step.set_runtime
                else ""
            )
            how = "install and register" if step.activate else "finish the installation"
            return f"{runtime}{how} ({step.reason})"
        case PutAttributes():
            return f"put attributes ({step.reason})"
        case TagContainerInstance():
            return f"tag the container instance ({step.reason})"
        case TagNode():
            return f"tag the node in SSM ({step.reason})"
        case Await():
            return f"wait until SSM and ECS agree ({step.reason})"
        case PinMachine():
            return f"pin machine id ({step.reason})"


def plan_view(plans: Sequence[StoreRegistration], width: int) -> RenderableType:
    """What would be done, host by host, with every reason."""
    parts: list[RenderableType] = []
    for plan in plans:
        parts.append(Text(store_line(plan.store), style="bold"))
        if plan.create_cluster:
            parts.append(Text(f"create cluster {plan.store.cluster} ({plan.create_cluster})"))
        rows = [
            (
                p.host.name,
                str(p.classification.host_class),
                preflight_words(p.checks),
                _plan_words(p),
            )
            for p in plan.hosts
        ]
        parts.append(table(("HOST", "CLASS", "PREFLIGHT", "WHAT"), rows, width=width))
        parts.extend(line for p in plan.hosts for line in _plan_detail(p))
    return Group(*parts)


def _plan_words(plan: HostRegistration) -> str:
    if plan.refusal:
        return f"refused: {plan.refusal}"
    if not plan.steps:
        return f"nothing: {plan.classification.reason}"
    return "; ".join(step_words(step) for step in plan.steps)


def _plan_detail(plan: HostRegistration) -> list[RenderableType]:
    lines = check_lines(plan)
    if plan.refusal and not any(c.result is CheckResult.FAIL for c in plan.checks):
        lines += refusal_lines(plan.host.name, plan.classification.reason, plan.fix)
    return lines


def check_lines(plan: HostRegistration) -> list[RenderableType]:
    """Failed checks with their fixes first, then warnings."""
    lines: list[RenderableType] = []
    for result in (CheckResult.FAIL, CheckResult.WARN):
        for check in plan.checks:
            if check.result is result:
                word = "FAIL" if result is CheckResult.FAIL else "WARN"
                lines.append(labelled(f"{plan.host.name}  {word} {check.name}", check.seen))
                lines += fix_lines(check.fix)
    return lines


def refusal_lines(host: str, reason: str, fix: str) -> list[RenderableType]:
    """Why a host is left alone and what to do."""
    return [labelled(host, reason), *fix_lines(fix)]


def fix_lines(fix: str, host: str = "") -> list[RenderableType]:
    """What to do, in as many lines as it has; of which host, where that is not said above it."""
    of = f" {host}:" if host else ""
    return [
        labelled(f"    {'fix' if first else '   '}{of}", line)
        for first, line in zip([True, *[False] * fix.count("\n")], fix.splitlines(), strict=False)
    ]


def plan_document(plan: HostRegistration) -> dict[str, Any]:
    """One host's plan."""
    return {
        "store": plan.host.store,
        "host": plan.host.name,
        "class": str(plan.classification.host_class),
        "class_reason": plan.classification.reason,
        "refusal": plan.refusal,
        "plan_fix": plan.fix,
        "checks": [
            {"name": c.name, "result": str(c.result), "seen": c.seen, "fix": c.fix}
            for c in plan.checks
        ],
        "steps": [
            {"step": type(step).__name__, "words": step_words(step), "reason": step.reason}
            for step in plan.steps
        ],
    }


def plans_document(plans: Sequence[StoreRegistration]) -> dict[str, Any]:
    """What ``register --plan --json`` prints."""
    return document(
        "register-plan",
        {
            "stores": [
                {
                    "store": p.store.id,
                    "cluster": p.store.cluster,
                    "create_cluster": p.create_cluster,
                    "hosts": [plan_document(h) for h in p.hosts],
                }
                for p in plans
            ],
        },
    )
