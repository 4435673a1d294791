"""Reads and deregisters SSM managed instances, the hosts as Systems Manager knows them."""

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from fleet.aws.interning import Interner
from fleet.aws.replies import clean, in_batches, part_of, read_pages, utc
from fleet.aws.session import Shard
from fleet.aws.tags import ssm_tags, tags_of
from fleet.errors import AwsError
from fleet.model.aws_actions import (
    ADD_TAGS,
    DEREGISTER_MANAGED_INSTANCE,
    DESCRIBE_INSTANCE_INFORMATION,
    GET_SERVICE_SETTING,
    SSM_LIST_TAGS,
)
from fleet.model.observed import ManagedInstance, NodeTier, Ping, Reading

#: Largest page of DescribeInstanceInformation, and most ids of its filter (SSM API reference).
PAGE = 50
#: Most values of another filter of DescribeInstanceInformation (botocore 1.44.5's model).
FILTER_VALUES = 100
#: Managed instances that the standard tier holds per account and region (Systems Manager user
#: guide).
STANDARD_TIER_NODES = 1000
TIER_SETTING = "/ssm/managed-instance/activation-tier"
#: What an id of a managed instance looks like; AWS refuses a whole call over one that does not.
MANAGED_INSTANCE_ID = re.compile(r"mi-[0-9a-f]{17}")


@dataclass(frozen=True, slots=True)
class KnownNodes:
    """What SSM knows of some ids of managed instances.

    Attributes:
        known: the ones it knows.
        unknown: the ids it does not know in this account and region, in the order asked.
    """

    known: tuple[ManagedInstance, ...]
    unknown: tuple[str, ...]


def list_managed_instances(
    shard: Shard, interner: Interner
) -> Reading[tuple[ManagedInstance, ...]]:
    """Return every managed instance of the account and region, whosever it is; a call per 50."""
    read = _every(shard)
    return Reading(tuple(map(interner.node, read.value)), read.at)


def managed_instances_tagged(
    shard: Shard, tag: str, *values: str
) -> Reading[tuple[ManagedInstance, ...]]:
    """Return the managed instances that carry a tag with one of these values, connected or not.

    A call per 50 of them and per 100 values.
    """
    found: dict[str, ManagedInstance] = {}
    times: list[datetime] = []
    for batch in in_batches(values, FILTER_VALUES):
        reading = _read(shard, f"tag:{tag}", batch)
        times.append(reading.at)
        found.update((node.id, node) for node in reading.value)
    return Reading(tuple(found.values()), shard.oldest(times))


def ids_tagged(shard: Shard, tag: str, value: str) -> Reading[frozenset[str]]:
    """Return the ids of the managed instances that carry a tag with this value; a call per 50.

    SSM lists managed instances without their tags, and combines a filter on tags with no other.
    """
    read = managed_instances_tagged(shard, tag, value)
    return Reading(frozenset(node.id for node in read.value), read.at)


def ids_tagged_among(
    shard: Shard, tag: str, value: str, ids: Sequence[str]
) -> Reading[frozenset[str]]:
    """Return which of these managed instances carry a tag with this value; a call each."""
    tags_by_id = {id_: managed_instance_tags(shard, id_) for id_ in ids}
    mine = frozenset(id_ for id_, tags in tags_by_id.items() if tags.value.get(tag) == value)
    return Reading(mine, shard.oldest([tags.at for tags in tags_by_id.values()]))


def describe_managed_instances(shard: Shard, ids: Iterable[str]) -> Reading[KnownNodes]:
    """Return the managed instances of these ids, and the ids that are not known here.

    AWS refuses a whole call over one unknown id, so a refused batch is halved until the unknown
    ones stand alone. What is no id at all (a damaged vault) is unknown without asking.
    """
    asked = tuple(dict.fromkeys(ids))
    found: dict[str, ManagedInstance] = {}
    times: list[datetime] = []
    pending = list(in_batches([id_ for id_ in asked if MANAGED_INSTANCE_ID.fullmatch(id_)], PAGE))
    while pending:
        batch = pending.pop()
        try:
            reading = _read(shard, "InstanceIds", batch)
        except AwsError as error:
            if error.code != "InvalidInstanceId":
                raise
            if len(batch) > 1:
                middle = len(batch) // 2
                pending += [batch[:middle], batch[middle:]]
            continue
        times.append(reading.at)
        found.update((node.id, node) for node in reading.value)
    known = tuple(found[id_] for id_ in asked if id_ in found)
    unknown = tuple(id_ for id_ in asked if id_ not in found)
    return Reading(KnownNodes(known, unknown), shard.oldest(times))


