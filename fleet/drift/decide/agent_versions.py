"""Agents and docker beside the least versions that the inventory asks for."""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime

from fleet.drift.decide import host_codes as codes
from fleet.drift.decide.case import HostCase, StoreCase
from fleet.drift.decide.commands import aws_command
from fleet.drift.decide.entries import FindingKind
from fleet.model.drift import Evidence, Finding
from fleet.model.inventory import Lifecycle
from fleet.model.observed import NotRead
from fleet.model.printable import printable

_NUMBERS = re.compile(r"\d+(?:\.\d+)*")


def is_older(version: str, least: str) -> bool:
    """Whether a version is lower than another, number by number; one without numbers is not."""
    one, other = _parts(version), _parts(least)
    if not one or not other:
        return False
    length = max(len(one), len(other))
    return one + (0,) * (length - len(one)) < other + (0,) * (length - len(other))


def _parts(version: str) -> tuple[int, ...]:
    found = _NUMBERS.search(version)
    return tuple(int(part) for part in found[0].split(".")) if found else ()


def of_store(case: StoreCase) -> list[Finding]:
    """Software of an open store's hosts that is too old, by what the ledgers last heard."""
    if case.store.lifecycle is not Lifecycle.OPEN or not case.background.settings.min_versions:
        return []
    return [finding for host in case.hosts.values() for finding in _of_host(case, host)]


@dataclass(frozen=True, slots=True)
class _Software:
    """What a ledger says of one piece of software: which, the version, when, and how to renew it.

    Attributes:
        key: in ``drift.min_versions``.
    """

    entry: FindingKind
    key: str
    name: str
    version: str
    ledger: str
    at: datetime
    fix: str


def _of_host(case: StoreCase, host: HostCase) -> Iterator[Finding]:
    for software in _software(case, host):
        least = case.background.settings.min_versions.get(software.key, "")
        if is_older(software.version, least):
            yield _old(case, host, software, least)


def _software(case: StoreCase, host: HostCase) -> Iterator[_Software]:
    seen, nodes = case.seen.instances, case.shard.nodes
    if host.instance is not None and not isinstance(seen, NotRead):
        at, one = seen.at, host.instance
        fix = "on the host: upgrade the package amazon-ecs-init, then systemctl restart ecs"
        yield _Software(
            codes.ECS_AGENT_OLD, "ecs_agent", "the ECS agent", one.agent_version, "ECS", at, fix
        )
        fix = "on the host, in the store's window: upgrade docker (it restarts the containers)"
        yield _Software(codes.DOCKER_OLD, "docker", "docker", one.docker_version, "ECS", at, fix)
    if host.node is not None and not isinstance(nodes, NotRead):
        node = host.node
        words = f"ssm send-command --document-name AWS-UpdateSSMAgent --instance-ids {node.id}"
        fix = aws_command(case.store, words)
        yield _Software(
            codes.SSM_AGENT_OLD,
            "ssm_agent",
            "the SSM agent",
            node.agent_version,
            "SSM",
            nodes.at,
            fix,
        )


def _old(case: StoreCase, host: HostCase, software: _Software, least: str) -> Finding:
    shown = printable(software.version, limit=40)
    return case.found(
        software.entry,
        f"{software.name} is {shown}, at least {least} is asked for",
        Evidence(software.ledger, f"{software.name} {shown}", software.at),
        Evidence("inventory", f"drift.min_versions.{software.key}: {least}"),
        host=host.host.name,
        fix=software.fix,
        data={"version": shown, "least": least},
    )
