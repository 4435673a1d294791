from fleet.sandbox.agents.session import AcsChannel, ControlPlaneSession
from fleet.sandbox.control_plane import InProcessSession
from tests.sandbox.control_plane.rig import REGION, Rig


def test_it_is_the_session_that_agents_know(rig: Rig) -> None:
    session: ControlPlaneSession = InProcessSession(rig.plane, REGION)
    rig.ecs("CreateCluster", clusterName="store-042")
    activation = rig.activation()
    node = session.register_managed_instance(
        activation_id=activation["ActivationId"],
        activation_code=activation["ActivationCode"],
        fingerprint="f",
        public_key="k",
    )
    token = session.request_role_token(instance_id=node, fingerprint="f")
    session.update_instance_information(token, {"InstanceId": node, "AgentVersion": "3.3.0.0"})
    made = session.register_container_instance(token, {"cluster": "store-042"})
    channel: AcsChannel = session.connect(
        token,
        cluster="store-042",
        container_instance_arn=made["containerInstanceArn"],
        agent_version="1.105.1",
        docker_version="24.0.7",
        deliver=lambda message_type, message: None,
    )
    listed = rig.ecs("ListContainerInstances", cluster="store-042", filter="agentConnected == true")
    assert listed["containerInstanceArns"] == [made["containerInstanceArn"]]
    channel.close()
