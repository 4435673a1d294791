"""Each case in tests/cases/facts is what a host told, and the facts that it must become.

A case is YAML-free on purpose: ``told`` maps keys of facts.sh to text or texts, ``facts`` maps
dotted names of HostFacts to values.
"""

import base64
import json
import unicodedata
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fleet.model.observed import HostFacts, Privilege
from fleet.ssh.facts import GarbledFacts, parse_clock, parse_facts

CASES = sorted((Path(__file__).parents[1] / "cases" / "facts").glob("*.json"))
KEYS = [
    "privilege", "machine", "hostname", "cpus", "disk", "os_release", "machine_id", "memory", "l4t",
    "docker", "docker_default", "docker_info", "docker_names", "docker_space", "systemd", "gpg",
    "curl", "package_manager", "device", "units", "shadow", "ssm_version", "vault_id",
    "vault_region", "ecs_installed", "ecs_state", "ecs_config", "ecs_var_config", "egress",
    "metadata", "install_lock",
]  # fmt: skip


def answer(told: Mapping[str, str | list[str]]) -> list[str]:
    pairs = [
        f"{key}\0{text}\0"
        for key, texts in told.items()
        for text in ([texts] if isinstance(texts, str) else texts)
    ]
    block = base64.encodebytes("".join(pairs).encode("utf-8", "surrogatepass")).decode()
    return ["Welcome!", "@facts", *block.splitlines(), "@end"]


def parse(lines: list[str]) -> HostFacts:
    return parse_facts(lines, clock_offset_s=0.5, host_key="SHA256:x")


def at(facts: HostFacts, name: str) -> Any:
    value: Any = asdict(facts)
    for part in name.split("."):
        value = value[part]
    return list(value) if isinstance(value, tuple) else value


@pytest.mark.parametrize("path", CASES, ids=lambda path: path.stem)
def test_case(path: Path) -> None:
    case = json.loads(path.read_text(encoding="utf-8"))

    facts = parse(answer({**case["told"], "complete": "yes"}))

    assert {name: at(facts, name) for name in case["facts"]} == case["facts"]


def test_there_are_cases() -> None:
    assert len(CASES) > 10


def test_a_host_that_tells_nothing_but_the_end_is_taken_at_its_word() -> None:
    facts = parse(answer({"complete": "yes"}))

    assert facts.architecture is None
    assert facts.privilege is Privilege.NONE
    assert facts.docker is None
    assert facts.host_key == "SHA256:x"
    assert facts.clock_offset_s == 0.5


@pytest.mark.parametrize(
    ("lines", "why"),
    [
        ([], "no facts"),
        (["Welcome!"], "no facts"),
        (["@facts", "bWFjaGluZQ=="], "not to their end"),
        (["@end", "@facts"], "not to their end"),
        (["@facts", "sudo: unable to resolve host", "@end"], "not base64"),
        (["@facts", "@end"], "break off"),
        (answer({"machine": "x86_64"}), "break off"),
    ],
)
def test_an_answer_that_is_none_says_in_which_way(lines: list[str], why: str) -> None:
    with pytest.raises(GarbledFacts, match=why):
        parse(lines)


@given(st.lists(st.text() | st.sampled_from(["@facts", "@end", "AAAA", "@clock 1"])))
def test_garbage_is_garbled_or_facts(lines: list[str]) -> None:
    try:
        facts = parse(lines)
    except GarbledFacts:
        return
    assert isinstance(facts, HostFacts)


#: What a shell variable can hold.
TEXTS = st.text(st.characters(exclude_characters="\0"))


@given(st.dictionaries(st.sampled_from(KEYS), TEXTS | st.lists(TEXTS, max_size=3)))
def test_whatever_a_host_tells_the_facts_are_printable(told: dict[str, str | list[str]]) -> None:
    facts = parse(answer({**told, "complete": "yes"}))

    assert not {
        letter
        for text in texts_of(asdict(facts))
        for letter in text
        if unicodedata.category(letter) in {"Cc", "Cf", "Cs", "Co"}
    }


def texts_of(value: Any) -> list[str]:
    match value:
        case str():
            return [value]
        case Mapping():
            return [text for pair in value.items() for part in pair for text in texts_of(part)]
        case tuple():
            return [text for part in value for text in texts_of(part)]
    return []


@pytest.mark.parametrize(
    ("line", "seconds"),
    [
        ("@clock 1795363200.250000000", 1795363200.25),
        ("@clock 1795363200", 1795363200.0),
        ("@clock 1795363200.%N", 1795363200.0),
        ("@clock ", None),
        ("@clock " + "9" * 400, 999999999999.0),
        ("clock 1795363200", None),
    ],
)
def test_the_clock_line(line: str, seconds: float | None) -> None:
    assert parse_clock(line) == seconds
