"""SSM Run Command on managed instances: AWS-RunShellScript, sent, listed, read and cancelled.

Targets by tag, output to S3, notifications and other documents are not modelled and refused.
"""

import uuid
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime
from typing import Any

from fleet.sandbox.agents.session import AwsFault
from fleet.sandbox.control_plane.assumptions import COMMAND_OUTPUT_LISTED, COMMAND_OUTPUT_READ
from fleet.sandbox.control_plane.call import Call, Operation
from fleet.sandbox.control_plane.commands import OVER, Invocation

_DOCUMENT = "AWS-RunShellScript"
_STEP = "aws:runShellScript"
_MOST_NODES = 50
_MOST_SAID = 1_000_000
_CUT = "\n---Output truncated---"


def send_command(call: Call) -> dict[str, Any]:
    """SendCommand: to at most 50 nodes by id; one unknown id refuses the whole call."""
    fields = call.fields
    fields.only(
        "DocumentName",
        "InstanceIds",
        "Parameters",
        "TimeoutSeconds",
        "Comment",
        "MaxConcurrency",
        "MaxErrors",
    )
    document = fields.needed_text("DocumentName")
    if document != _DOCUMENT:
        raise AwsFault("InvalidDocument", f"the fleet sandbox runs only {_DOCUMENT}.")
    nodes = list(dict.fromkeys(fields.texts("InstanceIds")))
    if not nodes or len(nodes) > _MOST_NODES:
        raise fields.bad(f"InstanceIds needs 1 to {_MOST_NODES} ids.")
    unknown = [node for node in nodes if node not in call.state.nodes]
    if unknown:
        account = call.state.account
        raise AwsFault(
            "InvalidInstanceId",
            f"Instances [[{', '.join(unknown)}]] not in a valid state for account {account}",
        )
    parameters = fields.mapping("Parameters")
    if not _lines(parameters, "commands"):
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
            comment=fields.text("Comment"),
            parameters=dict(parameters),
            requested_at=call.now,
            delivery_s=float(fields.integer("TimeoutSeconds", 30, 2_592_000, 3600)),
            execution_s=float((_lines(parameters, "executionTimeout") or ["3600"])[0]),
        )
        for node in nodes
    ]
    for one in made:
        call.world.save(one)
        call.world.work.run_on(one.node)
    return {"Command": _command(made, call.now)}


def list_commands(call: Call) -> dict[str, Any]:
    """ListCommands: pages of at most 50, newest first."""
    fields = call.fields
    fields.only("CommandId", "MaxResults", "NextToken")
    wanted = fields.text("CommandId")
    found = {
        f"{next(iter(by_node.values())).requested_at:020.6f} {command}": list(by_node.values())
        for command, by_node in call.state.invocations.items()
        if wanted in {"", command}
    }
    part, after = call.page(
        sorted(found, reverse=True), most=50, least=1, default=50, style="MaxResults", falling=True
    )
    return {"Commands": [_command(found[key], call.now) for key in part], **after}


def list_command_invocations(call: Call) -> dict[str, Any]:
    """ListCommandInvocations: pages of at most 50; ``Details`` shows how the output begins."""
    fields = call.fields
    fields.only("CommandId", "InstanceId", "MaxResults", "NextToken", "Details")
    command, node = fields.text("CommandId"), fields.text("InstanceId")
    found = {
        one.key: one
        for name, by_node in call.state.invocations.items()
        if command in {"", name}
        for one in by_node.values()
        if node in {"", one.node}
    }
    if command and command not in call.state.invocations:
        raise AwsFault("InvalidCommandId", f"{command} is not a command of this account.")
    part, after = call.page(sorted(found), most=50, least=1, default=50, style="MaxResults")
    details = fields.flag("Details")
    shown = [_listed(found[key], call.now, details=details) for key in part]
    return {"CommandInvocations": shown, **after}


def get_command_invocation(call: Call) -> dict[str, Any]:
    """GetCommandInvocation: all of the output that is kept, up to 24,000 characters."""
    fields = call.fields
    fields.only("CommandId", "InstanceId", "PluginName")
    command, node = fields.needed_text("CommandId"), fields.needed_text("InstanceId")
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


def cancel_command(call: Call) -> dict[str, Any]:
    """CancelCommand: what no agent has taken yet is not run any more."""
    fields = call.fields
    fields.only("CommandId", "InstanceIds")
    command = fields.needed_text("CommandId")
    only = set(fields.texts("InstanceIds"))
    if command not in call.state.invocations:
        raise AwsFault("InvalidCommandId", f"{command} is not a command of this account.")
    for one in call.state.invocations[command].values():
        if _state(one, call.now)[0] == "Pending" and (not only or one.node in only):
            one.status = one.details = "Cancelled"
            one.ended_at = call.now
            call.world.save(one)
    return {}


