import base64
import contextlib
import fcntl
import os
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from fleet.errors import HostCommandFailed, HostUnreachable
from fleet.model.observed import HostFacts, Privilege
from fleet.ssh.connection import Connection
from fleet.ssh.facts import _script, read_facts
from tests.ssh.conftest import PROGRAMS, ShopServer

Connect = Callable[[], Connection]


def read(
    connect: Connect, *, endpoints: tuple[str, ...] = (), devices: tuple[str, ...] = ()
) -> HostFacts:
    with connect() as connection:
        return read_facts(
            connection, endpoints=endpoints, devices=devices, now=lambda: datetime.now(UTC)
        )


def write(root: Path, name: str, text: str) -> Path:
    path = root / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
    return path


def program(root: Path, name: str, text: str) -> None:
    path = root / "usr/bin" / name
    path.unlink(missing_ok=True)
    path.write_text(f"#!/bin/bash\n{text}\n")
    path.chmod(0o755)


def become_user(root: Path, sudo: str) -> None:
    """Makes the login an ordinary one, with a sudo of this behaviour."""
    program(root, "id", 'echo "${FAKE_UID:-1000}"')
    program(root, "sudo", sudo)


def test_a_bare_host_in_one_exec(server: ShopServer, root: Path, connect: Connect) -> None:
    write(root, "proc/meminfo", "MemTotal:        8024212 kB\n")

    facts = read(connect)

    assert server.execs == 1
    assert facts.os_id == "ubuntu"
    assert facts.os_version == "22.04"
    assert facts.machine_id == "0123456789abcdef0123456789abcdef"
    assert facts.privilege is Privilege.ROOT
    assert facts.systemd
    assert facts.memory_mb == 7836
    assert facts.disk_total_mb >= facts.disk_free_mb > 0
    assert facts.package_manager == "apt"
    assert facts.gpg
    assert facts.curl
    assert facts.docker is None
    assert not facts.ssm.installed
    assert not facts.ecs.installed
    assert facts.host_key.startswith("SHA256:")


def test_programs_of_this_machine_are_none_of_the_host(root: Path, connect: Connect) -> None:
    (root / "usr/bin/gpg").unlink()
    (root / "usr/bin/curl").unlink()

    facts = read(connect, endpoints=("https://never-asked.test",))

    assert not facts.gpg
    assert not facts.curl
    assert facts.egress == {}


def test_each_endpoint_is_asked_for_itself(connect: Connect) -> None:
    facts = read(connect, endpoints=("https://a.test", "https://b.blocked.test/x?y=1&z='2'"))

    assert facts.egress == {
        "https://a.test": "",
        "https://b.blocked.test/x?y=1&z='2'": "curl: (28) Connection timed out",
    }


def test_endpoints_are_asked_at_the_same_time(root: Path, connect: Connect) -> None:
    # Each call waits until as many as there are endpoints have begun; alone none would end well.
    program(
        root,
        "curl",
        'case ${!#} in *localhost*) exit 7 ;; esac\nmkdir "$FLEET_ROOT/state/$$"\n'
        'for _ in {1..200}; do set -- "$FLEET_ROOT"/state/*; (($# >= 6)) && exit 0; '
        "/bin/sleep 0.02; done; exit 28",
    )

    facts = read(connect, endpoints=tuple(f"https://{n}.test" for n in range(6)))

    assert set(facts.egress.values()) == {""}


def test_devices_that_exist_are_told(root: Path, connect: Connect) -> None:
    write(root, "dev/nvhost-gpu", "")

    facts = read(connect, devices=("/dev/nvhost-gpu", "/dev/$(touch pwned)", "/dev/null"))

    assert facts.devices == ("/dev/nvhost-gpu",)
    assert not (root / "pwned").exists()


def test_docker_and_its_containers(root: Path, connect: Connect) -> None:
    (root / "usr/bin/docker").symlink_to(PROGRAMS / "docker")
    write(root, "state/docker.active", "")
    write(root, "state/docker.enabled", "")
    write(root, "etc/docker/daemon.json", '{\n    "default-runtime": "nvidia"\n}\n')

    facts = read(connect)

    assert facts.docker
    assert facts.docker.active
    assert facts.docker.version == "24.0.7"
    assert facts.docker.default_runtime == "nvidia"
    assert facts.docker.runtimes == ("nvidia", "runc")
    assert facts.docker.running == ("cam-legacy",)
    assert facts.unused_image_mb == 6103


def test_a_docker_that_is_stopped_still_tells_its_runtime(root: Path, connect: Connect) -> None:
    (root / "usr/bin/docker").symlink_to(PROGRAMS / "docker")
    write(root, "etc/docker/daemon.json", '{"default-runtime": "nvidia"}')

    docker = read(connect).docker

    assert docker
    assert not docker.active
    assert docker.version == ""
    assert docker.default_runtime == "nvidia"


