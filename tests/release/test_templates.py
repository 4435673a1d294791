from pathlib import Path

import pytest

from fleet.errors import InventoryError, Problem
from fleet.inventory.loader import load_fleet
from fleet.model.desired import Rendering
from fleet.model.inventory import Architecture
from fleet.release.templates import render_all, variants
from tests.inventory.conftest import Inventory

DIGEST = "sha256:" + "9b" * 32
IMAGE = f"images.example/vision@{DIGEST}"
WORKLOAD = f"""
template: vision.j2
where: {{hardware: [nuc, xavier, orin]}}
images: {{main: {{image: "{IMAGE}", platforms: [linux/amd64, linux/arm64/v8]}}}}
variables: {{model: people, memory: 64}}
"""
TEMPLATE = """
containerDefinitions:
  - name: main
    image: {{ images.main }}
    memory: {{ memory }}
    command: [{{ model }}, {{ fleet }}, {{ workload }}, {{ variant }}, {{ architecture }}]
"""


@pytest.fixture
def fleet(inventory: Inventory) -> Inventory:
    inventory.write("hardware/xavier.yaml", "architecture: arm64\n")
    inventory.write("hardware/orin.yaml", "architecture: arm64\nvariant: arm64/jetpack6\n")
    inventory.write("workloads/vision.yaml", WORKLOAD)
    inventory.template("vision.j2", TEMPLATE)
    return inventory


def render(inventory: Inventory) -> tuple[Rendering, ...]:
    return render_all(load_fleet(inventory.root))


def problems(inventory: Inventory) -> tuple[Problem, ...]:
    with pytest.raises(InventoryError) as caught:
        render(inventory)
    return caught.value.problems


def test_a_workload_renders_once_per_variant(fleet: Inventory) -> None:
    made = render(fleet)

    assert [(one.variant, one.architecture) for one in made] == [
        ("amd64", Architecture.AMD64),
        ("arm64", Architecture.ARM64),
        ("arm64/jetpack6", Architecture.ARM64),
    ]


def test_the_family_is_workload_and_variant_unless_written(fleet: Inventory) -> None:
    assert [one.body["family"] for one in render(fleet)] == [
        "vision-amd64",
        "vision-arm64",
        "vision-arm64-jetpack6",
    ]


def test_a_template_knows_the_names_it_is_promised(fleet: Inventory) -> None:
    (container,) = render(fleet)[2].body["containerDefinitions"]

    assert container["image"] == IMAGE
    assert container["memory"] == 64
    assert container["command"] == ["people", "shops", "vision", "arm64/jetpack6", "arm64"]


def test_the_same_inventory_renders_the_same_twice(fleet: Inventory) -> None:
    assert render(fleet) == render(fleet)


def test_a_template_may_be_json(fleet: Inventory) -> None:
    fleet.template(
        "vision.j2",
        '{"containerDefinitions": [{"name": "main", "memory": 64, "image": {{ images.main }}}]}',
    )

    assert len(render(fleet)) == 3


@pytest.mark.parametrize(
    ("where", "expected"),
    [
        ("{architecture: arm64}", ["arm64", "arm64/jetpack6"]),
        ("{variant: arm64/jetpack6}", ["arm64/jetpack6"]),
        ("{hardware: nuc, store: store-1}", ["amd64"]),
        ("{store: store-1}", ["amd64", "arm64", "arm64/jetpack6"]),
    ],
)
def test_conditions_on_boxes_choose_the_variants(
    fleet: Inventory, where: str, expected: list[str]
) -> None:
    fleet.write("workloads/vision.yaml", f"template: vision.j2\nwhere: {where}\n")
    loaded = load_fleet(fleet.root)

    assert list(variants(loaded, loaded.workloads[0])) == expected


def test_conditions_that_no_box_meets_are_a_problem(fleet: Inventory) -> None:
    fleet.write(
        "workloads/vision.yaml",
        "template: vision.j2\nwhere: {hardware: nuc, architecture: arm64}\n",
    )

    (problem,) = problems(fleet)

    assert "no hardware meets the conditions" in problem.message


def test_a_wrong_key_is_pointed_out_in_the_template(fleet: Inventory) -> None:
    fleet.template("vision.j2", TEMPLATE.replace("command", "comand"))

    problem = problems(fleet)[0]

    assert Path(problem.file).name == "vision.j2"
    assert (problem.line, problem.path) == (6, "containerDefinitions[0].comand")
    assert problem.message.endswith("(rendered for amd64)")
    assert problem.hint == 'did you mean "command"?'


def test_the_line_is_that_of_the_template_also_after_a_loop(fleet: Inventory) -> None:
    loop = "{# one\ntwo #}\n{% for n in range(9) %}\n# {{ n }}\n{% endfor %}\nnetworkMode: awsvpc\n"
    fleet.template("vision.j2", loop + TEMPLATE)

    assert {problem.line for problem in problems(fleet)} == {6}


def test_text_quoted_twice_is_explained(fleet: Inventory) -> None:
    fleet.template("vision.j2", TEMPLATE + "family: {{ workload }}-{{ variant }}\n")

    problem = problems(fleet)[0]

    assert problem.line == 7
    assert "join text inside one" in str(problem.hint)


def test_a_key_written_twice_is_a_problem(fleet: Inventory) -> None:
    fleet.template("vision.j2", TEMPLATE + "family: a\nfamily: b\n")

    assert problems(fleet)[0].line == 8


def test_a_template_must_render_to_keys_and_values(fleet: Inventory) -> None:
    fleet.template("vision.j2", "- a\n")

    assert "must render to keys and values" in problems(fleet)[0].message


