"""The hosts' SSH servers, with paramiko's client and OpenSSH's as witnesses."""

import hashlib
import os
import socket
import subprocess
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import paramiko
import pytest

from fleet.sandbox.hosts.shop_host import ShopHost
from fleet.sandbox.hosts.ssh import SshServers, make_key
from tests.sandbox.shop import Shop


@dataclass
class Town:
    shop: Shop
    servers: SshServers
    key: paramiko.PKey
    clients: list[paramiko.SSHClient] = field(default_factory=list)

    def open(self, name: str = "tel-1") -> ShopHost:
        host = self.shop.host(name, docker=None)
        self.servers.open(host)
        return host

    def login(
        self, host: ShopHost, user: str = "fleet", key: paramiko.PKey | None = None
    ) -> paramiko.SSHClient:
        client = paramiko.SSHClient()
        client.set_missing_host_key_policy(paramiko.AutoAddPolicy())  # noqa: S507 - a test's own host
        self.clients.append(client)
        client.connect(
            "127.0.0.1",
            self.servers.port(host),
            user,
            pkey=key or self.key,
            allow_agent=False,
            look_for_keys=False,
            timeout=5,
        )
        return client


@pytest.fixture
def town(shop: Shop, tmp_path: Path) -> Iterator[Town]:
    key = make_key(tmp_path / "id_ed25519")
    servers = SshServers(key)
    servers.start()
    town = Town(shop, servers, key)
    yield town
    for client in town.clients:
        client.close()
    servers.stop()


def processes(mark: str) -> list[str]:
    found = []
    for folder in Path("/proc").iterdir():
        if folder.name.isdigit():
            try:
                if mark in (folder / "cmdline").read_text(errors="replace"):
                    found.append(folder.name)
            except OSError:
                continue
    return found


def eventually(true: "object", seconds: float = 5.0) -> bool:
    assert callable(true)
    give_up = time.monotonic() + seconds
    while time.monotonic() < give_up:
        if true():
            return True
        time.sleep(0.02)
    return False


def send_until_it_breaks(stdin: paramiko.channel.ChannelStdinFile) -> None:
    for _ in range(500):
        stdin.write(b"x" * 1000)
        time.sleep(0.01)


def test_a_command_runs_in_a_real_shell_with_its_streams_and_status(town: Town) -> None:
    client = town.login(town.open())
    stdin, stdout, stderr = client.exec_command("cat; echo oops >&2; exit 7")
    stdin.write("hello")
    stdin.channel.shutdown_write()
    assert stdout.read() == b"hello"
    assert stderr.read() == b"oops\n"
    assert stdout.channel.recv_exit_status() == 7


def test_a_large_input_arrives_whole(town: Town) -> None:
    client = town.login(town.open())
    sent = os.urandom(3 * 1024 * 1024)
    stdin, stdout, _ = client.exec_command("sha256sum | cut -d' ' -f1")
    stdin.write(sent)
    stdin.channel.shutdown_write()
    assert stdout.read().decode().strip() == hashlib.sha256(sent).hexdigest()


def test_a_large_output_arrives_whole(town: Town) -> None:
    _, stdout, _ = town.login(town.open()).exec_command("head -c 3000000 /dev/zero")
    assert len(stdout.read()) == 3_000_000


def test_a_script_may_read_what_follows_it_on_its_input(town: Town) -> None:
    stdin, stdout, _ = town.login(town.open()).exec_command("bash -s")
    stdin.write('IFS= read -r word\nsecret word\nhead -c 4\nDATAecho " $word"\n')
    stdin.channel.shutdown_write()
    assert stdout.read() == b"DATA secret word\n"


def test_a_process_that_a_signal_ended_has_the_shells_status(town: Town) -> None:
    _, stdout, _ = town.login(town.open()).exec_command("kill -9 $$")
    assert stdout.channel.recv_exit_status() == 137


def test_only_the_operators_key_gets_in(town: Town, tmp_path: Path) -> None:
    host = town.open()
    with pytest.raises(paramiko.AuthenticationException):
        town.login(host, key=make_key(tmp_path / "other"))


