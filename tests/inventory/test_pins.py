import multiprocessing
import os
import stat
from pathlib import Path

import pytest

from fleet.errors import FleetError, InventoryError, UsageError
from fleet.inventory.pins import load_pins, save_installer_pin, save_machine_id

MACHINE = "0123456789abcdef0123456789abcdef"
SHA = "9b" * 32


def test_there_are_no_pins_before_the_first(tmp_path: Path) -> None:
    assert load_pins(tmp_path).machine_ids == {}
    assert load_pins(tmp_path).installers == {}


def test_what_was_saved_is_loaded(tmp_path: Path) -> None:
    save_machine_id(tmp_path, "store-042/cam-1", MACHINE)
    save_installer_pin(tmp_path, SHA, "the official script of 2026-04-17")

    pins = load_pins(tmp_path)

    assert pins.machine_ids == {"store-042/cam-1": MACHINE}
    assert pins.installers == {SHA: "the official script of 2026-04-17"}


def test_a_machine_id_of_digits_alone_stays_text(tmp_path: Path) -> None:
    save_machine_id(tmp_path, "s/h", "0" * 31 + "7")
    save_machine_id(tmp_path, "s/i", "1" * 32)

    assert load_pins(tmp_path).machine_ids == {"s/h": "0" * 31 + "7", "s/i": "1" * 32}


def test_saving_keeps_opening_comments_and_x_keys(tmp_path: Path) -> None:
    path = tmp_path / "pins.yaml"
    path.write_text("# Read me.\n\nmachines: {}\nx-owner: platform\n")

    save_machine_id(tmp_path, "s/h", MACHINE)

    assert path.read_text().startswith("# Read me.\n\nmachines:\n")
    assert "x-owner: platform" in path.read_text()


def test_saving_what_is_there_leaves_the_file_alone(tmp_path: Path) -> None:
    save_machine_id(tmp_path, "s/h", MACHINE)
    save_installer_pin(tmp_path, SHA, "here")
    before = (tmp_path / "pins.yaml").stat()

    save_machine_id(tmp_path, "s/h", MACHINE)
    save_installer_pin(tmp_path, SHA, "here")

    assert (tmp_path / "pins.yaml").stat().st_ino == before.st_ino


def test_a_host_pinned_to_another_machine_is_not_pinned_anew(tmp_path: Path) -> None:
    save_machine_id(tmp_path, "s/h", MACHINE)

    with pytest.raises(UsageError, match="is pinned to the machine") as caught:
        save_machine_id(tmp_path, "s/h", "f" * 32)

    assert "take its line out" in str(caught.value.hint)
    assert load_pins(tmp_path).machine_ids == {"s/h": MACHINE}


@pytest.mark.parametrize(
    ("host", "machine"), [("s/h", "short"), ("s/h", ""), ("no-slash", MACHINE), ("s/h\nx", MACHINE)]
)
def test_what_could_not_be_read_back_is_not_written(
    tmp_path: Path, host: str, machine: str
) -> None:
    with pytest.raises(InventoryError):
        save_machine_id(tmp_path, host, machine)

    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("machines: {s/h: 12}", "is not a machine id"),
        ("machins: {}", 'unknown key "machins"'),
        ("installers: {12: a}", "is not a SHA-256"),
        ("machines: [", "is not YAML"),
        ("machines: {s/h: %s, s/h: %s}" % (MACHINE, MACHINE), "is written twice"),  # noqa: UP031
    ],
)
def test_a_wrong_file_is_refused_and_not_written_over(
    tmp_path: Path, text: str, message: str
) -> None:
    path = tmp_path / "pins.yaml"
    path.write_text(text)

    with pytest.raises(InventoryError, match=message):
        load_pins(tmp_path)
    with pytest.raises(InventoryError, match=message):
        save_machine_id(tmp_path, "s/h", MACHINE)
    assert path.read_text() == text


def test_the_file_keeps_its_mode(tmp_path: Path) -> None:
    path = tmp_path / "pins.yaml"
    path.write_text("machines: {}\n")
    path.chmod(0o640)

    save_machine_id(tmp_path, "s/h", MACHINE)

    assert stat.S_IMODE(path.stat().st_mode) == 0o640


def test_a_failed_write_leaves_the_old_file_and_no_other(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    save_machine_id(tmp_path, "s/h", MACHINE)

    def full(_number: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(FleetError, match="No space left"):
        save_machine_id(tmp_path, "s/i", "f" * 32)

    assert load_pins(tmp_path).machine_ids == {"s/h": MACHINE}
    assert [path.name for path in tmp_path.iterdir()] == ["pins.yaml"]


def test_a_folder_that_is_not_there_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(FleetError, match="cannot be opened"):
        save_machine_id(tmp_path / "nowhere", "s/h", MACHINE)


def pin_ten(root: Path, first: int) -> None:
    for number in range(first, first + 10):
        save_machine_id(root, f"s/h-{number}", f"{number:032x}")


def test_writers_at_the_same_time_lose_nothing_of_each_other(tmp_path: Path) -> None:
    context = multiprocessing.get_context("spawn")
    writers = [context.Process(target=pin_ten, args=(tmp_path, n * 10)) for n in range(4)]
    for writer in writers:
        writer.start()
    for writer in writers:
        writer.join(60)

    assert [writer.exitcode for writer in writers] == [0] * 4
    assert len(load_pins(tmp_path).machine_ids) == 40


def test_pins_are_cached_until_the_file_changes(tmp_path: Path) -> None:
    save_machine_id(tmp_path, "store-042/cam-1", MACHINE)
    assert load_pins(tmp_path, tmp_path / "state") == load_pins(tmp_path)

    save_machine_id(tmp_path, "store-042/cam-2", "1" * 32)

    assert set(load_pins(tmp_path, tmp_path / "state").machine_ids) == {
        "store-042/cam-1",
        "store-042/cam-2",
    }
