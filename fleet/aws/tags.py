"""Converts tags between fleet and the forms of ECS and SSM."""

from collections.abc import Iterable, Mapping

from fleet.aws.session import Shard
from fleet.model.aws_actions import TAG_RESOURCE


def tags_of(raw: Iterable[Mapping[str, str]] | None) -> dict[str, str]:
    """Return tags as a mapping. SSM spells the keys ``Key`` and ``Value``, ECS in lower case."""
    lowered = ({name.lower(): value for name, value in tag.items()} for tag in raw or ())
    return {tag["key"]: tag.get("value", "") for tag in lowered if "key" in tag}


def ecs_tags(tags: Mapping[str, str]) -> list[dict[str, str]]:
    """Return tags as ECS takes them."""
    return [{"key": key, "value": value} for key, value in tags.items()]


def ssm_tags(tags: Mapping[str, str]) -> list[dict[str, str]]:
    """Return tags as SSM takes them."""
    return [{"Key": key, "Value": value} for key, value in tags.items()]


def tag_resource(shard: Shard, arn: str, tags: Mapping[str, str]) -> None:
    """Set tags of what ECS knows by this ARN; others stay.

    Repeated until AWS answers: the same tags again change nothing.
    """
    if tags:
        shard.call(TAG_RESOURCE, resourceArn=arn, tags=ecs_tags(tags))
