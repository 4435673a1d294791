import pytest

from fleet.inventory.loader import load_fleet
from tests.inventory.conftest import FLEET, STORES, Inventory

DIGEST = "sha256:" + "9b" * 32


def workload(inventory: Inventory, written: str) -> None:
    inventory.write("workloads/vision.yaml", f"template: vision.j2\n{written}\n")
    inventory.template("vision.j2", "family: x\n")


def test_one_store_in_two_files_names_both(inventory: Inventory) -> None:
    inventory.write("stores/more.csv", "id,hosts\nstore-1,tel-1:nuc\n")

    problem = inventory.problem()

    assert (problem.line, problem.path) == (2, "store-1")
    assert problem.message.endswith("all.yaml:3")


def test_an_account_must_not_have_two_names(inventory: Inventory) -> None:
    inventory.write("fleet.yaml", FLEET.replace("444455556666", "111122223333"))

    assert inventory.problem().path == "accounts.two.account_id"


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
        ('{ring: ""}', 'there is no ring ""'),
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


@pytest.mark.parametrize("market", ["ku", '""'])
def test_the_value_of_a_label_must_be_that_of_a_store(inventory: Inventory, market: str) -> None:
    inventory.write("stores/all.yaml", STORES + "    labels: {market: uk}\n")
    workload(inventory, f"where: {{label.market: {market}}}")

    assert 'there is no label.market "' in inventory.problem().message


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
