import pytest

from fleet.errors import UsageError
from fleet.sandbox.hosts.conditions import Conditions
from fleet.sandbox.hosts.shop_host import ShopHost
from tests.sandbox.hosts.conftest import Run
from tests.sandbox.shop import DOCKER, Shop


def test_each_host_has_a_machine_id_of_its_own_that_stays(shop: Shop) -> None:
    first = shop.host("tel-1").path("/etc/machine-id").read_text()
    assert len(first.strip()) == 32
    assert shop.host("cam-1").path("/etc/machine-id").read_text() != first
    assert shop.host("tel-1").path("/etc/machine-id").read_text() == first


def test_what_was_changed_on_a_host_is_there_after_the_sandbox_came_back(shop: Shop) -> None:
    host = shop.host()
    host.install("jq")
    host.path("/etc/hostname").write_text("renamed\n")
    again = shop.host()
    again.resume()
    assert again.path("/etc/hostname").read_text() == "renamed\n"
    assert again.units.active("docker")
    assert again.docker.state()["running"] == ["cam-legacy"]


def test_a_jetson_shows_its_release_and_its_devices(shop: Shop) -> None:
    host = shop.host(machine="aarch64", l4t_release="# R35 (release)", devices=("/dev/nvhost-gpu",))
    assert host.path("/etc/nv_tegra_release").read_text() == "# R35 (release)\n"
    assert host.path("/dev/nvhost-gpu").exists()


def test_a_host_without_docker_has_none_whatever_this_machine_has(shop: Shop, run: Run) -> None:
    host = shop.host(docker=None, packages=("curl",))
    found = run(host, "command -v docker gpg nvidia-smi dnf; true")
    assert found.stdout == ""


def test_reading_the_status_of_a_bare_host_says_that_nothing_is_there(shop: Shop) -> None:
    status = shop.host(docker=None).status()
    assert status["managed_instance_id"] is None
    assert status["units"] == {}
    assert status["link"] == "up"


def test_an_unknown_condition_is_refused_and_named(shop: Shop) -> None:
    with pytest.raises(UsageError, match="wobble"):
        shop.host().set_conditions({"wobble": 1})


@pytest.mark.parametrize(
    "settings",
    [{"blocked": "ssm"}, {"disk_free_mb": 1.5}, {"clock_offset_s": None}, {"temperature_c": True}],
)
def test_a_condition_of_the_wrong_kind_is_refused_and_changes_nothing(
    shop: Shop, settings: dict[str, object]
) -> None:
    host = shop.host()
    with pytest.raises(UsageError, match="cannot be"):
        host.set_conditions({"disk_free_mb": 7, **settings})
    assert host.conditions == Conditions()


def test_knobs_outlive_the_sandbox(shop: Shop) -> None:
    shop.host().set_conditions({"disk_free_mb": 12})
    assert shop.host().conditions.disk_free_mb == 12


def test_docker_refuses_a_daemon_json_that_is_no_json(shop: Shop) -> None:
    host = shop.host()
    host.path("/etc/docker/daemon.json").write_text("{")
    assert host.units.restart("docker") == 1
    assert host.units.state("docker").active == "failed"


def test_docker_refuses_a_default_runtime_it_does_not_know(shop: Shop) -> None:
    host = shop.host(docker={**DOCKER, "default_runtime": "runc", "runtimes": ["runc"]})
    host.path("/etc/docker").mkdir()
    host.path("/etc/docker/daemon.json").write_text('{"default-runtime": "nvidia"}')
    assert host.units.restart("docker") == 1


def test_a_new_default_runtime_counts_from_the_next_start_of_docker(shop: Shop) -> None:
    host = shop.host(docker={**DOCKER, "default_runtime": "runc"})
    host.path("/etc/docker/daemon.json").write_text(
        '{"default-runtime": "nvidia", "runtimes": {"nvidia": {"path": "x"}}}'
    )
    assert host.docker.state()["default_runtime"] == "runc"
    host.units.restart("docker")
    assert host.docker.state()["default_runtime"] == "nvidia"
    assert host.docker.state()["running"] == []


def test_agents_that_ran_are_running_again_after_the_sandbox_was_killed(shop: Shop) -> None:
    shop.cluster()
    host = shop.host()
    host.install("amazon-ssm-agent")
    again: ShopHost = shop.host()
    again.resume()
    shop.clock.advance(1)
    assert (
        "waiting for a registration"
        in again.path("/var/log/amazon/ssm/amazon-ssm-agent.log").read_text()
    )
