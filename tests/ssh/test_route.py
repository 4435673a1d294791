from dataclasses import replace
from pathlib import Path

import pytest

from fleet.errors import UsageError
from fleet.model.inventory import Architecture, Hardware, Host, SshAccess
from fleet.ssh.route import USUAL_KEYS, route_to

HOST = Host(
    "tel-1",
    "store-042",
    "tel-1.example",
    Hardware("nuc", Architecture.AMD64, "amd64"),
    SshAccess("ops", 2222),
)


@pytest.fixture
def config(tmp_path: Path) -> Path:
    return tmp_path / "config"


def test_without_a_config_the_inventory_says_it_all(clean_environment: Path) -> None:
    route = route_to(HOST, None)

    assert (route.hostname, route.port, route.user) == ("tel-1.example", 2222, "ops")
    assert route.identity_files == tuple(Path(name).expanduser() for name in USUAL_KEYS)
    assert route.identity_files[0].is_relative_to(clean_environment)
    assert route.use_agent
    assert route.proxy_command == ""


def test_what_the_config_says_wins(config: Path) -> None:
    config.write_text(
        "Host tel-*\n  HostName 127.0.0.1\n  Port 40001\n  User fleet\n  IdentitiesOnly yes\n"
    )

    route = route_to(HOST, config)

    assert (route.hostname, route.port, route.user) == ("127.0.0.1", 40001, "fleet")
    assert not route.use_agent


def test_what_the_config_says_of_others_does_not(config: Path) -> None:
    config.write_text("Host cam-*\n  HostName 127.0.0.1\n  Port 40001\n")

    assert route_to(HOST, config) == route_to(HOST, None)


def test_keys_of_the_config_come_before_the_inventorys(config: Path) -> None:
    config.write_text("Host *\n  IdentityFile /keys/a\n  IdentityFile /keys/b\n")
    host = replace(HOST, ssh=SshAccess(identity_file="/keys/c"))

    route = route_to(host, config)

    assert route.identity_files == (Path("/keys/a"), Path("/keys/b"), Path("/keys/c"))
    assert route.named


def test_a_proxy_command_knows_where_to(config: Path) -> None:
    config.write_text("Host *\n  ProxyCommand relay %h %p\n")

    route = route_to(replace(HOST, ssh=SshAccess()), config)

    assert route.proxy_command.startswith("relay tel-1.example ")
    assert "ProxyCommand" in route.place


def test_a_proxy_command_of_none_is_none(config: Path) -> None:
    config.write_text("Host *\n  ProxyCommand none\n")

    assert route_to(HOST, config).proxy_command == ""


@pytest.mark.parametrize("port", ["abc", "0", "65536", "-1", "²²"])
def test_a_port_that_is_none_is_refused(config: Path, port: str) -> None:
    config.write_text(f"Host *\n  Port {port}\n")

    with pytest.raises(UsageError, match="TCP port"):
        route_to(HOST, config)


@pytest.mark.parametrize("text", ["Host\n  Port", "Match nonsense\n  Port 1\n", "\xff\xfe"])
def test_a_config_that_cannot_be_understood_is_a_usage_error(config: Path, text: str) -> None:
    config.write_text(text)

    with pytest.raises(UsageError, match="cannot understand"):
        route_to(HOST, config)
