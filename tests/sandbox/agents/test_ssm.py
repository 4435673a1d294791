import pytest

from fleet.sandbox.agents import identity, ssm
from fleet.sandbox.agents.session import AwsFault, LinkDown
from fleet.sandbox.hosts.shop_host import ShopHost
from tests.sandbox.shop import REGION, Shop


def test_registering_spends_the_activation_and_fills_the_vault(shop: Shop) -> None:
    host = shop.host()
    activation_id, code = shop.activation()
    made = ssm.register(host, activation_id=activation_id, activation_code=code, region=REGION)
    assert made.instance_id.startswith("mi-")
    assert identity.read_registration(host) == made
    activation = shop.call("ssm", "DescribeActivations")["ActivationList"][0]
    assert activation["RegistrationsCount"] == 1


def test_a_refused_registration_leaves_the_vault_empty(shop: Shop) -> None:
    host = shop.host()
    activation_id, _ = shop.activation()
    with pytest.raises(AwsFault):
        ssm.register(host, activation_id=activation_id, activation_code="wrong", region=REGION)
    assert identity.read_registration(host) is None


def test_a_running_agent_is_online_and_has_left_credentials(shop: Shop, node: ShopHost) -> None:
    assert shop.nodes()[0]["PingStatus"] == "Online"
    assert shop.nodes()[0]["ComputerName"] == "store-042-tel-1"
    assert identity.read_credentials(node, {}) is not None


def test_it_pings_every_five_minutes(shop: Shop, node: ShopHost) -> None:
    first = shop.nodes()[0]["LastPingDateTime"]
    shop.clock.advance(298)
    assert shop.nodes()[0]["LastPingDateTime"] == first
    shop.clock.advance(2)
    assert shop.nodes()[0]["LastPingDateTime"] == pytest.approx(first + 300, abs=2)


def test_it_rotates_its_token_at_half_its_life(shop: Shop, node: ShopHost) -> None:
    first = node.path(identity.CREDENTIALS).read_text()
    shop.clock.advance(1700)
    assert node.path(identity.CREDENTIALS).read_text() == first
    shop.clock.advance(200)
    assert node.path(identity.CREDENTIALS).read_text() != first


def test_it_is_lost_while_its_link_is_cut_and_back_when_it_is_whole(
    shop: Shop, node: ShopHost
) -> None:
    node.set_conditions({"cut_by": ["store"]})
    shop.clock.advance(1200)
    assert shop.nodes()[0]["PingStatus"] == "ConnectionLost"
    node.set_conditions({"cut_by": []})
    shop.clock.advance(1801)
    assert shop.nodes()[0]["PingStatus"] == "Online"


def test_after_a_long_outage_it_gets_a_token_within_half_an_hour(
    shop: Shop, node: ShopHost
) -> None:
    node.set_conditions({"cut_by": ["store"]})
    shop.clock.advance(4 * 3600)
    expired = node.path(identity.CREDENTIALS).read_text()
    node.set_conditions({"cut_by": []})
    shop.clock.advance(1801)
    assert node.path(identity.CREDENTIALS).read_text() != expired


def test_a_deregistered_node_sleeps_half_an_hour_on_it(shop: Shop, node: ShopHost) -> None:
    registration = identity.read_registration(node)
    assert registration is not None
    shop.call("ssm", "DeregisterManagedInstance", InstanceId=registration.instance_id)
    node.units.restart(ssm.UNIT)
    shop.clock.advance(1)
    log = node.path(ssm.LOG).read_text()
    assert "AccessDeniedException" in log
    assert "next try in 1" in log.splitlines()[-1]
    assert float(log.splitlines()[-1].split("next try in ")[1].split()[0]) >= 1500


def test_a_stopped_agent_pings_no_more(shop: Shop, node: ShopHost) -> None:
    node.units.stop(ssm.UNIT)
    before = shop.nodes()[0]["LastPingDateTime"]
    shop.clock.advance(1000)
    assert shop.nodes()[0]["LastPingDateTime"] == before


def test_an_unregistered_agent_idles(shop: Shop) -> None:
    host = shop.host()
    host.install("amazon-ssm-agent")
    shop.clock.advance(600)
    assert host.units.active(ssm.UNIT)
    assert shop.nodes() == []
    assert not host.path(identity.CREDENTIALS).exists()


def test_a_lost_connection_while_registering_is_no_registration(shop: Shop) -> None:
    host = shop.host()
    host.set_conditions({"blocked": ["ssm.eu-west-1.amazonaws.com"]})
    activation_id, code = shop.activation()
    with pytest.raises(LinkDown):
        ssm.register(host, activation_id=activation_id, activation_code=code, region=REGION)
    assert identity.read_registration(host) is None
