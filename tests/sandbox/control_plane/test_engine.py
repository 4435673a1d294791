import threading

import pytest

from fleet.errors import SandboxError
from fleet.sandbox.agents.session import AwsFault
from fleet.sandbox.clock import SandboxClock
from fleet.sandbox.control_plane.engine import ControlPlane, access_key_for
from fleet.sandbox.spec import AccountSpec
from tests.sandbox.control_plane.rig import EMEA, REGION, Rig


def test_the_operators_key_has_the_form_of_an_access_key() -> None:
    assert len(access_key_for(EMEA)) == 20
    assert access_key_for(EMEA).startswith("AKIA")


@pytest.mark.parametrize("account", ["11112222333", "11112222333x", ""])
def test_an_account_id_is_twelve_digits(account: str) -> None:
    with pytest.raises(SandboxError, match="no AWS account id"):
        ControlPlane(SandboxClock(0, 0.0), [AccountSpec(account, "p")])


def test_a_region_that_cannot_be_one_is_refused(rig: Rig) -> None:
    with pytest.raises(AwsFault, match="not an AWS region"):
        rig.ecs("ListClusters", region="europe")


def test_the_same_seed_gives_the_same_ids() -> None:
    rigs = [Rig(), Rig()]
    assert rigs[0].host().arn == rigs[1].host().arn
    for rig in rigs:
        rig.close()


def test_codes_do_not_follow_from_the_seed() -> None:
    rigs = [Rig(), Rig()]
    assert rigs[0].activation()["ActivationCode"] != rigs[1].activation()["ActivationCode"]
    for rig in rigs:
        rig.close()


def test_the_status_counts_what_is_there_and_what_was_called(rig: Rig) -> None:
    host = rig.host()
    status = rig.plane.status()
    assert status["region_states"] == [
        {
            "account": EMEA,
            "region": REGION,
            "clusters": 1,
            "container_instances": 1,
            "managed_instances": 1,
            "activations": 1,
        }
    ]
    assert status["agents_connected"] == 1
    assert status["calls"]["ecs:RegisterContainerInstance"] == 1
    assert host.agent.channel is not None
    host.agent.channel.close()
    assert rig.plane.status()["agents_connected"] == 0


def test_many_threads_register_without_stepping_on_each_other(rig: Rig) -> None:
    rig.ecs("CreateCluster", clusterName="store-042")
    activation = rig.activation(RegistrationLimit=40)
    failures: list[BaseException] = []

    def work() -> None:
        try:
            for _ in range(10):
                node = rig.spend(activation)
                token = rig.session.request_role_token(instance_id=node, fingerprint="f")
                rig.session.register_container_instance(token, {"cluster": "store-042"})
        except BaseException as error:  # noqa: BLE001 - carried to the main thread
            failures.append(error)

    threads = [threading.Thread(target=work) for _ in range(5)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert {str(error).partition(":")[0] for error in failures} == {"RegistrationLimitExceeded"}
    cluster = rig.ecs("DescribeClusters", clusters=["store-042"])["clusters"][0]
    assert cluster["registeredContainerInstancesCount"] == 40


@pytest.mark.long
def test_two_thousand_hosts_register_in_seconds(rig: Rig) -> None:
    rig.ssm(
        "UpdateServiceSetting",
        SettingId="/ssm/managed-instance/activation-tier",
        SettingValue="advanced",
    )
    for number in range(1000):
        for _ in range(2):
            rig.host(f"store-{number:03}")
    assert rig.plane.status()["agents_connected"] == 2000
