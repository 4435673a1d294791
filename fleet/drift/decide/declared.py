"""Compares attributes, tags and software versions of hosts with what the inventory declares."""

import re
import shlex
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta

from fleet.drift.decide import host_codes as codes
from fleet.drift.decide.commands import register
from fleet.drift.decide.finding_kinds import FindingKind
from fleet.drift.decide.store_case import NOT_OPEN, HostCase, StoreCase
from fleet.model.commands import Command, Proposal, in_turn
from fleet.model.drift import Evidence, Finding
from fleet.model.drift_settings import Severity
from fleet.model.identity import (
    OWN_ATTRIBUTES,
    PLACEMENT_ATTRIBUTES,
    TAG_FLEET,
    cluster_tags,
    declared_attributes,
    differing,
    host_tags,
)
from fleet.model.observed import ContainerInstance, NotRead
from fleet.model.printable import listed, printable

_NUMBERS = re.compile(r"\d+(?:\.\d+)*")


def of_store(case: StoreCase) -> Iterator[Finding]:
    """Report attributes and tags of a store's cluster and hosts that are not as declared."""
    if case.store.lifecycle in NOT_OPEN:
        return
    yield from _cluster(case)
    for host in case.hosts.values():
        instance = host.instance
        if instance is None or case.instances_at is None:
            continue
        if host.node is None and len(host.instances) > 1:
            continue  # Only SSM can tell which of them is the host's.
        if host.node is not None and instance.managed_instance_id != host.node.id:
            continue
        yield from _attributes(case, host, instance)
        yield from _node(case, host)


def _attributes(case: StoreCase, host: HostCase, instance: ContainerInstance) -> Iterator[Finding]:
    declared, seen = declared_attributes(case.store, host.host), instance.attributes
    wrong = differing(declared, seen)
    left = sorted(n for n in seen if n.startswith(OWN_ATTRIBUTES) and n not in declared)
    if not wrong and not left:
        return
    words = [_difference(name, text, seen) for name, text in wrong.items()]
    words += [f"{name} is left over" for name in left]
    shown = printable("; ".join(words), limit=300)
    yield case.found(
        codes.ATTRIBUTES,
        shown,
        Evidence("ECS", shown, case.instances_at),
        Evidence("inventory", ", ".join(f"{k}={v}" for k, v in sorted(declared.items()))),
        host=host.host.name,
        fix=_put(case, host, instance, wrong, left),
        severity=Severity.MEDIUM if PLACEMENT_ATTRIBUTES & {*wrong, *left} else None,
        data={"arn": instance.arn, "put": dict(wrong), "drop": left},
    )


def _difference(name: str, wanted: str, seen: Mapping[str, str]) -> str:
    if name not in seen:
        return f"{name} is missing, should be {wanted}"
    return f"{name} is {seen[name] or 'empty'}, should be {wanted}"


def _put(
    case: StoreCase,
    host: HostCase,
    instance: ContainerInstance,
    wrong: Mapping[str, str],
    left: list[str],
) -> Proposal:
    """Return the commands: register puts what is missing; what is left over has to be deleted."""
    steps = [register(host.host)] if wrong else []
    if left:
        where = f"targetType=container-instance,targetId={instance.arn}"
        targets = " ".join(shlex.quote(f"name={name},{where}") for name in left)
        words = f"ecs delete-attributes --cluster {instance.cluster} --attributes {targets}"
        steps.append(case.aws(words))
    return in_turn(steps)


def _node(case: StoreCase, host: HostCase) -> Iterator[Finding]:
    tagged, node = case.shard.tagged, host.node
    if node is None or isinstance(tagged, NotRead) or node.id in tagged.value:
        return
    # Tags come with the activation, but a node may be newer than the listing by tag.
    hold = timedelta(seconds=case.background.settings.hold_s)
    if node.registered_at is not None and tagged.at - node.registered_at < hold:
        return
    wanted = host_tags(case.background.fleet, host.host)
    tags = " ".join(f"Key={key},Value={text}" for key, text in wanted.items())
    words = f"ssm add-tags-to-resource --resource-type ManagedInstance --resource-id {node.id}"
    yield case.found(
        codes.NODE_UNTAGGED,
        f"{node.id} is the host's node and lacks the tag {TAG_FLEET}={case.background.fleet}",
        Evidence("SSM", f"{node.id} is not among the nodes with that tag", tagged.at),
        host=host.host.name,
        fix=case.aws(f"{words} --tags {tags}"),
        data={"node": node.id, "tags": wanted},
    )