def test_only_the_hosts_own_user_gets_in(town: Town) -> None:
    host = town.open()
    with pytest.raises(paramiko.AuthenticationException):
        town.login(host, user="root")


def test_subsystems_and_terminals_are_refused(town: Town) -> None:
    transport = town.login(town.open()).get_transport()
    assert transport is not None
    for ask in ("invoke_subsystem", "get_pty"):
        channel = transport.open_session()
        with pytest.raises(paramiko.SSHException):
            getattr(channel, ask)("sftp")
        channel.close()


def test_several_commands_run_at_once_on_one_connection(town: Town) -> None:
    client = town.login(town.open())
    outputs = [client.exec_command(f"read x; echo {n} $x") for n in range(5)]
    for stdin, _, _ in reversed(outputs):
        stdin.write("go\n")
        stdin.flush()
    assert [out.read() for _, out, _ in outputs] == [f"{n} go\n".encode() for n in range(5)]


def test_idle_hosts_cost_no_threads(town: Town) -> None:
    town.open("h0")
    before = threading.active_count()
    for n in range(1, 20):
        town.open(f"h{n}")
    assert threading.active_count() == before


def test_a_command_dies_with_its_connection(town: Town) -> None:
    mark = f"{time.time_ns()}"
    client = town.login(town.open())
    client.exec_command(f"trap '' HUP; while :; do /bin/sleep 0.1; done; : {mark}")
    assert eventually(lambda: processes(mark))
    client.close()
    assert eventually(lambda: not processes(mark))


def test_a_cut_ends_connections_and_refuses_new_ones_until_it_is_restored(town: Town) -> None:
    host = town.open()
    client = town.login(host)
    port = town.servers.port(host)
    host.set_conditions({"cut_by": ["store"]})
    town.servers.follow_link(host)
    transport = client.get_transport()
    assert transport is not None
    assert eventually(lambda: not transport.is_active())
    with pytest.raises(ConnectionRefusedError):
        socket.create_connection(("127.0.0.1", port), 2)
    host.set_conditions({"cut_by": []})
    town.servers.follow_link(host)
    assert town.servers.port(host) == port
    assert town.login(host).exec_command("echo back")[1].read() == b"back\n"


def test_a_client_that_says_nothing_holds_nobody_up(town: Town) -> None:
    host = town.open()
    with socket.create_connection(("127.0.0.1", town.servers.port(host)), 2):
        assert town.login(host).exec_command("echo here")[1].read() == b"here\n"


def test_a_host_whose_home_is_gone_says_so_instead_of_hanging(town: Town) -> None:
    host = town.open()
    host.path("/home/fleet").rmdir()
    _, stdout, stderr = town.login(host).exec_command("true")
    assert stdout.channel.recv_exit_status() == 126
    assert b"cannot run anything" in stderr.read()


def test_host_keys_are_the_hosts_own_and_stay(town: Town, shop: Shop) -> None:
    def key_of(host: ShopHost) -> bytes:
        transport = town.login(host).get_transport()
        assert transport is not None
        return transport.get_remote_server_key().asbytes()

    one, other = town.open("tel-1"), town.open("cam-1")
    assert key_of(one) != key_of(other)
    assert make_key(one.folder / "ssh_host_ed25519_key").asbytes() == key_of(one)
    assert (one.folder / "ssh_host_ed25519_key").stat().st_mode & 0o777 == 0o600


def test_openssh_connects_too(town: Town, tmp_path: Path) -> None:
    host = town.open()
    done = subprocess.run(
        [
            "ssh",
            "-F",
            "none",
            "-i",
            tmp_path / "id_ed25519",
            "-o",
            "IdentitiesOnly=yes",
            "-o",
            "StrictHostKeyChecking=no",
            "-o",
            f"UserKnownHostsFile={tmp_path / 'known'}",
            "-p",
            str(town.servers.port(host)),
            "fleet@127.0.0.1",
            "uname -m; cat; exit 3",
        ],
        input=b"streamed",
        capture_output=True,
        timeout=20,
        check=False,
    )
    assert done.stdout == b"x86_64\nstreamed"
    assert done.returncode == 3
