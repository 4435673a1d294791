import json

from fleet.sandbox.agents import identity
from fleet.sandbox.agents.session import RoleToken
from tests.sandbox.shop import Shop


def test_the_vault_holds_what_the_installer_and_fleet_look_for(shop: Shop) -> None:
    host = shop.host()
    identity.write_registration(host, identity.Registration("mi-0123456789abcdef0", "eu-west-1"))
    content = json.loads(host.path(identity.VAULT).read_text())
    assert content["instanceID"] == "mi-0123456789abcdef0"
    assert content["region"] == "eu-west-1"
    assert host.path(identity.VAULT).stat().st_mode & 0o777 == 0o600


def test_a_damaged_vault_is_no_registration(shop: Shop) -> None:
    host = shop.host()
    path = host.path(identity.VAULT)
    path.parent.mkdir(parents=True)
    for text in ("", "{", "[]", '{"instanceID": ""}'):
        path.write_text(text)
        assert identity.read_registration(host) is None


def test_a_fingerprint_is_the_boxs_own_and_stays(shop: Shop) -> None:
    one, other = shop.host("tel-1"), shop.host("cam-1")
    first = identity.fingerprint(one)
    assert identity.fingerprint(one) == first
    assert identity.fingerprint(other) != first


def test_a_cloned_machine_id_gives_the_same_fingerprint(shop: Shop) -> None:
    one, other = shop.host("tel-1"), shop.host("cam-1")
    machine_id = other.path("/etc/machine-id")
    machine_id.unlink()
    machine_id.write_text(one.path("/etc/machine-id").read_text())
    assert identity.fingerprint(other) == identity.fingerprint(one)


def test_credentials_in_the_environment_win_over_the_rotating_ones(shop: Shop) -> None:
    host = shop.host()
    identity.write_credentials(host, RoleToken("ASIA1", "s", "t", 0.0))
    rotating = identity.read_credentials(host, {})
    shadowed = identity.read_credentials(host, {"AWS_ACCESS_KEY_ID": "AKIAOLD"})
    assert rotating is not None
    assert rotating.access_key_id == "ASIA1"
    assert shadowed is not None
    assert shadowed.access_key_id == "AKIAOLD"


def test_a_damaged_credentials_file_is_no_credentials(shop: Shop) -> None:
    host = shop.host()
    path = host.path(identity.CREDENTIALS)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("aws_access_key_id")
    assert identity.read_credentials(host, {}) is None
