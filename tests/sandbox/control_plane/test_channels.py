from collections.abc import Mapping
from typing import Any

import pytest

from fleet.sandbox.agents.session import AwsFault, LinkDown
from tests.sandbox.control_plane.rig import Rig


def connected(rig: Rig) -> bool:
    cluster = rig.ecs("ListContainerInstances", cluster="store-042", filter="agentConnected==true")
    return bool(cluster["containerInstanceArns"])


def test_an_agent_that_answers_stays_connected_for_days(rig: Rig) -> None:
    rig.host()
    rig.clock.advance(2 * 86_400)
    assert connected(rig)


def test_heartbeats_come_every_thirty_to_forty_five_seconds(rig: Rig) -> None:
    agent = rig.host().agent
    rig.clock.advance(3600)
    beats = sum(message_type == "HeartbeatMessage" for message_type, _ in agent.got)
    assert 3600 / 45 <= beats <= 3600 / 30


def test_an_agent_whose_link_is_cut_turns_disconnected_after_the_silence_limit(rig: Rig) -> None:
    host = rig.host()
    rig.clock.advance(60)
    host.agent.up = False
    rig.clock.advance(119)
    assert connected(rig)
    rig.clock.advance(121)
    assert not connected(rig)


def test_a_short_cut_goes_unnoticed(rig: Rig) -> None:
    host = rig.host()
    host.agent.up = False
    rig.clock.advance(100)
    host.agent.up = True
    rig.clock.advance(600)
    assert connected(rig)


def test_a_channel_that_was_given_up_is_closed_and_the_agent_may_come_back(rig: Rig) -> None:
    host = rig.host()
    host.agent.up = False
    rig.clock.advance(600)
    host.agent.up = True
    assert host.agent.channel is not None
    with pytest.raises(LinkDown):
        host.agent.channel.send("HeartbeatAckRequest", {})
    assert not connected(rig)
    rig.connect(host)
    assert connected(rig)


def test_saying_goodbye_disconnects_at_once(rig: Rig) -> None:
    host = rig.host()
    assert host.agent.channel is not None
    host.agent.channel.close()
    assert not connected(rig)
    rig.clock.advance(60)
    assert not connected(rig)


def test_a_second_connection_ends_the_first(rig: Rig) -> None:
    host = rig.host()
    first = host.agent.channel
    rig.connect(host)
    assert first is not None
    with pytest.raises(LinkDown):
        first.send("HeartbeatAckRequest", {})
    first.close()
    assert connected(rig)


def test_every_connection_gets_a_manifest_with_a_later_timeline(rig: Rig) -> None:
    host = rig.host()
    rig.clock.advance(2)
    rig.connect(host)
    rig.clock.advance(2)
    manifests = [message for kind, message in host.agent.got if kind == "TaskManifestMessage"]
    assert [message["timeline"] for message in manifests] == [1, 2]
    assert manifests[0]["containerInstanceArn"] == host.arn
    assert manifests[0]["clusterArn"].endswith(":cluster/store-042")
    assert manifests[0]["tasks"] == []


def test_an_agent_that_breaks_does_not_silence_the_others(
    rig: Rig, caplog: pytest.LogCaptureFixture
) -> None:
    broken, fine = rig.host(), rig.host()

    def fail(message_type: str, message: Mapping[str, Any]) -> None:
        raise ZeroDivisionError

    broken.agent.deliver = fail  # type: ignore[method-assign]  # an agent with a bug
    rig.connect(broken)
    rig.clock.advance(120)
    assert any(kind == "HeartbeatMessage" for kind, _ in fine.agent.got)
    assert "ZeroDivisionError" in caplog.text


def test_a_deregistered_instance_is_cut_off_and_not_let_in_again(rig: Rig) -> None:
    host = rig.host()
    rig.ecs("DeregisterContainerInstance", cluster="store-042", containerInstance=host.arn)
    assert host.agent.channel is not None
    with pytest.raises(LinkDown):
        host.agent.channel.send("HeartbeatAckRequest", {})
    with pytest.raises(AwsFault, match="InactiveInstanceException"):
        rig.connect(host)


def test_only_the_node_that_registered_may_connect(rig: Rig) -> None:
    host, other = rig.host(), rig.node()
    other.arn = host.arn
    with pytest.raises(AwsFault, match="InactiveInstanceException"):
        rig.connect(other)


def test_a_wrong_cluster_is_not_let_in(rig: Rig) -> None:
    host = rig.host()
    with pytest.raises(AwsFault, match="InactiveInstanceException"):
        rig.connect(host, cluster="store-043")
