"""Run Command from our side: on the sandbox, and against answers that lie."""

from collections.abc import Callable, Mapping
from typing import Any

import pytest

from fleet.aws.run_command import Printed, run_script
from fleet.aws.session import Shard
from fleet.errors import CredentialsError
from fleet.model.observed import NotRead
from tests.aws.canned import Canned, fault, reply, reset
from tests.aws.conftest import HandClock, Open, SandboxTime
from tests.sandbox.control_plane.rig import Host, Rig

COMMAND = "0" * 36
NODES = tuple(f"mi-{number:017x}" for number in range(60))


def ended(node: str, output: str = "said end", **changes: Any) -> dict[str, Any]:
    return {
        "CommandId": COMMAND,
        "InstanceId": node,
        "Status": "Success",
        "StatusDetails": "Success",
        "CommandPlugins": [{"Output": output}],
        **changes,
    }


def listed(*invocations: dict[str, Any]) -> Callable[..., None]:
    return reply({"CommandInvocations": list(invocations)})


SENT = reply({"Command": {"CommandId": COMMAND}})


def run(
    shard: Shard, clock: HandClock, *nodes: str, deadline_s: float = 60.0
) -> Mapping[str, Printed | NotRead]:
    return run_script(
        shard,
        nodes,
        "echo said\necho end",
        "fleet drift 1",
        clock=clock,
        is_whole=lambda text: text.rstrip().endswith("end"),
        deadline_s=deadline_s,
    )


def asked(canned: Canned) -> list[str]:
    return [headers["x-amz-target"].partition(".")[2] for headers in canned.asked]


def why(answer: Printed | NotRead) -> str:
    assert isinstance(answer, NotRead)
    return answer.why


def test_what_every_node_printed_is_brought_with_two_calls(
    canned: Canned, open_shard: Open, clock: HandClock
) -> None:
    canned.answers = [SENT, listed(ended(NODES[0], "a end"), ended(NODES[1], "b end"))]
    said = run(open_shard(), clock, NODES[0], NODES[1])

    texts = {node: one.text for node, one in said.items() if isinstance(one, Printed)}
    assert texts == {NODES[0]: "a end", NODES[1]: "b end"}
    assert asked(canned) == ["SendCommand", "ListCommandInvocations"]


def test_what_was_cut_in_the_listing_is_read_in_full(
    canned: Canned, open_shard: Open, clock: HandClock
) -> None:
    whole = {"CommandId": COMMAND, "StandardOutputContent": "very long end"}
    canned.answers = [SENT, listed(ended(NODES[0], "very lo")), reply(whole)]
    (said,) = run(open_shard(), clock, NODES[0]).values()

    assert isinstance(said, Printed)
    assert said.text == "very long end"


@pytest.mark.parametrize(
    ("details", "words"),
    [
        ("DeliveryTimedOut", "did not take the command in time"),
        ("ExecutionTimedOut", "did not end in time"),
        ("SomethingNew", "says SomethingNew"),
    ],
)
def test_a_node_that_did_not_do_it_says_why(
    canned: Canned, open_shard: Open, clock: HandClock, details: str, words: str
) -> None:
    bad = ended(NODES[0], Status="TimedOut", StatusDetails=details)
    canned.answers = [SENT, listed(bad)]

    assert words in why(run(open_shard(), clock, NODES[0])[NODES[0]])


def test_a_node_that_never_ends_is_given_up_at_the_deadline(
    canned: Canned, open_shard: Open, clock: HandClock
) -> None:
    canned.answers = [SENT, listed(ended(NODES[0], Status="InProgress"))]
    said = run(open_shard(), clock, NODES[0], deadline_s=20)

    assert "when the time was over" in why(said[NODES[0]])
    assert sum(clock.slept) == pytest.approx(20)


def test_an_unknown_node_costs_the_others_nothing(
    canned: Canned, open_shard: Open, clock: HandClock
) -> None:
    unknown = fault("InvalidInstanceId")
    canned.answers = [unknown, SENT, unknown, listed(ended(NODES[0]))]
    said = run(open_shard(), clock, NODES[0], NODES[1])

    assert isinstance(said[NODES[0]], Printed)
    assert "InvalidInstanceId" in why(said[NODES[1]])


def test_a_send_without_a_reply_is_looked_for_and_not_repeated(
    canned: Canned, open_shard: Open, clock: HandClock
) -> None:
    made = {
        "CommandId": COMMAND,
        "Comment": "fleet drift 1",
        "InstanceIds": [NODES[0]],
        "RequestedDateTime": 1_800_000_000.0,
    }
    canned.answers = [reset, reply({"Commands": [made]}), listed(ended(NODES[0]))]
    said = run(open_shard(), clock, NODES[0])

    assert isinstance(said[NODES[0]], Printed)
    assert asked(canned).count("SendCommand") == 1


def test_a_send_that_never_arrived_is_said_to_be_unknown(
    canned: Canned, open_shard: Open, clock: HandClock
) -> None:
    canned.answers = [reset, reply({"Commands": []})]

    assert "unknown" in why(run(open_shard(), clock, NODES[0])[NODES[0]])


def test_a_refusal_is_the_answer_of_every_node_of_the_call(
    canned: Canned, open_shard: Open, clock: HandClock
) -> None:
    canned.answers = [fault("AccessDeniedException")]
    said = run(open_shard(), clock, *NODES[:3])

    assert all("AccessDenied" in why(one) or "not allowed" in why(one) for one in said.values())


def test_credentials_that_ran_out_concern_everybody(
    canned: Canned, open_shard: Open, clock: HandClock
) -> None:
    canned.answers = [fault("ExpiredTokenException")]
    with pytest.raises(CredentialsError):
        run(open_shard(), clock, NODES[0])


def test_sixty_nodes_are_sent_to_in_two_calls(rig: Rig, shard: Shard) -> None:
    hosts = [rig.node() for _ in range(60)]
    for host in hosts:
        _listen(rig, host)
    said = run(shard, Turning(rig), *[host.node for host in hosts])

    assert {one.text for one in said.values() if isinstance(one, Printed)} == {"said end"}
    assert len(said) == 60
    calls = rig.plane.status()["calls"]
    assert calls["ssm:SendCommand"] == 2
    assert "ssm:GetCommandInvocation" not in calls


class Turning(SandboxTime):
    """Time in which the plane gives out what waits."""

    def sleep(self, seconds: float) -> None:
        super().sleep(seconds)
        self._rig.schedule.run_due()


def _listen(rig: Rig, host: Host) -> None:
    """An agent that runs what it is given at once."""

    def take(message: Mapping[str, Any]) -> None:
        command = {"CommandId": message["CommandId"]}
        rig.session.update_command(host.token, {**command, "Status": "InProgress"})
        told = {"Status": "Done", "Code": 0, "Out": "said end", "Err": ""}
        rig.session.update_command(host.token, {**command, **told})

    rig.session.open_commands(host.token, take)
