"""Reads the task definitions behind ARNs from the records, or once from AWS."""

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
class RevisionContents:
    """What is known of some revisions.

    Attributes:
        contents: content address by ARN; "" for one that fleet did not make or that is deleted.
        bodies: by ARN, of those that can be read.
        failed: by ARN, why AWS could not be read.
    """

    contents: dict[str, str] = field(default_factory=dict)
    bodies: dict[str, Mapping[str, Any]] = field(default_factory=dict)
    failed: dict[str, str] = field(default_factory=dict)


def read_contents(
    wiring: Wiring,
    release: Release,
    arns: Mapping[str, Key],
    pool: Executor,
    *,
    remembered: bool = True,
) -> RevisionContents:
    """Read task definitions, with a call for each that the records do not have.

    Args:
        release: its contents are recognised.
        arns: with the account and region of each.
        pool: makes the calls in parallel.
        remembered: whether the records are used; otherwise AWS is asked for all.

    Raises:
        RecordsError: the records cannot be used.
    """
    cache = wiring.records.task_definitions
    found = RevisionContents()
    for arn, definition in (cache.get(arns) if remembered else {}).items():
        found.contents[arn], found.bodies[arn] = definition.content, definition.body
    left = sorted(arn for arn in arns if arn not in found.contents)
    shards = (wiring.shard(wiring.fleet.accounts[arns[arn][0]], arns[arn][1]) for arn in left)
    for arn, answer in zip(left, pool.map(_attempt, shards, left), strict=True):
        if isinstance(answer, AwsError):
            if answer.code != "ClientException":
                found.failed[arn] = str(answer)
                continue
            # It was deleted; services may still run a revision that cannot be read any more.
            found.contents[arn] = ""
            continue
        content = content_of_revision(release, answer)
        found.contents[arn], found.bodies[arn] = content, answer.body
        if remembered and content in release.task_definitions:
            account, region = arns[arn]
            account_id = wiring.fleet.accounts[account].account_id
            cache.put(account_id, region, arn, release.task_definitions[content])
    return found


def content_of_revision(release: Release, found: Registered) -> str:
    """Return the content address of a revision, or "" for one that fleet did not make.

    A tag that names a content of this release is compared with the body, because a revision that a
    person creates in the console copies the tags of the one before. Other tags are believed,
    because there is nothing to compare them with.
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
