"""Runs a script on managed instances through SSM Run Command, and returns what it printed.

A node that is away takes nothing; after the time for delivery AWS says so. Output is read from
ListCommandInvocations, which answers for 50 nodes at once and shows 2,500 characters of each; only
what was cut there costs a call of its own (GetCommandInvocation: 24,000 characters).
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from fleet.aws.replies import clean, in_batches, items, unreadable
from fleet.aws.session import Shard
from fleet.errors import AwsError, AwsUnreachable, CredentialsError
from fleet.model.aws_actions import (
    GET_COMMAND_INVOCATION,
    LIST_COMMAND_INVOCATIONS,
    LIST_COMMANDS,
    SEND_COMMAND,
)
from fleet.model.clock import Clock
from fleet.model.observed import NotRead

#: Most nodes of a SendCommand by id, and most invocations of a page (SSM API reference).
NODES_PER_CALL = 50
DOCUMENT = "AWS-RunShellScript"
#: Seconds in which an agent has to take the command; AWS takes no less than 30.
DELIVERY_S = 120
#: Seconds in which the script has to end once it was taken; small boxes can be very busy.
EXECUTION_S = 600
#: Seconds until the first look at a command, and at most between two: each wait is twice the last.
FIRST_LOOK_S = 4.0
LOOK_S = 30.0
_OVER = frozenset({"Success", "Failed", "Cancelled", "TimedOut"})
#: StatusDetails in words for a person (Systems Manager user guide, command statuses).
_WHY = {
    "DeliveryTimedOut": "its SSM agent did not take the command in time",
    "ExecutionTimedOut": "the probe did not end in time",
    "Undeliverable": "SSM could not deliver the command",
    "Terminated": "SSM gave the command up",
    "Failed": "the probe failed",
    "Cancelled": "somebody cancelled the command",
}


@dataclass(frozen=True, slots=True)
class Printed:
    """What a node's script printed.

    Attributes:
        text: raw; it must not be shown before it was read.
        after: AWS's time of the answer to the send: the script began no earlier.
        before: AWS's time of the look that first saw it ended.
    """

    text: str
    after: datetime
    before: datetime


def run_script(
    shard: Shard,
    nodes: Iterable[str],
    script: str,
    comment: str,
    *,
    clock: Clock,
    is_whole: Callable[[str], bool],
    deadline_s: float,
) -> Mapping[str, Printed | NotRead]:
    """Run a script on every one of these nodes; each has an answer or a reason.

    Args:
        comment: unique to this run: a send whose reply was lost is found again by it, so that
            nothing is sent twice.
        is_whole: whether an output has its end; one that has not is read again in full.
        deadline_s: seconds after which a node that has not ended is given up.

    Raises:
        CredentialsError: concerns every node.
    """
    found: dict[str, Printed | NotRead] = {}
    commands: list[tuple[str, tuple[str, ...], datetime]] = []
    for batch in in_batches(dict.fromkeys(nodes), NODES_PER_CALL):
        commands += _send(shard, batch, script, comment, found)
    limit = clock.now() + timedelta(seconds=deadline_s)
    waiting, pause_s = list(commands), FIRST_LOOK_S
    while waiting:
        waiting = [one for one in waiting if not _look(shard, one, found, is_whole)]
        if not waiting or clock.now() >= limit:
            break
        clock.sleep(min(pause_s, max(0.1, (limit - clock.now()).total_seconds())))
        pause_s = min(LOOK_S, 2 * pause_s)
    for _, batch, _ in waiting:
        for node in batch:
            found.setdefault(node, NotRead("it had not answered when the time was over"))
    return found


def _send(
    shard: Shard,
    batch: Sequence[str],
    script: str,
    comment: str,
    found: dict[str, Printed | NotRead],
) -> list[tuple[str, tuple[str, ...], datetime]]:
    """Send to some nodes; those that AWS does not know are found by halving."""
    try:
        reply = shard.call(
            SEND_COMMAND,
            DocumentName=DOCUMENT,
            InstanceIds=list(batch),
            Comment=comment,
            TimeoutSeconds=DELIVERY_S,
            Parameters={"commands": script.splitlines(), "executionTimeout": [str(EXECUTION_S)]},
        )
        return [(_command_of(reply.body), tuple(batch), reply.at)]
    except CredentialsError:
        raise
    except AwsUnreachable as error:
        known = _sent_before(shard, batch, comment)
        if known is not None:
            return [known]
        found.update(dict.fromkeys(batch, NotRead(str(error))))
    except AwsError as error:
        if error.code == "InvalidInstanceId" and len(batch) > 1:
            middle = len(batch) // 2
            halves = (batch[:middle], batch[middle:])
            return [one for half in halves for one in _send(shard, half, script, comment, found)]
        found.update(dict.fromkeys(batch, NotRead(str(error))))
    return []


def _command_of(body: Mapping[str, Any]) -> str:
    command = body.get("Command", {}).get("CommandId")
    if not isinstance(command, str) or not command:
        raise unreadable(SEND_COMMAND, "CommandId is missing")
    return command


def _sent_before(
    shard: Shard, batch: Sequence[str], comment: str
) -> tuple[str, tuple[str, ...], datetime] | None:
    """Find the command that a call without a reply may have made, by its comment and nodes."""
    try:
        reply = shard.call(LIST_COMMANDS, MaxResults=NODES_PER_CALL)
        for raw in items(reply, LIST_COMMANDS):
            if raw.get("Comment") == comment and set(raw.get("InstanceIds") or ()) == set(batch):
                return clean(raw["CommandId"]), tuple(batch), raw["RequestedDateTime"]
    except AwsError:
        return None
    return None


def _look(
    shard: Shard,
    command: tuple[str, tuple[str, ...], datetime],
    found: dict[str, Printed | NotRead],
    is_whole: Callable[[str], bool],
) -> bool:
    """Take in what has ended; True when all of the command has."""
    id_, batch, sent_at = command
    try:
        for reply in shard.pages(
            LIST_COMMAND_INVOCATIONS,
            CommandId=id_,
            Details=True,
            MaxResults=NODES_PER_CALL,
        ):
            for raw in items(reply, LIST_COMMAND_INVOCATIONS):
                node = clean(raw.get("InstanceId"))
                if node in batch and node not in found and raw.get("Status") in _OVER:
                    found[node] = _ended(shard, raw, (sent_at, reply.at), is_whole)
    except CredentialsError:
        raise
    except AwsError as error:
        for node in batch:
            found.setdefault(node, NotRead(str(error)))
    return all(node in found for node in batch)


def _ended(
    shard: Shard,
    raw: Mapping[str, Any],
    times: tuple[datetime, datetime],
    is_whole: Callable[[str], bool],
) -> Printed | NotRead:
    details = clean(raw.get("StatusDetails"))
    if raw["Status"] != "Success":
        return NotRead(_WHY.get(details, f"Run Command says {details or raw['Status']}"))
    plugins = raw.get("CommandPlugins") or [{}]
    text = str(plugins[0].get("Output") or "")
    if not is_whole(text):
        which = {"CommandId": raw["CommandId"], "InstanceId": raw["InstanceId"]}
        reply = shard.call(GET_COMMAND_INVOCATION, **which)
        text = str(reply.body.get("StandardOutputContent") or "")
    return Printed(text, *times)
