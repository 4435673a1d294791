"""Reads and creates CloudWatch log groups; a task cannot start without its group."""

from collections.abc import Iterable, Mapping
from datetime import datetime

from fleet.aws.replies import clean, items
from fleet.aws.session import Shard
from fleet.errors import AwsError
from fleet.model.aws_actions import CREATE_LOG_GROUP, DESCRIBE_LOG_GROUPS, PUT_RETENTION_POLICY
from fleet.model.desired import LogGroup
from fleet.model.observed import Reading

#: Largest page of DescribeLogGroups.
PAGE = 50


def describe_log_groups(shard: Shard, names: Iterable[str]) -> Reading[dict[str, int | None]]:
    """Return days of retention by name, of the groups that exist; None keeps all for ever.

    A call per name: DescribeLogGroups asks by prefix, and sorts the whole name before longer ones.
    """
    found: dict[str, int | None] = {}
    times: list[datetime] = []
    for name in dict.fromkeys(names):
        for reply in shard.pages(DESCRIBE_LOG_GROUPS, logGroupNamePrefix=name, limit=PAGE):
            times.append(reply.at)
            groups = items(reply, DESCRIBE_LOG_GROUPS)
            days = {clean(one.get("logGroupName")): one.get("retentionInDays") for one in groups}
            if name in days:
                found[name] = days[name]
                break
    return Reading(found, shard.oldest(times))


def create_log_group(shard: Shard, group: LogGroup, tags: Mapping[str, str]) -> None:
    """Create a group that ``describe_log_groups`` did not show, and set its retention.

    A lost reply means nothing: the second call is told that it exists, which is taken for our
    own doing (or for somebody's who made it in the same moment). So an existing group is not for
    this function: its retention would be set. A run that is cut off between the two calls leaves
    a group that keeps everything for ever.
    """
    try:
        shard.call(CREATE_LOG_GROUP, logGroupName=group.name, tags=dict(tags))
    except AwsError as error:
        if error.code != "ResourceAlreadyExistsException":
            raise
    shard.call(PUT_RETENTION_POLICY, logGroupName=group.name, retentionInDays=group.retention_days)
