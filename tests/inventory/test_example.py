"""The example fleet is what the README, the quickstart and other tests use: it must hold."""

from pathlib import Path

from fleet.inventory.loader import load_fleet
from fleet.inventory.pins import load_pins
from fleet.model.inventory import Architecture, Fleet, Lifecycle
from fleet.release.templates import render_all
from tests.inventory.conftest import EXAMPLE


def load() -> Fleet:
    return load_fleet(EXAMPLE / "inventory")


def test_it_shows_a_chain_of_several_zones_regions_and_links() -> None:
    fleet = load()

    assert len(fleet.stores) >= 12
    assert {store.time_zone for store in fleet.stores} == {
        "Europe/London",
        "Europe/Berlin",
        "Asia/Singapore",
    }
    assert {(store.account.name, store.region) for store in fleet.stores} == {
        ("emea-prod", "eu-west-1"),
        ("apac-prod", "ap-southeast-1"),
    }
    assert {(store.link.kind, store.link.metered) for store in fleet.stores} == {
        ("fibre", False),
        ("lte", True),
    }


def test_it_shows_every_part_of_a_stores_life_but_its_end() -> None:
    lives = [store.lifecycle for store in load().stores]

    assert lives.count(Lifecycle.PLANNED) == 1
    assert lives.count(Lifecycle.PAUSED) == 1
    assert set(lives) == {Lifecycle.PLANNED, Lifecycle.PAUSED, Lifecycle.OPEN}


def test_it_has_a_canary_on_each_side() -> None:
    canaries = {store.account.name for store in load().stores if store.ring == "canary"}

    assert canaries == {"emea-prod", "apac-prod"}


def test_leeds_is_as_the_readme_shows_it() -> None:
    (leeds,) = [store for store in load().stores if store.id == "store-042"]

    assert (leeds.name, leeds.link.metered) == ("Leeds Briggate", True)
    assert [(host.id, host.hardware.name, host.address) for host in leeds.hosts] == [
        ("store-042/cam-1", "xavier-nx", "cam-1.store-042.shops.example"),
        ("store-042/tel-1", "nuc", "tel-1.store-042.shops.example"),
    ]


def test_its_hardware_tells_the_sandbox_what_to_pretend() -> None:
    for box in load().hardware.values():
        assert set(box.extras["x-sandbox"]) == {
            "os_release",
            "cpus",
            "memory_mb",
            "disk_total_mb",
            "disk_free_mb",
            "docker",
            "l4t_release",
            "devices",
            "packages",
        }
        assert set(box.devices) <= set(box.extras["x-sandbox"]["devices"])


def test_its_boxes_pass_their_own_floor() -> None:
    for box in load().hardware.values():
        assert box.extras["x-sandbox"]["memory_mb"] >= box.min_memory_mb
        assert box.extras["x-sandbox"]["disk_free_mb"] >= box.min_disk_free_gb * 1024


def test_its_workloads_render_for_the_boxes_they_are_for() -> None:
    made = {one.workload: one.architecture for one in render_all(load())}

    assert made == {"vision": Architecture.ARM64, "telemetry": Architecture.AMD64}


def test_its_pins_name_only_hosts_that_are_there() -> None:
    hosts = {host.id for store in load().stores for host in store.hosts}

    assert set(load_pins(EXAMPLE / "inventory").machine_ids) <= hosts


def test_both_ways_of_writing_stores_are_shown() -> None:
    suffixes = {path.suffix for path in (EXAMPLE / "inventory" / "stores").iterdir()}

    assert suffixes == {".yaml", ".csv"}
    assert Path(EXAMPLE / "inventory" / "stores" / "sg.csv").read_text().startswith("#")
