"""Run Command: what is sent, taken, ended and shown, on a stepped clock."""

from collections.abc import Mapping
from typing import Any

import pytest

from fleet.sandbox.agents.session import AwsFault, LinkDown
from tests.sandbox.control_plane.rig import Host, Rig


class Node:
    """An SSM agent that takes commands while its link is up."""

    def __init__(self, rig: Rig) -> None:
        self.rig = rig
        self.host: Host = rig.node()
        self.up = True
        self.got: list[Mapping[str, Any]] = []
        self.listen()

    def listen(self) -> None:
        self.rig.session.open_commands(self.host.token, self._take)
        self.rig.schedule.run_due()

    def _take(self, message: Mapping[str, Any]) -> None:
        if not self.up:
            raise LinkDown("cut")
        self.got.append(message)

    def say(self, status: str, **said: Any) -> bool:
        body = {"CommandId": self.got[-1]["CommandId"], "Status": status, **said}
        return self.rig.session.update_command(self.host.token, body)


def send(rig: Rig, *nodes: str, **body: Any) -> str:
    asked = {
        "DocumentName": "AWS-RunShellScript",
        "InstanceIds": list(nodes),
        "Parameters": {"commands": ["echo one", "echo two"]},
        **body,
    }
    command: str = rig.ssm("SendCommand", **asked)["Command"]["CommandId"]
    rig.schedule.run_due()
    return command


def listed(rig: Rig, command: str) -> dict[str, Any]:
    (one,) = rig.ssm("ListCommandInvocations", CommandId=command, Details=True)[
        "CommandInvocations"
    ]
    return dict(one)


def test_an_agent_that_listens_is_given_the_script(rig: Rig) -> None:
    node = Node(rig)
    command = send(rig, node.host.node, Comment="why")

    assert [(m["CommandId"], m["Script"]) for m in node.got] == [(command, "echo one\necho two")]
    assert listed(rig, command)["Status"] == "Pending"
    assert listed(rig, command)["Comment"] == "why"


def test_a_command_goes_from_pending_to_its_end_with_what_it_printed(rig: Rig) -> None:
    node = Node(rig)
    command = send(rig, node.host.node)
    assert node.say("InProgress")
    assert listed(rig, command)["Status"] == "InProgress"
    assert node.say("Done", Code=0, Out="one\ntwo\n", Err="")

    seen = listed(rig, command)
    assert (seen["Status"], seen["CommandPlugins"][0]["Output"]) == ("Success", "one\ntwo\n")
    assert rig.ssm("ListCommands", CommandId=command)["Commands"][0]["CompletedCount"] == 1


def test_a_script_that_fails_shows_its_code_and_what_it_complained_of(rig: Rig) -> None:
    node = Node(rig)
    command = send(rig, node.host.node)
    node.say("InProgress")
    node.say("Done", Code=3, Out="", Err="no docker")

    read = rig.ssm("GetCommandInvocation", CommandId=command, InstanceId=node.host.node)
    assert (read["Status"], read["ResponseCode"]) == ("Failed", 3)
    assert read["StandardErrorContent"] == "no docker"


def test_a_node_that_is_away_has_until_the_delivery_times_out(rig: Rig) -> None:
    node = Node(rig)
    node.up = False
    command = send(rig, node.host.node, TimeoutSeconds=60)
    rig.clock.advance(60)
    assert listed(rig, command)["Status"] == "Pending"
    rig.clock.advance(1)
    assert listed(rig, command)["StatusDetails"] == "DeliveryTimedOut"
    node.up = True
    node.listen()
    assert not node.got


def test_a_node_that_comes_back_in_time_is_given_the_command(rig: Rig) -> None:
    node = Node(rig)
    node.up = False
    send(rig, node.host.node, TimeoutSeconds=600)
    node.up = True
    rig.clock.advance(300)
    node.listen()

    assert len(node.got) == 1


def test_a_command_that_does_not_end_times_out(rig: Rig) -> None:
    node = Node(rig)
    parameters = {"commands": ["sleep 1d"], "executionTimeout": ["60"]}
    command = send(rig, node.host.node, Parameters=parameters)
    node.say("InProgress")
    rig.clock.advance(61)

    assert listed(rig, command)["StatusDetails"] == "ExecutionTimedOut"


def test_a_listing_shows_how_the_output_begins_and_a_reading_more_of_it(rig: Rig) -> None:
    node = Node(rig)
    command = send(rig, node.host.node)
    node.say("InProgress")
    node.say("Done", Code=0, Out="x" * 30_000, Err="")

    assert len(listed(rig, command)["CommandPlugins"][0]["Output"]) == 2500
    read = rig.ssm("GetCommandInvocation", CommandId=command, InstanceId=node.host.node)
    assert len(read["StandardOutputContent"]) == 24_000


def test_one_unknown_node_refuses_the_whole_call(rig: Rig) -> None:
    node = Node(rig)
    with pytest.raises(AwsFault, match="not in a valid state"):
        send(rig, node.host.node, "mi-00000000000000000")
    assert not node.got


@pytest.mark.parametrize(
    ("body", "code"),
    [
        ({"DocumentName": "AWS-RunPatchBaseline"}, "InvalidDocument"),
        ({"Parameters": {}}, "InvalidParameters"),
        ({"InstanceIds": []}, "ValidationException"),
        ({"Targets": [{"Key": "tag:x", "Values": ["y"]}]}, "ValidationException"),
    ],
)
def test_what_is_not_modelled_or_makes_no_sense_is_refused(
    rig: Rig, body: dict[str, Any], code: str
) -> None:
    node = Node(rig)
    with pytest.raises(AwsFault) as caught:
        send(rig, node.host.node, **body)
    assert caught.value.code == code
