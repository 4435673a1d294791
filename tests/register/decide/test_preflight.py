from typing import Any

import pytest

from fleet.model.observed import DockerFacts, NodeTier, Privilege, SsmAgentFacts
from fleet.model.registration import CheckResult, PreflightCheck
from fleet.register.decide.preflight import PreflightFacts, endpoints, preflight
from tests import build


def checks(**changes: Any) -> dict[str, PreflightCheck]:
    given: dict[str, Any] = {
        "host": build.host(),
        "facts": build.bare_facts(),
        "region": "eu-west-1",
        "tier": NodeTier("standard", 640, 1000),
    }
    return {c.name: c for c in preflight(PreflightFacts(**{**given, **changes}))}


def test_a_bare_ubuntu_box_passes_everything() -> None:
    assert {c.result for c in checks().values()} == {CheckResult.OK}


@pytest.mark.parametrize(
    ("name", "facts"),
    [
        ("root", {"privilege": Privilege.NONE}),
        ("systemd", {"systemd": False}),
        ("disk", {"disk_free_mb": 100}),
        ("memory", {"memory_mb": 512}),
        ("clock", {"clock_offset_s": -301.0}),
        ("egress", {"egress": {}}),
        ("docker", {"os_id": "rhel", "os_version": "9.3"}),
        ("gpg", {"gpg": False}),
        ("curl", {"curl": False}),
        ("machine-id", {"machine_id": ""}),
        ("machine-id", {"machine_id": "uninitialized"}),
        ("credentials", {"shadow_credentials": ("/root/.aws/credentials",)}),
    ],
)
def test_each_failed_check_says_what_was_seen_and_how_to_fix_it(
    name: str, facts: dict[str, Any]
) -> None:
    found = checks(facts=build.bare_facts(**facts))

    assert [c.name for c in found.values() if c.result is CheckResult.FAIL] == [name]
    assert found[name].seen
    assert found[name].fix


@pytest.mark.parametrize(
    ("name", "facts"),
    [
        ("os", {"os_id": "rocky", "docker": DockerFacts("24", True, "runc")}),
        ("disk", {"disk_free_mb": 4400}),
        ("clock", {"clock_offset_s": 60.0}),
        ("docker", {"os_id": "debian", "os_version": "13"}),
    ],
)
def test_a_warning_does_not_refuse(name: str, facts: dict[str, Any]) -> None:
    found = checks(facts=build.bare_facts(**facts))

    assert found[name].result is CheckResult.WARN
    assert CheckResult.FAIL not in {c.result for c in found.values()}


def test_one_blocked_endpoint_is_named_with_its_reason() -> None:
    egress = dict.fromkeys(endpoints("eu-west-1"), "")
    egress["https://ssm.eu-west-1.amazonaws.com"] = "timed out"

    check = checks(facts=build.bare_facts(egress=egress))["egress"]

    assert check.result is CheckResult.FAIL
    assert check.seen == "ssm.eu-west-1.amazonaws.com: timed out"


def test_the_installers_endpoints_do_not_matter_once_everything_is_installed() -> None:
    egress = dict.fromkeys(endpoints("eu-west-1"), "")
    egress["https://raw.githubusercontent.com"] = "refused"

    assert checks(facts=build.installed_facts(egress=egress))["egress"].result is CheckResult.OK


def test_the_distributions_ssm_agent_alone_still_needs_gpg() -> None:
    facts = build.bare_facts(gpg=False, ssm=SsmAgentFacts(True, True, True))

    assert checks(facts=facts)["gpg"].result is CheckResult.FAIL


def jetson(**docker: Any) -> dict[str, Any]:
    found = {"default_runtime": "runc", "runtimes": ("runc", "nvidia"), **docker}
    return {
        "host": build.host("cam-1", build.XAVIER),
        "facts": build.bare_facts(
            docker=DockerFacts("24.0.7", True, **found),
            devices=("/dev/nvhost-gpu",),
            l4t_release="R35.4.1",
        ),
    }


def test_a_jetson_with_the_wrong_runtime_is_refused_with_the_command_that_sets_it() -> None:
    check = checks(**jetson(running=("cam-legacy",)))["runtime"]

    assert check.result is CheckResult.FAIL
    assert check.fix.splitlines() == [
        "fleet register store-042 --host cam-1 --set-runtime",
        'restarts docker: stops 1 running container(s) "cam-legacy"',
    ]


def test_asked_to_set_the_runtime_it_warns_what_that_stops() -> None:
    check = checks(**jetson(), set_runtime=True)["runtime"]

    assert check.result is CheckResult.WARN
    assert "restarts docker" in check.fix


def test_setting_a_runtime_that_is_not_installed_is_refused() -> None:
    check = checks(**jetson(runtimes=("runc",)), set_runtime=True)["runtime"]

    assert check.result is CheckResult.FAIL


def test_a_missing_device_is_named() -> None:
    case = jetson(default_runtime="nvidia")
    case["facts"] = build.bare_facts(docker=case["facts"].docker)

    assert "/dev/nvhost-gpu" in checks(**case)["devices"].seen


def test_a_cloned_machine_id_names_the_other_host() -> None:
    check = checks(machine_ids={"store-007/tel-1": "11111111111111111111111111111111"})[
        "machine-id"
    ]

    assert check.result is CheckResult.FAIL
    assert "store-007/tel-1" in check.seen


@pytest.mark.parametrize(("ahead", "result"), [(359, CheckResult.OK), (360, CheckResult.FAIL)])
def test_room_in_the_tier_counts_the_hosts_before_this_one(ahead: int, result: CheckResult) -> None:
    assert checks(nodes_ahead=ahead)["tier"].result is result


def test_an_unread_tier_warns_and_does_not_pretend() -> None:
    assert checks(tier=None)["tier"].result is CheckResult.WARN
