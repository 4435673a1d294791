"""Doctor as the on-call engineer meets it: on a good day, and with one thing broken."""

from tests.scenarios.conftest import World


def test_on_a_good_day_nothing_fails(world: World) -> None:
    ran = world.fleet("doctor", "--json")

    assert ran.code == 0, ran.out
    results = {check["name"]: check["result"] for check in ran.document["checks"]}
    assert "fail" not in results.values()
    assert results["installer"] == "ok"
    assert results["emea-prod/eu-west-1 caller"] == "ok"


def test_broken_surroundings_are_a_failed_check_with_a_fix_and_no_dead_end(world: World) -> None:
    ran = world.fleet("doctor", env={"FLEET_SSH_CONFIG": "/nope"})

    assert ran.code == 1
    assert "FAIL" in ran.out
    assert "FLEET_SSH_CONFIG names /nope" in ran.out


def test_one_region_that_refuses_does_not_hide_the_other(world: World) -> None:
    world.fault(
        "sts:GetCallerIdentity", "AccessDenied", status=403, count=9, account="444455556666"
    )

    ran = world.fleet("doctor", "--json")

    world.control("faults", {"clear": True})
    results = {check["name"]: check["result"] for check in ran.document["checks"]}
    assert ran.code == 1
    assert results["apac-prod/ap-southeast-1 caller"] == "fail"
    assert results["emea-prod/eu-west-1 ssm"] == "ok"
