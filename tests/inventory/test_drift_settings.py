"""What the inventory says of the nightly scan, what it lets be, and how hosts are asked."""

from datetime import UTC, datetime
from pathlib import Path

import pytest
import yaml

from fleet.drift.decide.catalogue import CATALOGUE
from fleet.inventory.drift_settings import DriftShape
from fleet.inventory.loader import load_fleet
from fleet.model.drift_settings import DriftSettings, Ignore, Severity
from tests.inventory.conftest import EXAMPLE, FLEET, STORES, Inventory

TWO = STORES + "  store-2: {ring: canary, hosts: {cam-1: {hardware: nuc}}}\n"


def settings(inventory: Inventory, written: str) -> DriftSettings:
    inventory.write("fleet.yaml", f"{FLEET}\ndrift: {{{written}}}\n")
    return load_fleet(inventory.root).drift


def test_what_is_not_written_is_as_built_in(inventory: Inventory) -> None:
    assert load_fleet(inventory.root).drift == DriftSettings()
    assert settings(inventory, "") == DriftSettings()


def test_the_example_writes_the_built_in_settings() -> None:
    assert load_fleet(EXAMPLE / "inventory").drift == DriftSettings()


def test_every_setting_may_be_said(inventory: Inventory) -> None:
    written = """hold: 20m, look_again: 6m, unsteady: 4, unsteady_days: 14, keep_days: 60,
      activation_open: 2d, min_versions: {ecs_agent: 1.10, docker: "24.0.7"}, disk_free_mb: 4096,
      temperature_c: 90.5, clock: 1m, restarts_per_day: 0, tier_share: 80%,
      clusters: 500, revisions: 1000, fail_on: high"""

    assert settings(inventory, written) == DriftSettings(
        hold_s=1200,
        look_again_s=360,
        unsteady=4,
        unsteady_days=14,
        keep_days=60,
        activation_open_s=172_800,
        min_versions={"ecs_agent": "1.10", "docker": "24.0.7"},
        disk_free_mb=4096,
        temperature_c=90.5,
        clock_s=60,
        restarts_per_day=0,
        tier_share=0.8,
        clusters=500,
        revisions=1000,
        fail_on=Severity.HIGH,
    )


def test_a_setting_of_the_model_that_nobody_can_write_does_not_exist() -> None:
    keys = {name.removesuffix("_s") for name in DriftSettings.__dataclass_fields__}

    assert set(DriftShape.model_fields) == keys


@pytest.mark.parametrize(
    ("written", "path", "message", "hint"),
    [
        ("hlod: 1m", "hlod", 'unknown key "hlod"', 'did you mean "hold"?'),
        ("hold: 15", "hold", '"15" is not a duration', "write 90s"),
        ("hold: 0s", "hold", "more than nothing", None),
        ("tier_share: 0%", "tier_share", "more than nothing", None),
        ("unsteady_days: 120", "unsteady_days", "120 days are asked about, 90", "at most"),
        ("keep_days: 5", "", "7 days are asked about, 5 are kept", "at most keep_days"),
        ("keep_days: 0", "keep_days", "greater than or equal to 1", None),
        ("fail_on: hihg", "fail_on", "is not one of info, low, medium, high", '"high"'),
        ("min_versions: {dokcer: 1}", "min_versions.dokcer", "unknown key", '"docker"'),
        ("min_versions: {docker: new}", "min_versions.docker", "match pattern", None),
        ("temperature_c: hot", "temperature_c", "a number expected", None),
    ],
)
def test_a_setting_that_cannot_be_meant_is_refused_where_it_is_written(
    inventory: Inventory, written: str, path: str, message: str, hint: str | None
) -> None:
    inventory.write("fleet.yaml", f"{FLEET}\ndrift: {{{written}}}\n")

    problem = inventory.problem()

    assert problem.path == f"drift.{path}".rstrip(".")
    assert problem.line == len(FLEET.splitlines()) + 2
    assert message in problem.message
    assert hint is None or hint in (problem.hint or "")


