from fleet.sandbox.agents.session import AcsChannel, ConnectRequest, ControlPlaneSession
from fleet.sandbox.agents.ssm import request_role_token
from fleet.sandbox.control_plane.in_process import InProcessSession
from tests.sandbox.control_plane.rig import REGION, Rig


def test_it_is_the_session_that_agents_know(rig: Rig) -> None:
    session: ControlPlaneSession = InProcessSession(rig.plane, REGION)
    rig.ecs("CreateCluster", clusterName="store-042")
    body = {**rig.activation(), "Fingerprint": "f", "PublicKey": "k"}
    node = session.call("ssm", "RegisterManagedInstance", body, None)["InstanceId"]
    token = request_role_token(session, node, "f")
    ping = {"InstanceId": node, "AgentVersion": "3.3.0.0"}
    session.call("ssm", "UpdateInstanceInformation", ping, token)
    made = session.call("ecs", "RegisterContainerInstance", {"cluster": "store-042"}, token)
    arn = made["containerInstance"]["containerInstanceArn"]
    request = ConnectRequest("store-042", arn, "1.105.1", "24.0.7")
    channel: AcsChannel = session.connect(token, request, lambda message_type, message: None)
    listed = rig.ecs("ListContainerInstances", cluster="store-042", filter="agentConnected == true")
    assert listed["containerInstanceArns"] == [arn]
    channel.close()