def managed_instance_tags(shard: Shard, managed_instance_id: str) -> Reading[dict[str, str]]:
    """Return the tags of a managed instance; none for one that is not known here."""
    try:
        reply = shard.call(
            SSM_LIST_TAGS, ResourceType="ManagedInstance", ResourceId=managed_instance_id
        )
    except AwsError as error:
        if error.code != "InvalidResourceId":
            raise
        return Reading({}, shard.clock.now())
    return Reading(tags_of(reply.body.get("TagList")), reply.at)


def activation_tier(shard: Shard) -> Reading[str]:
    """Return the SSM tier of the account and region, ``standard`` or ``advanced``; one call."""
    reply = shard.call(GET_SERVICE_SETTING, SettingId=TIER_SETTING)
    return Reading(_tier(reply.body), reply.at)


def node_tier(shard: Shard) -> Reading[NodeTier]:
    """Return the SSM tier of the account and region, and how many managed instances it holds.

    Costs a call per 50 of them, connected or not; the standard tier has at most 1,000.
    """
    tier = activation_tier(shard)
    nodes = _every(shard)
    limit = STANDARD_TIER_NODES if tier.value == "standard" else None
    return Reading(NodeTier(tier.value, len(nodes.value), limit), min(tier.at, nodes.at))


def tag_managed_instance(shard: Shard, managed_instance_id: str, tags: Mapping[str, str]) -> None:
    """Set tags of a managed instance; others stay. Repeated until AWS answers."""
    if tags:
        shard.call(
            ADD_TAGS,
            ResourceType="ManagedInstance",
            ResourceId=managed_instance_id,
            Tags=ssm_tags(tags),
        )


def deregister_managed_instance(shard: Shard, managed_instance_id: str) -> bool:
    """Deregister a managed instance. False when SSM did not know it (any more).

    Repeated until AWS answers; after a lost reply it may be found gone. The host itself is not
    touched; its agent is refused from then on.
    """
    try:
        shard.call(DEREGISTER_MANAGED_INSTANCE, InstanceId=managed_instance_id)
    except AwsError as error:
        if error.code != "InvalidInstanceId":
            raise
        return False
    return True


def _every(shard: Shard) -> Reading[tuple[ManagedInstance, ...]]:
    return _read(shard, "ResourceType", ["ManagedInstance"])


def _read(shard: Shard, key: str, values: Sequence[str]) -> Reading[tuple[ManagedInstance, ...]]:
    """Return the managed instances for which ``key`` has one of these values."""
    read = read_pages(
        shard,
        DESCRIBE_INSTANCE_INFORMATION,
        Filters=[{"Key": key, "Values": list(values)}],
        MaxResults=PAGE,
    )
    # One that moves from one page to the next while they are read is in both.
    found = {node.id: node for node in map(managed_instance_of, read.value)}
    return Reading(tuple(found.values()), read.at)


@part_of(DESCRIBE_INSTANCE_INFORMATION)
def managed_instance_of(raw: Mapping[str, Any]) -> ManagedInstance:
    """Parse one of DescribeInstanceInformation's ``InstanceInformationList``."""
    return ManagedInstance(
        id=clean(raw["InstanceId"]),
        name=clean(raw.get("Name")),
        ping=Ping(raw["PingStatus"]),
        last_ping_at=utc(raw.get("LastPingDateTime")),
        activation_id=clean(raw.get("ActivationId")),
        agent_version=clean(raw.get("AgentVersion")),
        computer_name=clean(raw.get("ComputerName")),
        registered_at=utc(raw.get("RegistrationDate")),
    )


@part_of(GET_SERVICE_SETTING)
def _tier(body: Mapping[str, Any]) -> str:
    return clean(body["ServiceSetting"]["SettingValue"])
