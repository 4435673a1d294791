"""Every file of tests/cases/onboarding, one behaviour each."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import yaml

from fleet.model.inventory import Architecture, Lifecycle, Pins
from fleet.model.observed import EcsAgentFacts, HostFacts, NodeTier, Ping, Privilege, SsmAgentFacts
from fleet.model.registration import Install, StoreLedgers
from fleet.register.decide.registration import RegistrationFacts, decide_registration
from tests import build

CASES = sorted((Path(__file__).parents[2] / "cases" / "onboarding").glob("*.yaml"))


def _facts(case: dict[str, Any]) -> HostFacts:
    if case["facts"] == "bare":
        facts = build.bare_facts()
    else:
        facts = build.installed_facts(cluster=case.get("cluster", build.CLUSTER))
    change = dict(case.get("facts_change", {}))
    for name, kind in (("ssm", SsmAgentFacts), ("ecs", EcsAgentFacts)):
        if name in change:
            change[name] = kind(**change[name])
    if "privilege" in change:
        change["privilege"] = Privilege(change["privilege"])
    if "architecture" in change:
        change["architecture"] = Architecture(change["architecture"])
    return replace(facts, **change)


def _ledgers(case: dict[str, Any]) -> StoreLedgers:
    ledgers = build.empty_ledgers() if case.get("ledgers") == "empty" else build.ledgers()
    if "node" in case:
        change = dict(case["node"])
        if "ping" in change:
            change["ping"] = Ping(change["ping"])
        ledgers = replace(ledgers, managed_instances=(build.node(**change),))
    if "nodes" in case:
        ledgers = replace(ledgers, managed_instances=())
    if "instances" in case:
        given = tuple(build.instance(**change) for change in case["instances"])
        ledgers = replace(ledgers, container_instances=given)
    if "tier" in case:
        ledgers = replace(ledgers, tier=NodeTier(**case["tier"]))
    given_activations = tuple(build.activation(**a) for a in case.get("activations", ()))
    return replace(ledgers, activations=given_activations)


@pytest.mark.parametrize("path", CASES, ids=lambda path: path.stem)
def test_case(path: Path) -> None:
    case = yaml.safe_load(path.read_text())
    expect = case["expect"]
    hardware = replace(build.NUC, agent_settings=case.get("agent_settings", {}))
    host = build.host(hardware=hardware)
    shop = build.store(host, lifecycle=Lifecycle(case.get("lifecycle", "open")))
    pins = Pins(machine_ids={host.id: case["pinned"]} if "pinned" in case else {})

    plan = decide_registration(
        RegistrationFacts(
            build.fleet(shop),
            shop,
            shop.hosts,
            {host.name: _facts(case)},
            _ledgers(case),
            pins,
            machine_ids={},
        )
    )

    (got,) = plan.hosts
    assert str(got.classification.host_class) == expect["class"]
    assert expect.get("reason", "") in got.classification.reason
    assert [type(step).__name__ for step in got.steps] == expect["steps"]
    assert expect.get("refusal", "") in got.refusal
    assert bool(got.refusal) == ("refusal" in expect)
    assert expect.get("fix", "") in got.fix
    assert got.locked is expect.get("locked", False)
    assert all(step.reason for step in got.steps)
    if "activate" in expect:
        (install,) = [step for step in got.steps if isinstance(step, Install)]
        assert install.activate is expect["activate"]
    if "create_cluster" in expect:
        assert bool(plan.create_cluster) is expect["create_cluster"]


def test_the_folder_is_read() -> None:
    assert len(CASES) > 20
