"""Every file of tests/cases/findings: a small fleet, and exactly the findings that it has."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import yaml

from fleet.drift.decide.catalogue import CATALOGUE
from fleet.drift.decide.finding_kinds import Need
from fleet.model.drift import Finding, Unread
from tests.drift.decide.world import World, when, world

FOLDER = Path(__file__).parents[2] / "cases" / "findings"
CASES = sorted(FOLDER.glob("*.yaml"))
#: What every expected finding says, besides its place.
SAID = {"code", "severity", "cause", "fix"}
#: What they say where the file does not.
DEFAULTS = {
    "store": "store-042",
    "host": "",
    "subject": "",
    "account": "emea-prod",
    "safe": False,
}


def _told(path: Path) -> dict[str, Any]:
    told: dict[str, Any] = yaml.safe_load(path.read_text())
    assert told["about"]
    return told


def _as_told(finding: Finding, expected: dict[str, Any]) -> dict[str, Any]:
    """The fields of a finding that are expected of it, and its place."""
    got = {name: getattr(finding, name) for name in {*expected, *SAID, *DEFAULTS}}
    return {name: str(one) if name == "severity" else one for name, one in got.items()}


def _in_full(expected: dict[str, Any]) -> dict[str, Any]:
    full = {**DEFAULTS, **expected}
    if "since" in full:
        full["since"] = when(full["since"])
    return full


@pytest.mark.parametrize("path", CASES, ids=lambda path: path.stem)
def test_case(path: Path) -> None:
    told = _told(path)

    out = world(told).reconciled()

    codes = [finding.code for finding in out.findings]
    assert codes == [one["code"] for one in told["expect"]], out.findings
    for finding, expected in zip(out.findings, told["expect"], strict=True):
        assert {*expected} >= SAID
        assert _as_told(finding, expected) == _in_full(expected)
    assert [_line(one) for one in out.unread] == told.get("unread", [])
    for store, state in told.get("states", {}).items():
        assert str(out.states[store]) == state
    for host, connection in told.get("connections", {}).items():
        store, _, name = host.partition("/")
        spell = out.connections.get((store, name))
        assert (spell and [str(spell.connection), spell.since]) == (
            connection and [connection[0], when(connection[1])]
        )


def _line(unread: Unread) -> dict[str, Any]:
    return {
        "store": unread.store,
        "what": unread.what,
        "why": unread.why,
        "stores": unread.stores,
    }


@pytest.mark.parametrize("code", sorted(CATALOGUE))
def test_every_code_has_a_case(code: str) -> None:
    found = [path.stem for path in CASES if path.stem.split(".")[0] == code.lower()]
    assert found, f"no file tests/cases/findings/{code.lower()}[.*].yaml"
    assert any(
        one["code"] == code for path in CASES if path.stem in found for one in _told(path)["expect"]
    )


@pytest.mark.parametrize("path", CASES, ids=lambda path: path.stem)
def test_what_vanishes_where_tasks_or_hosts_were_not_read_says_so_in_its_row(path: Path) -> None:
    """Otherwise it would be resolved by every scan that does not read them."""
    made = world(_told(path))
    found = _codes(made)

    assert found - _codes(_without(made, tasks=None)) == _needing(Need.TASKS, found)
    assert found - _codes(_without(made, probes={})) == _needing(Need.PROBE, found)


def _codes(made: World) -> set[str]:
    return {finding.code for finding in made.reconciled().findings}


def _needing(need: Need, codes: set[str]) -> set[str]:
    return {code for code in codes if need in CATALOGUE[code].needs}


def _without(made: World, **parts: Any) -> World:
    """The same scan without parts of every store."""
    shards = tuple(
        replace(
            shard, stores={store: replace(seen, **parts) for store, seen in shard.stores.items()}
        )
        for shard in made.shards
    )
    return World(made.fleet, shards, made.wanted, made.background)


def test_every_file_is_named_after_a_code_or_healthy() -> None:
    names = {path.stem.split(".")[0] for path in CASES}
    assert names <= {*map(str.lower, CATALOGUE), "healthy", "unread"}
