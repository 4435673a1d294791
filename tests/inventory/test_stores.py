"""Inheritance, seen through what a whole inventory resolves to."""

from decimal import Decimal

import pytest

from fleet.inventory.loader import load_fleet
from fleet.model.hours import Powered
from fleet.model.inventory import Host, Lifecycle, Link, Store
from tests.inventory.conftest import FLEET, Inventory


def store(inventory: Inventory, written: str, groups: str = "") -> Store:
    inventory.write("fleet.yaml", FLEET + groups)
    inventory.write("stores/all.yaml", f"stores:\n  s: {written}\n")
    (resolved,) = load_fleet(inventory.root).stores
    return resolved


def host(inventory: Inventory, written: str, groups: str = "") -> Host:
    (resolved,) = store(inventory, written, groups).hosts
    return resolved


def test_a_store_inherits_the_defaults(inventory: Inventory) -> None:
    resolved = store(inventory, "{lifecycle: planned}")

    assert resolved.account.name == "prod"
    assert resolved.time_zone == "Europe/London"


def test_what_nobody_says_has_a_plain_value(inventory: Inventory) -> None:
    resolved = store(inventory, "{hosts: {h: {hardware: nuc}}}")

    assert (resolved.name, resolved.cluster, resolved.ring) == ("s", "s", "standard")
    assert (resolved.lifecycle, resolved.link) == (Lifecycle.OPEN, Link())


def test_the_last_group_listed_wins_over_the_first(inventory: Inventory) -> None:
    groups = "  a: {ring: one}\n  b: {ring: two}\n"

    assert store(inventory, "{groups: [a, b], lifecycle: planned}", groups).ring == "two"
    assert store(inventory, "{groups: [b, a], lifecycle: planned}", groups).ring == "one"


def test_the_store_wins_over_its_groups(inventory: Inventory) -> None:
    groups = "  a: {ring: one, lifecycle: closed}\n"

    assert store(inventory, "{groups: a, ring: own}", groups).ring == "own"


@pytest.mark.parametrize(
    ("stored", "groups"),
    [
        ("{ring: canray, lifecycle: planned}", ""),
        ("{groups: a, lifecycle: planned}", "  a: {ring: canray}\n"),
    ],
)
def test_a_ring_that_the_fleet_does_not_list_is_refused_where_it_is_written(
    inventory: Inventory, stored: str, groups: str
) -> None:
    inventory.write("fleet.yaml", f"{FLEET}{groups}\nrings: [canary, standard]\n")
    inventory.write("stores/all.yaml", f"stores:\n  s: {stored}\n")

    problem = inventory.problem()

    assert problem.path.endswith(".ring")
    assert (problem.message, problem.hint) == (
        'there is no ring "canray"',
        'did you mean "canary"?',
    )


def test_labels_are_merged_key_by_key(inventory: Inventory) -> None:
    groups = "  a: {lifecycle: planned, labels: {market: uk, format: kiosk}}\n"

    resolved = store(inventory, "{groups: a, labels: {format: big}}", groups)

    assert resolved.labels == {"market": "uk", "format": "big"}


def test_hours_are_replaced_whole(inventory: Inventory) -> None:
    resolved = store(inventory, "{lifecycle: planned, hours: {sun: 24h}}")

    assert set(resolved.hours) == {6}


def test_a_link_is_completed_by_a_later_layer(inventory: Inventory) -> None:
    resolved = store(inventory, "{lifecycle: planned, groups: lte, link: {carrier: ee}}")

    assert resolved.link == Link("lte", True, Decimal("4.50"), "ee")


def test_another_kind_of_link_inherits_no_price(inventory: Inventory) -> None:
    resolved = store(inventory, "{lifecycle: planned, groups: lte, link: {kind: fibre}}")

    assert resolved.link == Link("fibre")


def test_hosts_of_a_group_stand_in_every_store_of_it(inventory: Inventory) -> None:
    resolved = host(inventory, "{groups: a}", "  a: {hosts: {tel-1: {hardware: nuc}}}\n")

    assert (resolved.id, resolved.address) == ("s/tel-1", "tel-1.s.example")


def test_a_store_completes_a_host_of_its_group(inventory: Inventory) -> None:
    groups = "  a: {hosts: {tel-1: {hardware: nuc}}}\n"

    resolved = host(inventory, "{groups: a, hosts: {tel-1: {address: 10.0.0.7}}}", groups)

    assert (resolved.hardware.name, resolved.address) == ("nuc", "10.0.0.7")


def test_a_host_written_with_nothing_is_the_groups(inventory: Inventory) -> None:
    groups = "  a: {hosts: {tel-1: {hardware: nuc}}}\n"

    assert host(inventory, "{groups: a, hosts: {tel-1: }}", groups).hardware.name == "nuc"


