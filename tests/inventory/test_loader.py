import subprocess
import sys
from pathlib import Path

import pytest

from fleet.errors import InventoryError
from fleet.inventory import building
from fleet.inventory.files import Folder
from fleet.inventory.loader import load_fleet
from tests.inventory.conftest import Inventory


def test_a_folder_that_is_not_there_names_the_option(tmp_path: Path) -> None:
    with pytest.raises(InventoryError) as caught:
        load_fleet(tmp_path / "nowhere")

    (problem,) = caught.value.problems
    assert "--inventory" in str(problem.hint)


def test_a_folder_without_fleet_yaml_says_so(tmp_path: Path) -> None:
    with pytest.raises(InventoryError, match=r"fleet\.yaml: there is no such file"):
        load_fleet(tmp_path)


def test_every_problem_of_every_file_comes_at_once(inventory: Inventory) -> None:
    inventory.write("fleet.yaml", "name: shops\naccounts: {prod: {account_id: 1}}\nregon: x\n")
    inventory.write("hardware/nuc.yaml", "architecture: x86\n")
    inventory.write("workloads/vision.yaml", "template: vision\nwhere: {hardwre: nuc}\n")
    inventory.write("stores/all.yaml", "stores: {store-1: {time_zone: Europe/Lodnon}}\n")
    inventory.write("stores/more.csv", "id,hours\nstore-2,sometimes\n")

    found = inventory.problems()

    assert {Path(problem.file).name for problem in found} == {
        "fleet.yaml",
        "nuc.yaml",
        "vision.yaml",
        "all.yaml",
        "more.csv",
    }


def test_a_mistake_in_fleet_yaml_does_not_hide_those_of_the_stores(inventory: Inventory) -> None:
    text = (inventory.root / "fleet.yaml").read_text()
    inventory.write("fleet.yaml", text + "nmae: shops\n")
    inventory.write("stores/all.yaml", "stores: {store-1: {account: prd}}\n")

    messages = [problem.message for problem in inventory.problems()]

    assert 'unknown key "nmae"' in messages
    assert 'there is no account "prd"' in messages


def test_the_digest_is_of_contents_and_not_of_places(tmp_path: Path) -> None:
    one, two = Inventory(tmp_path / "one"), Inventory(tmp_path / "two")

    assert load_fleet(one.root).digest == load_fleet(two.root).digest
    two.write("hardware/nuc.yaml", "architecture: amd64\nmin_memory_mb: 2000\n")
    assert load_fleet(one.root).digest != load_fleet(two.root).digest


def test_a_changed_template_changes_the_digest(example: Path) -> None:
    before = load_fleet(example).digest
    template = example.parent / "templates" / "vision.yaml.j2"
    template.write_text(template.read_text() + "# more\n")

    assert load_fleet(example).digest != before


def test_pins_are_not_part_of_the_digest(example: Path) -> None:
    before = load_fleet(example).digest
    (example / "pins.yaml").write_text("machines: {}\n")

    assert load_fleet(example).digest == before


def test_the_inventory_may_be_the_current_folder(
    example: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(example)

    assert len(load_fleet(Path()).workloads) == 2


def test_a_file_that_nobody_reads_is_pointed_out(inventory: Inventory) -> None:
    inventory.write("stores/old.json", "{}")

    assert "is not read" in inventory.problem().message


def test_editors_own_files_and_a_readme_are_passed_over(inventory: Inventory) -> None:
    inventory.write("stores/.all.yaml.swp", b"\xff\x00")
    inventory.write("stores/README.md", "About the stores.")

    assert len(load_fleet(inventory.root).stores) == 1


def test_a_file_that_is_not_utf_8_names_the_line(inventory: Inventory) -> None:
    inventory.write("stores/all.yaml", "stores:\n  # Köln\n".encode("latin-1"))

    problem = inventory.problem()

    assert (problem.line, problem.message) == (2, "is not UTF-8 text")


def test_a_byte_order_mark_does_no_harm(inventory: Inventory) -> None:
    inventory.write("stores/all.yaml", b"\xef\xbb\xbfstores: {s: {lifecycle: planned}}\n")

    assert [store.id for store in load_fleet(inventory.root).stores] == ["s"]


def test_two_files_for_one_hardware_are_refused(inventory: Inventory) -> None:
    inventory.write("hardware/nuc.yml", "architecture: arm64\n")

    assert 'another file for "nuc"' in inventory.problem().message


@pytest.fixture
def state(tmp_path: Path) -> Path:
    return tmp_path / "state"


def refuse_to_read(*_: object) -> None:
    raise AssertionError("the files were checked again")


def test_files_that_were_right_are_not_checked_again(
    example: Path, state: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = load_fleet(example, state)
    monkeypatch.setattr(building, "build", refuse_to_read)

    assert load_fleet(example, state) == first == load_fleet(example, state)


def test_a_cached_fleet_needs_neither_yaml_nor_pydantic(example: Path, state: Path) -> None:
    load_fleet(example, state)
    script = (
        "import sys; from pathlib import Path; from fleet.inventory.loader import load_fleet; "
        "import fleet.inventory.pins; load_fleet(Path(sys.argv[1]), Path(sys.argv[2])); "
        "print({'yaml', 'pydantic'} & set(sys.modules))"
    )

    command = [sys.executable, "-c", script, str(example), str(state)]
    ran = subprocess.run(command, capture_output=True, text=True, check=True)

    assert ran.stdout == "set()\n"


@pytest.mark.parametrize(
    "changed",
    [
        *("fleet.yaml", "ignores.yaml", "hardware/nuc.yaml", "stores/uk.yaml", "stores/sg.csv"),
        *("workloads/vision.yaml", "../templates/vision.yaml.j2", "stores/more.yaml"),
        "stores/unread.txt",
    ],
)
def test_any_change_of_a_file_is_seen(example: Path, changed: str) -> None:
    before = Folder(example).fingerprint()
    with (example / changed).open("a") as file:
        file.write("# more\n")

    assert Folder(example).fingerprint() != before


def test_a_file_that_goes_wrong_is_a_problem_in_spite_of_the_cache(
    inventory: Inventory, state: Path
) -> None:
    load_fleet(inventory.root, state)
    inventory.write("hardware/nuc.yaml", "architecture: x86\n")

    with pytest.raises(InventoryError, match=r"nuc\.yaml"):
        load_fleet(inventory.root, state)


def test_problems_are_told_each_time(inventory: Inventory, state: Path) -> None:
    inventory.write("hardware/nuc.yaml", "architecture: x86\n")

    for _ in range(2):
        with pytest.raises(InventoryError):
            load_fleet(inventory.root, state)


def test_a_state_folder_that_cannot_be_written_does_no_harm(example: Path, tmp_path: Path) -> None:
    (tmp_path / "state").write_text("a file")

    assert load_fleet(example, tmp_path / "state") == load_fleet(example)
