import os
import socket
import subprocess
import threading
from collections.abc import Callable
from pathlib import Path

import paramiko
import pytest

from fleet.errors import (
    HostCommandFailed,
    HostKeyChanged,
    HostKeyUnknown,
    HostUnreachable,
    LoginRefused,
    UsageError,
)
from fleet.model.inventory import Host
from fleet.model.secret import Secret
from fleet.ssh.connection import Connection, Ended, open_connection
from fleet.ssh.known_hosts import fingerprint_of
from tests.ssh.conftest import ShopServer, a_host

Connect = Callable[[], Connection]


def reach(
    host: Host,
    known_hosts: Path,
    *,
    accept_new: bool = False,
    ssh_config: Path | None = None,
    on_new_key: Callable[[str, str, str], None] = lambda *_: None,
) -> Connection:
    return open_connection(
        host,
        ssh_config=ssh_config,
        known_hosts=known_hosts,
        accept_new=accept_new,
        on_new_key=on_new_key,
    )


def run(connection: Connection, command: str, timeout_s: float = 20.0) -> tuple[Ended, list[str]]:
    lines: list[str] = []
    ended = connection.run(command, stdin=b"", timeout_s=timeout_s, on_line=lines.append)
    return ended, lines


def test_an_unknown_key_is_refused_with_its_fingerprint_and_the_flag(
    server: ShopServer, host: Host, known_hosts: Path
) -> None:
    with pytest.raises(HostKeyUnknown) as caught:
        reach(host, known_hosts)

    assert fingerprint_of(server.host_key.asbytes()) in str(caught.value)
    assert "--accept-new-host-keys" in (caught.value.hint or "")
    assert not known_hosts.exists()


def test_an_accepted_key_is_pinned_under_address_and_port_and_told(
    server: ShopServer, host: Host, known_hosts: Path
) -> None:
    told: list[tuple[str, str, str]] = []

    reach(host, known_hosts, accept_new=True, on_new_key=lambda *a: told.append(a)).close()

    fingerprint = fingerprint_of(server.host_key.asbytes())
    assert told == [("store-042/tel-1", "ecdsa-sha2-nistp256", fingerprint)]
    assert known_hosts.read_text().startswith(f"[127.0.0.1]:{server.port} ecdsa-sha2-nistp256 ")


def test_a_pinned_key_is_taken_in_silence(host: Host, known_hosts: Path) -> None:
    reach(host, known_hosts, accept_new=True).close()
    told: list[tuple[str, str, str]] = []

    with reach(host, known_hosts, accept_new=True, on_new_key=lambda *a: told.append(a)) as second:
        assert run(second, "echo here")[1] == ["here"]

    assert told == []


def test_openssh_agrees_with_the_entry_we_wrote(host: Host, known_hosts: Path) -> None:
    reach(host, known_hosts, accept_new=True).close()

    done = subprocess.run(
        ["ssh-keygen", "-F", f"[127.0.0.1]:{host.ssh.port}", "-f", str(known_hosts)],
        capture_output=True,
        text=True,
        check=False,
    )

    assert done.returncode == 0
    assert "found: line 1" in done.stdout


@pytest.mark.parametrize("accept_new", [False, True])
def test_a_changed_key_is_refused_always_and_names_both(
    server: ShopServer, host: Host, known_hosts: Path, accept_new: bool
) -> None:
    reach(host, known_hosts, accept_new=True).close()
    pinned = server.host_key
    server.host_key = paramiko.ECDSAKey.generate()

    with pytest.raises(HostKeyChanged) as caught:
        reach(host, known_hosts, accept_new=accept_new)

    assert fingerprint_of(pinned.asbytes()) in str(caught.value)
    assert fingerprint_of(server.host_key.asbytes()) in str(caught.value)
    assert f"{known_hosts}:1" in str(caught.value)
    assert server.execs == 0


def test_a_key_of_another_type_than_the_pinned_one_is_a_change(
    server: ShopServer, host: Host, known_hosts: Path
) -> None:
    reach(host, known_hosts, accept_new=True).close()
    server.host_key = paramiko.RSAKey.generate(2048)

    with pytest.raises(HostKeyChanged, match="ssh-rsa"):
        reach(host, known_hosts, accept_new=True)


