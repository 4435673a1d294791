from pathlib import Path

import pytest

from fleet.sandbox.agents import ssm
from fleet.sandbox.hosts.shop_host import ShopHost
from tests.sandbox.agents.acs_rig import AcsRig
from tests.sandbox.shop import REGION, Shop


@pytest.fixture
def node(shop: Shop) -> ShopHost:
    """A host with both agents installed and an SSM registration, nothing of ECS started."""
    shop.cluster()
    host = shop.host()
    host.install("amazon-ssm-agent")
    host.install("amazon-ecs-init")
    shop.configure(host)
    activation_id, code = shop.activation()
    ssm.register(host, activation_id=activation_id, activation_code=code, region=REGION)
    host.units.restart(ssm.UNIT)
    shop.clock.advance(1)
    return host


@pytest.fixture
def member(shop: Shop, node: ShopHost) -> ShopHost:
    """That host with a connected container instance."""
    node.units.enable("ecs")
    node.units.start("ecs")
    shop.clock.advance(10)
    return node


@pytest.fixture
def acs(tmp_path: Path) -> AcsRig:
    """A host that is connected to an AWS of the test's own."""
    return AcsRig(tmp_path)