def test_what_is_said_of_a_host_wins_over_what_is_said_of_its_store(inventory: Inventory) -> None:
    groups = "  a: {hosts: {tel-1: {hardware: nuc, ssh: {user: pi}}}}\n"

    resolved = host(inventory, "{groups: a, ssh: {user: ops, port: 2222}}", groups)

    assert (resolved.ssh.user, resolved.ssh.port) == ("pi", 2222)


def test_attributes_come_from_every_layer(inventory: Inventory) -> None:
    written = "{groups: a, attributes: {b: s}, hosts: {h: {hardware: nuc, attributes: {c: h}}}}"

    resolved = host(inventory, written, "  a: {attributes: {a: g, b: g}}\n")

    assert resolved.attributes == {"a": "g", "b": "s", "c": "h"}


def test_x_keys_are_inherited_and_kept(inventory: Inventory) -> None:
    groups = "  a: {x-a: 1, x-b: 1, lifecycle: planned, hosts: {h: {hardware: nuc, x-h: yes}}}\n"

    resolved = store(inventory, "{groups: a, x-b: 2}", groups)

    assert resolved.extras == {"x-a": 1, "x-b": 2}
    assert resolved.hosts[0].extras == {"x-h": "yes"}


def test_hosts_come_in_name_order_whatever_the_order_written(inventory: Inventory) -> None:
    resolved = store(inventory, "{hosts: {b: {hardware: nuc}, a: {hardware: nuc}}}")

    assert [one.name for one in resolved.hosts] == ["a", "b"]


@pytest.mark.parametrize(
    ("written", "line"),
    [("\n    groups: a", 2), ("\n    groups: a\n    hosts:\n      tel-1: {address: b}", 5)],
)
def test_a_hosts_source_is_where_a_person_would_change_it_for_this_store(
    inventory: Inventory, written: str, line: int
) -> None:
    resolved = host(inventory, written, "  a: {hosts: {tel-1: {hardware: nuc}}}\n")

    assert resolved.source.file.endswith("all.yaml")
    assert resolved.source.line == line


@pytest.mark.parametrize(
    ("written", "path", "message", "hint"),
    [
        ("account: pord", "account", 'there is no account "pord"', 'did you mean "prod"?'),
        ("groups: [lte, let]", "groups", 'there is no group "let"', 'did you mean "lte"?'),
        (
            "hosts: {h: {hardware: nuk}}",
            "hosts.h.hardware",
            'there is no hardware "nuk"',
            'did you mean "nuc"?',
        ),
        (
            "region: us-east-1",
            "region",
            'the account "prod" does not offer "us-east-1"',
            "one of: eu-west-1",
        ),
        (
            "account: two",
            "",
            "no region is given, and two has ap-southeast-1, us-east-1",
            "write region: ...",
        ),
    ],
)
def test_words_of_a_store_must_mean_something(
    inventory: Inventory, written: str, path: str, message: str, hint: str
) -> None:
    inventory.write("stores/all.yaml", f"stores:\n  s:\n    lifecycle: planned\n    {written}\n")

    problem = inventory.problem()

    assert problem.path == f"stores.s.{path}".rstrip(".")
    assert (problem.message, problem.hint) == (message, hint)


def test_a_wrong_default_is_one_problem_and_not_one_per_store(inventory: Inventory) -> None:
    inventory.write("fleet.yaml", FLEET.replace("account: prod", "account: pord"))
    stores = "".join(f"  s{n}: {{lifecycle: planned}}\n" for n in range(5))
    inventory.write("stores/all.yaml", f"stores:\n{stores}")

    assert inventory.problem().path == "defaults.account"


def test_a_region_of_the_defaults_that_the_account_lacks_is_said_once(
    inventory: Inventory,
) -> None:
    text = FLEET.replace("  account: prod\n", "  account: prod\n  region: us-east-1\n")
    inventory.write("fleet.yaml", text)
    inventory.write("stores/all.yaml", "stores: {a: {lifecycle: planned}, b: {lifecycle: planned}}")

    assert inventory.problem().path == "defaults.region"


def test_the_only_region_of_an_account_need_not_be_written(inventory: Inventory) -> None:
    assert load_fleet(inventory.root).stores[0].region == "eu-west-1"


def test_an_open_store_needs_hosts(inventory: Inventory) -> None:
    inventory.write("stores/all.yaml", "stores: {s: }")

    assert "has no hosts" in inventory.problem().message


def test_a_store_in_an_unknown_group_is_not_said_to_have_no_hosts(inventory: Inventory) -> None:
    inventory.write("stores/all.yaml", "stores: {s: {groups: camera-shop}}")

    assert inventory.problem().message == 'there is no group "camera-shop"'


@pytest.mark.parametrize("key", ["time_zone", "hours"])
def test_what_a_store_must_have_is_named_when_no_layer_says_it(
    inventory: Inventory, key: str
) -> None:
    kept = [line for line in FLEET.splitlines() if not line.strip().startswith(key)]
    inventory.write("fleet.yaml", "\n".join(kept))

    assert inventory.problem().message == f"no {key} is given"


