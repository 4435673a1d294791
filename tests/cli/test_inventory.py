import json
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from fleet.cli.inventory import app
from fleet.cli.main import main
from fleet.errors import EmptySelection, InventoryError, UsageError

INVENTORY = Path(__file__).parents[2] / "inventory"


def run(*arguments: str) -> Result:
    result = CliRunner().invoke(
        app, arguments, env={"FLEET_INVENTORY": str(INVENTORY)}, catch_exceptions=False
    )
    assert result.exit_code == 0
    return result


def test_the_list_has_a_line_per_store_and_a_total() -> None:
    lines = run("list").stdout.splitlines()

    assert len(lines) == 1 + 14 + 1
    assert lines[3].split() == [
        *("store-042", "Leeds", "Briggate", "emea-prod/eu-west-1", "Europe/London"),
        *("open", "canary", "lte,", "metered", "cam-1", "xavier-nx,", "tel-1", "nuc"),
    ]
    assert lines[-1] == "14 stores (12 open, 1 paused, 1 planned), 26 hosts, 2 workloads"


def test_the_list_is_also_a_versioned_document() -> None:
    document = json.loads(run("list", "--json").stdout)

    assert (document["version"], document["kind"], document["fleet"]) == (
        1,
        "inventory-list",
        "shops",
    )
    assert len(document["digest"]) == 64
    assert len(document["stores"]) == 14


def test_a_store_is_shown_with_what_it_inherits() -> None:
    text = run("show", "store-042").stdout

    assert "mon-fri 08:00-22:00, sat 09:00-20:00, sun 10:00-13:00 14:00-18:00" in text
    assert "lte, metered, 4.50 per GB, carrier northern-mobile" in text
    assert "cam-1.store-042.shops.example" in text


def test_a_host_is_shown_with_what_its_hardware_needs() -> None:
    text = run("show", "store-071/cam-2").stdout

    assert "fleet, port 2222" in text
    assert "8 GB of disk, 6000 MiB of memory" in text
    assert "lens=wide" in text


@pytest.mark.parametrize(("name", "kind"), [("store-042", "store"), ("store-042/cam-1", "host")])
def test_what_is_shown_is_also_a_document(name: str, kind: str) -> None:
    document = json.loads(run("show", name, "--json").stdout)

    assert (document["kind"], document["version"]) == (f"inventory-{kind}", 1)
    assert document[kind]["id"] == name


@pytest.mark.parametrize("name", ["store-42", "store-042/cam-9", "store-042/", "/cam-1"])
def test_a_name_that_is_not_there_is_a_usage_error_with_a_way_on(name: str) -> None:
    with pytest.raises(UsageError, match="the inventory has no") as caught:
        run("show", name)

    assert caught.value.hint


def test_a_wrong_inventory_is_not_listed(tmp_path: Path) -> None:
    with pytest.raises(InventoryError):
        run("list", "--inventory", str(tmp_path))


def test_the_command_ends_with_2_and_says_what_to_do(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    arguments = ["fleet", "inventory", "show", "store-043", "--inventory", str(INVENTORY)]
    monkeypatch.setattr("sys.argv", arguments)

    with pytest.raises(SystemExit) as caught:
        main()

    captured = capsys.readouterr()
    assert caught.value.code == 2
    assert captured.out == ""
    assert 'error: the inventory has no "store-043"\nhint: did you mean store-' in captured.err


@pytest.mark.parametrize(
    ("words", "stores"),
    [
        (["store-042", "store-011"], ["store-042", "store-011"]),
        (["--where", "market=sg and link.kind=lte", "--ring", "canary"], []),
        (["--where", "lifecycle != open"], ["store-090", "store-109"]),
        (
            ["--ring", "canary"],
            ["store-011", "store-042", "store-104", "store-201", "store-207"],
        ),
    ],
)
def test_the_list_may_be_kept_to_some_stores(words: list[str], stores: list[str]) -> None:
    if not stores:
        with pytest.raises(EmptySelection):
            run("list", *words)
        return
    document = json.loads(run("list", "--json", *words).stdout)

    assert [store["id"] for store in document["stores"]] == stores