def ignores(inventory: Inventory, *rules: str) -> tuple[Ignore, ...]:
    entries = "\n".join(f"  - {{{rule}}}" for rule in rules)
    inventory.write("stores/all.yaml", TWO)
    inventory.write("ignores.yaml", f"ignores:\n{entries}\n")
    return load_fleet(inventory.root).ignores


def test_a_rule_is_about_all_that_it_says(inventory: Inventory) -> None:
    (rule,) = ignores(
        inventory,
        'codes: DISK_LOW, stores: store-1, hosts: [tel-1], subject: "vision-*",'
        " until: 2027-01-31, reason: new disks come",
    )

    assert rule == Ignore(
        codes=frozenset({"DISK_LOW"}),
        stores=frozenset({"store-1"}),
        hosts=frozenset({"tel-1"}),
        subject="vision-*",
        until=datetime(2027, 2, 1, tzinfo=UTC),
        reason="new disks come",
        source=f"{inventory.root}/ignores.yaml:2",
    )


def test_a_condition_names_the_stores_of_a_rule(inventory: Inventory) -> None:
    (rule,) = ignores(inventory, "where: ring=canary, until: 2027-01-31, reason: x")

    assert rule.stores == frozenset({"store-2"})


def test_a_rule_that_names_no_stores_is_about_all_and_the_fleets_own(inventory: Inventory) -> None:
    (rule,) = ignores(inventory, "codes: [A, B], until: 2027-01-31T06:00Z, reason: x")

    assert rule.stores is None
    assert rule.codes == {"A", "B"}
    assert rule.until == datetime(2027, 1, 31, 6, tzinfo=UTC)


@pytest.mark.parametrize("text", ["", "# nothing yet\n", "ignores:\n", "ignores: []\n"])
def test_there_need_be_no_rules(inventory: Inventory, text: str) -> None:
    inventory.write("ignores.yaml", text)

    assert load_fleet(inventory.root).ignores == ()


@pytest.mark.parametrize(
    ("rule", "path", "message", "hint"),
    [
        ("codes: A, until: 2027-01-31", "", 'the key "reason" is missing', None),
        ("codes: A, until: 2027-01-31, reason: ' '", ".reason", "a reason is needed", "say why"),
        ("codes: A, reason: x", "", 'the key "until" is missing', None),
        ("codes: A, until: soon, reason: x", ".until", "not a day or a time", "write 2026"),
        ("until: 2027-01-31, reason: x", "", "would ignore everything", "say which"),
        ("codes: A, where: '', until: 2027-01-31, reason: x", ".where", "is empty", "leave where"),
        ("codes: A, where: ' ', until: 2027-01-31, reason: x", ".where", "is empty", "leave where"),
        ("codes: A, where: , until: 2027-01-31, reason: x", ".where", "is empty", "leave where"),
        ("codes: A, stores: [], until: 2027-01-31, reason: x", ".stores", "is empty", None),
        ("codes: A, hosts: , until: 2027-01-31, reason: x", ".hosts", "is empty", None),
        ("codes: [], hosts: tel-1, until: 2027-01-31, reason: x", ".codes", "is empty", None),
        ("codes: A, subject: '', until: 2027-01-31, reason: x", ".subject", "is empty", None),
        ("stores: store-3, until: 2027-01-31, reason: x", ".stores", '"store-3"', '"store-'),
        ("hosts: tel-9, until: 2027-01-31, reason: x", ".hosts", '"tel-9"', '"tel-1"'),
        ("where: rnig=x, until: 2027-01-31, reason: x", ".where", '"rnig"', '"ring"'),
        ("where: lifecycle=closed, until: 2027-01-31, reason: x", ".where", "no store", None),
        ("code: A, hosts: tel-1, until: 2027-01-31, reason: x", ".code", "unknown", '"codes"'),
        (
            "where: ring=canary, stores: store-1, until: 2027-01-31, reason: x",
            "",
            "both choose",
            "leave one",
        ),
        (
            "stores: store-2, hosts: tel-1, until: 2027-01-31, reason: x",
            ".hosts",
            'no host "tel-1"',
            "cam-1",
        ),
    ],
)
def test_a_rule_that_cannot_be_meant_is_refused_where_it_is_written(
    inventory: Inventory, rule: str, path: str, message: str, hint: str | None
) -> None:
    inventory.write("stores/all.yaml", TWO)
    inventory.write("ignores.yaml", f"ignores:\n  - {{{rule}}}\n")

    problem = inventory.problem()

    assert (problem.path, problem.line) == (f"ignores[0]{path}", 2)
    assert message in problem.message
    assert hint is None or hint in (problem.hint or "")


