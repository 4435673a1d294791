import pytest

from fleet.inventory.loader import load_fleet
from tests.inventory.conftest import FLEET, Inventory

DIGEST = "sha256:" + "9b" * 32


def workload(inventory: Inventory, written: str) -> None:
    inventory.write("workloads/vision.yaml", f"template: vision.j2\n{written}\n")
    inventory.template("vision.j2", "family: x\n")


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


def test_one_store_in_two_files_names_both(inventory: Inventory) -> None:
    inventory.write("stores/more.csv", "id,hosts\nstore-1,tel-1:nuc\n")

    problem = inventory.problem()

    assert (problem.line, problem.path) == (2, "store-1")
    assert problem.message.endswith("all.yaml:3")


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


def test_an_account_must_not_have_two_names(inventory: Inventory) -> None:
    inventory.write("fleet.yaml", FLEET.replace("444455556666", "111122223333"))

    assert inventory.problem().path == "accounts.two.account_id"


def test_a_host_has_room_for_four_attributes_of_its_own(inventory: Inventory) -> None:
    four = ", ".join(f"a{n}: x" for n in range(4))
    stores = "stores:\n  a:\n    hosts: {h: {hardware: nuc, attributes: {%s}}}\n"

    inventory.write("stores/all.yaml", stores % four)
    load_fleet(inventory.root)
    inventory.write("stores/all.yaml", stores % f"{four}, a4: x")

    assert "has 5 attributes of its own, at most 4 fit" in inventory.problem().message


def test_a_variant_begins_with_the_architecture(inventory: Inventory) -> None:
    inventory.write("hardware/nuc.yaml", "architecture: amd64\nvariant: arm64/jetpack6\n")

    assert "must begin with the architecture, amd64" in inventory.problem().message


@pytest.mark.parametrize(
    ("where", "message"),
    [
        ("{hardware: nuk}", 'there is no hardware "nuk"'),
        ("{architecture: x86_64}", 'there is no architecture "x86_64"'),
        ("{variant: arm64}", 'there is no variant "arm64"'),
        ("{accelerator: xavier}", 'there is no accelerator "xavier"'),
        ("{ring: canary}", 'there is no ring "canary"'),
        ("{store: [store-1, store-2]}", 'there is no store "store-2"'),
        ("{label.market: uk}", 'there is no label "market"'),
        ("{labels: uk}", 'unknown condition "labels"'),
        ("{hardware: []}", "hardware names no value"),
    ],
)
def test_conditions_of_a_workload_must_mean_something(
    inventory: Inventory, where: str, message: str
) -> None:
    workload(inventory, f"where: {where}")

    assert inventory.problem().message == message


def test_conditions_on_stores_are_not_judged_while_a_store_is_wrong(inventory: Inventory) -> None:
    inventory.write("stores/all.yaml", "stores: {s: {lifecycle: opne, ring: canary}}")
    workload(inventory, "where: {ring: canary}")

    assert "opne" in inventory.problem().message


def test_a_condition_may_be_one_word_or_a_list(inventory: Inventory) -> None:
    workload(inventory, "where: {hardware: nuc, store: [store-1]}")

    (made,) = load_fleet(inventory.root).workloads

    assert made.where == {"hardware": ("nuc",), "store": ("store-1",)}


def test_a_policy_must_be_written_unless_it_is_the_standard_one(inventory: Inventory) -> None:
    workload(inventory, "where: {hardware: nuc}\npolicy: carful")
    inventory.write("fleet.yaml", FLEET + "policies: {careful: {bake: 30m}}\n")

    assert inventory.problem().hint == 'did you mean "careful"?'


def test_a_template_must_be_there(inventory: Inventory) -> None:
    workload(inventory, "where: {hardware: nuc}")
    inventory.template("vision.yaml.j2", "")
    (inventory.root.parent / "templates" / "vision.j2").unlink()

    problem = inventory.problem()

    assert (problem.path, problem.hint) == ("template", 'did you mean "vision.yaml.j2"?')


@pytest.mark.parametrize("name", ["../secret.j2", "/etc/passwd.j2", "a/../../b.j2", "vision"])
def test_a_template_lies_below_templates(inventory: Inventory, name: str) -> None:
    inventory.write("workloads/vision.yaml", f"template: {name}\nwhere: {{hardware: nuc}}\n")

    assert "is not a file below templates/" in inventory.problem().message


@pytest.mark.parametrize(
    ("image", "message"),
    [
        ("{image: images.example/a:1}", "is outside ECR and not pinned"),
        (f"{{image: images.example/a@{DIGEST}}}", "is outside ECR and names no platforms"),
        ("{image: images.example/a@sha256:12, platforms: linux/arm64}", "not pinned"),
        (f"{{image: images.example/a@{DIGEST}, platforms: arm64}}", "is not a platform"),
    ],
)
def test_an_image_outside_ecr_is_pinned_with_its_platforms(
    inventory: Inventory, image: str, message: str
) -> None:
    workload(inventory, f"where: {{hardware: nuc}}\nimages: {{main: {image}}}")

    assert message in inventory.problem().message


def test_an_image_in_ecr_may_be_a_tag(inventory: Inventory) -> None:
    image = "111122223333.dkr.ecr.eu-west-1.amazonaws.com/vision:1.9"
    workload(inventory, f"where: {{hardware: nuc}}\nimages: {{main: {{image: '{image}'}}}}")

    (made,) = load_fleet(inventory.root).workloads

    assert made.images["main"].reference == image