def _cluster(case: StoreCase) -> Iterator[Finding]:
    clusters = case.shard.clusters
    if isinstance(clusters, NotRead):
        return
    cluster = clusters.value.get(case.store.cluster)
    if cluster is None or cluster.status != "ACTIVE":
        return
    lacking = differing(cluster_tags(case.background.fleet, case.store), cluster.tags)
    if not lacking:
        return
    names = listed(list(lacking))
    tags = " ".join(f"key={key},value={text}" for key, text in lacking.items())
    yield case.found(
        codes.CLUSTER_TAGS,
        f"cluster {cluster.name} is not tagged as this store's: {names} missing or different",
        Evidence("ECS", f"tags of {cluster.name} lack {names}", clusters.at),
        fix=case.aws(f"ecs tag-resource --resource-arn {cluster.arn} --tags {tags}"),
        data={"arn": cluster.arn, "tags": lacking},
    )


def is_older(version: str, least: str) -> bool:
    """Tell whether a version is lower than another, by its numbers; one without numbers is not."""
    one, other = _parts(version), _parts(least)
    if not one or not other:
        return False
    length = max(len(one), len(other))
    return one + (0,) * (length - len(one)) < other + (0,) * (length - len(other))


def _parts(version: str) -> tuple[int, ...]:
    found = _NUMBERS.search(version)
    return tuple(int(part) for part in found[0].split(".")) if found else ()


def old_versions(case: StoreCase) -> Iterator[Finding]:
    """Report agents and docker of an open store's hosts that are older than ``min_versions``."""
    if not case.is_open or not case.background.settings.min_versions:
        return
    for host in case.hosts.values():
        for software in _software(case, host):
            least = case.background.settings.min_versions.get(software.key, "")
            if is_older(software.version, least):
                yield _old(case, host, software, least)


@dataclass(frozen=True, slots=True)
class _Software:
    """One piece of software of a host, as a ledger shows it.

    Attributes:
        key: in ``drift.min_versions``.
        fix: how it is upgraded.
    """

    kind: FindingKind
    key: str
    name: str
    version: str
    ledger: str
    at: datetime | None
    fix: Command | Proposal


def _software(case: StoreCase, host: HostCase) -> Iterator[_Software]:
    if host.instance is not None:
        at, one = case.instances_at, host.instance
        fix = "on the host: upgrade the package amazon-ecs-init, then systemctl restart ecs"
        yield _Software(
            codes.ECS_AGENT_OLD, "ecs_agent", "the ECS agent", one.agent_version, "ECS", at, (fix,)
        )
        fix = "on the host, in the store's window: upgrade docker (it restarts the containers)"
        yield _Software(codes.DOCKER_OLD, "docker", "docker", one.docker_version, "ECS", at, (fix,))
    if host.node is not None:
        at, node = case.nodes_at, host.node
        send = case.aws(
            f"ssm send-command --document-name AWS-UpdateSSMAgent --instance-ids {node.id}"
        )
        yield _Software(
            codes.SSM_AGENT_OLD, "ssm_agent", "the SSM agent", node.agent_version, "SSM", at, send
        )


def _old(case: StoreCase, host: HostCase, software: _Software, least: str) -> Finding:
    shown = printable(software.version, limit=40)
    return case.found(
        software.kind,
        f"{software.name} is {shown}, at least {least} is asked for",
        Evidence(software.ledger, f"{software.name} {shown}", software.at),
        Evidence("inventory", f"drift.min_versions.{software.key}: {least}"),
        host=host.host.name,
        fix=software.fix,
        data={"version": shown, "least": least},
    )
