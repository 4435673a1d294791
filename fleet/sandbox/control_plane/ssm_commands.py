"""SSM Run Command on managed instances: AWS-RunShellScript is sent, listed and read.

Targets by tag, output to S3, notifications, other documents and cancelling are not modelled.
"""

import uuid
from collections.abc import Iterable
from datetime import UTC, datetime
from typing import Any

from fleet.sandbox.agents.session import AwsFault
from fleet.sandbox.control_plane.assumptions import COMMAND_OUTPUT_LISTED, COMMAND_OUTPUT_READ
from fleet.sandbox.control_plane.call import Answer, Call, operation, wire
from fleet.sandbox.control_plane.entities import INVOCATION_ENDED, Invocation

_DOCUMENT = "AWS-RunShellScript"
_STEP = "aws:runShellScript"
_MOST_NODES = 50
_CUT = "\n---Output truncated---"


@operation("Comment DocumentName InstanceIds MaxConcurrency MaxErrors Parameters TimeoutSeconds")
def send_command(call: Call) -> Answer:
    """Send a command to at most 50 nodes by id; one unknown id refuses the whole call."""
    document = call.get("DocumentName")
    if document != _DOCUMENT:
        raise AwsFault("InvalidDocument", f"the fleet sandbox runs only {_DOCUMENT}.")
    nodes = list(dict.fromkeys(call.items("InstanceIds", _MOST_NODES)))
    unknown = [node for node in nodes if node not in call.state.nodes]
    if unknown:
        account = call.state.account
        raise AwsFault(
            "InvalidInstanceId",
            f"Instances [[{', '.join(unknown)}]] not in a valid state for account {account}",
        )
    parameters = call.get("Parameters", {})
    if not parameters.get("commands"):
        raise AwsFault("InvalidParameters", "commands needs at least one line.")
    command = str(uuid.UUID(hex=call.world.hex_id(32)))
    made = [
        Invocation(
            account=call.state.account,
            region=call.state.region,
            command=command,
            node=node,
            name=call.state.nodes[node].name,
            document=document,
            comment=call.get("Comment"),
            parameters=dict(parameters),
            requested_at=call.now,
            delivery_s=float(call.get("TimeoutSeconds", 3600)),
            execution_s=float((parameters.get("executionTimeout") or ["3600"])[0]),
        )
        for node in nodes
    ]
    for one in made:
        call.world.save(one)
        call.world.work.send_command(one.node)
    return {"Command": _command(made, call.now)}


@operation("CommandId MaxResults NextToken")
def list_commands(call: Call) -> Answer:
    """List pages of at most 50, newest first."""
    wanted = call.get("CommandId")
    found = {
        f"{next(iter(by_node.values())).requested_at:020.6f} {command}": list(by_node.values())
        for command, by_node in call.state.invocations.items()
        if wanted in {"", command}
    }
    part, after = call.page(sorted(found, reverse=True), most=50, default=50, falling=True)
    return {"Commands": [_command(found[key], call.now) for key in part], **after}


@operation("CommandId Details InstanceId MaxResults NextToken")
def list_command_invocations(call: Call) -> Answer:
    """List pages of at most 50; ``Details`` shows how the output begins."""
    command, node = call.get("CommandId"), call.get("InstanceId")
    if command and command not in call.state.invocations:
        raise AwsFault("InvalidCommandId", f"{command} is not a command of this account.")
    found = {
        one.key: one
        for name, by_node in call.state.invocations.items()
        if command in {"", name}
        for one in by_node.values()
        if node in {"", one.node}
    }
    part, after = call.page(sorted(found), most=50, default=50)
    details = call.get("Details", default=False)
    shown = [_listed(found[key], call.now, details=details) for key in part]
    return {"CommandInvocations": shown, **after}


