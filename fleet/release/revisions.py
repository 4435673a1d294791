"""Reads the task definitions behind ARNs from the records, or once from AWS."""

from collections.abc import Mapping
from concurrent.futures import Executor
from dataclasses import dataclass, field
from typing import Any

from fleet.aws.session import Shard
from fleet.aws.task_definitions import Registered, task_definition
from fleet.errors import AwsError
from fleet.model.desired import Release
from fleet.model.normal_form import meaning_of, same_meaning
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
        alike: by a content that is not of the release, the one of the release that means the same.
    """

    contents: dict[str, str] = field(default_factory=dict)
    bodies: dict[str, Mapping[str, Any]] = field(default_factory=dict)
    failed: dict[str, str] = field(default_factory=dict)
    alike: dict[str, str] = field(default_factory=dict)


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
    cache, meanings = wiring.records.task_definitions, Meanings(release)
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
        content = meanings.content_of(answer)
        found.contents[arn], found.bodies[arn] = content, answer.body
        if remembered and content in release.task_definitions:
            account, region = arns[arn]
            account_id = wiring.fleet.accounts[account].account_id
            cache.put(account_id, region, arn, release.task_definitions[content])
    for arn, content in found.contents.items():
        meant = "" if content in release.task_definitions else meanings.of(found.bodies.get(arn))
        if content and meant:
            found.alike[content] = meant
    return found


class Meanings:
    """Recognises the task definitions of a release by what they mean, however they are spelled."""

    def __init__(self, release: Release) -> None:
        self._known = release.task_definitions
        self._contents: dict[str, str] = {}

    def content_of(self, found: Registered) -> str:
        """Return the content address of a revision, or "" for one that fleet did not make.

        A tag that names a content of this release is compared with the body, because a revision
        that a person creates in the console copies the tags of the one before. Other tags are
        believed, because there is nothing to compare them with.
        """
        tagged = self._known.get(found.content)
        if tagged is not None:
            return found.content if same_meaning(tagged.body, found.body) else ""
        return found.content or self.of(found.body)

    def of(self, body: Mapping[str, Any] | None) -> str:
        """Return the address of the task definition that means the same; "" for none."""
        if body is None:
            return ""
        if not self._contents:
            self._contents = {
                meaning_of(one.body): content for content, one in sorted(self._known.items())
            }
        return self._contents.get(meaning_of(body), "")


def _attempt(shard: Shard, arn: str) -> Registered | AwsError:
    try:
        return task_definition(shard, arn)
    except AwsError as error:
        return error
