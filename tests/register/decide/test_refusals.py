"""What is proposed for a host that is refused can be typed as it stands."""

from dataclasses import replace

from fleet.model.inventory import Pins
from fleet.model.observed import ContainerInstance
from fleet.model.registration import HostRegistration
from fleet.register.decide.registration import RegistrationFacts, decide_registration
from tests import build

PLACE = "--region eu-west-1 --profile emea-prod"


def decided(*instances: ContainerInstance) -> HostRegistration:
    shop = build.store()
    ledgers = replace(build.ledgers(), container_instances=instances)
    facts = {host.name: build.installed_facts() for host in shop.hosts}
    given = RegistrationFacts(
        build.fleet(shop), shop, shop.hosts, facts, ledgers, Pins(), machine_ids={}
    )
    return decide_registration(given).hosts[0]


def test_each_dead_container_instance_has_a_command_in_the_stores_region() -> None:
    dead = [build.instance(arn=f"dead-{n}", agent_connected=False) for n in (1, 2)]

    fix = decided(build.instance(), *dead).fix

    drop = "aws ecs deregister-container-instance --cluster store-042 --force --container-instance"
    assert fix == f"{drop} dead-1 {PLACE}; {drop} dead-2 {PLACE}"


def test_a_draining_host_is_made_active_in_the_stores_region() -> None:
    assert decided(build.instance(status="DRAINING")).fix.endswith(PLACE)