def test_a_refused_port_is_unreachable(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as once:
        port = once.getsockname()[1]

    with pytest.raises(HostUnreachable, match="refused"):
        reach(a_host(port), tmp_path / "known_hosts")


def test_a_name_that_cannot_be_one_is_unreachable(tmp_path: Path) -> None:
    config = tmp_path / "config"
    config.write_text("Host *\n  HostName a..b\n")

    with pytest.raises(HostUnreachable, match="store-042/tel-1"):
        reach(a_host(), tmp_path / "known_hosts", ssh_config=config)


def test_a_host_that_greets_nobody_is_given_up(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        host = a_host(silent.getsockname()[1], timeout_s=0.3)
        with pytest.raises(HostUnreachable, match=r"greeting|banner"):
            reach(host, tmp_path / "known_hosts")


def test_something_that_is_not_ssh_is_said_to_be_none(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as other:

        def answer() -> None:
            sock, _ = other.accept()
            with sock:
                sock.sendall(b"HTTP/1.1 400 Bad\x1b[31m Request\r\n\r\n")

        thread = threading.Thread(target=answer)
        thread.start()
        with pytest.raises(HostUnreachable) as caught:
            reach(a_host(other.getsockname()[1], timeout_s=3), tmp_path / "known_hosts")
        thread.join()

    assert "no SSH there" in str(caught.value)
    assert "\x1b" not in str(caught.value)


def test_a_key_that_the_host_does_not_know_is_refused(
    server: ShopServer, known_hosts: Path, tmp_path: Path
) -> None:
    other = tmp_path / "other"
    paramiko.ECDSAKey.generate().write_private_key_file(str(other))

    with pytest.raises(LoginRefused) as caught:
        reach(a_host(server.port, identity=other), known_hosts, accept_new=True)

    assert str(other) in str(caught.value)
    assert "authorized_keys" in (caught.value.hint or "")


def test_keys_that_cannot_be_used_are_named_with_the_reason(
    server: ShopServer, known_hosts: Path, tmp_path: Path
) -> None:
    locked = tmp_path / "locked"
    paramiko.ECDSAKey.generate().write_private_key_file(str(locked), password="guess")
    broken = tmp_path / "broken"
    broken.write_text("no key\n")
    config = tmp_path / "config"
    config.write_text(
        f"Host *\n  IdentityFile {tmp_path}/absent\n  IdentityFile {locked}\n"
        f"  IdentityFile {broken}\n  IdentitiesOnly yes\n"
    )

    with pytest.raises(LoginRefused) as caught:
        reach(a_host(server.port), known_hosts, accept_new=True, ssh_config=config)

    assert "absent (no such file)" in str(caught.value)
    assert "locked (needs a passphrase" in str(caught.value)
    assert "broken (unreadable" in str(caught.value)


def test_the_ssh_config_maps_the_address_but_not_the_name_of_the_pin(
    server: ShopServer, known_hosts: Path, tmp_path: Path
) -> None:
    config = tmp_path / "config"
    config.write_text(
        f"Host 127.0.0.1\n  HostName localhost\n  Port {server.port}\n  User fleet\n"
        f"  IdentityFile {server.identity}\n  IdentitiesOnly yes\n"
    )

    with reach(a_host(22), known_hosts, accept_new=True, ssh_config=config) as connection:
        assert run(connection, "echo here")[1] == ["here"]

    assert known_hosts.read_text().split()[0] == "127.0.0.1"


def test_a_proxy_command_carries_the_connection_and_is_gone_afterwards(
    server: ShopServer, known_hosts: Path, tmp_path: Path
) -> None:
    pid = tmp_path / "pid"
    relay = tmp_path / "relay"
    relay.write_text(
        f"echo $$ >{pid}\nexec 3<>/dev/tcp/127.0.0.1/{server.port}\ncat <&3 &\ncat >&3\n"
    )
    config = tmp_path / "config"
    config.write_text(f"Host *\n  ProxyCommand bash {relay}\n  IdentityFile {server.identity}\n")

    with reach(a_host(22), known_hosts, accept_new=True, ssh_config=config) as connection:
        assert run(connection, "echo through")[1] == ["through"]

    assert not Path(f"/proc/{pid.read_text().strip()}").exists()


def test_a_proxy_command_that_ends_is_unreachable(known_hosts: Path, tmp_path: Path) -> None:
    config = tmp_path / "config"
    config.write_text("Host *\n  ProxyCommand false\n")

    with pytest.raises(HostUnreachable, match="ProxyCommand"):
        reach(a_host(timeout_s=5), known_hosts, ssh_config=config)


def test_an_ssh_config_that_is_missing_is_a_usage_error(known_hosts: Path, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="absent"):
        reach(a_host(), known_hosts, ssh_config=tmp_path / "absent")


def test_status_and_both_outputs_come_back(connect: Connect) -> None:
    with connect() as connection:
        ended, lines = run(connection, "echo out; echo err >&2; exit 3")

    assert ended.status == 3
    assert lines == ["out", "err"]


def test_a_command_gets_its_input_to_the_last_byte(connect: Connect) -> None:
    lines: list[str] = []
    with connect() as connection:
        connection.run("wc -c", stdin=b"x" * 3_000_000, timeout_s=30, on_line=lines.append)

    assert lines == ["3000000"]


def test_a_command_that_does_not_read_its_input_still_tells_its_status(connect: Connect) -> None:
    with connect() as connection:
        ended = connection.run(
            "exit 7", stdin=b"x" * 5_000_000, timeout_s=30, on_line=lambda _: None
        )

    assert ended.status == 7


def test_a_command_out_of_time_is_cut_off_with_what_it_said(connect: Connect) -> None:
    with connect() as connection, pytest.raises(HostCommandFailed) as caught:
        run(connection, "echo started; exec /bin/sleep 60", timeout_s=0.5)

    assert caught.value.status is None
    assert caught.value.output == "started"
    assert "within 0.5 s" in str(caught.value)


def test_a_connection_lost_midway_is_unreachable(server: ShopServer, connect: Connect) -> None:
    def on_line(_line: str) -> None:
        server.cut()

    with connect() as connection, pytest.raises(HostUnreachable, match="lost"):
        connection.run("echo started; exec /bin/sleep 60", stdin=b"", timeout_s=30, on_line=on_line)


def test_a_command_killed_on_the_host_is_told_from_a_lost_link(connect: Connect) -> None:
    with connect() as connection, pytest.raises(HostCommandFailed, match="killed on the host"):
        run(connection, "kill -KILL $$")


def test_a_flood_of_output_is_cut_off(connect: Connect) -> None:
    count = 0

    def on_line(_line: str) -> None:
        nonlocal count
        count += 1

    with connect() as connection, pytest.raises(HostCommandFailed, match="more than 64 KiB"):
        connection.run("yes", stdin=b"", timeout_s=30, on_line=on_line, most_output=64 * 1024)
    assert count < 64 * 1024


def test_what_an_error_keeps_is_harmless_and_without_the_secret(connect: Connect) -> None:
    secret = Secret("Zx9+code")
    with connect() as connection, pytest.raises(HostCommandFailed) as caught:
        connection.run(
            r"printf 'a\033]0;title\007b Zx9\033+code Zx9+code\n'; exec /bin/sleep 60",
            stdin=b"",
            timeout_s=0.5,
            on_line=lambda _: None,
            secret=secret,
        )

    assert caught.value.output == "a]0;titleb <secret> <secret>"


def test_closing_twice_is_fine(connect: Connect) -> None:
    connection = connect()
    connection.close()
    connection.close()


def test_a_closed_connection_is_unreachable(connect: Connect) -> None:
    connection = connect()
    connection.close()

    with pytest.raises(HostUnreachable):
        run(connection, "true")


def test_nothing_of_paramiko_reaches_the_terminal(
    server: ShopServer, connect: Connect, capfd: pytest.CaptureFixture[str]
) -> None:
    with connect() as connection:
        server.cut()
        with pytest.raises(HostUnreachable):
            run(connection, "true")
    with socket.create_server(("127.0.0.1", 0)) as silent:
        port = silent.getsockname()[1]
        with pytest.raises(HostUnreachable):
            reach(a_host(port, timeout_s=0.2), Path(os.devnull))

    out, err = capfd.readouterr()
    assert (out, err) == ("", "")


def test_a_host_that_stands_still_at_an_exec_is_given_up(
    server: ShopServer, connect: Connect
) -> None:
    server.stalls_at = "exec"

    with connect() as connection, pytest.raises(HostCommandFailed, match=r"within 0\.3 s"):
        run(connection, "true", timeout_s=0.3)


def test_a_host_that_stands_still_at_the_login_is_unreachable(
    server: ShopServer, known_hosts: Path
) -> None:
    server.stalls_at = "login"
    host = a_host(server.port, timeout_s=1.0, identity=server.identity)

    with pytest.raises(HostUnreachable, match="no answer to the login"):
        reach(host, known_hosts, accept_new=True)


def test_an_error_of_whoever_listens_is_not_taken_for_a_lost_link(connect: Connect) -> None:
    def on_line(_line: str) -> None:
        raise BrokenPipeError

    with connect() as connection, pytest.raises(BrokenPipeError):
        connection.run("echo x", stdin=b"", timeout_s=20, on_line=on_line)


def test_another_thread_may_hang_up(connect: Connect) -> None:
    with connect() as connection:

        def on_line(_line: str) -> None:
            threading.Thread(target=connection.close).start()

        with pytest.raises(HostUnreachable):
            connection.run("echo x; exec /bin/sleep 60", stdin=b"", timeout_s=30, on_line=on_line)
