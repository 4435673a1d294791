"""Answers that come in pages, and how old one of several parts is."""

from collections.abc import Iterator, Sequence
from datetime import datetime
from typing import Any

from fleet.aws.calls import Reply
from fleet.aws.session import Shard
from fleet.errors import AwsError
from fleet.model.aws_actions import Action


def pages(shard: Shard, action: Action, **parameters: Any) -> Iterator[Reply]:
    """Every page; the token's name follows the service's style of keys."""
    key = "NextToken" if action.service == "ssm" else "nextToken"
    seen: set[str] = set()
    token: str | None = None
    while True:
        more = {key: token} if token else {}
        reply = shard.call(action, **parameters, **more)
        yield reply
        token = reply.body.get(key) or None
        if token is None:
            return
        if token in seen:
            raise AwsError(f"{action.id}: AWS hands out the same page again", operation=action.id)
        seen.add(token)


def oldest(times: Sequence[datetime], shard: Shard) -> datetime:
    """The time of the oldest part; now when AWS was not asked, as there was nothing to ask."""
    return min(times) if times else shard.clock.now()
