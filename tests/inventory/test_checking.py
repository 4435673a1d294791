"""How a mistake reads: what was seen, where, and the nearest right word."""

import pytest

from fleet.inventory.loader import load_fleet
from tests.inventory.conftest import FLEET, Inventory


@pytest.mark.parametrize(
    ("written", "line", "path", "message", "hint"),
    [
        (
            "lifecycel: open",
            3,
            "stores.s.lifecycel",
            'unknown key "lifecycel"',
            'did you mean "lifecycle"?',
        ),
        (
            "lifecycle: opne",
            3,
            "stores.s.lifecycle",
            '"opne" is not one of planned, open, paused, closed',
            'did you mean "open"?',
        ),
        (
            "time_zone: Europe/Lodnon",
            3,
            "stores.s.time_zone",
            '"Europe/Lodnon" is not an IANA time zone, as Europe/London',
            'did you mean "Europe/London"?',
        ),
        (
            "hours:\n      mon: 08:00-09:00\n      tue: 8-9",
            5,
            "stores.s.hours.tue",
            'tue: "8-9" is no span; write mon-fri: "08:00-22:00", sun: closed, or 24h',
            None,
        ),
        (
            "ssh: {port: ssh}",
            3,
            "stores.s.ssh.port",
            'a whole number expected, found "ssh"',
            None,
        ),
        (
            "ssh: {port: 70000}",
            3,
            "stores.s.ssh.port",
            'should be less than or equal to 65535, found "70000"',
            None,
        ),
        ("link: lte", 3, "stores.s.link", 'keys and values expected, found "lte"', None),
        (
            "link: {metered: 7}",
            3,
            "stores.s.link.metered",
            'true or false expected, found "7"',
            None,
        ),
        (
            "labels: {market: }",
            3,
            "stores.s.labels.market",
            "text expected, found nothing",
            'write "" for empty text, or quote the word',
        ),
        ("name: [a]", 3, "stores.s.name", "text expected, found a list", None),
        (
            "hosts: {h: {hardwear: nuc}}",
            3,
            "stores.s.hosts.h.hardwear",
            'unknown key "hardwear"',
            'did you mean "hardware"?',
        ),
        (
            "link: {price_per_gb: cheap}",
            3,
            "stores.s.link.price_per_gb",
            'a number expected, found "cheap"',
            None,
        ),
        (
            "region: Ireland",
            3,
            "stores.s.region",
            '"Ireland" is not an AWS region, as eu-west-1',
            None,
        ),
        (
            "attributes: {ecs.lens: wide}",
            3,
            "stores.s.attributes.ecs.lens",
            "ecs.lens is a name that fleet, ECS or AWS sets",
            None,
        ),
        (
            'attributes: {lens: "wide "}',
            3,
            "stores.s.attributes.lens",
            'lens has the value "wide ", but takes 1 to 128 letters, digits, spaces and '
            "- _ . @ : / \\, with no space at either end",
            None,
        ),
        (
            "address: -oProxyCommand=x",
            3,
            "stores.s.address",
            '"-oProxyCommand=x" is not a host name or IP address; {store} and {host} are filled in',
            None,
        ),
        (
            "address: '{shop}.example'",
            3,
            "stores.s.address",
            '"{shop}.example" is not a host name or IP address; {store} and {host} are filled in',
            None,
        ),
    ],
)
def test_a_mistake_in_a_store_reads(
    inventory: Inventory, written: str, line: int, path: str, *, message: str, hint: str | None
) -> None:
    inventory.write("stores/all.yaml", f"stores:\n  s:\n    {written}\n")

    problem = inventory.problem()

    assert (problem.line, problem.path, problem.message, problem.hint) == (
        line,
        path,
        message,
        hint,
    )


@pytest.mark.parametrize("identity", ["Store_1", "-a", "a-", "a.b", "a" * 64, "ä", "a b"])
def test_store_ids_must_be_dns_labels(inventory: Inventory, identity: str) -> None:
    inventory.write("stores/all.yaml", f'stores:\n  "{identity}": {{lifecycle: planned}}\n')

    assert "is not an id" in inventory.problem().message


def test_a_missing_key_points_at_what_lacks_it(inventory: Inventory) -> None:
    inventory.write("fleet.yaml", FLEET.replace('account_id: "111122223333", ', ""))

    problem = inventory.problem()

    assert (problem.line, problem.path) == (4, "accounts.prod")
    assert problem.message == 'the key "account_id" is missing'


def test_terminal_escapes_in_a_file_do_not_reach_the_message(inventory: Inventory) -> None:
    inventory.write("stores/all.yaml", 'stores:\n  s: {"\\e[2Jname": a, lifecycle: "\\e[31m"}\n')

    assert all("\x1b" not in problem.message for problem in inventory.problems())


def test_an_account_id_keeps_its_zeros_without_quotes(inventory: Inventory) -> None:
    inventory.write("fleet.yaml", FLEET.replace('"111122223333"', "011122223333"))

    assert load_fleet(inventory.root).accounts["prod"].account_id == "011122223333"


def test_words_that_older_yaml_takes_for_booleans_are_words(inventory: Inventory) -> None:
    stores = "stores:\n  no: {lifecycle: planned, labels: {country: no, on: yes}}\n"
    inventory.write("stores/all.yaml", stores)

    (store,) = load_fleet(inventory.root).stores

    assert (store.id, store.labels) == ("no", {"country": "no", "on": "yes"})


def test_unquoted_hours_are_hours(inventory: Inventory) -> None:
    stores = "stores:\n  s: {lifecycle: planned, hours: {mon: 09:00-10:00}}\n"
    inventory.write("stores/all.yaml", stores)

    (store,) = load_fleet(inventory.root).stores

    assert store.hours[0][0].opens.hour == 9