@operation("CommandId InstanceId PluginName")
def get_command_invocation(call: Call) -> Answer:
    """Return all of the output that is stored, up to 24,000 characters."""
    command, node = call.get("CommandId"), call.get("InstanceId")
    one = call.state.invocations.get(command, {}).get(node)
    if one is None:
        raise AwsFault("InvocationDoesNotExist", f"{node} has no command {command}.")
    status, details = _state(one, call.now)
    return {
        "CommandId": one.command,
        "InstanceId": one.node,
        "Comment": one.comment,
        "DocumentName": one.document,
        "PluginName": _STEP,
        "ResponseCode": one.code,
        "ExecutionStartDateTime": _written(one.taken_at),
        "ExecutionEndDateTime": _written(one.ended_at),
        "Status": status,
        "StatusDetails": details,
        "StandardOutputContent": _cut(one.out, COMMAND_OUTPUT_READ),
        "StandardErrorContent": _cut(one.err, COMMAND_OUTPUT_READ // 3),
    }


@operation("Code Err Out", needed="CommandId Status")
def update_command(call: Call) -> Answer:
    """Take what an agent says of a command; no AWS API, it stands for the agents' channel."""
    by_node = call.state.invocations.get(call.get("CommandId"), {})
    one = by_node.get(call.caller.managed_instance_id)
    if one is None:
        return {"Run": False}
    status, _ = _state(one, call.now)
    if call.get("Status") == "InProgress":
        if status != "Pending":
            return {"Run": False}
        one.status = one.details = "InProgress"
        one.taken_at = call.now
    elif status not in INVOCATION_ENDED:
        one.code = call.get("Code", 0)
        one.out, one.err = call.get("Out"), call.get("Err")
        one.status = one.details = "Failed" if one.code else "Success"
        one.ended_at = call.now
    call.world.save(one)
    return {"Run": True}


def pending(invocations: Iterable[Invocation], now: float) -> list[Invocation]:
    """Return those that an agent may still take, oldest first."""
    waiting = [one for one in invocations if _state(one, now)[0] == "Pending"]
    return sorted(waiting, key=lambda one: (one.requested_at, one.command))


def message_of(one: Invocation) -> dict[str, Any]:
    """Return what the agent is sent."""
    return {
        "CommandId": one.command,
        "Script": "\n".join(one.parameters["commands"]),
        "TimeoutSeconds": one.execution_s,
    }


def _state(one: Invocation, now: float) -> tuple[str, str]:
    """Return status and details; what no agent took in time, or did not end, has timed out."""
    if one.status == "Pending" and now > one.requested_at + one.delivery_s:
        return "TimedOut", "DeliveryTimedOut"
    began = one.taken_at
    if one.status == "InProgress" and began is not None and now > began + one.execution_s:
        return "TimedOut", "ExecutionTimedOut"
    return one.status, one.details


def _command(made: list[Invocation], now: float) -> Answer:
    first = made[0]
    states = [_state(one, now)[0] for one in made]
    done = sum(state in INVOCATION_ENDED for state in states)
    bad = [state for state in states if state not in {"Success", "Pending", "InProgress"}]
    if done == len(made):
        status = bad[0] if bad else "Success"
    else:
        status = "InProgress" if done else "Pending"
    return wire(
        CommandId=first.command,
        DocumentName=first.document,
        Comment=first.comment,
        RequestedDateTime=first.requested_at,
        ExpiresAfter=first.requested_at + first.delivery_s + first.execution_s,
        InstanceIds=[one.node for one in made],
        Parameters=first.parameters,
        TimeoutSeconds=int(first.delivery_s),
        Status=status,
        StatusDetails=status,
        TargetCount=len(made),
        CompletedCount=done,
        ErrorCount=states.count("Failed"),
        DeliveryTimedOutCount=sum(_state(one, now)[1] == "DeliveryTimedOut" for one in made),
    )


def _listed(one: Invocation, now: float, *, details: bool) -> Answer:
    status, finer = _state(one, now)
    both = f"{one.out}\n----------ERROR-------\n{one.err}" if one.err else one.out
    plugin = wire(
        Name=_STEP,
        Status=status,
        StatusDetails=finer,
        ResponseCode=one.code,
        Output=_cut(both, COMMAND_OUTPUT_LISTED),
        ResponseStartDateTime=one.taken_at,
        ResponseFinishDateTime=one.ended_at,
    )
    return wire(
        CommandId=one.command,
        InstanceId=one.node,
        InstanceName=one.name,
        Comment=one.comment,
        DocumentName=one.document,
        RequestedDateTime=one.requested_at,
        Status=status,
        StatusDetails=finer,
        CommandPlugins=[plugin] if details else [],
    )


def _cut(text: str, most: int) -> str:
    return text if len(text) <= most else text[: most - len(_CUT)] + _CUT


def _written(moment: float | None) -> str:
    if moment is None:
        return ""
    return datetime.fromtimestamp(moment, UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")