def test_a_host_needs_an_address(inventory: Inventory) -> None:
    kept = [line for line in FLEET.splitlines() if "address" not in line]
    inventory.write("fleet.yaml", "\n".join(kept))

    problem = inventory.problem()

    assert (problem.path, problem.message) == (
        "stores.store-1.hosts.tel-1",
        "no address is given",
    )


def test_two_hosts_must_not_share_an_address(inventory: Inventory) -> None:
    inventory.write(
        "stores/all.yaml",
        "stores:\n  a:\n    hosts: {h: {hardware: nuc, address: 10.0.0.1}}\n"
        "  b:\n    hosts: {h: {hardware: nuc, address: 10.0.0.1}}\n",
    )

    problem = inventory.problem()

    assert (problem.line, problem.path) == (5, "b/h")
    assert "10.0.0.1 port 22 is also the address of a/h" in problem.message


def test_two_hosts_may_share_an_address_on_different_ports(inventory: Inventory) -> None:
    inventory.write(
        "stores/all.yaml",
        "stores:\n  a:\n    address: 10.0.0.1\n"
        "    hosts: {h: {hardware: nuc}, i: {hardware: nuc, ssh: {port: 2222}}}\n",
    )

    assert len(load_fleet(inventory.root).stores[0].hosts) == 2


def test_two_stores_must_not_share_a_cluster(inventory: Inventory) -> None:
    inventory.write(
        "stores/all.yaml",
        "stores:\n  a: {lifecycle: planned}\n  b: {lifecycle: planned, cluster: a}\n",
    )

    assert 'the cluster "a" is also that of a' in inventory.problem().message


def test_a_host_has_room_for_four_attributes_of_its_own(inventory: Inventory) -> None:
    four = ", ".join(f"a{n}: x" for n in range(4))
    stores = "stores:\n  a:\n    hosts: {h: {hardware: nuc, attributes: {%s}}}\n"

    inventory.write("stores/all.yaml", stores % four)
    load_fleet(inventory.root)
    inventory.write("stores/all.yaml", stores % f"{four}, a4: x")

    assert "has 5 attributes of its own, at most 4 fit" in inventory.problem().message


def test_a_weight_is_inherited_and_said_by_the_store_itself(inventory: Inventory) -> None:
    inventory.write("fleet.yaml", FLEET.replace("defaults:", "defaults:\n  weight: 0.5", 1))
    inventory.write(
        "stores/all.yaml",
        "stores:\n  s-1: {lifecycle: planned, weight: 12.25}\n  s-2: {lifecycle: planned}\n",
    )
    stores = load_fleet(inventory.root).stores
    assert [store.weight for store in stores] == [Decimal("12.25"), Decimal("0.5")]


@pytest.mark.parametrize("weight", ["0", "-1", "many", ".inf", "1.1234567", "1000000001"])
def test_a_weight_is_a_positive_number_that_can_be_added_up(
    inventory: Inventory, weight: str
) -> None:
    inventory.write("stores/all.yaml", f"stores: {{s-1: {{lifecycle: planned, weight: {weight}}}}}")
    assert inventory.problem().path.endswith("weight")


@pytest.mark.parametrize(
    ("words", "powered"),
    [
        (("", "", "", ""), Powered.ALWAYS),
        (("opening-hours", "", "", ""), Powered.OPENING_HOURS),
        (("always", "opening-hours", "", ""), Powered.OPENING_HOURS),
        (("always", "opening-hours", "always", ""), Powered.ALWAYS),
        (("always", "always", "always", "opening-hours"), Powered.OPENING_HOURS),
        (("always", "always", "opening-hours", "always"), Powered.ALWAYS),
    ],
)
def test_a_host_has_power_as_the_nearest_word_says(
    inventory: Inventory, words: tuple[str, ...], powered: Powered
) -> None:
    fleet, group, shop, box = (f"powered: {word}" if word else "x-a: b" for word in words)
    defaults = FLEET.replace("defaults:", f"defaults:\n  {fleet}")
    inventory.write("fleet.yaml", f"{defaults}  g: {{{group}}}\n")
    inventory.write(
        "stores/all.yaml",
        f"stores: {{s: {{groups: g, {shop}, hosts: {{h: {{{box}, hardware: nuc}}}}}}}}\n",
    )

    assert load_fleet(inventory.root).stores[0].hosts[0].powered is powered


def test_another_word_for_power_is_refused(inventory: Inventory) -> None:
    inventory.write(
        "stores/all.yaml", "stores: {s: {powered: daytime, hosts: {h: {hardware: nuc}}}}\n"
    )

    assert "not one of always, opening-hours" in inventory.problem().message