def update_command(call: Call) -> dict[str, Any]:
    """What an agent says of a command it was given; no AWS API, it stands for the agents' channel.

    ``{"CommandId", "Status": "InProgress" | "Done", "Code", "Out", "Err"}``.
    """
    fields = call.fields
    command = fields.needed_text("CommandId")
    one = call.state.invocations.get(command, {}).get(call.caller.managed_instance_id)
    if one is None:
        return {"Run": False}
    status, _ = _state(one, call.now)
    if fields.text("Status") == "InProgress":
        if status != "Pending":
            return {"Run": False}
        one.status = one.details = "InProgress"
        one.taken_at = call.now
    elif status not in OVER:
        one.code = fields.integer("Code", -1, 255, 0)
        one.out = fields.text("Out", most=_MOST_SAID)
        one.err = fields.text("Err", most=_MOST_SAID)
        one.status = one.details = "Failed" if one.code else "Success"
        one.ended_at = call.now
    call.world.save(one)
    return {"Run": True}


def pending(invocations: Iterable[Invocation], now: float) -> list[Invocation]:
    """Those that an agent may still take, oldest first."""
    waiting = [one for one in invocations if _state(one, now)[0] == "Pending"]
    return sorted(waiting, key=lambda one: (one.requested_at, one.command))


def message_of(one: Invocation) -> dict[str, Any]:
    """What the agent is given."""
    return {
        "CommandId": one.command,
        "Script": "\n".join(_lines(one.parameters, "commands")),
        "TimeoutSeconds": one.execution_s,
    }


def _lines(parameters: Mapping[str, Any], name: str) -> list[str]:
    value = parameters.get(name)
    return [str(line) for line in value] if isinstance(value, list) else []


def _state(one: Invocation, now: float) -> tuple[str, str]:
    """Status and its details; what nobody took in time, or did not end, has timed out."""
    if one.status == "Pending" and now > one.requested_at + one.delivery_s:
        return "TimedOut", "DeliveryTimedOut"
    began = one.taken_at
    if one.status == "InProgress" and began is not None and now > began + one.execution_s:
        return "TimedOut", "ExecutionTimedOut"
    return one.status, one.details


def _command(made: list[Invocation], now: float) -> dict[str, Any]:
    first = made[0]
    states = [_state(one, now)[0] for one in made]
    done = sum(state in OVER for state in states)
    over = done == len(made)
    bad = [state for state in states if state not in {"Success", "Pending", "InProgress"}]
    status = (bad[0] if bad else "Success") if over else "InProgress" if done else "Pending"
    return {
        "CommandId": first.command,
        "DocumentName": first.document,
        "Comment": first.comment,
        "RequestedDateTime": round(first.requested_at, 3),
        "ExpiresAfter": round(first.requested_at + first.delivery_s + first.execution_s, 3),
        "InstanceIds": [one.node for one in made],
        "Parameters": first.parameters,
        "TimeoutSeconds": int(first.delivery_s),
        "Status": status,
        "StatusDetails": status,
        "TargetCount": len(made),
        "CompletedCount": done,
        "ErrorCount": states.count("Failed"),
        "DeliveryTimedOutCount": sum(_state(one, now)[1] == "DeliveryTimedOut" for one in made),
    }


def _listed(one: Invocation, now: float, *, details: bool) -> dict[str, Any]:
    status, finer = _state(one, now)
    shown: dict[str, Any] = {
        "CommandId": one.command,
        "InstanceId": one.node,
        "InstanceName": one.name,
        "Comment": one.comment,
        "DocumentName": one.document,
        "RequestedDateTime": round(one.requested_at, 3),
        "Status": status,
        "StatusDetails": finer,
        "CommandPlugins": [],
    }
    if details:
        plugin: dict[str, Any] = {
            "Name": _STEP,
            "Status": status,
            "StatusDetails": finer,
            "ResponseCode": one.code,
            "Output": _cut(_both(one), COMMAND_OUTPUT_LISTED),
        }
        if one.taken_at is not None:
            plugin["ResponseStartDateTime"] = round(one.taken_at, 3)
        if one.ended_at is not None:
            plugin["ResponseFinishDateTime"] = round(one.ended_at, 3)
        shown["CommandPlugins"] = [plugin]
    return shown


def _both(one: Invocation) -> str:
    return f"{one.out}\n----------ERROR-------\n{one.err}" if one.err else one.out


def _cut(text: str, most: int) -> str:
    return text if len(text) <= most else text[: most - len(_CUT)] + _CUT


def _written(moment: float | None) -> str:
    if moment is None:
        return ""
    return datetime.fromtimestamp(moment, UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")


OPERATIONS: Mapping[str, Operation] = {
    "SendCommand": send_command,
    "ListCommands": list_commands,
    "ListCommandInvocations": list_command_invocations,
    "GetCommandInvocation": get_command_invocation,
    "CancelCommand": cancel_command,
    "UpdateCommand": update_command,
}