def test_every_wrong_rule_is_pointed_out_at_once(inventory: Inventory) -> None:
    inventory.write("ignores.yaml", "ignores:\n  - codes: A\n  - {until: 2027-01-31, reason: x}\n")

    assert [problem.line for problem in inventory.problems()] == [2, 2, 3]


def test_a_rule_changes_nothing_of_what_stores_run(inventory: Inventory) -> None:
    before = load_fleet(inventory.root).digest

    ignores(inventory, "codes: A, until: 2027-01-31, reason: x")
    inventory.write("stores/all.yaml", STORES)

    assert load_fleet(inventory.root).digest == before


def test_the_commented_rules_of_the_example_hold(example: Path) -> None:
    text = (example / "ignores.yaml").read_text()
    (example / "ignores.yaml").write_text(text.replace("#  ", "  "))

    rules = load_fleet(example).ignores
    assert {code for rule in rules for code in rule.codes} <= set(CATALOGUE)
    assert [rule.reason for rule in rules] == [
        "bigger disks come with the January visit (Dana)",
        "the shop is being rebuilt",
    ]
    assert yaml.safe_load(text) == {"ignores": None}


@pytest.mark.parametrize(
    ("box", "store", "host", "probe"),
    [
        ("", "", "", "ssm"),
        ("probe: ssh", "", "", "ssh"),
        ("probe: ssm", "probe: ssh, ", "", "ssh"),
        ("", "probe: ssh, ", ", probe: ssm", "ssm"),
    ],
)
def test_a_host_is_asked_as_the_nearest_word_says(
    inventory: Inventory, box: str, store: str, host: str, probe: str
) -> None:
    inventory.write("hardware/nuc.yaml", f"architecture: amd64\n{box}\n")
    inventory.write(
        "stores/all.yaml",
        f"stores: {{store-1: {{{store}hosts: {{tel-1: {{hardware: nuc{host}}}}}}}}}\n",
    )

    assert load_fleet(inventory.root).stores[0].hosts[0].probe == probe


def test_what_all_stores_say_wins_over_a_kind_of_box(inventory: Inventory) -> None:
    inventory.write("fleet.yaml", FLEET.replace("defaults:", "defaults:\n  probe: ssm"))
    inventory.write("hardware/nuc.yaml", "architecture: amd64\nprobe: ssh\n")

    assert load_fleet(inventory.root).stores[0].hosts[0].probe == "ssm"


def test_a_table_says_how_hosts_are_asked_too(inventory: Inventory) -> None:
    inventory.write("stores/more.csv", "id,hosts,probe\nstore-9,tel-1:nuc,ssh\n")

    assert load_fleet(inventory.root).stores[1].hosts[0].probe == "ssh"


def test_another_way_of_asking_is_refused(inventory: Inventory) -> None:
    inventory.write("hardware/nuc.yaml", "architecture: amd64\nprobe: telnet\n")

    assert "'ssm' or 'ssh'" in inventory.problem().message
