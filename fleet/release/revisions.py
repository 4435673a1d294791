"""What is behind the ARNs of task definitions that run; asked at AWS once, and remembered."""

from collections.abc import Iterable, Mapping
from concurrent.futures import Executor
from dataclasses import dataclass, field
from typing import Any

from fleet.aws.session import Shard
from fleet.aws.task_definitions import Registered, same, task_definition
from fleet.errors import AwsError
from fleet.model.desired import Release, TaskDefinition
from fleet.runtime.wiring import Wiring

#: Account (its name in the inventory) and region.
Key = tuple[str, str]


@dataclass
class Looked:
    """What was found of some revisions.

    Attributes:
        contents: content address by ARN; "" for one that is not of fleet's making or is deleted.
        bodies: by ARN, of those that can still be read.
        failed: why AWS could not be asked, by ARN.
    """

    contents: dict[str, str] = field(default_factory=dict)
    bodies: dict[str, Mapping[str, Any]] = field(default_factory=dict)
    failed: dict[str, str] = field(default_factory=dict)


def look_up(
    wiring: Wiring,
    release: Release,
    arns: Mapping[str, Key],
    pool: Executor,
    *,
    remembered: bool = True,
) -> Looked:
    """Read these task definitions: those that the records do not know, a call each.

    Args:
        release: whose contents are looked for.
        arns: with the account and region of each.
        pool: the calls are made side by side in it.
        remembered: whether the records are asked and told; without them AWS is asked for all.

    Raises:
        RecordsError: the records are away.
    """
    cache = wiring.records.task_definitions
    found = Looked()
    for arn, definition in (cache.get(arns) if remembered else {}).items():
        found.contents[arn], found.bodies[arn] = definition.content, definition.body
    left = sorted(arn for arn in arns if arn not in found.contents)
    shards = (wiring.shard(wiring.fleet.accounts[arns[arn][0]], arns[arn][1]) for arn in left)
    for arn, answer in zip(left, pool.map(_attempt, shards, left), strict=True):
        if isinstance(answer, AwsError):
            if answer.code != "ClientException":
                found.failed[arn] = str(answer)
                continue
            # Deleted: services may go on running a revision that nobody can read any more.
            found.contents[arn] = ""
            continue
        content = content_seen(release, answer)
        found.contents[arn], found.bodies[arn] = content, answer.body
        if remembered and content in release.task_definitions:
            account, region = arns[arn]
            account_id = wiring.fleet.accounts[account].account_id
            cache.put(account_id, region, arn, release.task_definitions[content])
    return found


def content_seen(release: Release, found: Registered) -> str:
    """The content address of a revision, or "" for one that is not of fleet's making.

    A tag that names something of this release is checked against the body, because a revision that
    a person makes in the console takes the tags of the one it is made from. Other tags are
    believed: what they name can no longer be compared.
    """
    tagged = release.task_definitions.get(found.content)
    if tagged is not None:
        return found.content if same(tagged.body, found.body) else ""
    if found.content:
        return found.content
    family = str(found.body.get("family", ""))
    return next((d.content for d in _of_family(release, family) if same(d.body, found.body)), "")


def _of_family(release: Release, family: str) -> Iterable[TaskDefinition]:
    return (d for _, d in sorted(release.task_definitions.items()) if d.family == family)


def _attempt(shard: Shard, arn: str) -> Registered | AwsError:
    try:
        return task_definition(shard, arn)
    except AwsError as error:
        return error