def test_of_the_vault_only_id_and_region_leave_the_host(root: Path, connect: Connect) -> None:
    write(
        root,
        "var/lib/amazon/ssm/Vault/Store/RegistrationKey",
        '{"instanceID": "mi-0123456789abcdef0", "region" : "eu-west-1", "privateKey": "PRIVATE"}',
    )
    (root / "usr/bin/amazon-ssm-agent").symlink_to(PROGRAMS / "amazon-ssm-agent")
    told: list[str] = []

    facts = read(connect)
    with connect() as connection:
        connection.run("bash -s", stdin=_script((), ()), timeout_s=20, on_line=told.append)

    assert facts.ssm.instance_id == "mi-0123456789abcdef0"
    assert facts.ssm.region == "eu-west-1"
    assert facts.ssm.version == "3.3.4108.0"
    block = base64.b64decode("".join(told[told.index("@facts") + 1 : told.index("@end")]))
    assert b"mi-0123456789abcdef0" in block
    assert b"PRIVATE" not in block


def test_secret_settings_do_not_leave_the_host(root: Path, connect: Connect) -> None:
    write(
        root,
        "etc/ecs/ecs.config",
        'ECS_CLUSTER=store-042\nECS_ENGINE_AUTH_DATA={"x":{"password":"p"}}\n'
        "AWS_SECRET_ACCESS_KEY=hush\nlast=line",
    )

    facts = read(connect)

    assert facts.ecs.config == {
        "ECS_CLUSTER": "store-042",
        "ECS_ENGINE_AUTH_DATA": "<redacted>",
        "AWS_SECRET_ACCESS_KEY": "<redacted>",
        "last": "line",
    }


@pytest.mark.parametrize(
    ("file", "text", "shadow"),
    [
        ("etc/ecs/ecs.config", "AWS_ACCESS_KEY_ID=x\n", "AWS_ACCESS_KEY_ID"),
        ("var/lib/ecs/ecs.config", "A=1\nAWS_PROFILE=x", "AWS_PROFILE"),
        (
            "etc/systemd/system/ecs.service.d/proxy.conf",
            '[Service]\nEnvironment="AWS_SESSION_TOKEN=x"\n',
            "AWS_SESSION_TOKEN",
        ),
        (
            "lib/systemd/system/amazon-ssm-agent.service.d/x.conf",
            "Environment=A=1 AWS_SHARED_CREDENTIALS_FILE=/x\n",
            "AWS_SHARED_CREDENTIALS_FILE",
        ),
        ("root/.aws/credentials", "[default]\naws_access_key_id = x\n", "aws_access_key_id"),
    ],
)
def test_credentials_that_would_shadow_the_agents_are_named(
    root: Path, connect: Connect, file: str, text: str, shadow: str
) -> None:
    write(root, file, text)

    assert read(connect).shadow_credentials == (f"/{file}: {shadow}",)


@pytest.mark.parametrize(
    ("file", "text"),
    [
        ("etc/ecs/ecs.config", "# AWS_ACCESS_KEY_ID=x\n #AWS_PROFILE=x\nMY_AWS_PROFILE=x\n"),
        ("etc/systemd/system/nginx.service.d/x.conf", "Environment=AWS_PROFILE=x\n"),
        ("root/.aws/credentials", "[default]\n"),
    ],
)
def test_what_shadows_nothing_is_not_named(
    root: Path, connect: Connect, file: str, text: str
) -> None:
    write(root, file, text)

    assert read(connect).shadow_credentials == ()


def test_a_registered_ssm_agents_own_credentials_shadow_nothing(
    root: Path, connect: Connect
) -> None:
    write(root, "root/.aws/credentials", "[default]\naws_access_key_id = x\n")
    write(root, "var/lib/amazon/ssm/Vault/Store/RegistrationKey", '{"instanceID":"mi-0"}')

    assert read(connect).shadow_credentials == ()


def test_a_user_with_sudo_reads_as_root(root: Path, connect: Connect) -> None:
    become_user(root, '[[ $1 == -n ]] || exit 1; shift; FAKE_UID=0 AS_ROOT=1 exec "$@"')
    program(root, "uname", 'echo "${AS_ROOT:-0}"')
    write(root, "etc/ecs/ecs.config", "A=1\nAWS_PROFILE=x\n")

    facts = read(connect, endpoints=("https://a.test",))

    assert facts.privilege is Privilege.SUDO
    assert facts.machine == "1"
    assert facts.shadow_credentials == ("/etc/ecs/ecs.config: AWS_PROFILE",)
    assert facts.ecs.config == {"A": "1", "AWS_PROFILE": "x"}
    assert facts.egress == {"https://a.test": ""}


def test_a_user_without_sudo_says_what_it_may(root: Path, connect: Connect) -> None:
    become_user(root, 'echo "sudo: a password is required" >&2; exit 1')

    facts = read(connect)

    assert facts.privilege is Privilege.NONE
    assert facts.os_id == "ubuntu"


@contextlib.contextmanager
def locked(
    root: Path, kind: int, text: str = "2026-11-23T02:00:00Z by pid 4711\n"
) -> Iterator[Path]:
    """The lock of an install, held in this way until the block ends."""
    path = write(root, "run/fleet-install.lock", text)
    with path.open() as file:
        fcntl.flock(file, kind)
        yield path