def test_an_undeclared_image_is_a_problem(fleet: Inventory) -> None:
    fleet.template("vision.j2", TEMPLATE.replace("{{ images.main }}", "images.example/other:1"))

    problem = problems(fleet)[0]

    assert (problem.line, problem.path) == (4, "containerDefinitions[0].image")
    assert "is not declared" in problem.message


def test_an_image_must_hold_the_architecture_of_the_boxes(fleet: Inventory) -> None:
    fleet.write("workloads/vision.yaml", WORKLOAD.replace("linux/amd64, ", ""))

    (problem,) = problems(fleet)

    assert "the image holds linux/arm64/v8, not linux/amd64" in problem.message


def test_one_family_for_two_variants_is_a_problem(fleet: Inventory) -> None:
    fleet.template("vision.j2", TEMPLATE + "family: vision\n")

    assert "is also that of vision for amd64" in problems(fleet)[0].message


def test_a_variable_must_not_hide_a_name_of_fleets(fleet: Inventory) -> None:
    fleet.write("workloads/vision.yaml", WORKLOAD.replace("model:", "variant: a, model:"))

    assert problems(fleet)[0].path == "variables.variant"


def test_the_problems_of_all_workloads_come_at_once(fleet: Inventory) -> None:
    fleet.write("workloads/other.yaml", WORKLOAD.replace("vision.j2", "other.j2"))
    fleet.template("other.j2", "a: {{ nothing }}")
    fleet.template("vision.j2", "b: {{ nothing }}")

    assert {Path(problem.file).name for problem in problems(fleet)} == {"other.j2", "vision.j2"}


def test_types_of_variables_reach_the_task_definition(fleet: Inventory) -> None:
    fleet.write("workloads/vision.yaml", WORKLOAD.replace("memory: 64", 'memory: "64"'))

    assert "a whole number expected, found text" in problems(fleet)[0].message


BY_STORE = "stores:\n" + "".join(
    f"  {name}: {{{where}, labels: {{market: {market}}}, lifecycle: {life}, "
    "hosts: {tel-1: {hardware: nuc}}}\n"
    for name, where, market, life in (
        ("s-1", "account: prod", "uk", "open"),
        ("s-2", "account: prod", "uk", "open"),
        ("s-3", "account: two, region: us-east-1", "us", "open"),
        ("s-4", "account: prod", "de", "paused"),
    )
)


@pytest.fixture
def shops(fleet: Inventory) -> Inventory:
    fleet.write("stores/all.yaml", BY_STORE)
    fleet.write("workloads/vision.yaml", WORKLOAD.replace("[nuc, xavier, orin]", "nuc"))
    return fleet


def test_a_template_that_leaves_the_store_aside_is_rendered_once(shops: Inventory) -> None:
    (made,) = render(shops)

    assert (made.store, made.uses) == (None, ())


def test_a_template_that_speaks_of_the_store_is_rendered_for_every_open_one(
    shops: Inventory,
) -> None:
    words = "[{{ store.id }}, {{ store.name }}, {{ store.account_id }}, {{ store.time_zone }}]"
    shops.template("vision.j2", TEMPLATE + f"    entryPoint: {words}\n")

    made = render(shops)

    assert [one.store for one in made] == ["s-1", "s-2", "s-3"]
    assert made[2].uses == ("store.account_id", "store.id", "store.name", "store.time_zone")
    assert made[2].body["containerDefinitions"][0]["entryPoint"] == [
        "s-3",
        "s-3",
        "444455556666",
        "Europe/London",
    ]


def test_stores_that_read_alike_share_one_body(shops: Inventory) -> None:
    words = "{% if store.labels.market == 'us' %}{{ store.region }}{% else %}{{ 'eu' }}{% endif %}"
    shops.template("vision.j2", TEMPLATE + f"    entryPoint: [{words}]\n")

    one, two, three = render(shops)

    assert one.body is two.body
    assert one.uses == ("store.labels.market",)
    assert three.uses == ("store.labels.market", "store.region")
    assert three.body["containerDefinitions"][0]["entryPoint"] == ["us-east-1"]


def test_a_label_that_some_stores_lack_may_have_a_default(shops: Inventory) -> None:
    words = "{{ store.labels.zone | default('none') }}"
    shops.template("vision.j2", TEMPLATE + f"    entryPoint: [{words}]\n")

    assert render(shops)[0].body["containerDefinitions"][0]["entryPoint"] == ["none"]


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ("{{ store.labels.zone }}", "'store.labels.zone' is undefined; there is market"),
        ("{{ store.nmae }}", "'store.nmae' is undefined; there is account, account_id, id"),
        ("{{ store }}", "an expression fails"),
    ],
)
def test_what_a_store_does_not_say_names_template_line_and_store(
    shops: Inventory, words: str, said: str
) -> None:
    shops.template("vision.j2", TEMPLATE + f"    entryPoint: [{words}]\n")

    (problem,) = problems(shops)

    assert (Path(problem.file).name, problem.line) == ("vision.j2", 7)
    assert problem.message.startswith(said)


def test_a_body_that_is_wrong_for_one_store_names_it(shops: Inventory) -> None:
    network = "{{ 'awsvpc' if store.id == 's-2' else 'host' }}"
    shops.template("vision.j2", TEMPLATE + f"networkMode: {network}\n")

    (problem,) = problems(shops)

    assert "(rendered for amd64, s-2)" in problem.message


def test_a_template_without_an_open_store_is_tried_on_another(shops: Inventory) -> None:
    shops.write("stores/all.yaml", BY_STORE.replace("lifecycle: open", "lifecycle: closed"))
    shops.template("vision.j2", TEMPLATE + "    entryPoint: [{{ store.id }}]\n")

    assert [one.store for one in render(shops)] == ["s-1"]
