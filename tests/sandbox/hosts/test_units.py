import pytest

from fleet.sandbox.hosts.units import SystemdService, UnitNotFound, Units
from tests.sandbox.shop import Shop


def units(shop: Shop, log: list[str], *, fails: int = 0) -> Units:
    def service(name: str, code: int = 0, requires: tuple[str, ...] = ()) -> SystemdService:
        def start() -> int:
            log.append(f"start {name}")
            return code

        return SystemdService(start, lambda: log.append(f"stop {name}"), requires)

    made = Units(
        shop.host(docker=None),
        {"docker": service("docker", fails), "ecs": service("ecs", 0, ("docker",))},
    )
    for name in ("docker", "ecs"):
        made.install(name, description=name)
    return made


def test_a_unit_starts_what_it_requires_first(shop: Shop) -> None:
    log: list[str] = []
    assert units(shop, log).start("ecs.service") == 0
    assert log == ["start docker", "start ecs"]


def test_a_unit_whose_requirement_fails_does_not_start(shop: Shop) -> None:
    log: list[str] = []
    made = units(shop, log, fails=1)
    assert made.start("ecs") == 1
    assert log == ["start docker"]
    assert made.state("docker").active == "failed"


def test_starting_twice_starts_once(shop: Shop) -> None:
    log: list[str] = []
    made = units(shop, log)
    made.start("docker")
    made.start("docker")
    assert log == ["start docker"]


def test_restarting_takes_along_what_depends_on_it_if_that_runs(shop: Shop) -> None:
    log: list[str] = []
    made = units(shop, log)
    made.start("docker")
    made.restart("docker")
    assert "start ecs" not in log
    made.start("ecs")
    made.restart("docker")
    assert log[-4:] == ["stop ecs", "stop docker", "start docker", "start ecs"]


def test_a_unit_that_is_not_there_is_named(shop: Shop) -> None:
    with pytest.raises(UnitNotFound, match=r"cron\.service"):
        units(shop, []).start("cron")


def test_a_unit_that_ended_starts_again_after_ten_seconds(shop: Shop) -> None:
    log: list[str] = []
    made = units(shop, log)
    made.start("ecs")
    made.ended("ecs", 1)
    assert made.state("ecs").active == "activating"
    shop.clock.advance(9)
    assert log.count("start ecs") == 1
    shop.clock.advance(2)
    assert log.count("start ecs") == 2
    assert made.active("ecs")


def test_a_unit_stopped_while_it_waits_to_start_again_stays_stopped(shop: Shop) -> None:
    log: list[str] = []
    made = units(shop, log)
    made.start("ecs")
    made.ended("ecs", 1)
    made.stop("ecs")
    shop.clock.advance(60)
    assert log.count("start ecs") == 1
