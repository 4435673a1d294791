"""What fleet writes on things in AWS, beside what it says there: attributes and tags."""

import shlex
from collections.abc import Mapping
from datetime import timedelta

from fleet.drift.decide import host_codes as codes
from fleet.drift.decide.case import HostCase, StoreCase
from fleet.drift.decide.commands import aws_command
from fleet.drift.decide.host_words import register
from fleet.drift.decide.registration import NOT_OPEN
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


def of_store(case: StoreCase) -> list[Finding]:
    """Attributes and tags of a store's hosts and cluster that are not as declared."""
    if case.store.lifecycle in NOT_OPEN:
        return []
    found = _cluster(case)
    for host in case.hosts.values():
        instance = host.instance
        if instance is None or isinstance(case.seen.instances, NotRead):
            continue
        if host.node is None and len(host.instances) > 1:
            continue  # which of them is the host's cannot be told without SSM
        if host.node is not None and instance.managed_instance_id != host.node.id:
            continue
        found += _attributes(case, host, instance)
        found += _node(case, host)
    return found


def _attributes(case: StoreCase, host: HostCase, instance: ContainerInstance) -> list[Finding]:
    declared = declared_attributes(case.store, host.host)
    wrong = differing(declared, instance.attributes)
    left = sorted(
        name
        for name in instance.attributes
        if name.startswith(OWN_ATTRIBUTES) and name not in declared
    )
    if not wrong and not left:
        return []
    seen = case.seen.instances
    words = [_difference(name, text, instance.attributes) for name, text in wrong.items()]
    words += [f"{name} is left over" for name in left]
    shown = printable("; ".join(words), limit=300)
    severity = Severity.MEDIUM if PLACEMENT_ATTRIBUTES & {*wrong, *left} else None
    return [
        case.found(
            codes.ATTRIBUTES,
            shown,
            Evidence("ECS", shown, None if isinstance(seen, NotRead) else seen.at),
            Evidence("inventory", ", ".join(f"{k}={v}" for k, v in sorted(declared.items()))),
            host=host.host.name,
            fix=_put(case, host, instance, wrong, left),
            severity=severity,
            data={"arn": instance.arn, "put": dict(wrong), "drop": left},
        )
    ]


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
) -> str:
    """What to type: register puts what is missing; what is left over has to be deleted."""
    steps = [register(host.host)] if wrong else []
    if left:
        where = f"targetType=container-instance,targetId={instance.arn}"
        targets = " ".join(shlex.quote(f"name={name},{where}") for name in left)
        words = f"ecs delete-attributes --cluster {instance.cluster} --attributes {targets}"
        steps.append(aws_command(case.store, words))
    return "; ".join(steps)


def _node(case: StoreCase, host: HostCase) -> list[Finding]:
    tagged, node = case.shard.tagged, host.node
    if node is None or isinstance(tagged, NotRead) or node.id in tagged.value:
        return []
    # Tags come with the activation, but a node may be newer than the listing by tag.
    hold = timedelta(seconds=case.background.settings.hold_s)
    if node.registered_at is not None and tagged.at - node.registered_at < hold:
        return []
    wanted = host_tags(case.background.fleet, host.host)
    tags = " ".join(f"Key={key},Value={text}" for key, text in wanted.items())
    words = f"ssm add-tags-to-resource --resource-type ManagedInstance --resource-id {node.id}"
    return [
        case.found(
            codes.NODE_UNTAGGED,
            f"{node.id} is the host's node and lacks the tag {TAG_FLEET}={case.background.fleet}",
            Evidence("SSM", f"{node.id} is not among the nodes with that tag", tagged.at),
            host=host.host.name,
            fix=aws_command(case.store, f"{words} --tags {tags}"),
            data={"node": node.id, "tags": wanted},
        )
    ]


def _cluster(case: StoreCase) -> list[Finding]:
    clusters = case.shard.clusters
    cluster = None if isinstance(clusters, NotRead) else clusters.value.get(case.store.cluster)
    if cluster is None or cluster.status != "ACTIVE" or isinstance(clusters, NotRead):
        return []
    lacking = differing(cluster_tags(case.background.fleet, case.store), cluster.tags)
    if not lacking:
        return []
    names = listed(list(lacking))
    tags = " ".join(f"key={key},value={text}" for key, text in lacking.items())
    words = f"ecs tag-resource --resource-arn {cluster.arn} --tags {tags}"
    return [
        case.found(
            codes.CLUSTER_TAGS,
            f"cluster {cluster.name} is not tagged as this store's: {names} missing or different",
            Evidence("ECS", f"tags of {cluster.name} lack {names}", clusters.at),
            fix=aws_command(case.store, words),
            data={"arn": cluster.arn, "tags": lacking},
        )
    ]
