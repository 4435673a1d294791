"""Finds task definitions by content, and registers those that are not there.

ECS has no address by content, so fleet tags each revision with ``fleet:content`` and compares the
bodies as well: whoever makes a new revision in the console from one of ours takes the tags along.
"""

from collections.abc import Collection, Iterator, Mapping, MutableMapping
from dataclasses import dataclass
from itertools import islice
from typing import Any

from fleet.aws.calls import Reply
from fleet.aws.replies import clean, items, part_of
from fleet.aws.session import Shard
from fleet.aws.tags import ecs_tags, tag_resource, tags_of
from fleet.errors import AwsError, AwsUnreachable
from fleet.model.aws_actions import (
    DESCRIBE_TASK_DEFINITION,
    LIST_TASK_DEFINITIONS,
    REGISTER_TASK_DEFINITION,
)
from fleet.model.desired import ADDED_BY_ECS, TaskDefinition
from fleet.model.identity import TAG_CONTENT
from fleet.model.normal_form import same_meaning

#: Largest page of ListTaskDefinitions.
PAGE = 100
#: Newest revisions of a family that are looked at, a call each. More are not worth it: a revision
#: too many costs nothing, and the caller keeps the ARNs that it was given.
LOOK_BACK = 20
#: How often a registration is begun whose reply was lost and that the look did not find.
TRIES = 3


@dataclass(frozen=True, slots=True)
class Registered:
    """A revision at ECS.

    Attributes:
        arn: of it.
        body: what was registered, with ECS's defaults filled in.
        content: its tag ``fleet:content``; "" for a revision that fleet did not make.
    """

    arn: str
    body: Mapping[str, Any]
    content: str


def task_definition(shard: Shard, arn: str) -> Registered:
    """Return a revision by its ARN, as ``family:revision``, or the newest one of a family.

    Raises:
        AwsError: with the code ClientException when there is none.
    """
    reply = shard.call(DESCRIBE_TASK_DEFINITION, taskDefinition=arn, include=["TAGS"])
    return _registered(reply.body)


def still_active(shard: Shard, family: str, arns: Collection[str]) -> frozenset[str]:
    """Return those of these revisions of a family that were not deregistered.

    Revisions are listed newest first, 100 a call, down to the oldest of these: what runs is mostly
    new, so one call tells of all of them, where describing costs one for each.
    """
    left = {int(arn.rpartition(":")[2]): arn for arn in arns}
    for arn in _revisions(shard, family):
        number = int(arn.rpartition(":")[2])
        left.pop(number, None)
        if not left or number < min(left):
            break
    return frozenset(arns) - frozenset(left.values())


def find_task_definition(
    shard: Shard,
    definition: TaskDefinition,
    *,
    look_back: int = LOOK_BACK,
    seen: MutableMapping[str, Registered] | None = None,
) -> Registered | None:
    """Return the newest ACTIVE revision with the content of ``definition``, or None.

    A revision is taken when its body says the same, ECS's defaults aside, and its tag names no
    other content; without a tag the body alone decides. Only the ``look_back`` newest revisions
    of the family are looked at, a call each: None does not mean that there never was one.

    Args:
        seen: revisions by ARN that were read before and need no call; those that are read now are
            added. A template of 500 bodies looks through one family 500 times.
    """
    memory = {} if seen is None else seen
    for arn in islice(_revisions(shard, definition.family), look_back):
        if arn not in memory:
            try:
                memory[arn] = task_definition(shard, arn)
            except AwsError as error:
                # Deregistered and deleted since it was listed.
                if error.code != "ClientException":
                    raise
                continue
        revision = memory[arn]
        if revision.content in {"", definition.content} and same_meaning(
            definition.body, revision.body
        ):
            return revision
    return None


def register_task_definition(
    shard: Shard,
    definition: TaskDefinition,
    tags: Mapping[str, str],
    *,
    look_back: int = LOOK_BACK,
    seen: MutableMapping[str, Registered] | None = None,
) -> str:
    """Return the ARN of a revision with this content: the one that is there, or a new one.

    RegisterTaskDefinition makes a revision with every call, so fleet looks first, sends once, and
    looks again when the reply was lost. A lost reply makes one revision too many at most, when
    ECS did not show the first one yet; the newest is the one that is used.

    Args:
        tags: beside ``fleet:content``.
        look_back, seen: as for ``find_task_definition``.

    Raises:
        AwsUnreachable: the outcome is unknown and the look failed too, or the reply was lost
            each time; the next call looks first.
    """
    tried = 0
    while True:
        found = find_task_definition(shard, definition, look_back=look_back, seen=seen)
        if found is not None:
            if not found.content:
                tag_resource(shard, found.arn, {TAG_CONTENT: definition.content})
            return found.arn
        tried += 1
        try:
            reply = _register(shard, definition, tags)
        except AwsUnreachable:
            if tried == TRIES:
                raise
        else:
            return _registered_arn(reply.body)


def _register(shard: Shard, definition: TaskDefinition, tags: Mapping[str, str]) -> Reply:
    tagged = ecs_tags({**tags, TAG_CONTENT: definition.content})
    return shard.call(REGISTER_TASK_DEFINITION, **{**definition.body, "tags": tagged})


def _revisions(shard: Shard, family: str) -> Iterator[str]:
    """Yield the ARNs of the ACTIVE revisions of exactly this family, newest first."""
    question = {"familyPrefix": family, "status": "ACTIVE", "sort": "DESC", "maxResults": PAGE}
    for reply in shard.pages(LIST_TASK_DEFINITIONS, **question):
        for arn in items(reply, LIST_TASK_DEFINITIONS):
            # AWS calls it a prefix; that only the whole family matches is how it behaves.
            if str(arn).rpartition("/")[2].rpartition(":")[0] == family:
                yield str(arn)


@part_of(DESCRIBE_TASK_DEFINITION)
def _registered(body: Mapping[str, Any]) -> Registered:
    raw = body["taskDefinition"]
    return Registered(
        arn=clean(raw["taskDefinitionArn"]),
        body={name: value for name, value in raw.items() if name not in ADDED_BY_ECS},
        content=clean(tags_of(body.get("tags")).get(TAG_CONTENT, "")),
    )


@part_of(REGISTER_TASK_DEFINITION)
def _registered_arn(body: Mapping[str, Any]) -> str:
    return clean(body["taskDefinition"]["taskDefinitionArn"])