def test_an_install_that_runs_is_told_with_since_when(root: Path, connect: Connect) -> None:
    with locked(root, fcntl.LOCK_EX):
        assert read(connect).installing == "since 2026-11-23T02:00:00Z by pid 4711"

    assert read(connect).installing == ""


def test_an_install_that_has_said_nothing_of_itself_yet_is_told(
    root: Path, connect: Connect
) -> None:
    with locked(root, fcntl.LOCK_EX, ""):
        assert read(connect).installing == "since a moment ago"


def test_an_install_that_runs_is_told_to_a_user_with_sudo(root: Path, connect: Connect) -> None:
    become_user(root, '[[ $1 == -n ]] || exit 1; shift; FAKE_UID=0 exec "$@"')
    with locked(root, fcntl.LOCK_EX):
        facts = read(connect)

    assert facts.privilege is Privilege.SUDO
    assert facts.installing.startswith("since 2026-")


def test_an_install_that_begins_while_facts_are_read_is_told(root: Path, connect: Connect) -> None:
    # The host's nproc is asked after the first look at the lock.
    program(
        root,
        "nproc",
        'exec 7<>"$FLEET_ROOT/run/fleet-install.lock"; flock 7; echo now >&7\n'
        '(exec >/dev/null 2>&1; read -r <"$FLEET_ROOT/state/go") & echo 4',
    )
    os.mkfifo(root / "state/go")

    facts = read(connect)
    (root / "state/go").write_text("go\n")

    assert facts.installing == "since now"


def test_two_who_ask_at_once_do_not_take_each_other_for_an_install(
    root: Path, connect: Connect
) -> None:
    with locked(root, fcntl.LOCK_SH):
        assert read(connect).installing == ""


def test_asking_leaves_the_lock_as_it_was(root: Path, connect: Connect) -> None:
    read(connect)
    assert not (root / "run/fleet-install.lock").exists()

    path = write(root, "run/fleet-install.lock", "of an install that ended\n")
    read(connect)
    assert path.read_text() == "of an install that ended\n"
    with path.open() as file:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)


def test_a_host_without_flock_runs_no_install(root: Path, connect: Connect) -> None:
    program(root, "flock", "exit 127")
    with locked(root, fcntl.LOCK_EX):
        assert read(connect).installing == ""


def test_a_sudo_that_fails_midway_is_no_answer(root: Path, connect: Connect) -> None:
    become_user(root, "[[ $2 == true ]]")

    with pytest.raises(HostCommandFailed, match="break off"):
        read(connect)


def test_noise_of_login_scripts_means_nothing(root: Path, connect: Connect) -> None:
    program(root, "id", 'echo "motd" >&2; echo 0')

    assert read(connect).os_id == "ubuntu"


def test_a_host_that_says_something_else_is_not_understood(root: Path, connect: Connect) -> None:
    program(root, "base64", r"printf 'no\033[31mnsense'")

    with pytest.raises(HostCommandFailed, match="not base64") as caught:
        read(connect)

    assert "\x1b" not in caught.value.output


def test_a_clock_that_is_behind_shows_as_a_negative_offset(connect: Connect) -> None:
    with connect() as connection:
        facts = read_facts(
            connection,
            endpoints=(),
            devices=(),
            now=lambda: datetime.now(UTC) + timedelta(seconds=3600),
        )

    assert facts.clock_offset_s == pytest.approx(-3600, abs=20)


def test_a_host_without_a_readable_clock_is_not_understood(root: Path, connect: Connect) -> None:
    program(root, "date", "exit 1")

    with pytest.raises(HostCommandFailed, match="time"):
        read(connect)


def test_a_hanging_docker_is_given_up(root: Path, connect: Connect) -> None:
    # `timeout` of the host ends what hangs; here it ends at once, as if its seconds had passed.
    (root / "usr/bin/docker").symlink_to(PROGRAMS / "docker")
    program(root, "timeout", "exit 124")

    docker = read(connect).docker

    assert docker
    assert docker.version == ""


def test_a_script_that_arrives_in_part_does_nothing(root: Path, connect: Connect) -> None:
    program(root, "bash", "exec /bin/bash -s < <(head -c 3000)")

    with pytest.raises(HostCommandFailed, match=r"no facts|time"):
        read(connect)


def test_a_host_without_bash_says_so(root: Path, connect: Connect) -> None:
    program(root, "bash", "exit 127")

    with pytest.raises(HostCommandFailed, match="no bash"):
        read(connect)


def test_a_link_lost_midway_is_unreachable(
    server: ShopServer, root: Path, connect: Connect
) -> None:
    program(root, "uname", "exec /bin/sleep 60")
    with connect() as connection:

        def now() -> datetime:
            if server.execs:
                server.cut()
            return datetime.now(UTC)

        with pytest.raises(HostUnreachable):
            read_facts(connection, endpoints=(), devices=(), now=now)
