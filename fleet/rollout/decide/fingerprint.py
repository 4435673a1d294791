"""Compares what a plan found with what is there now."""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import fields
from typing import Any

from fleet.model.images import images_of
from fleet.model.plan import Plan, PlannedChange
from fleet.model.services import revision


def fingerprint(plan: Plan) -> str:
    """Return the SHA-256 (hex) of what was observed and what is wanted.

    Who is connected is not in it: agents come and go, and a store that is away when its turn comes
    is parked then, whatever a plan said.
    """
    text = json.dumps(_facts(plan), sort_keys=True, separators=(",", ":"), ensure_ascii=False)
    return hashlib.sha256(text.encode()).hexdigest()


def differences(plan: Plan, other: Plan) -> tuple[str, ...]:
    """Return how ``other`` differs, in words; empty exactly when both fingerprints are equal."""
    before, after = _facts(plan), _facts(other)
    lines = []
    for key in sorted(before.keys() | after.keys()):
        one, two = before.get(key), after.get(key)
        if one != two:
            lines.append(f"{key}: {_moved(one, two)}")
    return tuple(lines)


def _facts(plan: Plan) -> dict[str, Any]:
    """Return what a plan rests on, by what a person would call it."""
    facts: dict[str, Any] = {
        "fleet": plan.fleet,
        "workloads": list(plan.workloads),
        "selection": plan.selection,
        "seed": plan.seed,
        "canary": plan.canary,
    }
    facts |= {
        f"policy.{f.name}": str(getattr(plan.policy, f.name))
        for f in fields(plan.policy)
        # What follows from it is the plan's own `canary`; plans of version 0.1 do not have it.
        if f.name != "begins_with_canary"
    }
    facts |= {f"weight of {store}": str(weight) for store, weight in plan.weights.items()}
    for shape in plan.release.shapes.values():
        if shape.workload in plan.workloads:
            facts[f"service {shape.name}"] = {
                "scheduling": shape.scheduling.value,
                "placement": json.dumps([dict(one) for one in shape.placement], sort_keys=True),
                "breaker_count": shape.breaker_count,
            }
    for change in plan.changes:
        facts[f"{change.store} {change.service}".strip()] = _change_fact(change)
    facts |= {store: {"state": "not read"} for store in plan.unread}
    return facts | _release_facts(plan)


def _release_facts(plan: Plan) -> dict[str, Any]:
    """Return which hosts run what, and the images of the planned workloads."""
    release = plan.release
    facts: dict[str, Any] = {}
    contents = set()
    for service in release.services:
        shape = release.shapes.get(service.service)
        if shape is not None and shape.workload in plan.workloads:
            contents.add(service.content)
            facts[f"hosts of {service.store} {service.service}"] = list(service.hosts)
    bodies = (release.task_definitions[c].body for c in contents if c in release.task_definitions)
    pinned = {image for body in bodies for image in images_of(body)}
    for image in release.images.values():
        if image.pinned in pinned:
            facts[f"image {image.reference}"] = {
                "state": "in the plan",
                "digest": image.pinned,
                "platforms": ", ".join(image.platforms),
                "source": image.source,
            }
    return facts


def _change_fact(change: PlannedChange) -> dict[str, Any]:
    return {
        "state": "to change" if change.kind.is_change else change.kind.value,
        "runs": revision(change.before),
        "revision": change.before,
        "shall run": change.content,
        "tasks": change.before_count,
        "tasks wanted": change.count,
        "not registered": ", ".join(change.missing_hosts),
        "set by somebody": "; ".join(change.by_hand),
        "workload": change.workload,
        "variant": change.variant,
    }


def _moved(one: Any, two: Any) -> str:
    """Return ``runs vision-arm64:41 -> vision-arm64:42``: only the parts that differ."""
    if not isinstance(one, Mapping) or not isinstance(two, Mapping):
        return f"{_words(one)} -> {_words(two)}"
    parts = [
        f"{name} {_words(one.get(name))} -> {_words(two.get(name))}"
        for name in one
        if one.get(name) != two.get(name) and name != "revision"
    ]
    # Equal revision numbers of two accounts or regions differ only in the ARN.
    return "; ".join(parts) or f"{one.get('revision')} -> {two.get('revision')}"


def _words(fact: Any) -> str:
    if fact is None:
        return "not in the plan"
    if isinstance(fact, Mapping):
        return str(fact.get("state", "in the plan"))
    text = ", ".join(map(str, fact)) if isinstance(fact, list) else str(fact)
    return text or "nothing"
